"""From what stands in a file to typed values: numbers, dates, truth and text; one meaning, or a fault."""

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite

from importer.columns import CellFaultError, Column, Remembered, Step, as_texts, step
from importer.dates import is_zone, parse_date, parse_datetime
from importer.numbers import parse_number, told_decimal
from importer.problems import ProblemCode
from importer.readers import CellError
from importer.values import Cell

_LONGEST_PLAIN = 15  # characters of a number whose digits a float holds for sure
_LONGEST_INT = 18
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
    return step(to_text, _only_texts)


def _only_texts(column: Column) -> Column:
    if set(map(type, column)) != {str}:
        raise TypeError
    return column


def plain_step() -> Step:
    """Makes what JSON knows of whatever there is, for fields that may hold several types."""
    return step(_to_plain, _only_plain)


def _to_plain(value: Cell) -> Cell:
    is_plain = isinstance(value, str | bool | int | list | dict)
    return value if is_plain or (isinstance(value, float) and isfinite(value)) else to_text(value)


def _only_plain(column: Column) -> Column:
    if not set(map(type, column)) <= {str, bool, int}:
        raise TypeError
    return column


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

    if is_whole:
        return step(one, _many_whole)
    return step(one, {".": _many_points, ",": _many_commas, "": _many_plain}[decimal])


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


def _check(column: Column, allowed: bytes, longest: int) -> str:
    """The column as one text.

    Raises:
        TypeError: A value is no text.
        ValueError: A value has another character, or is so long that a float may not hold it.
    """
    texts = as_texts(column)
    joined = "\n".join(texts)
    if joined.encode().translate(None, allowed) or max(map(len, texts)) > longest:
        raise ValueError
    return joined


def _many_points(column: Column) -> Column:
    _check(column, b"0123456789.-\n", _LONGEST_PLAIN)
    return [float(text) for text in as_texts(column)]


def _many_commas(column: Column) -> Column:
    made = list(map(float, _check(column, b"0123456789,-\n", _LONGEST_PLAIN).replace(",", ".").split("\n")))
    if len(made) != len(column):
        raise ValueError  # a cell of several lines is no number, and would push the others down
    return [*made]


def _many_plain(column: Column) -> Column:
    _check(column, b"0123456789-\n", _LONGEST_INT)
    return [int(text) for text in as_texts(column)]


_many_whole = _many_plain


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

    remembered = Remembered(one)
    return step(remembered.single, remembered.column)


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

    remembered = Remembered(one)
    return step(remembered.single, remembered.column)


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

    remembered = Remembered(one)
    return step(remembered.single, remembered.column)
