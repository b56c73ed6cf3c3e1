"""A gzip file as the file that is inside it, inflated as it is read and no further than allowed."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, override

from importer.problems import Limits, ProblemCode, refuse
from importer.source import Source

_BLOCK = 256 * 1024
_ALWAYS_ALLOWED = 16 * 1024 * 1024  # bytes: a small file may compress as well as it likes


class GzipSource:
    """What a gzip file holds. It is inflated anew from the beginning for each place that is read."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._size: int | None = None
        self.name = source.name.removesuffix(".gz").removesuffix(".GZ")
        self.etag = source.etag

    @property
    def size(self) -> int:
        """Its inflated size, which only inflating tells: a header can say anything."""
        if self._size is None:
            with self.open() as stream:
                self._size = sum(map(len, iter(lambda: stream.read(_BLOCK), b"")))
        return self._size

    def open(self, offset: int = 0) -> BinaryIO:
        """See `Source`.

        Raises:
            PermanentError: While reading: it is broken, or inflates beyond the limits.
        """
        stream = BufferedReader(_Inflating(self._source, self._limits), _BLOCK)
        while offset and (skipped := len(stream.read(min(offset, _BLOCK)))):
            offset -= skipped
        return stream

    def read_at(self, start: int, length: int) -> bytes:
        """See `Source`."""
        with self.open(start) as stream:
            return stream.read(length)

    @contextmanager
    def local_path(self) -> Iterator[Path]:
        """See `Source`: a temporary copy."""
        with TemporaryDirectory() as folder, self.open() as stream:
            path = Path(folder) / "content"
            with path.open("wb") as copy:
                while block := stream.read(_BLOCK):
                    copy.write(block)
            yield path


class _Inflating(RawIOBase):
    """Inflates a gzip file and stops where it becomes too much."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._packed = source.open()
        self._plain = gzip.GzipFile(fileobj=self._packed)
        ratio = max(_ALWAYS_ALLOWED, source.size * limits.max_ratio)
        self._left = min(ratio, limits.max_bytes)

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override] # BufferedReader gives a memoryview
        try:
            block = self._plain.read(len(buffer))
        except (OSError, EOFError, zlib.error) as exc:
            raise refuse(ProblemCode.CORRUPT_FILE, "the file is broken: it cannot be decompressed") from exc
        self._left -= len(block)
        if self._left < 0:
            raise refuse(ProblemCode.RATIO, "the file is much larger inside than outside")
        buffer[: len(block)] = block
        return len(block)

    @override
    def close(self) -> None:
        self._plain.close()
        self._packed.close()
        super().close()
