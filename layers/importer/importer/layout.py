"""Pages of a text that comes in pieces: headings with their place, tables as lines, pages of bounded length."""

import re
from collections.abc import Iterator

from importer.values import Heading, Page, PageImage

_LONGEST_PAGE = 100_000  # characters; what has no pages of its own is cut at the end of a paragraph
_BETWEEN_CELLS = " | "
_HALVES = re.compile("[\ud800-\udfff]")  # of characters, which mails smuggle in and nothing can write


class Layout:
    """Gathers text and makes pages of it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._headings: list[Heading] = []
        self._images: list[PageImage] = []
        self._ready: list[Page] = []
        self._number = 0
        self._is_line_empty = True

    def add(self, text: str) -> None:
        """Text that goes on where the last one ended."""
        if text:
            self._pieces.append(_HALVES.sub("\ufffd", text))
            self._size += len(text)
            self._is_line_empty = text.endswith("\n")

    def end_line(self) -> None:
        """What follows stands on a line of its own."""
        if not self._is_line_empty:
            self.add("\n")
        if self._size > _LONGEST_PAGE:
            self.end_page()

    def add_line(self, text: str) -> None:
        """A line of its own."""
        self.end_line()
        if text:
            self.add(text)
            self.end_line()

    def add_row(self, cells: list[str]) -> None:
        """A row of a table."""
        self.add_line(_BETWEEN_CELLS.join(" ".join(cell.split()) for cell in cells))

    def add_heading(self, text: str, level: int) -> None:
        """A heading, on a line of its own."""
        self.end_line()
        self._headings.append(Heading(offset=self._size, level=level, text=_HALVES.sub("\ufffd", text)))
        self.add_line(text)

    def add_image(self, image: PageImage) -> None:
        """An image that stands here."""
        self._images.append(image)

    def end_page(self, *, is_kept_empty: bool = False) -> None:
        """What follows stands on the next page. A page with nothing on it is none, unless it is kept."""
        text = "".join(self._pieces)
        if text.strip() or self._images or is_kept_empty:
            self._number += 1
            self._ready.append(
                Page(
                    number=self._number,
                    text=text,
                    headings=tuple(self._headings),
                    images=tuple(self._images),
                    is_scan=bool(self._images) and not text.strip(),
                )
            )
        self._pieces, self._size, self._headings, self._images = [], 0, [], []
        self._is_line_empty = True

    def take(self) -> Iterator[Page]:
        """The pages that are complete; each is given once."""
        ready, self._ready = self._ready, []
        return iter(ready)
