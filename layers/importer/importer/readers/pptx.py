"""PowerPoint presentations (pptx, pptm): one page per slide, with its tables, charts, diagrams and notes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from importer.archive import Archive, open_archive
from importer.layout import Layout
from importer.markup import Attributes, Listener, parse_all
from importer.office import MACROS, Relation, has_macros, image_of, main_part, related, relations
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import Source
from importer.values import Page

_TITLES = frozenset(("title", "ctrTitle"))
_FURNITURE = frozenset(("sldNum", "dt", "ftr", "hdr"))  # placeholders that say the same on every slide


class _Slide:
    """Hears the text of a slide, its notes or a diagram."""

    def __init__(self, archive: Archive, layout: Layout, parts: dict[str, Relation]) -> None:
        self.is_hidden = False
        self.charts: list[str] = []
        self._archive = archive
        self._layout = layout
        self._parts = parts
        self._placeholder = ""
        self._paragraph: list[str] = []
        self._is_text = False
        self._row: list[str] | None = None
        self._cell: list[str] | None = None

    def start(self, name: str, attributes: Attributes) -> None:
        match name:
            case "sld":
                self.is_hidden = attributes.get("show") in {"0", "false"}
            case "sp":
                self._placeholder = ""
            case "ph":
                self._placeholder = attributes.get("type", "body")
            case "t":
                self._is_text = True
            case "br":
                self._paragraph.append("\n")
            case "tr":
                self._row = []
            case "tc":
                self._cell = []
            case _:
                self._start_frame(name, attributes)

    def _start_frame(self, name: str, attributes: Attributes) -> None:
        match name:
            case "cNvPr" if attributes.get("descr"):
                self._layout.add_line(f"Image: {attributes['descr']}")
            case "chart" if found := self._parts.get(attributes.get("id", "")):
                self.charts.append(found.target)
            case "blip" if found := self._parts.get(attributes.get("embed", "")):
                if image := image_of(self._archive, found.target):
                    self._layout.add_image(image)

    def end(self, name: str) -> None:
        match name:
            case "t":
                self._is_text = False
            case "p":
                self._end_paragraph()
            case "tc" if self._row is not None and self._cell is not None:
                self._row.append(" ".join(self._cell))
                self._cell = None
            case "tr" if self._row is not None:
                self._layout.add_row(self._row)
                self._row = None

    def text(self, text: str) -> None:
        if self._is_text:
            self._paragraph.append(text)

    def _end_paragraph(self) -> None:
        text, self._paragraph = "".join(self._paragraph), []
        if self._cell is not None:
            self._cell.append(text)
        elif self._placeholder in _TITLES and text.strip():
            self._layout.add_heading(text.strip(), 1)
        elif self._placeholder not in _FURNITURE:
            self._layout.add_line(text)


class _Chart:
    """Hears the title of a chart and its series."""

    def __init__(self) -> None:
        self.title: list[str] = []
        self.series: list[tuple[list[str], list[str], list[str]]] = []
        self._open: list[str] = []

    def start(self, name: str, attributes: Attributes) -> None:
        del attributes
        self._open.append(name)
        if name == "ser":
            self.series.append(([], [], []))

    def end(self, name: str) -> None:
        del name
        self._open.pop()

    def text(self, text: str) -> None:
        inside = self._open
        if inside[-1] == "t" and "title" in inside:
            self.title.append(text)
        elif inside[-1] == "v" and self.series and "ser" in inside:
            for place, part in enumerate(("tx", "cat", "val")):
                if part in inside:
                    self.series[-1][place].append(text)

    def write(self, layout: Layout) -> None:
        layout.add_line(f"Chart: {' '.join(self.title)}")
        for names, categories, values in self.series:
            labels = categories if len(categories) == len(values) else [""] * len(values)
            pairs = (f"{label}: {value}" if label else value for label, value in zip(labels, values, strict=True))
            layout.add_row([" ".join(names), *pairs])


class _PptxFile:
    """An open presentation."""

    def __init__(self, archive: Archive, limits: Limits) -> None:
        self._archive = archive
        self._slides = _slides(archive)
        self.page_count = len(self._slides)
        if self.page_count > limits.max_pages:
            raise refuse(ProblemCode.TOO_MANY_PAGES, f"a document may have {limits.max_pages} pages")
        self._hidden: set[int] = set()
        self._macros = (MACROS,) if has_macros(archive) else ()

    @property
    def notices(self) -> tuple[str, ...]:
        """See `DocumentFile`; hidden slides are known once they are read."""
        return (*self._macros, *(f"slide {number} is hidden in the presentation" for number in sorted(self._hidden)))

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`."""
        for number in range(first_page, self.page_count + 1):
            yield self._page(number)

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`: what is embedded is left alone."""
        return iter(())

    def _page(self, number: int) -> Page:
        part = self._slides[number - 1]
        layout = Layout()
        parts = relations(self._archive, part)
        slide = _Slide(self._archive, layout, parts)
        self._parse(part, slide)
        if slide.is_hidden:
            self._hidden.add(number)
        for target in slide.charts:
            if target in self._archive:
                chart = _Chart()
                self._parse(target, chart)
                chart.write(layout)
        for diagram in related(self._archive, part, "diagramData"):
            self._parse(diagram, _Slide(self._archive, layout, {}))
        for notes in related(self._archive, part, "notesSlide"):
            layout.add_line("Notes:")
            self._parse(notes, _Slide(self._archive, layout, {}))
        layout.end_page(is_kept_empty=True)
        pages = list(layout.take())
        return Page(
            number=number,
            text="".join(page.text for page in pages),
            headings=pages[0].headings,
            images=tuple(image for page in pages for image in page.images),
            is_scan=all(page.is_scan for page in pages),
        )

    def _parse(self, part: str, listener: Listener) -> None:
        with self._archive.open(part) as stream:
            parse_all(stream, listener)


class _Order:
    """Hears in which order the slides come."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "sldId":
            self.ids.append(attributes.get("id", ""))

    def end(self, name: str) -> None:
        pass

    def text(self, text: str) -> None:
        pass


def _slides(archive: Archive) -> list[str]:
    main = main_part(archive)
    parts = relations(archive, main)
    order = _Order()
    with archive.open(main) as stream:
        parse_all(stream, order)
    found = [parts[identity].target for identity in order.ids if identity in parts]
    return [part for part in found if part in archive]


class _PptxReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`."""
        with open_archive(source, options.limits) as archive:
            yield _PptxFile(archive, options.limits)


READER: Final[DocumentReader] = _PptxReader()
