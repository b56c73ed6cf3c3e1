"""Looks up in a document what a model says it has read there."""

import re
import unicodedata
from collections.abc import Iterable

from importer.chunks import Piece

MAX_QUOTE = 500  # characters
_MIN_QUOTE = 4  # characters; less than that stands everywhere
_SIGNS = str.maketrans(
    dict.fromkeys("\u2018\u2019", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"')
    | dict.fromkeys("\u2010\u2011\u2013\u2014", "-")
)
_SOFT = re.compile("[\u00ad\u200b\u200c\u200d\u2060\ufeff]")


def find_page(quote: str, page: int, pieces: Iterable[Piece]) -> int | None:
    """The page that a quote stands on: `page`, if it stands there; None where it stands on none.

    White space, kinds of quotation marks and dashes make no difference; letters and digits do.
    """
    wanted = normalise(quote)
    if not _MIN_QUOTE <= len(wanted) <= MAX_QUOTE:
        return None
    texts: dict[int, str] = {}
    for piece in pieces:
        texts[piece.page] = f"{texts.get(piece.page, '')} {normalise(piece.text)}"
    for number in sorted(texts, key=lambda each: each != page):
        if _stands_in(wanted, texts[number]):
            return number
    joined = " ".join(text.strip() for _, text in sorted(texts.items()))
    return min(texts) if texts and _stands_in(wanted, joined) else None


def normalise(text: str) -> str:
    """A text as it is compared."""
    plain = unicodedata.normalize("NFKC", _SOFT.sub("", text)).translate(_SIGNS)
    return " ".join(plain.split())


def _stands_in(quote: str, text: str) -> bool:
    """Whether the quote stands in the text, not as a part of a longer word or number."""
    place = text.find(quote)
    while place >= 0:
        before, after = text[place - 1 : place], text[place + len(quote) : place + len(quote) + 1]
        if not (before.isalnum() and quote[0].isalnum()) and not (after.isalnum() and quote[-1].isalnum()):
            return True
        place = text.find(quote, place + 1)
    return False
