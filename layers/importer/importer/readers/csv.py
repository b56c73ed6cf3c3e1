"""Delimited text: CSV and its kin, whatever the delimiter, the encoding and the ends of lines."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, Protocol

from importer import dialect as dialects
from importer import encoding as encodings
from importer import profile
from importer.cutting import Cutter, Span
from importer.encoding import Recoded, TextEncoding
from importer.lines import LineStream
from importer.problems import ProblemCode, refuse
from importer.readers import CHUNK_ROWS, ReadOptions, TableFile, TableReader
from importer.source import Source
from importer.values import Chunk, Dialect, Position, Table

_SAMPLE_LINES = 300
_TAIL = 64 * 1024
_PROBES = 8


class _Text(Protocol):
    """A source whose newlines are one byte."""

    size: int

    def open(self, offset: int = 0) -> BinaryIO: ...


class _CsvFile:
    """An open file: one table."""

    def __init__(self, text: "_Text | Source", encoding: TextEncoding, options: ReadOptions) -> None:
        self._text = text
        self._encoding = encoding
        self._limits = options.limits
        self._dialect = Dialect()
        self.notices: tuple[str, ...] = ()
        self.tables = (self._profile(options.header_row),)

    def read(self, table: Table, start: Position) -> Iterator[Chunk]:
        """See `TableFile`."""
        position = start
        with self._text.open(position["offset"]) as stream:
            lines = LineStream(
                stream, offset=position["offset"], end=table.start.get("end"), limit=self._limits.max_row_bytes
            )
            cutter = self._cutter(lines, len(table.columns))
            while found := cutter.next_chunk(position, CHUNK_ROWS):
                position = found[0].end
                yield found[0]

    def _cutter(self, lines: LineStream, width: int | None) -> Cutter:
        return Cutter(lines, encoding=self._encoding, dialect=self._dialect, width=width, limits=self._limits)

    def _profile(self, header_row: int | None) -> Table:
        offset = 0 if isinstance(self._text, Recoded) else self._encoding.mark
        raws = self._head(offset, _SAMPLE_LINES)
        texts = [raw.decode(self._encoding.name, "replace") for raw in raws]
        if not any(text.strip() for text in texts):
            raise refuse(ProblemCode.EMPTY_FILE, "there is nothing in the file: save or export it again")
        self._dialect = dialects.detect(texts)
        with self._text.open(offset) as stream:
            lines = LineStream(stream, offset=offset, end=None, limit=self._limits.max_row_bytes)
            sample = self._cutter(lines, None).next_chunk({"offset": offset}, _SAMPLE_LINES)
        assert sample is not None, "there is a line"  # noqa: S101 - the texts above
        chunk, spans = sample
        if not chunk.rows:
            raise refuse(ProblemCode.NO_TABLE, "no line at the beginning of the file is a row")
        width = max((len(row) for row in chunk.rows), default=0)
        if width > self._limits.max_columns:
            raise refuse(ProblemCode.TOO_MANY_COLUMNS, f"a table may have {self._limits.max_columns} columns")
        skipped = 1 if texts[0].lower().lstrip('\ufeff"').startswith("sep=") else 0
        return self._table(chunk, spans, offset, _header_place(chunk, header_row, skipped))

    def _head(self, offset: int, count: int) -> list[bytes]:
        with self._text.open(offset) as stream:
            return LineStream(stream, offset=offset, end=None, limit=self._limits.max_row_bytes).take(count)

    def _size_of(self, offset: int, count: int) -> int:
        """How many bytes the next `count` lines are."""
        size = 0
        with self._text.open(offset) as stream:
            lines = LineStream(stream, offset=offset, end=None, limit=self._limits.max_row_bytes)
            while count and (found := lines.take(count)):
                size += lines.measure(found)
                count -= len(found)
        return size

    def _table(self, chunk: Chunk, spans: list[Span], offset: int, place: int | None) -> Table:
        below = chunk.rows if place is None else chunk.rows[place + 1 :]
        widths = sorted(len(row) for row in below) or [len(row) for row in chunk.rows]
        width = widths[len(widths) // 2]
        after = spans[place][1] if place is not None else 0
        header = chunk.rows[place] if place is not None else []
        while header and len(header) > width and not str(header[-1]).strip():
            header = header[:-1]  # a delimiter at the end of the header only
        start = {"offset": offset + self._size_of(offset, after), "line": 1 + after, "row": 0}
        columns = profile.name_columns(header, 0 if header else width)
        if end := self._footer_start(start["offset"], len(columns)):
            start["end"] = end
        if place is not None and place > 0:
            self.notices += (f"{place} rows above the header were left out",)
        return Table(columns=columns, start=start, probes=tuple(self._probes(start)))

    def _probes(self, start: Position) -> Iterator[dict[str, int]]:
        """Lines spread over the file; one may be in the middle of a quoted cell, which a look can bear."""
        rest = self._text.size - start["offset"]
        if isinstance(self._text, Recoded) or rest < _PROBES * _TAIL:
            return
        for offset in range(start["offset"] + rest // _PROBES, self._text.size - _TAIL, rest // _PROBES):
            with self._text.open(offset) as stream:
                line = stream.readline(_TAIL)
            yield {"offset": offset + len(line), "line": 1, "row": 0}

    def _footer_start(self, first: int, width: int) -> int:
        """Where the totals and notes at the end begin; 0 where there are none."""
        if isinstance(self._text, Recoded) and self._text.size > _TAIL:
            return 0  # its end can only be reached through all of it
        whole = self._whole_size()
        begin = max(first, whole - _TAIL)
        with self._text.open(begin) as stream:
            tail = stream.read(_TAIL * 4)
        if begin > first:
            begin += len(tail.partition(b"\n")[0]) + 1
            tail = tail.partition(b"\n")[2]
        texts = [line.decode(self._encoding.name, "replace") for line in tail.splitlines(keepends=True)]
        lasts = tail.splitlines(keepends=True)[-30:]
        rows = [next(dialects.parse([text.rstrip("\r\n")], self._dialect), []) for text in texts[-30:]]
        count = profile.count_footer(rows, width)
        if not count or any('"' in text for text in texts[-30:][-count:] if text.count('"') % 2):
            return 0
        self.notices += (f"{count} rows at the end were left out: totals, notes or nothing",)
        return begin + len(tail) - sum(map(len, lasts[len(lasts) - count :]))

    def _whole_size(self) -> int:
        if not isinstance(self._text, Recoded):
            return self._text.size
        with self._text.open() as stream:
            return sum(map(len, iter(lambda: stream.read(1024 * 1024), b"")))


def _header_place(chunk: Chunk, header_row: int | None, skipped: int) -> int | None:
    """Index of the header among the rows of the sample; None for a table without one."""
    if header_row is not None:
        return list(chunk.lines).index(header_row) if header_row in chunk.lines else None
    found = profile.find_header(chunk.rows[skipped:])
    return None if found is None else found + skipped


class _CsvReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[TableFile]:
        """See `TableReader`."""
        if not source.size:
            raise refuse(ProblemCode.EMPTY_FILE, "the file is empty")
        if source.size > options.limits.max_bytes:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"a file may have {options.limits.max_bytes} bytes")
        # The limit is the process's; files of one process have the same.
        csv.field_size_limit(options.limits.max_field_bytes)
        encoding = encodings.known(options.encoding) if options.encoding else encodings.detect(source)
        if encoding.is_wide:
            yield _CsvFile(Recoded(source, encoding), TextEncoding(), options)
        else:
            yield _CsvFile(source, encoding, options)


READER: Final[TableReader] = _CsvReader()
