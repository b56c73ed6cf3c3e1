"""OpenDocument spreadsheets: content.xml as a stream, with what it repeats bounded by what it holds."""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Final

from core.errors import PermanentError
from importer.archive import Archive, open_archive
from importer.grid import Grid, GridFile, GridRow, Merge
from importer.markup import Attributes, Elements, parse, parse_all
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import CellError, ReadOptions, TableFile, TableReader
from importer.serials import number_of
from importer.source import Source
from importer.values import Cell

_CONTENT = "content.xml"
_MANIFEST = "META-INF/manifest.xml"
_LAST_ROW = 1_048_576
_LAST_COLUMN = 16_384
_FREE_CELLS = 1_000_000
_MAX_MERGES = 100_000
_MAX_SPACES = 1_000
_HEAD_ROWS = 400  # of a sheet: more than a look at it takes
_HEAD_CELLS = 200_000  # of all sheets


class _Sheet:
    """Hears the rows of one sheet: of the `wanted`-th table of the document."""

    def __init__(self, wanted: int, limits: Limits) -> None:
        self.rows: list[GridRow] = []
        self.merges: list[Merge] = []
        self.is_done = False
        self._wanted = wanted
        self._limits = limits
        self._seen = -1
        self._depth = 0  # of tables: a cell may hold another
        self._number = 0
        self._repeated = 1
        self._cells: list[Cell] = []
        self._problem: ProblemCode | None = None
        self._cell: Attributes | None = None
        self._paragraphs: list[str] = []
        self._size = 0
        self._note = 0
        self._is_paragraph = 0
        self._real = self._made = 0

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "table":
            self._depth += 1
            self._seen += self._depth == 1
        if self._seen != self._wanted or self._depth != 1:
            return
        if name == "table-row":
            self._cells, self._problem = [], None
            self._repeated = _count(attributes, "number-rows-repeated", _LAST_ROW)
        elif name in {"table-cell", "covered-table-cell"}:
            self._cell, self._paragraphs, self._size = attributes, [], 0
        elif name == "annotation":
            self._note += 1
        elif self._cell is not None and not self._note:
            self._start_text(name, attributes)

    def end(self, name: str) -> None:
        if self._seen == self._wanted and self._depth == 1:
            if name == "table-row":
                self._end_row()
            elif name in {"table-cell", "covered-table-cell"}:
                self._end_cell()
            elif name == "annotation":
                self._note -= 1
            elif name in {"p", "h"} and self._cell is not None and not self._note:
                self._is_paragraph -= 1
        if name == "table":
            self.is_done = self._seen == self._wanted and self._depth == 1
            self._depth -= 1

    def text(self, text: str) -> None:
        if self._is_paragraph > 0 and self._cell is not None and not self._note:
            self._add(text)

    def _start_text(self, name: str, attributes: Attributes) -> None:
        if name in {"p", "h"}:
            self._is_paragraph += 1
            if self._paragraphs:
                self._add("\n")
        elif name == "s":
            self._add(" " * _count(attributes, "c", _MAX_SPACES))
        elif name in {"tab", "line-break"}:
            self._add("\t" if name == "tab" else "\n")

    def _add(self, text: str) -> None:
        self._size += len(text)
        if self._size > self._limits.max_field_bytes:
            self._problem = ProblemCode.FIELD_TOO_LARGE
        else:
            self._paragraphs.append(text)

    def _end_cell(self) -> None:
        attributes, self._cell = self._cell, None
        if attributes is None:
            return
        repeated = _count(attributes, "number-columns-repeated", _LAST_COLUMN)
        value = _value(attributes, "".join(self._paragraphs))
        if len(self._cells) + repeated > _LAST_COLUMN:
            if value is not None:
                raise refuse(ProblemCode.TOO_MANY_COLUMNS, f"a table may have {_LAST_COLUMN} columns")
            repeated = max(0, _LAST_COLUMN - len(self._cells))
        right = _count(attributes, "number-columns-spanned", _LAST_COLUMN) - 1
        down = _count(attributes, "number-rows-spanned", _LAST_ROW) - 1
        if (right or down) and len(self.merges) < _MAX_MERGES:
            left = len(self._cells)
            self.merges.append(Merge(self._number, left, self._number + down, left + right))
        self._real += value is not None
        self._cells += [value] * repeated

    def _end_row(self) -> None:
        while self._cells and self._cells[-1] is None:
            self._cells.pop()
        if self._cells or self._problem is not None:
            if self._number + self._repeated > _LAST_ROW:
                raise refuse(ProblemCode.CORRUPT_FILE, "the sheet has more rows than a sheet can have")
            self._made += len(self._cells) * self._repeated
            if self._made > _FREE_CELLS + self._real * self._limits.max_sheet_fill:
                message = f"the sheet is more than {self._limits.max_sheet_fill} times as large as what is in it"
                raise refuse(ProblemCode.SHEET_TOO_LARGE, message)
            self.rows += [
                GridRow(self._number + more, list(self._cells), self._problem) for more in range(1, self._repeated + 1)
            ]
        self._number += self._repeated


@dataclass(slots=True)
class _Head:
    """The first rows of a sheet, or all of them."""

    rows: list[GridRow] = field(default_factory=list)
    is_whole: bool = True


