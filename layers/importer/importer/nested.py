"""Nested JSON as tables: objects flattened to columns, and guards that stand before any parser."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import isfinite

from importer.problems import Limits, ProblemCode, refuse
from importer.values import Cell, Row

# A string, or (kept as the group) the beginning of one that the block does not end.
_STRING = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|("[^"\\]*+(?:\\.[^"\\]*+)*+\\?\Z)',
    re.DOTALL,
)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{1000}")  # in one block, of the 4,300 digits at which the parser crashes
# The first half of a pair without the second, for which the parser puts another character.
_HALF = re.compile(rb"(?<!\\)(?:\\\\)*\\u[dD][89abAB][0-9a-fA-F]{2}(?:[^\\]|\\[^u]|\\u(?:[^dD]|[dD][^c-fC-F]))")
_HALF_FOUND = (
    "the file is not valid JSON: a text in it has half of a character (like \\ud83d alone); "
    "mend it, or give the records as JSON Lines, where only such a line is rejected"
)
_EXACT_DIGITS = 15
_LARGEST = 2**63  # what an integer of the output stays below


def flatten(value: Mapping[str, Cell], prefix: str = "") -> dict[str, Cell]:
    """An object's values by their paths (`address.city`); lists stay values."""
    flat: dict[str, Cell] = {}
    for name, child in value.items():
        if isinstance(child, dict) and child:
            flat |= flatten(child, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = exact(child)
    return flat


def exact(value: Cell) -> Cell:
    """A value with its numbers as int or float where that is the same number, else as text."""
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else str(value)
    if isinstance(value, Decimal):
        number = float(value)
        is_in_range = isfinite(number) and bool(number) == bool(value)
        if number == value or (is_in_range and len(value.as_tuple().digits) <= _EXACT_DIGITS):
            return number
        return str(value)
    if isinstance(value, list):
        return [exact(each) for each in value]
    if isinstance(value, dict):
        return {name: exact(each) for name, each in value.items()}
    return value


def parse_number_exactly(text: str) -> Cell:
    """A JSON number with decimals: float where no digit is lost, else the text as it stands."""
    return exact(Decimal(text))


def columns_of(records: Iterable[Mapping[str, Cell]], limits: Limits) -> tuple[str, ...]:
    """All paths of some records, in the order in which they come.

    Raises:
        PermanentError: They are too many.
    """
    names: dict[str, None] = {}
    for record in records:
        names.update(dict.fromkeys(record))
        if len(names) > limits.max_columns:
            raise refuse(ProblemCode.TOO_MANY_COLUMNS, f"a table may have {limits.max_columns} columns")
    return tuple(names)


def to_row(flat: Mapping[str, Cell], places: Mapping[str, int]) -> Row:
    """The cells of a record, by the columns' places; what no column is for stands at the end, as one cell of it all."""
    row: list[Cell] = [None] * len(places)
    more: dict[str, Cell] = {}
    for name, value in flat.items():
        place = places.get(name)
        if place is None:
            more[name] = value
        else:
            row[place] = value
    if more:
        row.append(more)
    return row


def places_of(columns: Sequence[str]) -> dict[str, int]:
    """The place of each column."""
    return {name: place for place, name in enumerate(columns)}


def raw_json(row: Row, columns: Sequence[str]) -> str:
    """A row as JSON, for rejects."""
    return json.dumps(dict(zip(columns, row, strict=False)), ensure_ascii=False, default=str)


class DepthGuard:
    """Refuses JSON that is nested too deeply, before a parser sees it; fed block by block.

    Strings are taken out; then pairs of brackets that face each other are taken out, level by level, all in C: what
    stays is what is open. `depth` is the depth after the last block, `lowest` the lowest within it.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tail = b""
        self.depth = 0
        self.lowest = 0

    def feed(self, block: bytes) -> None:
        """Look at the next block.

        Raises:
            PermanentError: It is nested too deeply, a string or a number in it is too long, or a character lacks its
                second half.
        """
        data = self._tail + block
        if (b"\\ud" in data or b"\\uD" in data) and _HALF.search(data):
            raise refuse(ProblemCode.CORRUPT_FILE, _HALF_FOUND)
        data = _STRING.sub(rb"\1", data)
        quote = data.find(b'"')
        self._tail = data[quote:] if quote >= 0 else b""
        if len(self._tail) > self._limits.max_field_bytes + len(block):
            raise refuse(ProblemCode.FIELD_TOO_LARGE, f"a value may have {self._limits.max_field_bytes} bytes")
        if quote >= 0:
            data = data[:quote]
        if _LONG_NUMBER.search(data):
            raise refuse(ProblemCode.CORRUPT_FILE, "a number in the file has thousands of digits")
        brackets = data.translate(None, _NOT_BRACKETS)
        levels = 0
        while b"{}" in brackets or b"[]" in brackets:
            brackets = brackets.replace(b"{}", b"").replace(b"[]", b"")
            levels += 1
            if levels > self._limits.max_json_depth:
                self._refuse()
        closed = brackets.count(b"}") + brackets.count(b"]")
        self.lowest = self.depth - closed
        self.depth += len(brackets) - 2 * closed
        if self.depth > self._limits.max_json_depth:
            self._refuse()

    def _refuse(self) -> None:
        raise refuse(ProblemCode.NESTING_TOO_DEEP, f"JSON may be nested {self._limits.max_json_depth} levels deep")
