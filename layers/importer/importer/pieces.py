"""What ranges of a large file leave on the way: pieces of output and of rejects, each an object until all are one."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from core.import_keys import range_key
from core.imports import Import
from importer.objects import Bucket
from importer.outputs import LINES
from importer.ranges import RangeWork
from importer.values import Part, Record
from importer.writers import OutputField, StreamWriter


class RangeWriter:
    """Writes the records of one range as they stand in the middle of a file: only the first range has the head.

    What stands after the last record is written when all is joined.
    """

    kind: Final[Literal["stream"]] = "stream"

    def __init__(self, writer: StreamWriter, *, is_first: bool) -> None:
        self._writer = writer
        self._is_first = is_first
        self.media_type = writer.media_type

    def head(self, fields: Sequence[OutputField]) -> bytes:
        """See `StreamWriter`."""
        return self._writer.head(fields) if self._is_first else b""

    def encode(self, records: Sequence[Record], fields: Sequence[OutputField], written: int) -> bytes:
        """See `StreamWriter`."""
        return self._writer.encode(records, fields, written if self._is_first else written + 1)

    def tail(self, fields: Sequence[OutputField], written: int) -> bytes:  # noqa: ARG002 - a writer's
        """See `StreamWriter`."""
        return b""


def count_between(writer: StreamWriter, fields: Sequence[OutputField]) -> int:
    """How many bytes stand between two records and not before the first."""
    record: list[Record] = [{field.name: None for field in fields}]
    return len(writer.encode(record, fields, 1)) - len(writer.encode(record, fields, 0))


class PieceStore:
    """The pieces of one range. The same piece has the same key and the same bytes, whoever stores it and how often."""

    def __init__(self, bucket: Bucket, import_: Import, number: int, work: RangeWork) -> None:
        self._bucket = bucket
        self._import = import_
        self._number = number
        self.work = work
        self._pending: tuple[int, ...] = ()

    def store(self, part: Part) -> bool:
        """Store a part's bytes; whether the range's work has changed, which is to be stored then."""
        if part.rejects:
            told = len(self.work.rejects) + len(self._pending)
            self._put(rejects_piece_key(self._import, self._number, self.work, told), part.rejects)
            self._pending += (len(part.rejects),)
        if part.checkpoint is None:
            return False
        pieces = self.work.pieces
        if part.output:
            self._put(piece_key(self._import, self._number, self.work, len(pieces)), part.output)
            pieces += (len(part.output),)
        self._keep(reached=part.checkpoint, pieces=pieces)
        return True

    def fail(self, code: str, message: str) -> None:
        """Note what ended the range; the rejects that came since the last checkpoint belong to it."""
        self._keep(problem=(code, message))

    def _keep(self, **changes: object) -> None:
        rejects = self.work.rejects + self._pending
        self.work, self._pending = self.work.model_copy(update={**changes, "rejects": rejects}), ()

    def _put(self, key: str, body: bytes) -> None:
        self._bucket.put(key, body, media_type=LINES)


def piece_key(import_: Import, number: int, work: RangeWork, index: int) -> str:
    """Where a piece of a range's output is."""
    return range_key(import_, f"{number:06}.{work.generation}/{index:06}")


def rejects_piece_key(import_: Import, number: int, work: RangeWork, index: int) -> str:
    """Where a piece of a range's rejects is."""
    return range_key(import_, f"{number:06}.{work.generation}/rejects.{index:06}")


def piece_keys(import_: Import, number: int, work: RangeWork) -> Iterator[str]:
    """All that a range has stored."""
    for index in range(len(work.pieces)):
        yield piece_key(import_, number, work, index)
    for index in range(len(work.rejects)):
        yield rejects_piece_key(import_, number, work, index)
