"""The lines of a file as bytes, with their place, in bounded memory however long a line is."""

from typing import BinaryIO

_BLOCK = 256 * 1024
_AT_ONCE = 16 * 1024 * 1024  # bytes of lines that are handed out together


class LineStream:
    """Lines one after the other, each with its end.

    A line longer than `limit` is cut to one byte more than that, so that its length tells; the rest of it is skipped.
    """

    def __init__(self, stream: BinaryIO, *, offset: int, end: int | None, limit: int) -> None:
        """Read `stream`, which stands at `offset`, up to the offset `end`."""
        self._stream = stream
        self._left = None if end is None else max(end - offset, 0)
        self._limit = limit
        self._ready: list[bytes] = []
        self._next = 0
        self._held = 0  # bytes of the lines in hand
        self._partial = b""
        self._cut: dict[int, int] = {}  # of lines in hand: what was skipped of them, by the id of the line

    def take(self, count: int) -> list[bytes]:
        """The next `count` lines; fewer at the end, and where they are long: how many follows from the lines alone."""
        while len(self._ready) - self._next < count and self._held <= _AT_ONCE and self._fill():
            pass
        lines = self._ready[self._next : self._next + count]
        size = sum(map(len, lines))
        while len(lines) > 1 and size > _AT_ONCE:
            size -= len(lines.pop())
        self._next += len(lines)
        self._held -= size
        return lines

    def give_back(self, lines: list[bytes]) -> None:
        """Take back lines that were the last to be taken."""
        self._ready[: self._next] = lines
        self._next = 0
        self._held += sum(map(len, lines))

    def measure(self, lines: list[bytes]) -> int:
        """How many bytes of the file the lines are."""
        size = sum(map(len, lines))
        if self._cut:
            size += sum(self._cut.pop(id(line), 0) for line in lines if len(line) > self._limit)
        return size

    def _fill(self) -> bool:
        """Read one block more; False at the end."""
        if self._next:
            del self._ready[: self._next]
            self._next = 0
        block = self._read()
        if not block:
            last, self._partial = self._partial, b""
            if last:
                self._ready.append(last)
                self._held += len(last)
            return bool(last)
        lines = (self._partial + block).splitlines(keepends=True)
        # A carriage return at the end of a block may be half of a line's end.
        self._partial = b"" if lines[-1].endswith(b"\n") else lines.pop()
        if len(self._partial) > self._limit:
            lines.append(self._skip())
        self._held += sum(map(len, lines))
        self._ready += lines
        return True

    def _skip(self) -> bytes:
        """The line that is too long, cut; what follows it stays in hand."""
        cut, skipped = self._partial[: self._limit + 1], len(self._partial) - self._limit - 1
        self._partial = b""
        while block := self._read():
            line, newline, rest = block.partition(b"\n")
            skipped += len(line) + len(newline)
            if newline:
                self._partial = rest
                break
        self._cut[id(cut)] = skipped
        return cut

    def _read(self) -> bytes:
        wanted = _BLOCK if self._left is None else min(_BLOCK, self._left)
        block = self._stream.read(wanted) if wanted else b""
        if self._left is not None:
            self._left -= len(block)
        return block
