"""What a value looks like: the kind of its characters, for grouping values that need the same treatment."""

import re

_LONGEST = 200  # characters that are looked at


def shape_of(value: str) -> str:
    """Its digits and letters by kind, its signs as they are (`12 Jan 2024` is `9 a 9`)."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", value.strip()[:_LONGEST]))
