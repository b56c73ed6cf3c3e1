"""From what stands in a file to typed values: numbers, dates, truth and text; one meaning, or a fault."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite

from importer.columns import CellFaultError, Column, Faults, Step, as_texts, cells, unless_none
from importer.dates import is_zone, parse_date, parse_datetime
from importer.numbers import parse_number, told_decimal
from importer.problems import ProblemCode
from importer.readers import CellError
from importer.values import Cell

_LONGEST_PLAIN = 15  # characters of a number whose digits a float holds for sure
_TEXTS = {str, type(None)}
_PLAIN = {str, bool, int, type(None)}
# fmt: off
_TRUE = frozenset((
    "true", "t", "yes", "y", "1", "ja", "j", "wahr", "oui", "o", "vrai", "si",
    "sí", "s", "sì", "vero", "verdadero", "sim", "verdadeiro", "tak", "on", "x", "✓", "はい", "是",
))
# fmt: on
# fmt: off
_FALSE = frozenset((
    "false", "f", "no", "n", "0", "nein", "falsch", "non",
    "faux", "falso", "não", "nao", "nie", "off", "いいえ", "否",
))
# fmt: on
_ORDERS = frozenset(("", "dmy", "mdy", "ymd", "excel"))


def to_text(value: Cell) -> Cell:
    """A value as text.

    Raises:
        CellFaultError: It is an error instead of a value.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, CellError):
        raise CellFaultError("the cell holds an error instead of a value", ProblemCode.CELL_ERROR)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float) and not isfinite(value):
        raise CellFaultError("the number is none that can be stored")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def text_step() -> Step:
    """Makes texts of whatever there is."""
    return Step(to_text, _many_texts)


def _many_texts(column: Column, faults: Faults) -> Column:
    return column if set(map(type, column)) <= _TEXTS else cells(column, faults, unless_none(to_text))


def plain_step() -> Step:
    """Makes what JSON knows of whatever there is, for fields that may hold several types."""
    return Step(_to_plain, _many_plain)


def _to_plain(value: Cell) -> Cell:
    is_plain = isinstance(value, str | bool | int | list | dict)
    return value if is_plain or (isinstance(value, float) and isfinite(value)) else to_text(value)


def _many_plain(column: Column, faults: Faults) -> Column:
    return column if set(map(type, column)) <= _PLAIN else cells(column, faults, unless_none(_to_plain))


def number_step(arguments: Mapping[str, str], *, is_whole: bool = False) -> Step:
    """Makes numbers of texts.

    Raises:
        ValueError: An argument makes no sense.
    """
    decimal = arguments.get("decimal", "")
    percent = arguments.get("percent", "")
    affixes = frozenset(word.strip() for word in arguments.get("affixes", "").split("|") if word.strip())
    if decimal not in ("", ".", ",") or percent not in ("", "number", "fraction"):
        raise ValueError
    if percent:
        affixes |= {"%"}

    def one(value: Cell) -> Cell:
        number = _number(value, decimal, affixes)
        if percent == "fraction" and isinstance(value, str) and "%" in value:
            number = float(Decimal(repr(number)) / 100)
        if not is_whole:
            return number
        if isinstance(number, float) and (not number.is_integer() or abs(number) > 2**53):
            raise CellFaultError("the number is not whole")
        return int(number)

    return Step(one, _many_numbers(one, "" if is_whole else decimal))


def _number(value: Cell, decimal: str, affixes: frozenset[str]) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value != value or abs(value) >= 2**63:
            raise CellFaultError("the number is none that can be stored")
        return value
    if not isinstance(value, str):
        to_text(value)
        raise CellFaultError("the value is not a number")
    text = value.strip()
    number = parse_number(text, decimal, affixes)
    if number is None:
        digits = "".join(character for character in text if character.isdigit() or character in ".,'’ ")
        if not decimal and digits and not told_decimal(digits.strip()) and parse_number(text, ".", affixes) is not None:
            raise CellFaultError("the number can be read in two ways", ProblemCode.AMBIGUOUS_VALUE)
        raise CellFaultError("the value is not a number of the expected form")
    return number


