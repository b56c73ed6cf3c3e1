"""Cuts documents into pieces that a model can take, at the borders of pages and headings, the same way every time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from importer.asking import estimate_tokens
from importer.values import Page

CHUNK_TOKENS = 6_000
_MIN_CHARACTERS = 400  # what is this short is not halved any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Text of one page, or a part of it that begins with a heading or a paragraph."""

    page: int
    text: str
    is_section: bool = False


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some pieces in order; what one question to the model is about."""

    number: int
    pieces: tuple[Piece, ...]

    @cached_property
    def tokens(self) -> int:
        """About how many tokens its text is."""
        return sum(estimate_tokens(piece.text) for piece in self.pieces)

    def halve(self) -> "tuple[Chunk, Chunk] | None":
        """The same text in two halves; None where it is too short for that."""
        if len(self.pieces) > 1:
            middle = len(self.pieces) // 2
            parts = self.pieces[:middle], self.pieces[middle:]
        else:
            (piece,) = self.pieces
            if len(piece.text) < _MIN_CHARACTERS:
                return None
            first, second = _cut(piece.text, len(piece.text) // 2)
            parts = (Piece(page=piece.page, text=first),), (Piece(page=piece.page, text=second),)
        return Chunk(number=self.number, pieces=parts[0]), Chunk(number=self.number, pieces=parts[1])


def cut_chunks(pages: Iterable[Page], most: int = CHUNK_TOKENS) -> Iterator[Chunk]:
    """Chunks of at most about `most` tokens, numbered from 1. Pages without text are in none."""
    number, gathered, size = 1, list[Piece](), 0
    for page in pages:
        for piece in _pieces(page, most):
            tokens = estimate_tokens(piece.text)
            is_full = size + tokens > most or (piece.is_section and size > most // 2)
            if gathered and is_full:
                yield Chunk(number=number, pieces=tuple(gathered))
                number, gathered, size = number + 1, [], 0
            gathered.append(piece)
            size += tokens
    if gathered:
        yield Chunk(number=number, pieces=tuple(gathered))


def _pieces(page: Page, most: int) -> Iterator[Piece]:
    """A page as it is, if it fits; else its sections, and those that are too long at their paragraphs."""
    if not page.text.strip():
        return
    is_section = bool(page.headings) and not page.text[: page.headings[0].offset].strip()
    if estimate_tokens(page.text) <= most:
        yield Piece(page=page.number, text=page.text, is_section=is_section)
        return
    borders = sorted({0, len(page.text), *(heading.offset for heading in page.headings)})
    for begin, end in pairwise(borders):
        rest = page.text[begin:end]
        is_first = begin > 0 or is_section
        while rest:
            length = len(rest) if estimate_tokens(rest) <= most else _fitting(rest, most)
            taken, rest = (rest, "") if length == len(rest) else _cut(rest, length)
            if taken.strip():
                yield Piece(page=page.number, text=taken, is_section=is_first)
                is_first = False


def _fitting(text: str, most: int) -> int:
    """How many characters from the beginning are about `most` tokens."""
    length = min(len(text), most * 4)
    while length > 1 and estimate_tokens(text[:length]) > most:
        length = length * 3 // 4
    return length


def _cut(text: str, length: int) -> tuple[str, str]:
    """The text in two, at most `length` characters before the cut: behind a paragraph, a line, a sentence or a word."""
    for border in ("\n\n", "\n", ". ", " "):
        place = text.rfind(border, length // 2, length)
        if place > 0:
            place += len(border)
            return text[:place], text[place:]
    return text[:length], text[length:]
