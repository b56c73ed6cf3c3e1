"""What all grids of cells have in common (sheets, HTML tables): header, footer, merged cells, width, chunks.

A reader of such a format gives the rows as they stand there, as a stream; this makes a table of them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from importer import profile
from importer.problems import Limits, ProblemCode, Reject, refuse
from importer.readers import CHUNK_BYTES, CHUNK_ROWS, ReadOptions
from importer.values import Cell, Chunk, Position, Table

_SAMPLE_ROWS = 300
_FOOTER_ROWS = 12  # held back: as many as a footer may have, and blank ones
_FREE_CELLS = 1_000_000  # a small sheet may be as sparse as it likes
_MOST_OPEN = 200  # merged cells that go on in a row, on the average
_WIDEST_MERGE = 256  # columns; nobody merges more with something else beside it
_TOO_LARGE = {
    ProblemCode.FIELD_TOO_LARGE: "a cell of the row is too large",
    ProblemCode.ROW_TOO_LARGE: "the row is too large",
}
_MAX_SHOWN = 1_000  # characters of a row in the rejects file


@dataclass(slots=True)
class GridRow:
    """One row as it stands in the file.

    Attributes:
        number: As people see it beside the row, from 1.
        cells: From the first column on; None where a cell is empty.
        problem: Why the row cannot be read.
        size: Characters of its texts, where the reader counts them: rows that are large make smaller chunks.
    """

    number: int
    cells: list[Cell]
    problem: ProblemCode | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Merge:
    """Cells that are one: rows and columns from 0, the last ones included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(slots=True, kw_only=True)
