"""How a delimited text is written: its delimiter, its quote and its escape, found by trying each on a sample.

A dialect is right if its rows are equally wide and its cells look like values. Both count: a comma cuts `1,5;2,5` into
rows that are equally wide as well, but `5;2` looks like nothing.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from importer.values import Dialect

_DELIMITERS = (",", ";", "\t", "|", "^", "~", "\x1f", "\x01", ":", " ")  # the first of equals is taken
_QUOTES = ('"', "'")
_LINES = 200
_SHORT_CELL = 120
_SAMPLE = 256 * 1024  # characters
_RARE = {":": 0.7, " ": 0.6, "~": 0.95, "^": 0.95}  # they are part of times and of words

_VALUE = re.compile(
    r"""\s*(?:
      [-+(]?\s*[^\w\s]?\s*\d{1,3}(?:[.,'’\s\u00a0\u202f]?\d{3})*(?:[.,]\d+)?\s*[%)€$£¥-]?
        (?:\s?[A-Z]{3}|\s?[a-zA-Z%°²³]{1,4})?
      | [-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?
      | \d{1,4}[-./]\d{1,2}[-./]\d{1,4}
        (?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?\s?(?:Z|[AaPp][Mm]|[-+]\d{2}:?\d{2})?)?
      | \d{1,2}:\d{2}(?::\d{2})?
      | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
      | https?://\S+
      | \+?\d[\d\s()/-]{5,18}\d
      | [\w-]+
      | [^\W\d_][\w'’.&/()#+-]*(?:[ ,]{1,2}[\w'’.&/()#+-]+){0,12}[.!?]?
    )?\s*""",
    re.VERBOSE,
)


def detect(lines: Sequence[str]) -> Dialect:
    """The dialect of a sample; `lines` are its first lines, with or without their ends.

    A text of one column has a comma, as CSV says.
    """
    sample = _sample(lines)
    if not sample:
        return Dialect()
    if told := _told(sample[0]):
        return _with_escape(Dialect(delimiter=told), sample)
    best, best_score = Dialect(), 0.0
    text = "\n".join(sample)
    for delimiter in _DELIMITERS:
        if delimiter not in text:
            continue
        for quote in _quotes(text, delimiter):
            dialect = _with_escape(Dialect(delimiter=delimiter, quote=quote), sample)
            score = _score(dialect, sample) * _RARE.get(delimiter, 1.0)
            if score > best_score + 0.001:
                best, best_score = dialect, score
    return best if best_score else _with_escape(best, sample)


def _sample(lines: Sequence[str]) -> list[str]:
    """As much of the lines as is worth a look: each delimiter is tried on all of it."""
    sample: list[str] = []
    left = _SAMPLE
    for line in lines:
        if line.strip() and left > 0 and len(sample) < _LINES:
            sample.append(line[:left].rstrip("\r\n"))
            left -= len(line)
    return sample


def _told(line: str) -> str:
    """What a first line `sep=;` says, as spreadsheet programs write it."""
    found = re.fullmatch(r"\ufeff?\"?sep=(.)\"?,*;*", line.strip(" \r\n"), re.IGNORECASE)
    return found[1] if found else ""


def _quotes(text: str, delimiter: str) -> Iterator[str]:
    """The quotes that begin a cell somewhere; the double quote where none does."""
    found = [quote for quote in _QUOTES if any(_is_quoted(line, delimiter, quote) for line in text.split("\n"))]
    yield from found or _QUOTES[:1]


def _is_quoted(line: str, delimiter: str, quote: str) -> bool:
    """Whether a cell begins with the quote, and one that ends with it follows; one search from each side."""
    if quote not in line:
        return False
    cut = re.escape(delimiter)
    begin = re.search(rf"(?:^|{cut})\s?{quote}", line)
    end = re.search(rf"(?:^|{cut})\s?{quote}", line[::-1])
    return begin is not None and end is not None and begin.end() <= len(line) - end.end()


def _with_escape(dialect: Dialect, sample: Sequence[str]) -> Dialect:
    """The dialect with what can only be seen once the delimiter is known: escaping and blanks before quotes."""
    text = "\n".join(sample)
    cut, quote = re.escape(dialect.delimiter), re.escape(dialect.quote)
    is_escaped = (
        bool(re.search(rf"\\{quote}(?!\s*(?:{cut}|$))", text, re.MULTILINE))
        and dialect.quote + dialect.quote not in text
    )
    blanks = dialect.delimiter != " " and bool(re.search(rf"{cut} +{quote}", text))
    if not is_escaped and not blanks:
        return dialect
    return dialect.model_copy(update={"escape": "\\" if is_escaped else "", "skip_spaces": blanks})


def _score(dialect: Dialect, sample: Sequence[str]) -> float:
    rows = [row for row in parse(sample, dialect) if any(row)]
    if not rows:
        return 0.0
    widths = Counter(len(row) for row in rows)
    width, count = max(widths.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))
    if width < 2:
        return 0.0
    cells = [cell for row in rows if len(row) == width for cell in row]
    values = sum(len(cell) <= _SHORT_CELL and _VALUE.fullmatch(cell) is not None for cell in cells) / len(cells)
    # A few title and total rows do not count much; a wider table is a little more likely than a narrower one.
    return (count / len(rows)) ** 2 * (values + 0.01) * (1 - 0.5 / width)


def parse(lines: Sequence[str], dialect: Dialect) -> Iterator[list[str]]:
    """The rows of some lines, without complaint: for looking, not for importing."""
    reader = csv.reader((f"{line}\n" for line in lines), csv_dialect(dialect))
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error:
            continue


def csv_dialect(dialect: Dialect) -> type[csv.Dialect]:
    """The dialect as `csv.reader` takes it."""

    class Strict(csv.Dialect):
        delimiter = dialect.delimiter
        quotechar = dialect.quote or None
        quoting = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
        doublequote = not dialect.escape
        escapechar = dialect.escape or None
        skipinitialspace = dialect.skip_spaces
        lineterminator = "\n"

    return Strict
