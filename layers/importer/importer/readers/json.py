"""JSON: every array of objects is a table, streamed, whatever is around it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import BinaryIO, Final

import ijson  # type: ignore[import-untyped] # it ships no types
from ijson.backends import yajl2_c  # type: ignore[import-untyped] # the C parser: others are many times slower

from importer.nested import DepthGuard, columns_of, flatten, places_of, raw_json, to_row
from importer.problems import Limits, ProblemCode, Reject, refuse, shorten
from importer.readers import CHUNK_BYTES, CHUNK_ROWS, HEAD_ROWS, ReadOptions, TableFile, TableReader
from importer.source import Source
from importer.values import Chunk, Position, Row, Table

_BLOCK = 64 * 1024
_SEARCHED = 8 * 1024 * 1024  # bytes in which tables are looked for; further on only if there was none
_MAX_TABLES = 50  # that are found; each is looked at from the file's beginning
_ROOT = "(root)"  # the name of an array that is the whole file
_MARK = b"\xef\xbb\xbf"


class _Guarded:
    """A stream that ijson may read: not too deep, and no item larger than a row may be."""

    def __init__(self, stream: BinaryIO, limits: Limits, *, depth: int | None = None, end: int | None = None) -> None:
        self._stream = stream
        self._limits = limits
        self._guard = DepthGuard(limits)
        self._depth = depth
        self._within = 0
        self._end = end
        self.done = 0

    def read(self, size: int) -> bytes:
        """The next block; empty at the end, or where enough was read."""
        if self._end is not None and self.done >= self._end:
            raise _EnoughError
        block = self._stream.read(_BLOCK if size else 0)
        if self.done == 0 and block.startswith(_MARK):
            block = block[len(_MARK) :]
        self.done += len(block)
        self._guard.feed(block)
        if self._depth is not None:
            self._within = self._within + len(block) if self._guard.lowest > self._depth else 0
            if self._within > self._limits.max_row_bytes:
                raise refuse(ProblemCode.ROW_TOO_LARGE, f"a record may have {self._limits.max_row_bytes} bytes")
        return block


class _EnoughError(Exception):
    """What was to be looked at is read."""


class _JsonFile:
    """An open file."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self.notices: tuple[str, ...] = ()
        paths = self._find(_SEARCHED)
        self._looked: int | None = _SEARCHED + limits.max_row_bytes
        if not paths:
            paths, self._looked = self._find(None), None
        elif source.size > _SEARCHED:
            self.notices = ("tables that begin after the first 8 MB were not looked for",)
        if len(paths) == _MAX_TABLES:
            self.notices += (f"tables after the first {_MAX_TABLES} were not looked for",)
        if not paths:
            raise refuse(
                ProblemCode.NO_TABLE,
                "there is no list of objects in the file: [{…}, {…}] has rows",
            )
        self.tables = tuple(self._table(path) for path in paths)

    def _find(self, end: int | None) -> list[str]:
        """The paths of all arrays whose first item is an object and that are not inside another such array."""
        paths: list[str] = []
        opened = ""
        is_first = False
        with self._source.open() as stream, _translated():
            try:
                for prefix, event, _ in yajl2_c.parse(_Guarded(stream, self._limits, end=end), buf_size=_BLOCK):
                    if event == "start_array":
                        is_first, opened = True, prefix
                    elif is_first:
                        is_inside = any(prefix.startswith(f"{path}.item." if path else "item.") for path in paths)
                        if event == "start_map" and not is_inside and opened not in paths:
                            paths.append(opened)
                            if len(paths) == _MAX_TABLES:
                                break
                        is_first = False
            except _EnoughError:
                pass
        return paths

    def _table(self, path: str) -> Table:
        head: list[dict[str, object] | object] = []
        with suppress(_EnoughError):
            for record in islice(self._records(path, [], end=self._looked), HEAD_ROWS):
                head.append(record)  # noqa: PERF402 - what came before the end of the look is kept
        columns = columns_of((record for record in head if isinstance(record, dict)), self._limits)
        return Table(name=path or _ROOT, columns=columns, start={"row": 0})

    def _records(
        self, path: str, guarded: list[_Guarded], *, end: int | None = None
    ) -> Iterator[dict[str, object] | object]:
        with self._source.open() as stream, _translated():
            reading = _Guarded(stream, self._limits, depth=path.count(".") + 1 + bool(path), end=end)
            guarded.append(reading)
            for item in yajl2_c.items(reading, f"{path}.item" if path else "item", buf_size=_BLOCK):
                yield flatten(item) if isinstance(item, dict) else item

    def read(self, table: Table, start: Position) -> Iterator[Chunk]:
        """See `TableFile`."""
        guarded: list[_Guarded] = []
        records = self._records("" if table.name == _ROOT else table.name, guarded)
        row = start["row"]
        for _ in islice(records, row):
            pass
        while batch := _take(records, guarded):
            yield _chunk(batch, table, row, guarded[0].done)
            row += len(batch)


def _take(records: Iterator[dict[str, object] | object], guarded: list[_Guarded]) -> list[dict[str, object] | object]:
    """The records of a chunk; where they are large, fewer. Blocks are read alike in every process."""
    begin = guarded[0].done if guarded else 0
    batch: list[dict[str, object] | object] = []
    for record in records:
        batch.append(record)
        if len(batch) == CHUNK_ROWS or guarded[0].done - begin > CHUNK_BYTES:
            break
    return batch


def _chunk(batch: list[dict[str, object] | object], table: Table, row: int, done: int) -> Chunk:
    rows: list[Row] = []
    numbers: list[int] = []
    rejects: list[Reject] = []
    columns = places_of(table.columns)
    for number, record in enumerate(batch, start=row + 1):
        if isinstance(record, dict):
            rows.append(to_row(record, columns))
            numbers.append(number)
        else:
            message = "the array's item is no object"
            rejects.append(
                Reject(row=number, code=ProblemCode.NOT_AN_OBJECT, message=message, raw=shorten(repr(record)))
            )
    return Chunk(
        rows=rows,
        numbers=numbers,
        lines=(),
        end={"row": row + len(batch)},
        bytes_done=done,
        raw=lambda index: shorten(raw_json(rows[index], table.columns)),
        rejects=rejects,
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ijson.JSONError, ValueError, ArithmeticError) as exc:  # the latter: numbers that Python refuses
        raise refuse(ProblemCode.CORRUPT_FILE, "the file is no valid JSON: save or export it again") from exc


class _JsonReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[TableFile]:
        """See `TableReader`."""
        if not source.size:
            raise refuse(ProblemCode.EMPTY_FILE, "the file is empty")
        if source.size > options.limits.max_bytes:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"a file may have {options.limits.max_bytes} bytes")
        yield _JsonFile(source, options.limits)


READER: Final[TableReader] = _JsonReader()
