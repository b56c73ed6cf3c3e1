"""Word documents (docx, docm): paragraphs, headings, tables, notes; pages where Word has drawn them last."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from importer.archive import Archive, open_archive
from importer.layout import Layout
from importer.markup import Attributes, parse, parse_all
from importer.office import MACROS, Relation, has_macros, image_of, main_part, related, relations
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import Source
from importer.values import Page

_LEVELS = 9
_NOTES = ("footnotes", "endnotes", "comments")


class _Styles:
    """Hears which styles are headings. A style's id is in the author's language; its name and outline level are not."""

    def __init__(self) -> None:
        self.levels: dict[str, int] = {}
        self._style = ""

    def start(self, name: str, attributes: Attributes) -> None:
        value = attributes.get("val", "")
        if name == "style":
            self._style = attributes.get("styleId", "")
        elif name == "outlineLvl" and value.isdecimal() and len(value) == 1 and int(value) < _LEVELS:
            self.levels[self._style] = int(value) + 1
        elif name == "name" and value.lower() == "title":
            self.levels[self._style] = 1
        elif name == "name" and (digit := value.lower().removeprefix("heading ")) in set("123456789"):
            self.levels[self._style] = int(digit)

    def end(self, name: str) -> None:
        pass

    def text(self, text: str) -> None:
        pass


class _Body:
    """Hears the text of a part, and puts it into a layout."""

    def __init__(self, archive: Archive, layout: Layout, levels: dict[str, int], parts: dict[str, Relation]) -> None:
        self._archive = archive
        self._layout = layout
        self._levels = levels
        self._parts = parts
        self._level = 0
        self._paragraph: list[str] = []
        self._is_text = False
        self._skipped = 0  # inside what is drawn a second time for old programs
        self._rows: list[list[str]] = []  # one per table that is open
        self._cells: list[list[str]] = []

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "Fallback" or self._skipped:
            self._skipped += name == "Fallback"
            return
        match name:
            case "t":
                self._is_text = True
            case "p" if not self._cells:
                self._end_paragraph()
            case "pStyle":
                self._level = self._levels.get(attributes.get("val", ""), 0)
            case "tab":
                self._paragraph.append("\t")
            case "br" | "cr" | "lastRenderedPageBreak":
                self._break(name, attributes)
            case "tr":
                self._end_paragraph()
                self._rows.append([])
            case "tc":
                self._cells.append([])
            case _:
                self._start_image(name, attributes)

    def _start_image(self, name: str, attributes: Attributes) -> None:
        match name:
            case "docPr" if attributes.get("descr"):
                self._paragraph.append(f"Image: {attributes['descr']} ")
            case "blip" if found := self._parts.get(attributes.get("embed", "")):
                if image := image_of(self._archive, found.target):
                    self._layout.add_image(image)

    def end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= name == "Fallback"
            return
        match name:
            case "t":
                self._is_text = False
            case "p":
                self._end_paragraph()
            case "tc" if self._cells and self._rows:
                self._rows[-1].append(" ".join(self._cells.pop()))
            case "tr" if self._rows:
                row = self._rows.pop()
                if self._cells:
                    self._cells[-1].append(" ".join(row))  # a table in a cell
                else:
                    self._layout.add_row(row)

    def text(self, text: str) -> None:
        if self._is_text and not self._skipped:
            self._paragraph.append(text)

    def _break(self, name: str, attributes: Attributes) -> None:
        is_page = name == "lastRenderedPageBreak" or attributes.get("type") == "page"
        if not is_page:
            self._paragraph.append("\n")
        elif not self._cells:
            level = self._level
            self._end_paragraph()
            self._layout.end_page()
            self._level = level

    def _end_paragraph(self) -> None:
        text, self._paragraph = "".join(self._paragraph), []
        level, self._level = self._level, 0
        if self._cells:
            self._cells[-1].append(text)
        elif level and text.strip():
            self._layout.add_heading(text.strip(), level)
        else:
            self._layout.add_line(text)


class _DocxFile:
    """An open document."""

    def __init__(self, archive: Archive, limits: Limits) -> None:
        self._archive = archive
        self._main = main_part(archive)
        self._parts = relations(archive, self._main)
        self._levels = self._read_levels()
        self.notices = (MACROS,) if has_macros(archive) else ()
        self.page_count = 0
        for _ in self._pages():
            self.page_count += 1
            if self.page_count > limits.max_pages:
                raise refuse(ProblemCode.TOO_MANY_PAGES, f"a document may have {limits.max_pages} pages")

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`."""
        return (page for page in self._pages() if page.number >= first_page)

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`: what is embedded is left alone."""
        return iter(())

    def _pages(self) -> Iterator[Page]:
        layout = Layout()
        for part in related(self._archive, self._main, "header"):
            self._add(part, layout)
        body = _Body(self._archive, layout, self._levels, self._parts)
        with self._archive.open(self._main) as stream:
            for _ in parse(stream, body):
                yield from layout.take()
        for kind in (*_NOTES, "footer"):
            for part in related(self._archive, self._main, kind):
                self._add(part, layout)
        layout.end_page()
        yield from layout.take()

    def _add(self, part: str, layout: Layout) -> None:
        with self._archive.open(part) as stream:
            parse_all(stream, _Body(self._archive, layout, self._levels, relations(self._archive, part)))

    def _read_levels(self) -> dict[str, int]:
        styles = _Styles()
        for part in related(self._archive, self._main, "styles"):
            with self._archive.open(part) as stream:
                parse_all(stream, styles)
        return styles.levels


class _DocxReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`."""
        with open_archive(source, options.limits) as archive:
            yield _DocxFile(archive, options.limits)


READER: Final[DocumentReader] = _DocxReader()
