"""Plain text and Markdown, in any encoding. Form feeds end pages; what has none is cut at paragraphs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Final

from importer import encoding as encodings
from importer.encoding import TextEncoding
from importer.layout import Layout
from importer.problems import ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import Source
from importer.values import Page

_LONGEST_LINE = 1024 * 1024  # bytes; a longer one is taken in pieces
_HEADING = re.compile(r"(#{1,6})\s+(\S.*?)\s*#*\s*")
_FENCE = re.compile(r"\s{0,3}(?:```|~~~)")


class _TextFile:
    """An open text."""

    notices: tuple[str, ...] = ()

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self._source = source
        self._is_markdown = options.variant == "markdown"
        self._encoding = encodings.known(options.encoding) if options.encoding else encodings.detect(source)
        self.page_count = 0
        for _ in self._pages():
            self.page_count += 1
            if self.page_count > options.limits.max_pages:
                raise refuse(ProblemCode.TOO_MANY_PAGES, f"a document may have {options.limits.max_pages} pages")
        if not self.page_count:
            raise refuse(ProblemCode.EMPTY_FILE, "there is nothing in the file: save or export it again")

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`."""
        return (page for page in self._pages() if page.number >= first_page)

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`."""
        return iter(())

    def _pages(self) -> Iterator[Page]:
        layout = Layout()
        is_code = False
        for line in self._lines():
            before, feed, after = line.partition("\f")
            is_code ^= self._is_markdown and bool(_FENCE.match(before))
            heading = _HEADING.fullmatch(before.strip()) if self._is_markdown and not is_code else None
            if heading is not None:
                layout.add_heading(heading[2], len(heading[1]))
            else:
                layout.add(before)
                if before.endswith("\n"):
                    layout.end_line()
            if feed:
                layout.end_page()
                layout.add(after)
            yield from layout.take()
        layout.end_page()
        yield from layout.take()

    def _lines(self) -> Iterator[str]:
        encoding = self._encoding
        with self._source.open(encoding.mark) as stream:
            if encoding.is_wide:
                text = TextIOWrapper(stream, encoding.name, "replace", newline=None)
                while line := text.readline(_LONGEST_LINE):
                    yield line
                return
            while raw := stream.readline(_LONGEST_LINE):
                yield _decode(raw, encoding).replace("\r\n", "\n")


def _decode(raw: bytes, encoding: TextEncoding) -> str:
    for name in (encoding.name, encoding.fallback):
        try:
            return raw.decode(name or "utf-8")
        except UnicodeDecodeError:
            continue
    return raw.decode(encoding.name, "replace")


class _TextReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`. The variant "markdown" looks for headings."""
        if source.size > options.limits.max_office_bytes:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"a text may have {options.limits.max_office_bytes} bytes")
        yield _TextFile(source, options)


READER: Final[DocumentReader] = _TextReader()
