"""OLE compound files (old Office, Outlook mails, encrypted new Office): their streams, by path, within bounds.

https://learn.microsoft.com/openspecs/windows_protocols/ms-cfb
"""

import array
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import PermanentError
from importer.problems import Limits, ProblemCode, refuse
from importer.source import Source

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LAST_SECTOR = 0xFFFFFFFA  # what is above means free, end, or that the sector is part of the table
_ENTRY = 128
_MAX_ENTRIES = 100_000
_MAX_DEPTH = 64
_STORAGE, _STREAM, _ROOT = 1, 2, 5


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    kind: int
    left: int
    right: int
    child: int
    start: int
    size: int


class CompoundFile:
    """An open compound file. It reads what it is asked for and nothing else."""

    def __init__(self, source: Source, limits: Limits) -> None:
        """Read the directory.

        Raises:
            PermanentError: `corrupt-file`, `file-too-large`.
        """
        if source.size > limits.max_office_bytes:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"such a file may have {limits.max_office_bytes} bytes")
        self._source = source
        head = source.read_at(0, 512)
        if len(head) < 512 or not head.startswith(MAGIC):
            raise _damaged()
        version, _, shift, mini_shift = struct.unpack_from("<4H", head, 26)
        first_directory, _, cutoff, first_mini, _, first_difat = struct.unpack_from("<6I", head, 48)
        if shift not in (9, 12) or mini_shift != 6 or version not in (3, 4):
            raise _damaged()
        self._sector = 1 << shift
        self._cutoff = cutoff
        self._table = self._read_table(head, first_difat)
        self._mini_table = _integers(b"".join(self._sectors(first_mini, self._table)))
        self._entries = self._read_entries(b"".join(self._sectors(first_directory, self._table)))
        if not self._entries or self._entries[0].kind != _ROOT:
            raise _damaged()
        self._mini_stream = b""
        self.streams = {path: entry for path, entry in self._walk() if entry.kind == _STREAM}
        self.storages = tuple(path for path, entry in self._walk() if entry.kind == _STORAGE)

    def __contains__(self, path: str) -> bool:
        return path in self.streams

    def read(self, path: str, limit: int) -> bytes:
        """All bytes of a stream.

        Raises:
            PermanentError: There is no such stream, it is broken, or larger than `limit`.
        """
        entry = self.streams.get(path)
        if entry is None:
            raise _damaged()
        if entry.size > limit:
            raise refuse(ProblemCode.FILE_TOO_LARGE, "a part of the file is too large")
        if entry.size >= self._cutoff:
            content = b"".join(self._sectors(entry.start, self._table, entry.size))
        else:
            content = b"".join(self._mini_sectors(entry.start, entry.size))
        if len(content) < entry.size:
            raise _damaged()
        return content[: entry.size]

    def _read_table(self, head: bytes, first_difat: int) -> "array.array[int]":
        places = list(_integers(head[76:512]))
        seen, place = 0, first_difat
        while place < _LAST_SECTOR:
            seen += 1
            found = _integers(self._read_sector(place))
            places += found[:-1]
            place = found[-1]
            if seen * self._sector > self._source.size:
                raise _damaged()  # it goes in a circle
        table = array.array("I")
        for each in places:
            if each < _LAST_SECTOR:
                table.extend(_integers(self._read_sector(each)))
            if len(table) * 4 > self._source.size + self._sector * 2:
                raise _damaged()  # more than the file has sectors for
        return table

    def _read_sector(self, number: int) -> bytes:
        start = (number + 1) * self._sector
        if start >= self._source.size:
            raise _damaged()
        return self._source.read_at(start, self._sector).ljust(self._sector, b"\0")

    def _sectors(self, start: int, table: "array.array[int]", size: int | None = None) -> Iterator[bytes]:
        """A chain of sectors; neighbours are read in one go."""
        left = self._source.size if size is None else size
        place = start
        while place < _LAST_SECTOR and left > 0:
            first, count = place, 1
            while (following := self._next(place, table)) == place + 1 and count * self._sector < left:
                place, count = following, count + 1
            block = self._source.read_at((first + 1) * self._sector, count * self._sector)
            left -= count * self._sector
            place = following
            yield block.ljust(count * self._sector, b"\0") if block else b""
            if not block:
                raise _damaged()
        if place < _LAST_SECTOR and size is None:
            raise _damaged()  # longer than the file: it goes in a circle

    def _mini_sectors(self, start: int, size: int) -> Iterator[bytes]:
        if not self._mini_stream:
            root = self._entries[0]
            self._mini_stream = b"".join(self._sectors(root.start, self._table, root.size))
        place, left = start, size
        while place < _LAST_SECTOR and left > 0:
            yield self._mini_stream[place * 64 : place * 64 + 64]
            place = self._next(place, self._mini_table)
            left -= 64

    def _next(self, place: int, table: "array.array[int]") -> int:
        if place >= len(table):
            raise _damaged()
        return table[place]

    def _read_entries(self, directory: bytes) -> list[_Entry]:
        if len(directory) > _MAX_ENTRIES * _ENTRY:
            raise refuse(ProblemCode.TOO_MANY_MEMBERS, "the file has too many parts")
        entries = []
        for start in range(0, len(directory) - _ENTRY + 1, _ENTRY):
            raw = directory[start : start + _ENTRY]
            length, kind = struct.unpack_from("<HB", raw, 64)
            left, right, child = struct.unpack_from("<3I", raw, 68)
            place, size = struct.unpack_from("<IQ", raw, 116)
            if self._sector == 512:
                size &= 0xFFFFFFFF  # version 3 leaves the upper half undefined
            name = raw[: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
            entries.append(_Entry(name, kind, left, right, child, place, size))
        return entries

    def _walk(self) -> Iterator[tuple[str, _Entry]]:
        seen: set[int] = set()
        waiting = [(self._entries[0].child, "", 0)]
        while waiting:
            number, folder, depth = waiting.pop()
            if number >= len(self._entries) or number in seen:
                continue
            if depth > _MAX_DEPTH:
                raise refuse(ProblemCode.NESTING_TOO_DEEP, "the file's parts are nested too deeply")
            seen.add(number)
            entry = self._entries[number]
            path = f"{folder}{entry.name}"
            yield path, entry
            waiting += [(entry.left, folder, depth), (entry.right, folder, depth)]
            if entry.kind == _STORAGE:
                waiting.append((entry.child, f"{path}/", depth + 1))


def _integers(content: bytes) -> "array.array[int]":
    found = array.array("I")
    found.frombytes(content[: len(content) // 4 * 4])
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _damaged() -> PermanentError:
    return refuse(ProblemCode.CORRUPT_FILE, "the file is damaged: save or export it again")
