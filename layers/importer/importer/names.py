"""How alike the name of a column and the name of a field are, across languages, spellings and abbreviations."""

import re
import unicodedata
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
_UNIT = re.compile(
    r"[(\[]\s*([^)\]]{1,12})\s*[)\]]|\s(?:in|en)\s+([^\W\d_]{1,4}|%|€|\$)$|_(kg|g|cm|mm|eur|usd|pct)$",
    re.IGNORECASE,
)
_CLOSE = 0.86  # of two words, so that a typing mistake is forgiven
_SHORTEST_PART = 3
# How much a concept tells, where it is not 1.
_WEIGHTS = {
    "id": 0.4,
    "name": 0.6,
    "date": 0.7,
    "amount": 0.7,
    "full": 0.2,
    "unit": 0.6,
    "total": 0.7,
    "description": 0.8,
}
_STOPWORDS = frozenset(
    (
        *("of", "the", "a", "an", "in", "on", "at", "by", "to", "for", "from", "and"),
        *("der", "die", "das", "den", "des", "im", "am", "zu", "fur", "von", "vom", "und"),
        *("de", "la", "le", "les", "du", "l", "d", "pour", "par", "et", "en", "el", "los", "las", "para", "y"),
        *("da", "do", "di", "del", "della", "dei", "e", "van", "het"),
    )
)
# One concept per line, then what people call it, in the languages and abbreviations that we meet.
_VOCABULARY = Path(__file__).with_name("vocabulary.txt")
_LINKS = ("", "s", "n", "en")  # between the parts of a German compound


def plain(name: str) -> str:
    """A name without case, accents and signs: what is equal then is called the same."""
    return " ".join(_words(name))


def unit_of(name: str) -> str:
    """The unit that a column's name tells ("Weight (g)", "Betrag in EUR"); empty where it tells none."""
    found = _UNIT.search(name.strip())
    return next(filter(None, found.groups()), "").strip() if found else ""


def likeness(name: str, wanted: str) -> float:
    """How likely two names mean the same: 1 where they are equal, 0 where they have nothing in common."""
    if plain(name) == plain(wanted):
        return 1.0
    first, second = concepts(name), concepts(wanted)
    if not first or not second:
        return 0.0
    shared = sum(_weight(concept) for concept in first & second)
    left, right = first - second, second - first
    for word in list(left):
        close = max(right, key=lambda other: SequenceMatcher(None, word, other).ratio(), default="")
        if (
            close
            and min(len(word), len(close)) > _SHORTEST_PART
            and SequenceMatcher(None, word, close).ratio() >= _CLOSE
        ):
            shared += _weight(close) * 0.95
            right = right - {close}
    both = sum(map(_weight, first)) + sum(map(_weight, second))
    return min(2 * shared / both, 0.99)


@cache
def concepts(name: str) -> frozenset[str]:
    """What a name is about: concepts where they are known, the words themselves where not."""
    bare = _UNIT.sub(" ", name)
    found: set[str] = set()
    for word in _words(bare):
        if word in _STOPWORDS:
            continue
        found |= _meanings().get(word) or _parts(word) or frozenset((word,))
    return frozenset(found)


def _weight(concept: str) -> float:
    return _WEIGHTS.get(concept, 1.0)


@cache
def _meanings() -> dict[str, frozenset[str]]:
    meanings: dict[str, frozenset[str]] = {}
    for line in _VOCABULARY.read_text(encoding="utf-8").splitlines():
        concept, _, words = line.partition(": ")
        for word in words.split():
            # A word of two meanings has the one that is listed first.
            meanings.setdefault("".join(_words(word)), frozenset((concept,)))
    return meanings | {
        "vorname": frozenset(("first", "name")),
        "nachname": frozenset(("last", "name")),
        "dob": frozenset(("birth", "date")),
        "geburtsdatum": frozenset(("birth", "date")),
        "eintrittsdatum": frozenset(("hire", "date")),
        "einzelpreis": frozenset(("unit", "price")),
        "stuckpreis": frozenset(("unit", "price")),
        "gesamtbetrag": frozenset(("total", "amount")),
        "kdnr": frozenset(("customer", "id")),
        "po": frozenset(("order", "id")),
        "sku": frozenset(("product", "id")),
        "firmenname": frozenset(("company", "name")),
        "unitprice": frozenset(("unit", "price")),
        "生年月日": frozenset(("birth", "date")),
    }


def _parts(word: str) -> frozenset[str]:
    """The meanings of a compound's parts (`Rechnungsdatum`), if all of it is known."""
    known = _meanings()
    for cut in range(len(word) - 1, 0, -1):
        head, rest = word[:cut], word[cut:]
        if head not in known or (head.isascii() and len(head) < _SHORTEST_PART):
            continue
        for link in _LINKS:
            tail = rest.removeprefix(link) if rest.startswith(link) else None
            if tail and (found := known.get(tail) if len(tail) > 1 else None):
                return known[head] | found
    return frozenset()


def _words(name: str) -> list[str]:
    spaced = _CAMEL.sub(" ", name.strip())
    folded = unicodedata.normalize("NFKD", spaced.casefold())
    bare = "".join(sign for sign in folded if not unicodedata.combining(sign))
    return _WORD.findall(unicodedata.normalize("NFKC", bare).replace("°", "").replace("º", ""))