class _Heads:
    """Hears the first rows of the `wanted` sheets, so that a look at all of them takes one reading of the document."""

    def __init__(self, wanted: Container[int], limits: Limits) -> None:
        self.found: list[_Head] = []
        self._wanted = wanted
        self._limits = limits
        self._sheet: _Sheet | None = None
        self._depth = 0
        self._left = _HEAD_CELLS

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "table":
            self._depth += 1
            if self._depth == 1:
                self._sheet = _Sheet(0, self._limits) if len(self.found) in self._wanted else None
                self.found.append(_Head())
        if self._sheet is not None:
            self._sheet.start(name, attributes)

    def end(self, name: str) -> None:
        if self._sheet is not None:
            self._sheet.end(name)
            self._collect(self._sheet)
        self._depth -= name == "table"

    def text(self, text: str) -> None:
        if self._sheet is not None:
            self._sheet.text(text)

    def _collect(self, sheet: _Sheet) -> None:
        head = self.found[-1]
        rows, sheet.rows = sheet.rows, []
        for row in rows:
            self._left -= len(row.cells)
            if len(head.rows) == _HEAD_ROWS or self._left < 0:
                head.is_whole, self._sheet = False, None
                return
            head.rows.append(row)
        if sheet.is_done:
            self._sheet = None


class _Sheets:
    """What all sheets of a document share."""

    def __init__(self, archive: Archive, source: Source, limits: Limits) -> None:
        self._archive = archive
        self._source = source
        self._limits = limits
        self._done = 0
        self._heads: list[_Head] | None = None
        self._shown: set[int] = set()
        self.notices: list[str] = []

    def grids(self) -> Iterator[Grid]:
        if self._archive.size(_CONTENT) > self._limits.max_inflated_bytes:
            raise refuse(ProblemCode.SHEET_TOO_LARGE, "the document is too large when it is unpacked")
        names = self._names()
        self._shown = {number for number, (_, is_hidden) in enumerate(names) if not is_hidden}
        for number, (name, is_hidden) in enumerate(names):
            if is_hidden:
                self.notices.append(f"the sheet {name!r} is hidden and was left out")
            else:
                yield self._grid(number, name)

    def _names(self) -> list[tuple[str, bool]]:
        hidden: set[str] = set()
        found: list[tuple[str, bool]] = []
        depth = 0
        style = ""

        class Names(Elements):
            def end(self, name: str) -> None:
                nonlocal depth
                depth -= name == "table"

        def start_style(attributes: Attributes) -> None:
            nonlocal style
            style = attributes.get("name", "")

        def start_properties(attributes: Attributes) -> None:
            if attributes.get("display") == "false":
                hidden.add(style)

        def start_table(attributes: Attributes) -> None:
            nonlocal depth
            depth += 1
            if depth == 1:
                found.append((attributes.get("name", ""), attributes.get("style-name", "") in hidden))

        with self._archive.open(_CONTENT) as stream:
            wanted = {"style": start_style, "table-properties": start_properties, "table": start_table}
            parse_all(stream, Names(**wanted))
        return found

    def _grid(self, number: int, name: str) -> Grid:
        return Grid(
            name=name,
            rows=lambda: self._rows(number),
            bytes_done=lambda: self._done,
            limits=self._limits,
        )

    def _rows(self, number: int) -> Iterator[GridRow]:
        if self._heads is None:
            heads = _Heads(self._shown, self._limits)
            with self._archive.open(_CONTENT) as stream:
                parse_all(stream, heads)
            self._heads = heads.found
        head = self._heads[number]
        for row in head.rows:
            yield GridRow(row.number, list(row.cells), row.problem)
        if not head.is_whole:
            yield from islice(self._read(number), len(head.rows), None)

    def _read(self, number: int) -> Iterator[GridRow]:
        sheet = _Sheet(number, self._limits)
        size = max(self._archive.size(_CONTENT), 1)
        with self._archive.open(_CONTENT) as stream:
            for _ in parse(stream, sheet):
                self._done = self._source.size * min(stream.tell(), size) // size
                rows, sheet.rows = sheet.rows, []
                yield from rows
                if sheet.is_done:
                    return


class _OdsReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[TableFile]:
        """See `TableReader`."""
        with open_archive(source, options.limits) as archive:
            if _CONTENT not in archive:
                raise _damaged()
            _check_encryption(archive)
            sheets = _Sheets(archive, source, options.limits)
            if any(name.startswith("Basic/") for name in archive.names):
                sheets.notices.append("it brings macros, which were left alone")
            yield GridFile(list(sheets.grids()), options, sheets.notices)


def _check_encryption(archive: Archive) -> None:
    if _MANIFEST not in archive:
        return
    found: list[Attributes] = []
    with archive.open(_MANIFEST) as stream:
        parse_all(stream, Elements(**{"encryption-data": found.append}))
    if found:
        raise refuse(ProblemCode.PASSWORD_REQUIRED, "the document is encrypted: send it without its password")


def _value(attributes: Attributes, text: str) -> Cell:
    kind = attributes.get("value-type")
    try:
        match kind:
            case "float" | "currency" | "percentage":
                number = attributes.get("value", "")
                return number_of(number)
            case "date":
                written = attributes.get("date-value", "")
                return date.fromisoformat(written) if len(written) == 10 else datetime.fromisoformat(written)
            case "boolean":
                return attributes.get("boolean-value") == "true"
            case "time":
                return text or attributes.get("time-value")
    except ValueError as exc:
        raise _damaged() from exc
    # LibreOffice keeps errors as texts, and as formulas with a value that Office knows.
    if text.startswith(("#", "Err:")) and ("formula" in attributes or kind == "error"):
        return CellError(text)
    return text or attributes.get("string-value") or None


def _count(attributes: Attributes, name: str, most: int) -> int:
    text = attributes.get(name, "1")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise _damaged()
    return max(1, min(int(text), most))


def _damaged() -> PermanentError:
    return refuse(ProblemCode.CORRUPT_FILE, "the document is damaged: save or export it again")


READER: Final[TableReader] = _OdsReader()
