"""Markdown's tables as lines of a fixed-width font, for platforms that show no tables."""

import re
import unicodedata
from collections.abc import Callable, Sequence

_MAX_COLUMN = 40  # characters a cell is padded to; longer ones are shown whole, unaligned
_DELIMITER_ROW = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


def is_delimiter_row(header: str, line: str) -> bool:
    """Whether `line` makes the line before it the header of a table."""
    if not _DELIMITER_ROW.fullmatch(line) or "-" not in line:
        return False
    return len(_cells(header)) == len(_cells(line))


def align(table: Sequence[str], plain_text: Callable[[str], str]) -> list[str]:
    """A table's lines, header and delimiter row first, with its columns aligned; `plain_text` reads a cell."""
    rules = _cells(table[1])
    rows = [[plain_text(cell) for cell in _cells(row)] for row in (table[0], *table[2:])]
    widths = [
        min(_MAX_COLUMN, max((_width(row[column]) for row in rows if column < len(row)), default=0))
        for column in range(len(rules))
    ]
    shown = [" | ".join(_pad(row, widths, rules)).rstrip() for row in rows]
    shown.insert(1, "-+-".join("-" * width for width in widths))
    return shown


def _cells(row: str) -> list[str]:
    inner = row.strip().removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    return [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(inner)]


def _pad(row: list[str], widths: list[int], rules: list[str]) -> list[str]:
    padded: list[str] = []
    for column, cell in enumerate(row):
        room = max(0, widths[column] - _width(cell)) if column < len(widths) else 0
        rule = rules[column] if column < len(rules) else "-"
        before = room if rule.endswith(":") else 0
        if rule.startswith(":") and rule.endswith(":"):
            before = room // 2
        padded.append(f"{' ' * before}{cell}{' ' * (room - before)}")
    return padded


def _width(text: str) -> int:
    """How many columns a text takes in a fixed-width font: East Asian letters and emoji take two, accents none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
