"""Excel workbooks of before 2007 (xls): read by xlrd, in a process of its own.

xlrd is plain Python, tells errors from texts, and holds a whole sheet in memory; a broken file makes it raise anything.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from importer import guard
from importer.compound import CompoundFile
from importer.grid import Grid, GridFile, GridRow, Merge
from importer.office import MACROS
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import CellError, ReadOptions, TableFile, TableReader
from importer.serials import DateKind, from_serial, kind_of_format
from importer.source import Source
from importer.values import Cell

if TYPE_CHECKING:
    import xlrd  # type: ignore[import-untyped] # it has no types

_ROWS_AT_ONCE = 500
_MAX_MERGES = 100_000
_BUILT_IN_FORMATS = 164  # numbers below mean the same in every workbook


def describe(path: str) -> Iterator[object]:
    """Child: name, visibility, row count and merged cells of each sheet."""
    with _open(path) as book:
        sheets = []
        for number in range(book.nsheets):
            sheet = book.sheet_by_index(number)
            merges = [(top, left, bottom - 1, right - 1) for top, bottom, left, right in sheet.merged_cells]
            sheets.append((sheet.name, bool(sheet.visibility), sheet.nrows, merges[:_MAX_MERGES]))
            book.unload_sheet(number)
        yield sheets


def rows(path: str, number: int) -> Iterator[object]:
    """Child: the rows of one sheet, some hundreds at once, from the first."""
    with _open(path) as book:
        sheet = book.sheet_by_index(number)
        kinds = _kinds(book)
        for start in range(0, sheet.nrows, _ROWS_AT_ONCE):
            stop = min(start + _ROWS_AT_ONCE, sheet.nrows)
            yield [
                [_value(cell, kinds, is_1904=book.datemode == 1) for cell in sheet.row(place)]
                for place in range(start, stop)
            ]


@contextmanager
def _open(path: str) -> Iterator["xlrd.book.Book"]:
    import xlrd

    try:
        book = xlrd.open_workbook(path, on_demand=True, ragged_rows=True, formatting_info=True, logfile=_Silence())
    except xlrd.XLRDError as exc:
        if "encrypted" in str(exc).lower():  # the library has no other sign of it
            raise refuse(
                ProblemCode.PASSWORD_REQUIRED, "the workbook is encrypted: send it without its password"
            ) from exc
        raise refuse(ProblemCode.CORRUPT_FILE, "the workbook is damaged: save or export it again") from exc
    with book:
        yield book


class _Silence:
    """Where the library complains about files, and quotes them."""

    def write(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass


def _kinds(book: "xlrd.book.Book") -> list[DateKind]:
    found = []
    for style in book.xf_list:
        number = style.format_key
        known = book.format_map.get(number)
        code = known.format_str if known is not None and number >= _BUILT_IN_FORMATS else None
        found.append(kind_of_format(number, code))
    return found


def _value(cell: "xlrd.sheet.Cell", kinds: list[DateKind], *, is_1904: bool) -> Cell:
    import xlrd

    value: Cell = cell.value
    match cell.ctype:
        case xlrd.XL_CELL_TEXT:
            return value
        case xlrd.XL_CELL_NUMBER | xlrd.XL_CELL_DATE:
            style = cell.xf_index if cell.xf_index is not None else -1
            kind = kinds[style] if 0 <= style < len(kinds) else DateKind.NONE
            if kind:
                return from_serial(cell.value, kind, is_1904=is_1904)
            # The format has no whole numbers of its own: what is whole and not too large was one.
            return int(cell.value) if cell.value.is_integer() and abs(cell.value) < 1e15 else value
        case xlrd.XL_CELL_BOOLEAN:
            return bool(value)
        case xlrd.XL_CELL_ERROR:
            return CellError(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
        case _:
            return None


class _Sheets:
    def __init__(self, path: str, source: Source, limits: Limits) -> None:
        self._path = path
        self._source = source
        self._limits = limits
        self._done = 0
        self.notices: list[str] = []

    def grids(self) -> Iterator[Grid]:
        sheets = guard.call(f"{__name__}:describe", {"path": self._path})
        if not isinstance(sheets, list):
            raise refuse(ProblemCode.CORRUPT_FILE, "the workbook is damaged: save or export it again")
        for number, (name, is_hidden, row_count, merges) in enumerate(sheets):
            if is_hidden:
                self.notices.append(f"the sheet {name!r} is hidden and was left out")
                continue
            yield Grid(
                name=name,
                rows=lambda number=number, count=row_count: self._rows(number, count),  # type: ignore[misc] # a lambda's default has no type
                bytes_done=lambda: self._done,
                limits=self._limits,
                merges=tuple(Merge(*each) for each in merges),
                row_count=row_count,
            )

    def _rows(self, number: int, count: int) -> Iterator[GridRow]:
        place = 0
        arguments: Mapping[str, object] = {"path": self._path, "number": number}
        for piece in guard.stream(f"{__name__}:rows", arguments):
            if not isinstance(piece, list):
                raise refuse(ProblemCode.CORRUPT_FILE, "the workbook is damaged: save or export it again")
            self._done = self._source.size * min(place, count) // max(count, 1)
            for cells in piece:
                place += 1
                yield GridRow(place, cells)
        self._done = self._source.size


class _XlsReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[TableFile]:
        """See `TableReader`."""
        compound = CompoundFile(source, options.limits)
        with source.local_path() as path:
            sheets = _Sheets(str(path), source, options.limits)
            if "_VBA_PROJECT_CUR" in compound.storages:
                sheets.notices.append(MACROS)
            yield GridFile(list(sheets.grids()), options, sheets.notices)


READER: Final[TableReader] = _XlsReader()