class Grid:
    """One grid of a file.

    Attributes:
        name: Of the table.
        rows: Gives its rows anew from the first; blank ones may be left out.
        bytes_done: How far into the file the reading is.
        merges: Cells whose value stands in the first of them only.
        row_count: How many rows it says it has.
    """

    name: str
    rows: Callable[[], Iterator[GridRow]]
    bytes_done: Callable[[], int]
    limits: Limits
    merges: tuple[Merge, ...] = ()
    row_count: int | None = None
    notices: list[str] = field(default_factory=list)

    def table(self, header_row: int | None) -> Table | None:
        """What it holds as a table; None where it holds nothing.

        Raises:
            PermanentError: It has too many columns.
        """
        sample = [row for row in islice(self._filled(), _SAMPLE_ROWS) if row.problem is None]
        if not sample:
            return None
        cells = [row.cells for row in sample]
        if header_row is None:
            place = profile.find_header(cells)
        else:
            place = next((index for index, row in enumerate(sample) if row.number == header_row), None)
        below = cells if place is None else cells[place + 1 :]
        widths = sorted(map(len, below)) or [len(row) for row in cells]
        header = _without_tail(cells[place]) if place is not None else []
        columns = profile.name_columns(header, 0 if header else widths[len(widths) // 2])
        if len(columns) > self.limits.max_columns:
            raise refuse(ProblemCode.TOO_MANY_COLUMNS, f"a table may have {self.limits.max_columns} columns")
        first = sample[place].number + 1 if place is not None else 1
        if place:
            self.notices.append(f"{place} rows above the header were left out")
        return Table(name=self.name, columns=columns, start={"row": 0, "first": first}, row_count=self.row_count)

    def read(self, table: Table, start: Position, size: int) -> Iterator[Chunk]:
        """The rows of the table in chunks of `size`, cut at the same rows wherever reading starts."""
        rows = self._without_footer(table)
        done = start["row"]
        for _ in islice(rows, done):
            pass
        while piece := _take(rows, size):
            numbers = range(done + 1, done + 1 + len(piece))
            done += len(piece)
            yield self._chunk(piece, numbers, {"row": done, "first": start["first"]})

    def _chunk(self, piece: list[GridRow], numbers: range, end: Mapping[str, int]) -> Chunk:
        good = [(number, row) for number, row in zip(numbers, piece, strict=True) if row.problem is None]
        rejects = [
            Reject(row=number, line=row.number, code=row.problem, message=_TOO_LARGE[row.problem])
            for number, row in zip(numbers, piece, strict=True)
            if row.problem is not None
        ]
        rows = [row.cells for _, row in good]
        return Chunk(
            rows=rows,
            numbers=[number for number, _ in good] if rejects else numbers,
            lines=[row.number for _, row in good],
            end=end,
            bytes_done=self.bytes_done(),
            raw=lambda index: _shown(rows[index]),
            rejects=rejects,
        )

    def _without_footer(self, table: Table) -> Iterator[GridRow]:
        """The rows below the header, as wide as it is at least, without what stands below the table."""
        width, first = len(table.columns), table.start["first"]
        real = padded = 0
        held: deque[GridRow] = deque()
        for row in self._filled():
            if row.number < first:
                continue
            real += sum(cell is not None for cell in row.cells)
            padded += max(len(row.cells), width)
            if padded > _FREE_CELLS and padded > real * self.limits.max_sheet_fill:
                message = f"the sheet is more than {self.limits.max_sheet_fill} times as large as what is in it"
                raise refuse(ProblemCode.SHEET_TOO_LARGE, message)
            row.cells = _fitted(row.cells, width)
            held.append(row)
            if len(held) > _FOOTER_ROWS:
                yield held.popleft()
        footer = profile.count_footer([row.cells for row in held], width)
        yield from islice(held, len(held) - footer)

    def _filled(self) -> Iterator[GridRow]:
        """Rows that hold something, merged cells filled in."""
        merging = _Merging(self.merges) if self.merges else None
        for row in self.rows():
            if merging is not None:
                merging.fill(row)
            if row.problem is not None or any(cell is not None and cell != "" for cell in row.cells):
                yield row


class _Merging:
    """Puts the value of merged cells into each of them, row by row."""

    def __init__(self, merges: tuple[Merge, ...]) -> None:
        self._waiting = deque(sorted(merges, key=lambda merge: merge.top))
        self._open: list[tuple[Merge, Cell]] = []
        self._looked = self._rows = 0

    def fill(self, row: GridRow) -> None:
        place = row.number - 1
        if not self._open and not (self._waiting and self._waiting[0].top <= place):
            return
        self._open = [(merge, value) for merge, value in self._open if merge.bottom >= place]
        self._rows += 1
        self._looked += len(self._open)
        if self._looked > _FREE_CELLS + self._rows * _MOST_OPEN:
            raise refuse(ProblemCode.SHEET_TOO_LARGE, "the sheet has too many merged cells beside each other")
        while self._waiting and self._waiting[0].top <= place:
            merge = self._waiting.popleft()
            if merge.bottom >= place:
                has = merge.top == place and merge.left < len(row.cells)
                self._open.append((merge, row.cells[merge.left] if has else None))
        own = sum(cell is not None for cell in row.cells)
        if not own:
            return  # a row with nothing of its own stays blank
        for merge, value in self._open:
            if value is None:
                continue
            # What stands alone over all columns is a title, not a value of each.
            is_title = own == 1 and merge.top == place and merge.right > merge.left
            is_at_end = merge.left >= len(row.cells) - 1
            last = min(merge.right, merge.left + _WIDEST_MERGE if is_at_end else len(row.cells) - 1)
            last = merge.left if is_title else last
            row.cells += [None] * (last + 1 - len(row.cells))
            for column in range(merge.left, last + 1):
                if row.cells[column] is None:
                    row.cells[column] = value


def _take(rows: Iterator[GridRow], count: int) -> list[GridRow]:
    """The rows of a chunk: `count` of them, or fewer where they are large."""
    piece: list[GridRow] = []
    size = 0
    for row in rows:
        piece.append(row)
        size += row.size + 8 * len(row.cells)
        if len(piece) == count or size > CHUNK_BYTES:
            break
    return piece


def _fitted(cells: list[Cell], width: int) -> list[Cell]:
    """As wide as the table; wider only where something stands there."""
    if len(cells) < width:
        return cells + [None] * (width - len(cells))
    while len(cells) > width and (cells[-1] is None or cells[-1] == ""):
        cells.pop()
    return cells


def _without_tail(cells: list[Cell]) -> list[Cell]:
    return _fitted(list(cells), 0)


def _shown(cells: list[Cell]) -> str:
    return "\t".join("" if cell is None else str(cell) for cell in cells)[:_MAX_SHOWN]


class GridFile:
    """The grids of an open file as the tables that a reader promises."""

    def __init__(self, grids: Iterable[Grid], options: ReadOptions, notices: Iterable[str] = ()) -> None:
        self._grids: dict[str, Grid] = {}
        self._notices = list(notices)
        found: list[Table] = []
        for grid in grids:
            name = grid.name
            while name in self._grids:
                name = f"{name} (2)"
            grid.name = name
            grid.notices = self._notices
            self._grids[name] = grid
            if table := grid.table(options.header_row):
                found.append(table)
        self.tables = tuple(found)

    @property
    def notices(self) -> tuple[str, ...]:
        """See `TableFile`."""
        return tuple(self._notices)

    def read(self, table: Table, start: Position) -> Iterator[Chunk]:
        """See `TableFile`."""
        return self._grids[table.name].read(table, start or table.start, CHUNK_ROWS)
