"""Joins the pieces of ranges: which bytes become which part of one object, and a rejects file with the file's numbers.

S3 copies a piece by itself (UploadPartCopy); a part that would be smaller than S3's least is made of bytes that are
read: the end of one piece and the beginning of the next.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from importer.ranges import Shift

LEAST_PART = 5 * 1024 * 1024  # bytes; only the last part of an object may be smaller
_NUMBERS = re.compile(rb'^\{"row":(\d+),"line":(\d+)', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of an object, from `start` to before `end`."""

    key: str
    start: int
    end: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class JoinedPart:
    """A part of the joined object: one span that S3 copies, or some that are read, and what is written after them."""

    spans: tuple[Span, ...]
    tail: bytes = b""

    @property
    def is_copied(self) -> bool:
        """Whether S3 can copy it by itself."""
        return len(self.spans) == 1 and not self.tail and self.spans[0].size >= LEAST_PART


def plan_parts(spans: Sequence[Span], tail: bytes) -> list[JoinedPart]:
    """The parts of an object that is `spans` one after the other, and `tail`; none where there is nothing."""
    parts: list[JoinedPart] = []
    waiting: list[Span] = []
    size = 0
    for span in spans:
        rest = span
        if waiting and rest.size:
            taken = LEAST_PART - size
            if rest.size - taken < LEAST_PART:
                taken = rest.size  # what would be left of it could not be copied
            waiting.append(Span(rest.key, rest.start, rest.start + taken))
            size, rest = size + taken, Span(rest.key, rest.start + taken, rest.end)
            if size >= LEAST_PART:
                parts.append(JoinedPart(tuple(waiting)))
                waiting, size = [], 0
        if rest.size >= LEAST_PART:
            parts.append(JoinedPart((rest,)))
        elif rest.size:
            waiting.append(rest)
            size += rest.size
    if waiting or tail:
        parts.append(JoinedPart(tuple(waiting), tail))
    return parts


def renumbered(rejects: Iterator[bytes], shift: Shift) -> Iterator[bytes]:
    """Lines of rejects with the row and line numbers of the whole file."""
    for lines in rejects:
        if shift.row or shift.line:
            yield _NUMBERS.sub(lambda found: _renumber(found, shift), lines)
        else:
            yield lines


def _renumber(found: re.Match[bytes], shift: Shift) -> bytes:
    return b'{"row":%d,"line":%d' % (int(found[1]) + shift.row, int(found[2]) + shift.line)
