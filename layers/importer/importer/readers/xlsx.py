"""Excel workbooks (xlsx, xlsm): the sheets' own XML, read as a stream.

Own code, because the libraries lose what an import needs: one ends the process over a value in the last cell of a
sheet and turns `#N/A` into nothing and 42 into 42.0; the other fills up every gap in memory.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Final

from importer.archive import Archive, open_archive
from importer.grid import Grid, GridFile, GridRow, Merge
from importer.markup import Attributes, parse, parse_all
from importer.office import MACROS, has_macros, main_part, relations
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import CellError, ReadOptions, TableFile, TableReader
from importer.serials import DateKind, from_serial, number_of
from importer.source import Source
from importer.values import Cell
from importer.workbook import Strings, Styles, Workbook, damaged, unescaped, whole

_LAST_ROW = 1_048_576
_LAST_COLUMN = 16_384
_MAX_MERGES = 100_000
_SCANNED = 1024 * 1024
_MERGE = re.compile(rb'<(?:\w{1,40}:)?mergeCell [^<>]*?ref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_DIMENSION = re.compile(rb'<(?:\w{1,40}:)?dimension [^<>]*?ref="[A-Z]{1,3}\d{1,7}:[A-Z]{1,3}(\d{1,7})"')


class _SheetRows:
    """Hears the rows of a sheet."""

    def __init__(self, strings: Strings, kinds: list[DateKind], limits: Limits, *, is_1904: bool) -> None:
        self.rows: list[GridRow] = []
        self._strings = strings
        self._kinds = {str(number): kind for number, kind in enumerate(kinds) if kind}
        self._is_1904 = is_1904
        self._limit = limits.max_field_bytes
        self._row_limit = limits.max_row_bytes
        self._shared, self._most_shared = 0, limits.max_inflated_bytes
        self._max_columns = min(limits.max_columns, _LAST_COLUMN)
        self._columns: dict[str, int] = {}
        self._number = 0
        self._row = GridRow(0, [])
        self._column = -1
        self._type = "n"
        self._style = ""
        self._pieces: list[str] = []
        self._size = 0
        self._is_value = False
        self._is_formula = False
        self._phonetic = 0

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "c":
            self._start_cell(attributes)
        elif name in {"v", "t"}:
            self._is_value = not self._phonetic
        elif name == "f":
            self._is_formula = True
        elif name == "row":
            self._start_row(attributes.get("r"))
        elif name == "rPh":
            self._phonetic += 1

    def end(self, name: str) -> None:
        if name in {"v", "t"}:
            self._is_value = False
        elif name == "c":
            self._end_cell()
        elif name == "row":
            self.rows.append(self._row)
        elif name == "rPh":
            self._phonetic -= 1

    def text(self, text: str) -> None:
        if self._is_value:
            self._size += len(text)
            self._row.size += len(text)
            if self._size > self._limit:
                self._row.problem = ProblemCode.FIELD_TOO_LARGE
            elif self._row.size > self._row_limit:
                self._row.problem = ProblemCode.ROW_TOO_LARGE
            else:
                self._pieces.append(text)

    def _start_row(self, number: str | None) -> None:
        self._number = whole(number) if number else self._number + 1
        if not 0 < self._number <= _LAST_ROW:
            raise damaged()
        self._row = GridRow(self._number, [])
        self._column = -1

    def _start_cell(self, attributes: Attributes) -> None:
        reference = attributes.get("r")
        if reference is None:
            self._column += 1
        else:
            letters = reference.rstrip("0123456789")
            column = self._columns.get(letters)
            if column is None:
                column = self._columns[letters] = _column(letters)
            self._column = column
        if self._column >= self._max_columns:
            raise refuse(ProblemCode.TOO_MANY_COLUMNS, f"a table may have {self._max_columns} columns")
        self._type = attributes.get("t", "n")
        self._style = attributes.get("s", "")
        self._pieces = []
        self._size = 0
        self._is_formula = False

    def _end_cell(self) -> None:
        if self._row.problem is not None:
            return
        value = self._value("".join(self._pieces))
        if value is None:
            return
        cells, column = self._row.cells, self._column
        if column == len(cells):
            cells.append(value)
            return
        if column > len(cells):
            cells.extend([None] * (column + 1 - len(cells)))
        cells[column] = value

    def _value(self, text: str) -> Cell:
        match self._type:
            case "n":
                return self._numeric(text)
            case "s":
                return self._shared_text(text)
            case "inlineStr" | "str":
                return unescaped(text)
            case "b":
                return text.strip() in {"1", "true"}
            case "e":
                return CellError(text)
            case "d":
                return _iso(text)
            case _:
                raise damaged()

    def _shared_text(self, place: str) -> str:
        """A text that cells share. A few bytes name a long one: all of them together are counted."""
        try:
            text = self._strings[int(place)]
        except (ValueError, IndexError, OverflowError) as exc:
            raise damaged() from exc
        if len(text) > 100:
            self._shared += len(text)
            self._row.size += len(text)
            if self._shared > self._most_shared:
                raise refuse(ProblemCode.SHEET_TOO_LARGE, "the sheet repeats long texts too often")
            if len(text) > self._limit:
                self._row.problem = ProblemCode.FIELD_TOO_LARGE
            elif self._row.size > self._row_limit:
                self._row.problem = ProblemCode.ROW_TOO_LARGE
        return text

    def _numeric(self, text: str) -> Cell:
        if not text:
            # A formula that nobody has computed is not an empty cell.
            return CellError("#NOT-COMPUTED") if self._is_formula else None
        kind = self._kinds.get(self._style)
        try:
            if kind is None:
                return number_of(text)
            return from_serial(float(text), kind, is_1904=self._is_1904)
        except ValueError as exc:
            raise damaged() from exc


class _Sheets:
    """What all sheets of a workbook share."""

    def __init__(self, archive: Archive, source: Source, limits: Limits) -> None:
        self._archive = archive
        self._source = source
        self._limits = limits
        self._workbook = Workbook()
        self._styles = Styles()
        self.strings = Strings(limits)
        self.notices: list[str] = [MACROS] if has_macros(archive) else []
        self._done = 0

    def grids(self) -> Iterator[Grid]:
        part = main_part(self._archive)
        parts = relations(self._archive, part)
        self._parse(part, self._workbook)
        for relation in parts.values():
            if relation.target in self._archive:
                if relation.kind == "styles":
                    self._parse(relation.target, self._styles)
                elif relation.kind == "sharedStrings":
                    self._parse(relation.target, self.strings)
        for name, identity, is_hidden in self._workbook.sheets:
            found = parts.pop(identity, None)  # a part is one sheet, however many claim it
            if found is None or found.kind != "worksheet" or found.target not in self._archive:
                continue
            if is_hidden:
                self.notices.append(f"the sheet {name!r} is hidden and was left out")
                continue
            yield self._grid(name, found.target)

    def _parse(self, part: str, listener: "Workbook | Styles | Strings") -> None:
        with self._archive.open(part) as stream:
            parse_all(stream, listener)

    def _grid(self, name: str, part: str) -> Grid:
        if self._archive.size(part) > self._limits.max_inflated_bytes:
            raise refuse(ProblemCode.SHEET_TOO_LARGE, "the sheet is too large when it is unpacked")
        merges, row_count = self._scan(part)
        return Grid(
            name=name,
            rows=lambda: self._rows(part),
            bytes_done=lambda: self._done,
            limits=self._limits,
            merges=merges,
            row_count=row_count,
        )

    def _rows(self, part: str) -> Iterator[GridRow]:
        workbook, styles = self._workbook, self._styles
        listener = _SheetRows(self.strings, styles.kinds, self._limits, is_1904=workbook.is_1904)
        size = max(self._archive.size(part), 1)
        with self._archive.open(part) as stream:
            for _ in parse(stream, listener):
                self._done = self._source.size * min(stream.tell(), size) // size
                rows, listener.rows = listener.rows, []
                yield from rows

    def _scan(self, part: str) -> tuple[tuple[Merge, ...], int | None]:
        """Merged cells stand behind the rows that they are about: look for them first, without a parser."""
        merges: list[Merge] = []
        row_count = None
        carry = b""
        with self._archive.open(part) as stream:
            while block := stream.read(_SCANNED):
                text = carry + block
                if not merges and row_count is None and (found := _DIMENSION.search(text[:4096])):
                    row_count = int(found[1])
                end = 0
                for match in _MERGE.finditer(text):
                    end = match.end()
                    merges.append(_merge(match))
                if len(merges) > _MAX_MERGES:
                    raise refuse(ProblemCode.SHEET_TOO_LARGE, "the sheet has too many merged cells")
                carry = text[max(end, len(text) - 200) :]
        return tuple(merges), row_count


class _XlsxReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[TableFile]:
        """See `TableReader`."""
        with open_archive(source, options.limits) as archive:
            sheets = _Sheets(archive, source, options.limits)
            try:
                grids = list(sheets.grids())
                yield GridFile(grids, options, sheets.notices)
            finally:
                sheets.strings.close()


def _merge(match: re.Match[bytes]) -> Merge:
    left, top, right, bottom = (match[number].decode() for number in (1, 2, 3, 4))
    return Merge(int(top) - 1, _column(left), int(bottom) - 1, _column(right))


def _column(letters: str) -> int:
    number = 0
    if not 0 < len(letters) <= 3 or not letters.isascii() or not letters.isalpha():
        raise damaged()
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def _iso(text: str) -> Cell:
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return text


READER: Final[TableReader] = _XlsxReader()
