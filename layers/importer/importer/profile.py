"""Where a table begins and ends: titles above it, its header, and the totals and notes below it."""

import re
from collections import Counter
from collections.abc import Sequence

from importer.values import Cell

_HEADER_WITHIN = 40  # rows
_LONGEST_NAME = 200  # characters
_FOOTER_WITHIN = 10  # rows
_NUMBER = re.compile(r"[-+(]?[^\w\s]?\s?\d[\d.,'’\s\u00a0]*[%)€$£¥-]?(?:\s?[A-Z€$£¥%]{1,3})?")
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[T ].*)?|\d{1,2}:\d{2}.*")
_YEAR = re.compile(r"(?:19|20)\d\d")
_TOTAL = re.compile(
    r"(?:grand |sub|overall |net )?-?totals?\b|sum\b|summe\b|gesamt|zwischensumme|somme\b|sous-total|suma\b|soma\b"
    r"|totale\b|totaal\b|razem\b|celkem\b|итого|合計|总计|總計|小計|합계",
    re.IGNORECASE,
)
_NOTE = re.compile(
    r"\*|source\b|quelle\b|note\b|hinweis\b|\(?\d+ rows?\b|stand:|as of\b|generated\b|erstellt\b", re.IGNORECASE
)


def find_header(rows: Sequence[Sequence[Cell]]) -> int | None:
    """Index of the header among a table's first rows; None where it has none.

    Titles stand above it: rows that fill less of the width than the rows below do.
    """
    filled = [sum(not _is_empty(cell) for cell in row) for row in rows]
    if not any(filled):
        return None
    usual = Counter(count for count in filled if count).most_common(1)[0][0]
    widest = max(usual, sorted(filled)[len(filled) // 2])
    for index, row in enumerate(rows[:_HEADER_WITHIN]):
        if filled[index] < max(1, widest * 0.6) or (widest > 1 and filled[index] < 2):
            continue
        return index if _is_header(row, rows[index + 1 :]) else None
    return None


def _is_header(row: Sequence[Cell], below: Sequence[Sequence[Cell]]) -> bool:
    names = [cell for cell in row if not _is_empty(cell)]
    texts = [str(cell).strip() for cell in names]
    if any(not isinstance(cell, str) and not _YEAR.fullmatch(str(cell)) for cell in names):
        return False
    if any(len(text) > _LONGEST_NAME for text in texts):
        return False
    values = [text for text in texts if looks_like_value(text)]
    if values and (len(values) == len(texts) or not all(map(_YEAR.fullmatch, values))):
        return False
    return not _is_repeated(row, below)


def _is_repeated(row: Sequence[Cell], below: Sequence[Sequence[Cell]]) -> bool:
    """Whether a cell stands in its column again and again: then it is a value."""
    for place, cell in enumerate(row):
        if _is_empty(cell):
            continue
        again = sum(len(other) > place and other[place] == cell for other in below)
        if again >= 2:
            return True
    return False


def looks_like_value(text: str) -> bool:
    """Whether a text is a number, a date or a time rather than a name."""
    return bool(_NUMBER.fullmatch(text) or _DATE.fullmatch(text))


def count_footer(rows: Sequence[Sequence[Cell]], width: int) -> int:
    """How many of a table's last rows are totals, notes or blank rows before them."""
    footer = 0
    for count, row in enumerate(reversed(rows[-_FOOTER_WITHIN:]), start=1):
        cells = [str(cell).strip() for cell in row if not _is_empty(cell)]
        if not cells:
            continue
        found = _TOTAL.match(cells[0])
        # "Total Energies" with a value in each column is a customer, not a sum.
        is_word = found is not None and (" " not in cells[0] or not cells[0][found.end() :].strip(" :."))
        is_total = found is not None and width > 1 and (is_word or len(cells) < max(width, 3)) and len(cells) <= width
        # A single word may be all that is left of a row that was cut off.
        is_text = width > 2 and len(row) < width and " " in cells[0]
        is_note = len(cells) == 1 and width > 1 and (_NOTE.match(cells[0]) or is_text)
        if not (is_total or is_note):
            break
        footer = count
    while 0 < footer < len(rows) and all(map(_is_empty, rows[-footer - 1])):
        footer += 1
    return footer


def name_columns(header: Sequence[Cell], width: int) -> tuple[str, ...]:
    """Unique names for `width` columns: the header's own, numbered where they repeat, made up where they lack."""
    names: list[str] = []
    seen: Counter[str] = Counter()
    for place in range(max(width, len(header))):
        cell = header[place] if place < len(header) else ""
        text = " ".join(str(cell).split())[:_LONGEST_NAME] if not _is_empty(cell) else f"column_{place + 1}"
        name, key = text, text.casefold()
        while seen[key]:
            seen[text.casefold()] += 1
            name = f"{text} ({seen[text.casefold()]})"
            key = name.casefold()
        seen[key] += 1
        names.append(name)
    return tuple(names)


def _is_empty(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())
