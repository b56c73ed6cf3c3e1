"""PDF: the text of each page and, for pages without any, the page drawn. pdfium runs in a process of its own."""

import struct
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from importer import guard
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import Source
from importer.values import Heading, Page, PageImage

if TYPE_CHECKING:
    import pypdfium2  # type: ignore[import-untyped] # it has no types

_PIXELS = 1_600  # of the longer side of a drawn page: small print can be read, a model takes no more
_MAX_TEXT = 2_000_000  # characters of one page
_MAX_BOOKMARKS = 5_000
_NAVIGATION_DEPTH = 6
_PAGES = f"{__name__}:pages"
_PASSWORD = 4  # FPDF_ERR_PASSWORD


def pages(path: str, password: str, first: int) -> Iterator[object]:
    """Child: how many pages there are and how many files are inside, then each page from `first` on.

    A page is its text, its headings, its width and height, and whether it is a scan.
    """
    with _open(path, password) as document:
        yield len(document), document.count_attachments()
        bookmarks = _bookmarks(document)
        for number in range(first, len(document) + 1):
            page = document[number - 1]
            try:
                reading = page.get_textpage()
                if reading.count_chars() > _MAX_TEXT:
                    raise refuse(ProblemCode.FIELD_TOO_LARGE, f"page {number} has too much text")
                text = _clean(reading.get_text_range())
                reading.close()
                is_scan = not text.strip() and next(page.get_objects(max_depth=1), None) is not None
                width, height = page.get_size()
                yield text, _headings(text, bookmarks.get(number, ())), width, height, is_scan
            finally:
                page.close()


def draw(path: str, password: str, number: int) -> Iterator[object]:
    """Child: a page as PNG, in shades of grey."""
    with _open(path, password) as document:
        page = document[number - 1]
        width, height = page.get_size()
        bitmap = page.render(scale=_PIXELS / max(width, height, 1), grayscale=True, may_draw_forms=False)
        stride = bitmap.stride
        content = bytes(bitmap.buffer)
        rows = (content[line * stride : line * stride + bitmap.width] for line in range(bitmap.height))
        yield _png(bitmap.width, bitmap.height, rows)


@contextmanager
def _open(path: str, password: str) -> Iterator["pypdfium2.PdfDocument"]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(Path(path), password=password or None)
    except pypdfium2.PdfiumError as exc:
        if exc.err_code == _PASSWORD:
            raise refuse(ProblemCode.PASSWORD_REQUIRED, "the PDF needs its password") from exc
        raise refuse(ProblemCode.CORRUPT_FILE, "the PDF is damaged: save or export it again") from exc
    try:
        if not len(document):
            raise refuse(ProblemCode.CORRUPT_FILE, "the PDF has no page")
        yield document
    except pypdfium2.PdfiumError as exc:
        raise refuse(ProblemCode.CORRUPT_FILE, "the PDF is damaged: save or export it again") from exc
    finally:
        document.close()


def _bookmarks(document: "pypdfium2.PdfDocument") -> dict[int, list[tuple[int, str]]]:
    """The table of contents by page: how deep an entry is and what it says."""
    found: dict[int, list[tuple[int, str]]] = {}
    for count, entry in enumerate(document.get_toc(max_depth=_NAVIGATION_DEPTH)):
        if count >= _MAX_BOOKMARKS:
            break
        target = entry.get_dest()
        place = target.get_index() if target is not None else None
        if place is not None:
            found.setdefault(place + 1, []).append((entry.level + 1, entry.get_title()))
    return found


def _headings(text: str, bookmarks: "list[tuple[int, str]] | tuple[()]") -> list[tuple[int, int, str]]:
    found = [(text.find(title), level, title) for level, title in bookmarks if title.strip()]
    return sorted(each for each in found if each[0] >= 0)


def _clean(text: str) -> str:
    # U+FFFE is where pdfium has seen the hyphen of a broken word, NUL a glyph that it has no character for.
    return text.replace("\r\n", "\n").replace("\ufffe", "-").replace("\0", "")


def _png(width: int, height: int, rows: Iterator[bytes]) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _parts(item: object) -> tuple[Any, ...]:  # what the child above yields
    if not isinstance(item, tuple):
        raise refuse(ProblemCode.CORRUPT_FILE, "the PDF is damaged: save or export it again")
    return item


class _PdfFile:
    """An open PDF."""

    def __init__(self, path: Path, password: str, limits: Limits) -> None:
        self._arguments: dict[str, object] = {"path": str(path), "password": password}
        # The child that says what there is goes on with the pages: a second one would take longer than a few of them.
        self._begun: Generator[object] | None = guard.stream(_PAGES, {**self._arguments, "first": 1})
        self.page_count, held = _parts(next(self._begun))
        self.notices = (f"{held} files inside the PDF were left out",) if held else ()
        if self.page_count > limits.max_pages:
            raise refuse(ProblemCode.TOO_MANY_PAGES, f"a document may have {limits.max_pages} pages")

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`."""
        found, self._begun = (self._begun if first_page == 1 else None), None
        if found is None:
            found = guard.stream(_PAGES, {**self._arguments, "first": first_page})
            next(found)
        for number, item in enumerate(found, start=first_page):
            text, headings, width, height, is_scan = _parts(item)
            scale = _PIXELS / max(width, height, 1)
            image = PageImage(
                media_type="image/png",
                width=int(width * scale),
                height=int(height * scale),
                load=lambda number=number: self._draw(number),  # type: ignore[misc] # a lambda's default has no type
                is_page=True,
            )
            yield Page(
                number=number,
                text=text,
                headings=tuple(Heading(offset=offset, level=level, text=title) for offset, level, title in headings),
                images=(image,),
                is_scan=is_scan,
            )

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`: files inside a PDF are left alone."""
        return iter(())

    def close(self) -> None:
        """End the child if nobody has read the pages."""
        if self._begun is not None:
            self._begun.close()

    def _draw(self, number: int) -> bytes:
        content = guard.call(f"{__name__}:draw", {**self._arguments, "number": number})
        if not isinstance(content, bytes):
            raise refuse(ProblemCode.CORRUPT_FILE, "the PDF is damaged: save or export it again")
        return content


class _PdfReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`."""
        if source.size > options.limits.max_office_bytes:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"a PDF may have {options.limits.max_office_bytes} bytes")
        with source.local_path() as path, closing(_PdfFile(path, options.password, options.limits)) as file:
            yield file


READER: Final[DocumentReader] = _PdfReader()
