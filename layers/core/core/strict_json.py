"""JSON as strangers send it: one object, no key twice, no NaN, and errors that quote nothing."""

import json
from typing import NoReturn

type Json = dict[str, object]


def read_object(text: bytes | str) -> Json | None:
    """The JSON object in `text`; None where it is anything else, or two readers could understand it differently."""
    try:
        value = _DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError):
        return None  # the decoder's error would quote the text
    return value if isinstance(value, dict) else None


def _unique(pairs: list[tuple[str, object]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are not JSON


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
