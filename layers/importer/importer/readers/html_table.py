"""HTML tables, as web pages have them and as programs write them into files that are called xls."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from importer import guard, hypertext
from importer.grid import Grid, GridFile, GridRow, Merge
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import ReadOptions, TableFile, TableReader
from importer.source import Source

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_MAX_TABLES = 1_000
_MAX_SPAN = 1_000
_ROWS_AT_ONCE = 200
_FREE_CELLS = 1_000_000
_BOUNDS = guard.Bounds(item_seconds=45)  # a tree of a million levels takes for ever


def describe(path: str, encoding: str) -> Iterator[object]:
    """Child: caption, row count and merged cells of each table that has rows and no table inside."""
    found = []
    for table in _tables(path, encoding):
        grid = _TableRows()
        count = sum(1 for _ in grid.rows(table))
        caption = table.css_first("caption")
        found.append((hypertext.text_of(caption) if caption is not None else "", count, grid.merges))
        if len(found) > _MAX_TABLES:
            raise refuse(ProblemCode.SHEET_TOO_LARGE, f"a page may have {_MAX_TABLES} tables")
    yield found


def rows(path: str, encoding: str, number: int) -> Iterator[object]:
    """Child: the rows of one table, some hundreds at once."""
    for place, table in enumerate(_tables(path, encoding)):
        if place != number:
            continue
        piece = []
        for row in _TableRows().rows(table):
            piece.append(row)
            if len(piece) == _ROWS_AT_ONCE:
                yield piece
                piece = []
        yield piece


def _tables(path: str, encoding: str) -> "Iterator[LexborNode]":
    tree = hypertext.parse(Path(path).read_bytes(), encoding)
    for table in tree.css("table"):
        if len(table.css("table")) == 1 and table.css_first("tr") is not None:  # it finds itself; layouts nest
            yield table


class _TableRows:
    """Rows of a table with every cell in its column, as the browser would draw them."""

    def __init__(self) -> None:
        self.merges: list[tuple[int, int, int, int]] = []
        self._taken: dict[int, int] = {}  # column: rows that a cell above still fills
        self._made = self._real = 0

    def rows(self, table: "LexborNode") -> "Iterator[list[str | None]]":
        for number, line in enumerate(table.css("tr")):
            cells: list[str | None] = []
            node = line.child
            while node is not None:
                if node.tag in {"td", "th"}:
                    self._skip_taken(cells)
                    self._place(node, cells, number)
                node = node.next
            self._skip_taken(cells)
            yield cells

    def _skip_taken(self, cells: list[str | None]) -> None:
        while left := self._taken.get(len(cells), 0):
            self._taken[len(cells)] = left - 1
            cells.append(None)

    def _place(self, node: "LexborNode", cells: list[str | None], number: int) -> None:
        right, down = _span(node, "colspan"), _span(node, "rowspan")
        left = len(cells)
        self._real += 1
        self._made += right
        if self._made > _FREE_CELLS + self._real * 20:
            raise refuse(ProblemCode.SHEET_TOO_LARGE, "the table is much larger than what is in it")
        cells += [hypertext.text_of(node) or None, *([None] * (right - 1))]
        if down > 1:
            self._taken.update(dict.fromkeys(range(left, left + right), down - 1))
        if right > 1 or down > 1:
            self.merges.append((number, left, number + down - 1, left + right - 1))


def _span(node: "LexborNode", name: str) -> int:
    text = (node.attributes.get(name) or "1").strip()
    return max(1, min(int(text), _MAX_SPAN)) if text.isascii() and text.isdecimal() and len(text) < 6 else 1


class _Tables:
    def __init__(self, path: Path, encoding: str, source: Source, limits: Limits) -> None:
        self._arguments: dict[str, object] = {"path": str(path), "encoding": encoding}
        self._source = source
        self._limits = limits
        self._done = 0

    def grids(self) -> Iterator[Grid]:
        found = guard.call(f"{__name__}:describe", self._arguments, _BOUNDS)
        if not isinstance(found, list):
            raise refuse(ProblemCode.CORRUPT_FILE, "the page is damaged")
        if not found:
            raise refuse(ProblemCode.NO_TABLE, "the page has no table")
        for number, (caption, count, merges) in enumerate(found):
            yield Grid(
                name=caption or f"table {number + 1}",
                rows=lambda number=number, count=count: self._rows(number, count),  # type: ignore[misc] # a lambda's default has no type
                bytes_done=lambda: self._done,
                limits=self._limits,
                merges=tuple(Merge(*each) for each in merges),
                row_count=count,
            )

    def _rows(self, number: int, count: int) -> Iterator[GridRow]:
        place = 0
        for piece in guard.stream(f"{__name__}:rows", {**self._arguments, "number": number}, _BOUNDS):
            if not isinstance(piece, list):
                raise refuse(ProblemCode.CORRUPT_FILE, "the page is damaged")
            self._done = self._source.size * min(place, count) // max(count, 1)
            for cells in piece:
                place += 1
                yield GridRow(place, cells)
        self._done = self._source.size


class _HtmlTableReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[TableFile]:
        """See `TableReader`."""
        hypertext.check_size(source, options.limits)
        with source.local_path() as path:
            encoding = options.encoding or hypertext.encoding_of(source)
            yield GridFile(list(_Tables(path, encoding, source, options.limits).grids()), options)


READER: Final[TableReader] = _HtmlTableReader()
