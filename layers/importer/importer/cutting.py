"""Cuts lines into rows, strictly, and knows where each row began.

Rows are cut by `csv.reader` with `strict=True`: without it a stray quote swallows the lines after it in silence. Where
it complains, the line on which the row began is rejected and cutting goes on with the next line. A row of several lines
is believed only if it is as wide as the table.
"""

import csv
from collections.abc import Iterator, Sequence

from importer.dialect import csv_dialect
from importer.encoding import TextEncoding
from importer.lines import LineStream
from importer.problems import Limits, ProblemCode, Reject, shorten
from importer.values import Chunk, Dialect, Position

_LONGEST_RECORD = 10_000  # lines
_MANY_STRAYS = 100  # After so many quotes without an end, the next end is looked for only so far:
_LONGEST_AFTER = 100  # lines

type Span = tuple[int, int]
"""The lines of a row in its chunk: first, and the one after the last."""


class _UnclosedError(Exception):
    """A quote without an end in sight."""


class Cutter:
    """Cuts the lines of one stream into chunks of rows."""

    def __init__(
        self, stream: LineStream, *, encoding: TextEncoding, dialect: Dialect, width: int | None, limits: Limits
    ) -> None:
        """Cut what `stream` gives; `width` is the table's, where it is known already."""
        self._stream = stream
        self._encoding = encoding
        self._dialect = csv_dialect(dialect)
        self._is_simple = not dialect.escape and not dialect.skip_spaces
        self._width = width
        self._limits = limits

    def next_chunk(self, position: Position, line_count: int) -> tuple[Chunk, list[Span]] | None:
        """The rows of the next `line_count` lines, and where each is; None at the end."""
        lines = self._stream.take(line_count)
        if not lines:
            return None
        work = _Work(lines, self._encoding, self._limits)
        rows = self._cut_plain(work) if not work.faults else None
        if rows is None:
            strays = self._cut_with_care(work, position.get("strays", 0))
        else:
            strays = position.get("strays", 0)
            work.keep_all(rows)
        return self._finish(work, position, strays), work.spans

    def _cut_plain(self, work: "_Work") -> list[list[str]] | None:
        """All rows, if each is one line; else None."""
        texts, quote = work.texts, self._dialect.quotechar
        try:
            if not self._is_simple or max(map(len, texts)) > self._limits.max_field_bytes:
                rows = list(csv.reader(texts, self._dialect, strict=True))
                return rows if len(rows) == len(texts) else None
            # Without a quote in it a line can be split, which takes half as long.
            delimiter = self._dialect.delimiter
            rows = [[] if quote and quote in text else text.rstrip("\r\n").split(delimiter) for text in texts]
            places = [place for place, row in enumerate(rows) if not row]
            quoted = list(csv.reader([texts[place] for place in places], self._dialect, strict=True))
        except csv.Error:
            return None
        if len(quoted) != len(places):
            return None
        for place, row in zip(places, quoted, strict=True):
            rows[place] = row
        return rows

    def _cut_with_care(self, work: "_Work", strays: int) -> int:
        """Row by row; returns how many quotes without an end there were until now."""
        start, count = 0, len(work.texts)
        while start < count:
            longest = _LONGEST_RECORD if strays < _MANY_STRAYS else _LONGEST_AFTER
            reader = csv.reader(self._feed(work, start, longest), self._dialect, strict=True)
            base = start
            try:
                while start < count:
                    row = next(reader)
                    end = base + reader.line_num
                    self._believe(row, end - start)
                    work.keep(row, start, end)
                    start = end
            except (csv.Error, _UnclosedError) as exc:
                is_large = "field larger" in str(exc)
                strays += not is_large
                work.reject(start, ProblemCode.FIELD_TOO_LARGE if is_large else ProblemCode.QUOTE)
                start += 1
        self._stream.give_back(work.drop_from(start))
        return strays

    def _believe(self, row: list[str], line_count: int) -> None:
        if line_count > 1 and self._width not in (None, len(row)):
            raise _UnclosedError

    def _feed(self, work: "_Work", start: int, longest: int) -> Iterator[str]:
        """The texts of the lines from `start` on, reading on where a row goes beyond the chunk."""
        size, place = 0, start
        while True:
            if place >= len(work.texts) and not work.add(self._stream.take(1)):
                return
            if place >= work.open_from + longest:
                raise _UnclosedError
            size = size + len(work.texts[place]) if place > work.open_from else 0
            if size > self._limits.max_row_bytes:
                raise _UnclosedError
            yield work.texts[place]
            place += 1

    def _finish(self, work: "_Work", position: Position, strays: int) -> Chunk:
        """The chunk, numbered: rows that were read and rows that were not, in the order of their lines."""
        line, row = position.get("line", 1), position.get("row", 0)
        offset = position["offset"] + self._stream.measure(work.lines)
        places: Sequence[int] = range(len(work.rows))
        rejects: list[Reject] = []
        if work.refused:
            order = sorted([span[0] for span in work.spans] + [place for place, _ in work.refused])
            number_of = {place: row + index for index, place in enumerate(order, start=1)}
            numbers: Sequence[int] = [number_of[span[0]] for span in work.spans]
            rejects = [work.make_reject(place, code, number_of[place], line + place) for place, code in work.refused]
        else:
            numbers = range(row + 1, row + 1 + len(places))
        end = {"offset": offset, "line": line + len(work.lines), "row": row + len(work.rows) + len(rejects)}
        if strays:
            end["strays"] = strays
        lines = range(line, line + len(work.rows)) if work.is_plain else [line + span[0] for span in work.spans]
        return Chunk(
            rows=work.rows, numbers=numbers, lines=lines, end=end, bytes_done=offset, raw=work.raw, rejects=rejects
        )


