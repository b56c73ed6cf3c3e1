"""ZIP archives that nobody vouches for: office documents and archives of files, inflated as a stream within bounds.

All that an archive says of itself is checked before the first byte is inflated: how many members, how large in all, how
much larger than packed, where they would be written, whether they are links or encrypted.
"""

import hashlib
import io
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO, BinaryIO, override

from importer.problems import Limits, ProblemCode, refuse
from importer.source import Source

MAX_OFFICE_MEMBERS = 20_000  # parts of one document: a slide is several
_RATIO_FROM = 8 * 1024 * 1024  # bytes; smaller members may be as repetitive as they like
_MAX_DIRECTORY = 32 * 1024 * 1024  # bytes of the list of members, which is read at once
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_END = struct.Struct("<4s4H2LH")
_END64_PLACE = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_MORE_IN_64 = 0xFFFF, 0xFFFFFFFF
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, UnicodeDecodeError, ValueError)


class Archive:
    """An open archive whose list of members is within the limits."""

    def __init__(self, archive: zipfile.ZipFile, source: Source, limits: Limits, password: str) -> None:
        self._zip = archive
        self._source = source
        self._limits = limits
        self._password = password.encode() or None
        self._members = {info.filename: info for info in archive.infolist() if not info.is_dir()}

    @property
    def names(self) -> tuple[str, ...]:
        """The members, in the archive's order."""
        return tuple(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """How large a member is, unpacked."""
        return self._members[name].file_size

    def open(self, name: str) -> BinaryIO:
        """A member's bytes as a stream.

        Raises:
            PermanentError: `password-required`, `unsupported-type` or `corrupt-file`; the latter while reading, too.
        """
        info = self._members.get(name)
        if info is None:
            raise refuse(ProblemCode.CORRUPT_FILE, "the document lacks a part of itself")
        try:
            return io.BufferedReader(_Inflating(self._zip.open(info, pwd=self._password)), 256 * 1024)
        except RuntimeError as exc:
            raise refuse(ProblemCode.PASSWORD_REQUIRED, "the archive needs its password") from exc
        except _BROKEN as exc:
            raise refuse(ProblemCode.CORRUPT_FILE, "the archive is damaged: upload or pack it again") from exc

    def read(self, name: str, limit: int) -> bytes:
        """A small member as a whole.

        Raises:
            PermanentError: It is larger than `limit`, or what `open` says.
        """
        with self.open(name) as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise refuse(ProblemCode.FILE_TOO_LARGE, "a part of the document is too large")
        return content

    def source(self, name: str) -> Source:
        """A member as a file of its own. It can be read for as long as the archive is open."""
        return _MemberSource(self, name, f"{self._source.etag}/{self._members[name].CRC:08x}/{name}")

    def check(self, max_members: int) -> None:
        """Refuse what no archive may be."""
        infos = self._members.values()
        if len(infos) > max_members:
            raise refuse(ProblemCode.TOO_MANY_MEMBERS, f"an archive may have {max_members} members")
        if sum(info.file_size for info in infos) > self._limits.max_inflated_bytes:
            raise refuse(ProblemCode.FILE_TOO_LARGE, "the archive is too large when it is unpacked")
        for info in infos:
            self._check_member(info)

    def _check_member(self, info: zipfile.ZipInfo) -> None:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise refuse(ProblemCode.UNSAFE_MEMBER, "a member's name leads out of the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise refuse(ProblemCode.UNSAFE_MEMBER, "a member is a link")
        if info.flag_bits & _ENCRYPTED and self._password is None:
            raise refuse(ProblemCode.PASSWORD_REQUIRED, "the archive needs its password")
        if info.compress_type not in _METHODS:
            raise refuse(ProblemCode.UNSUPPORTED_TYPE, "the archive is packed in a way that is not read: use Deflate")
        if info.file_size > max(_RATIO_FROM, info.compress_size * self._limits.max_ratio):
            message = f"a member is more than {self._limits.max_ratio} times as large as it is packed"
            raise refuse(ProblemCode.RATIO, message)


@contextmanager
def open_archive(
    source: Source, limits: Limits, *, max_members: int = MAX_OFFICE_MEMBERS, password: str = ""
) -> Iterator[Archive]:
    """Open an archive.

    Raises:
        PermanentError: It is damaged, or passes a limit.
    """
    if source.size > limits.max_office_bytes:
        raise refuse(ProblemCode.FILE_TOO_LARGE, f"such a file may have {limits.max_office_bytes} bytes")
    _check_directory(source, max_members)
    with source.local_path() as path:
        try:
            opened = zipfile.ZipFile(path)
        except _BROKEN as exc:
            raise refuse(ProblemCode.CORRUPT_FILE, "the archive is damaged: upload or pack it again") from exc
        with opened:
            archive = Archive(opened, source, limits, password)
            archive.check(max_members)
            yield archive


def _check_directory(source: Source, max_members: int) -> None:
    """Refuse a list of members that is too long, before all of it is read."""
    tail = source.read_at(max(0, source.size - 65_536 - _END.size), 65_536 + _END.size)
    place = tail.rfind(b"PK\5\6")
    if place < 0 or place + _END.size > len(tail):
        raise refuse(ProblemCode.CORRUPT_FILE, "the archive is damaged, its end is missing: upload or pack it again")
    *_, count, size, _, _ = _END.unpack_from(tail, place)
    if count == _MORE_IN_64[0] or size == _MORE_IN_64[1]:
        before = place - _END64_PLACE.size
        if before >= 0 and tail[before : before + 4] == b"PK\6\7":
            offset = _END64_PLACE.unpack_from(tail, before)[2]
            found = source.read_at(offset, _END64.size) if offset < source.size else b""
            if len(found) == _END64.size and found.startswith(b"PK\6\6"):
                *_, count, size, _ = _END64.unpack(found)
    if count > max(max_members * 2, 1000) or size > _MAX_DIRECTORY:  # folders are members, too
        raise refuse(ProblemCode.TOO_MANY_MEMBERS, f"an archive may have {max_members} members")


class _Inflating(io.RawIOBase):
    """A member's bytes; what zipfile raises is translated."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    @override
    def readable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._stream.tell()

    @override
    def readinto(self, buffer: "bytearray | memoryview[int]") -> int:  # type: ignore[override] # typeshed: any buffer
        try:
            block = self._stream.read(len(buffer))
        except _BROKEN as exc:
            raise refuse(ProblemCode.CORRUPT_FILE, "the archive is damaged: upload or pack it again") from exc
        buffer[: len(block)] = block
        return len(block)

    @override
    def close(self) -> None:
        self._stream.close()
        super().close()


class _MemberSource:
    """A member as a `Source`."""

    def __init__(self, archive: Archive, member: str, identity: str) -> None:
        self._archive = archive
        self._member = member
        self.name = PurePosixPath(member.replace("\\", "/")).name
        self.size = archive.size(member)
        self.etag = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]

    def open(self, offset: int = 0) -> BinaryIO:
        """See `Source`: what stands before the offset is inflated and dropped."""
        stream = self._archive.open(self._member)
        while offset > 0 and (skipped := len(stream.read(min(offset, 1024 * 1024)))):
            offset -= skipped
        return stream

    def read_at(self, start: int, length: int) -> bytes:
        """See `Source`. From near the end, it inflates all of the member."""
        with self.open(start) as stream:
            return stream.read(length)

    @contextmanager
    def local_path(self) -> Iterator[Path]:
        """See `Source`: a temporary copy."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "content"
            with self.open() as stream, path.open("wb") as copy:
                shutil.copyfileobj(stream, copy, 1024 * 1024)
            yield path
