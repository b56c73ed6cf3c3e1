"""Numbers as people write them, read only where they can be read in one way.

`1.234` is one thousand in Berlin and one and a bit in London. Which it is, a column says (`1.234,50` is plain) or a
person; nobody else. What does not fit what was said is an error, never another number.
"""

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from math import isfinite

_WRITTEN = re.compile(
    r"(?P<open>\()?\s*(?P<sign>[-+−]?)\s*(?P<before>[^\d\s.,()+−-]{1,4})?\s*(?P<sign2>[-+−]?)\s*"
    r"(?P<digits>(?:\d|[.,](?=\d))(?:[.,'’\s\u00a0\u202f]?\d)*)[.,]?"
    r"\s*(?P<after>[^\d\s.,()+−-]{1,8})?\s*(?P<trail>[-−]?)\s*(?P<close>\))?"
)
_GROUPS = "'’ \u00a0\u202f\u2009"
_SPACES = str.maketrans("", "", _GROUPS)
_GROUPED = {
    ".": re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d{0,2}(?:['’\s]\d{3})+(?:\.\d+)?|\d*(?:\.\d+)?"),
    ",": re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?|[1-9]\d{0,2}(?:['’\s]\d{3})+(?:,\d+)?|\d*(?:,\d+)?"),
}
_EXPONENT = re.compile(r"[-+]?\d+(?:\.\d+)?[eE][-+]?\d{1,3}")
_MOST_CHARACTERS = 60
_EXACT_DIGITS = 15  # that a float holds whatever the number


def parse_number(text: str, decimal: str, affixes: frozenset[str]) -> int | float | None:
    """The number that a text is, or None.

    Args:
        text: Without blanks around it.
        decimal: What stands before the decimals; empty where only what has one meaning is to be read.
        affixes: What may stand before or after it: a currency, a unit, a percent sign.
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    if _EXPONENT.fullmatch(text) and decimal != ",":
        number = float(text)
        is_in_range = isfinite(number) and bool(number) == bool(Decimal(text))
        return number if is_in_range else None
    found = _WRITTEN.fullmatch(text)
    if not found or bool(found["open"]) != bool(found["close"]):
        return None
    if any(found[place] and found[place] not in affixes for place in ("before", "after")):
        return None
    signs = [found[place] for place in ("sign", "sign2", "trail") if found[place]]
    if len(signs) + bool(found["open"]) > 1:
        return None
    made = _parse_digits(found["digits"], decimal or told_decimal(found["digits"]))
    is_negative = bool(found["open"]) or signs in (["-"], ["−"])
    return -made if made is not None and is_negative else made


def _parse_digits(digits: str, decimal: str) -> int | float | None:
    if digits.isdigit():
        return _whole(digits)
    if decimal not in _GROUPED or not _GROUPED[decimal].fullmatch(digits):
        return None
    plain = digits.translate(_SPACES).replace("." if decimal == "," else ",", "").replace(",", ".")
    if "." not in plain:
        return _whole(plain)
    try:
        number = float(plain)
        is_exact = len(plain) - 1 <= _EXACT_DIGITS or Decimal(repr(number)) == Decimal(plain)
    except (ValueError, InvalidOperation):
        return None
    return number if is_exact else None


def _whole(digits: str) -> int | None:
    number = int(digits)
    return number if number < 2**63 else None


def told_decimal(digits: str) -> str:
    """What a number says of its decimal sign: "." or ","; empty where it could be both; "-" where it has none."""
    points, commas = digits.count("."), digits.count(",")
    if any(sign in digits for sign in _GROUPS):
        return "." if points else "," if commas else "-"
    if points and commas:
        return "." if digits.rindex(".") > digits.rindex(",") else ","
    if not points and not commas:
        return "-"
    sign, other = (".", ",") if points else (",", ".")
    if points + commas > 1:
        return other
    before, _, after = digits.partition(sign)
    if len(after) == 3 and 1 <= len(before) <= 3 and before != "0" * len(before):
        return ""
    return sign


class NumberEvidence:
    """What the numbers of a column say together.

    Attributes:
        decimals: The decimal signs that some number is plain about.
        ambiguous: Numbers that could be read in two ways.
        affixes: What stands around the numbers, the most frequent first.
        numbers: How many texts are numbers.
        texts: How many are not.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Look at some texts."""
        self.decimals: set[str] = set()
        self.ambiguous: list[str] = []
        self.numbers = self.texts = 0
        affixes: dict[str, int] = {}
        for text in texts:
            found = _WRITTEN.fullmatch(text.strip()) if len(text) <= _MOST_CHARACTERS else None
            if not found:
                is_exponent = bool(_EXPONENT.fullmatch(text.strip()))
                self.numbers += is_exponent
                self.texts += not is_exponent
                continue
            self.numbers += 1
            for affix in filter(None, (found["before"], found["after"])):
                affixes[affix] = affixes.get(affix, 0) + 1
            told = told_decimal(found["digits"])
            if not told:
                self.ambiguous.append(text.strip())
            elif told != "-":
                self.decimals.add(told)
        self.affixes = tuple(sorted(affixes, key=lambda affix: -affixes[affix]))