def _read_points(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _read_commas(text: str) -> int | float:
    return float(text.replace(",", ".")) if "," in text else int(text)


_READS: Mapping[str, Callable[[str], int | float]] = {"": int, ".": _read_points, ",": _read_commas}


def _many_numbers(one: Callable[[Cell], Cell], decimal: str) -> Callable[[Column, Faults], Column]:
    """Reads the numbers of a column that are written in the plainest way at once, and leaves the others to `one`."""
    read, allowed = _READS[decimal], f"0123456789-\n{decimal}".encode()
    is_plain = re.compile(rf"-?(?:[0-9]*[{decimal}])?[0-9]+" if decimal else "-?[0-9]+").fullmatch

    def many(column: Column, faults: Faults) -> Column:
        texts, made, odd = as_texts(column), list[Cell](), list[int]()
        left = iter(texts)
        while True:
            try:
                made.extend(map(read, left))  # as in `cells`
                break
            except (ValueError, TypeError, OverflowError):
                odd.append(len(made))
                made.append(None)
        good = [text for text, value in zip(texts, made, strict=True) if value is not None] if odd else texts
        if not _are_plain(good, allowed, decimal):
            # Python reads more than that as a number: `1_0`, `+5`, digits of other scripts.
            odd = [
                place
                for place, text in enumerate(texts)
                if not (isinstance(text, str) and len(text) <= _LONGEST_PLAIN and is_plain(text))
            ]
        for place in odd:
            made[place : place + 1] = cells(column[place : place + 1], faults, unless_none(one), place)
        return made

    return many


def _are_plain(texts: Sequence[str], allowed: bytes, decimal: str) -> bool:
    """Whether nothing but short numbers of the allowed characters is in a column, as far as a quick look tells."""
    try:
        joined = "\n".join(texts)
    except TypeError:
        return False
    return (
        joined.isascii()
        and not joined.encode().translate(None, allowed)
        and max(map(len, texts), default=0) <= _LONGEST_PLAIN
        and not (decimal and (joined.endswith(decimal) or f"{decimal}\n" in joined))
    )


def date_step(arguments: Mapping[str, str]) -> Step:
    """Makes dates, as ISO 8601 text.

    Raises:
        ValueError: An argument makes no sense.
    """
    order, drops_time = arguments.get("order", ""), arguments.get("time") == "drop"
    if order not in _ORDERS:
        raise ValueError

    def one(value: Cell) -> Cell:
        if isinstance(value, datetime):
            return _day_of(value, drops_time=drops_time)
        if isinstance(value, date):
            return value.isoformat()
        text = str(to_text(value)).strip()
        if made := parse_date(text, order):
            return made.isoformat()
        if moment := parse_datetime(text, order, ""):
            return _day_of(moment, drops_time=drops_time)
        _refuse_date(text, order)
        return None

    return Step(one)


def _day_of(moment: datetime, *, drops_time: bool) -> str:
    if not drops_time and moment.time() != time():
        raise CellFaultError("the value is a time of a day, not a day")
    return moment.date().isoformat()


def _refuse_date(text: str, order: str) -> None:
    if not order and (parse_datetime(text, "dmy", "") or parse_datetime(text, "mdy", "")):
        raise CellFaultError("the date can be read in two ways", ProblemCode.AMBIGUOUS_VALUE)
    raise CellFaultError("the value is not a date of the expected form")


def datetime_step(arguments: Mapping[str, str]) -> Step:
    """Makes times, as ISO 8601 text.

    Raises:
        ValueError: An argument makes no sense.
    """
    order, zone = arguments.get("order", ""), arguments.get("zone", "")
    if order not in _ORDERS | {"epoch", "epoch_ms"}:
        raise ValueError
    if zone and (not is_zone(zone) or parse_datetime("2000-01-01 00:00", "", zone) is None):
        raise ValueError

    def one(value: Cell) -> Cell:
        if isinstance(value, datetime):
            value = value.isoformat()
        text = str(to_text(value)).strip()
        made = parse_datetime(text, order, zone)
        if made is None:
            _refuse_date(text, order)
            return None
        return made.isoformat().replace("+00:00", "Z")

    return Step(one)


def boolean_step(arguments: Mapping[str, str]) -> Step:
    """Makes truth values."""
    true = _TRUE | {word.strip().casefold() for word in arguments.get("true", "").split("|") if word.strip()}
    false = _FALSE | {word.strip().casefold() for word in arguments.get("false", "").split("|") if word.strip()}
    known = {**dict.fromkeys(true, True), **dict.fromkeys(false, False)}

    def one(value: Cell) -> Cell:
        if isinstance(value, bool):
            return value
        text = str(to_text(value)).strip().casefold()
        if text not in known:
            raise CellFaultError("the value is neither yes nor no")
        return known[text]

    return Step(one)
