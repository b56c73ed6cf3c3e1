"""Where a file's bytes come from: read as a stream, at a place, or as a file on the disk for formats that need one."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Protocol


class Source(Protocol):
    """The bytes of one file. Reading it twice gives the same bytes, or `etag` differs."""

    @property
    def name(self) -> str: ...  # noqa: D102 - the file's name without folders, as the person called it
    @property
    def size(self) -> int: ...  # noqa: D102 - in bytes
    @property
    def etag(self) -> str: ...  # noqa: D102 - differs where the content differs

    def open(self, offset: int = 0) -> BinaryIO:
        """The bytes from `offset` to the end, as a buffered stream; the caller closes it."""

    def read_at(self, start: int, length: int) -> bytes:
        """At most `length` bytes from `start`; fewer at the end."""

    def local_path(self) -> AbstractContextManager[Path]:
        """The whole file on the disk, for as long as the context lasts."""


class FileSource:
    """A file of this machine, for dry runs, tests and measurements."""

    def __init__(self, path: Path) -> None:
        self._path = path
        found = path.stat()
        self.name = path.name
        self.size = found.st_size
        self.etag = hashlib.sha256(f"{found.st_size}:{found.st_mtime_ns}".encode()).hexdigest()[:32]

    def open(self, offset: int = 0) -> BinaryIO:
        """See `Source`."""
        stream = self._path.open("rb", buffering=1024 * 1024)
        stream.seek(offset)
        return stream

    def read_at(self, start: int, length: int) -> bytes:
        """See `Source`."""
        with self._path.open("rb", buffering=0) as stream:
            stream.seek(start)
            return stream.read(length) or b""

    @contextmanager
    def local_path(self) -> Iterator[Path]:
        """See `Source`: the file itself."""
        yield self._path


class BytesSource:
    """Bytes that are in memory already: the member of an archive, the attachment of a mail."""

    def __init__(self, name: str, content: bytes) -> None:
        self._content = content
        self.name = name
        self.size = len(content)
        self.etag = hashlib.sha256(content).hexdigest()[:32]

    def open(self, offset: int = 0) -> BinaryIO:
        """See `Source`."""
        stream = BytesIO(self._content)
        stream.seek(offset)
        return stream

    def read_at(self, start: int, length: int) -> bytes:
        """See `Source`."""
        return self._content[start : start + length]

    @contextmanager
    def local_path(self) -> Iterator[Path]:
        """See `Source`: a temporary copy."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "content"
            path.write_bytes(self._content)
            yield path
