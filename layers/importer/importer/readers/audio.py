"""Recordings: one page that somebody has to listen to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from importer.problems import ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import Source
from importer.values import Page, Recording

_MAX_BYTES = 25 * 1024 * 1024  # what transcription services take


class _AudioFile:
    """An open recording."""

    page_count = 1
    notices: tuple[str, ...] = ()

    def __init__(self, source: Source, media_type: str) -> None:
        self._recording = Recording(
            name=source.name,
            media_type=media_type,
            size=source.size,
            load=lambda: source.read_at(0, source.size),
        )

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`."""
        if first_page == 1:
            yield Page(number=1, text="", recording=self._recording)

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`."""
        return iter(())


class _AudioReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`. The variant is the media type."""
        if source.size > _MAX_BYTES:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"a recording may have {_MAX_BYTES} bytes")
        yield _AudioFile(source, options.variant or "application/octet-stream")


READER: Final[DocumentReader] = _AudioReader()
