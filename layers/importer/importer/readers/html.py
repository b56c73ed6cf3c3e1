"""HTML pages as text: what a person would read, with headings, lists and tables. Nothing is fetched or run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from importer import guard, hypertext
from importer.layout import Layout
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import Source
from importer.values import Heading, Page

_BOUNDS = guard.Bounds(item_seconds=45)  # a tree of a million levels takes for ever
_LEVELS = {f"h{level}": level for level in range(1, 7)}


def pages(path: str, encoding: str) -> Iterator[object]:
    """Child: text and headings of each page."""
    root = hypertext.parse(Path(path).read_bytes(), encoding).root
    if root is None:
        return
    layout = Layout()
    writing = _Writing(layout)
    for node, is_beginning in hypertext.walk(root):
        tag = node.tag or ""
        if tag == "-text":
            if is_beginning:
                writing.text(hypertext.own_text(node))
        elif is_beginning:
            writing.start(tag)
        else:
            writing.end(tag)
        for page in layout.take():
            yield _plain(page)
    layout.end_page()
    for page in layout.take():
        yield _plain(page)


def _plain(page: Page) -> tuple[str, list[tuple[int, int, str]]]:
    return page.text, [(heading.offset, heading.level, heading.text) for heading in page.headings]


class _Writing:
    """Puts elements into a layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._line: list[str] = []
        self._row: list[str] = []
        self._cells = 0

    def text(self, text: str) -> None:
        self._line.append(text)

    def start(self, tag: str) -> None:
        if tag == "br":
            self._end_line()
        elif tag in {"td", "th"}:
            if not self._cells:
                self._end_line()
            self._cells += 1
        elif hypertext.is_block(tag):
            self._end_line()
            if tag == "li" and not self._cells:
                self._line.append("- ")

    def end(self, tag: str) -> None:
        if tag in {"td", "th"}:
            self._cells -= 1
            if not self._cells:
                self._row.append("".join(self._line))
                self._line = []
        elif tag == "tr" and not self._cells:
            self._layout.add_row(self._row)
            self._row, self._line = [], []
        elif level := _LEVELS.get(tag):
            text = " ".join("".join(self._line).split())
            if text and not self._cells:
                self._layout.add_heading(text, level)
                self._line = []
        elif hypertext.is_block(tag):
            self._end_line()

    def _end_line(self) -> None:
        if self._cells:
            self._line.append(" ")
            return
        text = " ".join("".join(self._line).split())
        self._line = []
        if text and text != "-":
            self._layout.add_line(text)


class _HtmlFile:
    """An open page."""

    notices: tuple[str, ...] = ()

    def __init__(self, path: Path, encoding: str, limits: Limits) -> None:
        self._arguments = {"path": str(path), "encoding": encoding}
        self.page_count = 0
        for _ in guard.stream(f"{__name__}:pages", self._arguments, _BOUNDS):
            self.page_count += 1
            if self.page_count > limits.max_pages:
                raise refuse(ProblemCode.TOO_MANY_PAGES, f"a document may have {limits.max_pages} pages")

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`."""
        for number, item in enumerate(guard.stream(f"{__name__}:pages", self._arguments, _BOUNDS), start=1):
            if not isinstance(item, tuple):
                raise refuse(ProblemCode.CORRUPT_FILE, "the page is damaged")
            if number >= first_page:
                text, headings = item
                found = (Heading(offset=offset, level=level, text=title) for offset, level, title in headings)
                yield Page(number=number, text=text, headings=tuple(found))

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`."""
        return iter(())


class _HtmlReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`."""
        hypertext.check_size(source, options.limits)
        with source.local_path() as path:
            yield _HtmlFile(path, options.encoding or hypertext.encoding_of(source), options.limits)


READER: Final[DocumentReader] = _HtmlReader()
