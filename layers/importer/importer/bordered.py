"""A table read up to a border that should be the beginning of a record, and beyond it where it turns out not to be."""

from collections.abc import Iterator, Sequence

from importer.readers import TableFile
from importer.values import Chunk, Position, Table


class BorderedFile:
    """An open file whose tables end at a border.

    The chunk that goes beyond the border is read once more, as if the file ended there. Where that gives the rows that
    reading on gave, a record begins at the border. Where it does not, the whole chunk belongs to this side of it, and
    the last chunk's end says so.
    """

    def __init__(self, file: TableFile, border: int) -> None:
        self._file = file
        self._border = border
        self.tables = file.tables
        self.notices = file.notices

    def read(self, table: Table, start: Position) -> Iterator[Chunk]:
        """See `TableFile`."""
        position = start
        if position["offset"] >= self._border:
            return
        for chunk in self._file.read(table, start):
            if chunk.end["offset"] > self._border:
                yield from self._read_last(table, position, chunk)
                return
            yield chunk
            if chunk.end["offset"] == self._border:
                return
            position = chunk.end

    def _read_last(self, table: Table, position: Position, beyond: Chunk) -> Iterator[Chunk]:
        ended = table.model_copy(update={"start": {**table.start, "end": self._border}})
        chunks = list(self._file.read(ended, position))
        if chunks and chunks[-1].end["offset"] == self._border and _is_beginning(chunks, beyond):
            yield from chunks
        else:
            yield beyond


def _is_beginning(chunks: Sequence[Chunk], whole: Chunk) -> bool:
    """Whether the chunks are what `whole` begins with, row by row and reject by reject."""
    end = chunks[-1].end["line"]
    rows = [row for chunk in chunks for row in chunk.rows]
    lines = [line for chunk in chunks for line in chunk.lines]
    rejects = [(reject.line, reject.code) for chunk in chunks for reject in chunk.rejects]
    count = sum(line < end for line in whole.lines)
    told = [(reject.line, reject.code) for reject in whole.rejects if (reject.line or 0) < end]
    return lines == list(whole.lines)[:count] and rows == list(whole.rows)[:count] and rejects == told
