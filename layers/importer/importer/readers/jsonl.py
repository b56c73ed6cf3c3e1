"""JSON Lines: one object per line."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

import orjson

from core.errors import PermanentError
from importer.lines import LineStream
from importer.nested import DepthGuard, columns_of, flatten, parse_number_exactly, places_of, to_row
from importer.problems import Limits, ProblemCode, Reject, refuse, shorten
from importer.readers import CHUNK_ROWS, HEAD_ROWS, ReadOptions, TableFile, TableReader
from importer.source import Source
from importer.values import Chunk, Position, Row, Table

_MARK = b"\xef\xbb\xbf"
_LONG_NUMBER = re.compile(rb"\d[\d.]{15}")  # orjson would round it in silence


class _LineError(Exception):
    """A line that is no record."""

    def __init__(self, code: ProblemCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class _JsonLinesFile:
    """An open file: one table."""

    notices: tuple[str, ...] = ()

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        offset = len(_MARK) if source.read_at(0, 3) == _MARK else 0
        records = []
        with source.open(offset) as stream:
            for line in self._lines(stream_at=(stream, offset)).take(HEAD_ROWS):
                try:
                    records.append(self._parse(line))
                except _LineError:
                    continue
        if not records:
            raise refuse(ProblemCode.NO_TABLE, "no line at the beginning of the file is a JSON object")
        columns = columns_of(records, limits)
        self.tables = (Table(columns=columns, start={"offset": offset, "line": 1, "row": 0}),)

    def _lines(self, *, stream_at: "tuple[BinaryIO, int]", end: int | None = None) -> LineStream:
        return LineStream(stream_at[0], offset=stream_at[1], end=end, limit=self._limits.max_row_bytes)

    def read(self, table: Table, start: Position) -> Iterator[Chunk]:
        """See `TableFile`."""
        offset, line, row = start["offset"], start["line"], start["row"]
        with self._source.open(offset) as stream:
            source = self._lines(stream_at=(stream, offset), end=table.start.get("end"))
            while lines := source.take(CHUNK_ROWS):
                chunk = self._chunk(lines, table, line, row)
                offset += source.measure(lines)
                line += len(lines)
                row += len(chunk.rows) + len(chunk.rejects)
                chunk.end, chunk.bytes_done = {"offset": offset, "line": line, "row": row}, offset
                yield chunk

    def _chunk(self, lines: list[bytes], table: Table, line: int, row: int) -> Chunk:
        rows: list[Row] = []
        numbers: list[int] = []
        places: list[int] = []
        rejects: list[Reject] = []
        columns = places_of(table.columns)
        for place, raw in enumerate(lines, start=line):
            if raw.isspace():
                continue
            row += 1
            try:
                rows.append(to_row(self._parse(raw), columns))
            except _LineError as exc:
                shown = shorten(raw[:4096].decode("utf-8", "replace").rstrip("\r\n"))
                rejects.append(Reject(row=row, line=place, code=exc.code, message=str(exc), raw=shown))
                continue
            numbers.append(row)
            places.append(place)

        def raw_of(index: int) -> str:
            return shorten(lines[places[index] - line].decode("utf-8", "replace").rstrip("\r\n"))

        return Chunk(rows=rows, numbers=numbers, lines=places, end={}, bytes_done=0, raw=raw_of, rejects=rejects)

    def _parse(self, line: bytes) -> dict[str, object]:
        if len(line) > self._limits.max_row_bytes:
            raise _LineError(ProblemCode.ROW_TOO_LARGE, "the line is longer than allowed")
        if line.count(b"{") + line.count(b"[") > self._limits.max_json_depth:
            try:
                DepthGuard(self._limits).feed(line)
            except PermanentError as exc:
                raise _LineError(ProblemCode(exc.code), exc.message) from None
        try:
            value = orjson.loads(line)  # stricter: it refuses half characters
            if _LONG_NUMBER.search(line):
                value = json.loads(line, parse_float=parse_number_exactly, parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            raise _LineError(ProblemCode.ENCODING, "the line is not UTF-8") from None
        except ValueError:
            raise _LineError(ProblemCode.INVALID_JSON, "the line is not valid JSON") from None
        if not isinstance(value, dict):
            raise _LineError(ProblemCode.NOT_AN_OBJECT, "the line is JSON, but no object")
        return flatten(value)


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


class _JsonLinesReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[TableFile]:
        """See `TableReader`."""
        if not source.size:
            raise refuse(ProblemCode.EMPTY_FILE, "the file is empty")
        if source.size > options.limits.max_bytes:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"a file may have {options.limits.max_bytes} bytes")
        yield _JsonLinesFile(source, options.limits)


READER: Final[TableReader] = _JsonLinesReader()
