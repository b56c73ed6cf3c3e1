"""Images: one page that somebody has to look at."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from importer import pictures
from importer.problems import ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import Source
from importer.values import Page, PageImage

_HEAD = 256 * 1024


class _ImageFile:
    """An open image."""

    page_count = 1
    notices: tuple[str, ...] = ()

    def __init__(self, source: Source) -> None:
        head = source.read_at(0, _HEAD)
        media_type = pictures.identify(head)
        if not media_type:
            raise refuse(ProblemCode.UNSUPPORTED_TYPE, "an image may be PNG, JPEG, GIF or WebP")
        width, height = pictures.measure(head)
        self._image = PageImage(
            media_type=media_type,
            width=width,
            height=height,
            load=lambda: source.read_at(0, source.size),
            is_page=True,
        )

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`."""
        if first_page == 1:
            yield Page(number=1, text="", images=(self._image,), is_scan=True)

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`."""
        return iter(())


class _ImageReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`."""
        del options
        if source.size > pictures.MAX_BYTES:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"an image may have {pictures.MAX_BYTES} bytes")
        yield _ImageFile(source)


READER: Final[DocumentReader] = _ImageReader()