class _Work:
    """The lines of one chunk on their way to rows."""

    def __init__(self, lines: list[bytes], encoding: TextEncoding, limits: Limits) -> None:
        self.lines: list[bytes] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self.spans: list[Span] = []
        self.refused: list[tuple[int, ProblemCode]] = []
        self.faults: dict[int, ProblemCode] = {}  # by line: what cannot be read, whatever row it is part of
        self.is_plain = False
        self.open_from = 0
        self._encoding = encoding
        self._limits = limits
        self.add(lines)

    def add(self, lines: list[bytes]) -> bool:
        """Take some lines more; False if there are none."""
        try:
            texts = [str(line, self._encoding.name) for line in lines]
        except UnicodeDecodeError:
            texts = [self._decode(line, len(self.lines) + place) for place, line in enumerate(lines)]
        if lines and max(map(len, lines)) > self._limits.max_row_bytes:
            for place, line in enumerate(lines, start=len(self.lines)):
                if len(line) > self._limits.max_row_bytes:
                    self.faults[place] = ProblemCode.ROW_TOO_LARGE
                    texts[place - len(self.lines)] = "\n"
        self.lines += lines
        self.texts += texts
        return bool(lines)

    def _decode(self, line: bytes, place: int) -> str:
        for name in filter(None, (self._encoding.name, self._encoding.fallback)):
            try:
                return line.decode(name)
            except UnicodeDecodeError:
                continue
        self.faults[place] = ProblemCode.ENCODING
        return line.decode(self._encoding.name, "replace")

    def keep_all(self, rows: list[list[str]]) -> None:
        """Each line was a row."""
        firsts = [row[0] if row else "" for row in rows]
        if all(firsts) and not any(map(str.isspace, firsts)):
            self.rows, self.is_plain = rows, True
            self.spans = [(place, place + 1) for place in range(len(rows))]
            return
        for place, row in enumerate(rows):
            self.keep(row, place, place + 1)

    def keep(self, row: list[str], start: int, end: int) -> None:
        """The lines from `start` to `end` were a row."""
        self.open_from = end
        if self.faults:
            for place in range(start, end):
                if place in self.faults:
                    self.refused.append((start, self.faults[place]))
                    return
        if _is_filled(row):
            self.rows.append(row)
            self.spans.append((start, end))

    def reject(self, place: int, code: ProblemCode) -> None:
        """The line cannot begin a row."""
        self.open_from = place + 1
        self.refused.append((place, self.faults.get(place, code)))

    def drop_from(self, place: int) -> list[bytes]:
        """Give up the lines from `place` on: they were only looked at."""
        rest = self.lines[place:]
        del self.lines[place:], self.texts[place:]
        return rest

    def raw(self, index: int) -> str:
        """A row as it stands in the file."""
        start, end = self.spans[index]
        return shorten("".join(self.texts[start:end]).rstrip("\r\n"))

    def make_reject(self, place: int, code: ProblemCode, number: int, line: int) -> Reject:
        """What is said of a line that begins no row."""
        raw = shorten(self.lines[place].decode(self._encoding.name, "replace").rstrip("\r\n"))
        return Reject(row=number, line=line, code=code, message=_MESSAGES[code], raw=raw)


_MESSAGES = {
    ProblemCode.QUOTE: "a quote begins or ends where no cell does",
    ProblemCode.FIELD_TOO_LARGE: "a cell is larger than allowed",
    ProblemCode.ROW_TOO_LARGE: "the line is longer than allowed",
    ProblemCode.ENCODING: "the line is not in the file's encoding",
}


def _is_filled(row: list[str]) -> bool:
    return any(row) and any(cell and not cell.isspace() for cell in row)
