"""Looks through the bytes of a range for where its records begin, many times faster than reading them."""

from importer.ranges import RangeWork, Scan
from importer.readers import TableFile
from importer.source import Source
from importer.values import Table

_BLOCK = 1024 * 1024
_FIRST_ROWS = 5
_LOOKED_FOR = 4 * 1024 * 1024  # bytes in which a record begins, or the range before goes on through this one


def scan(source: Source, work: RangeWork, file: TableFile, table: Table, *, is_first: bool) -> Scan:
    """What a range's bytes tell; of one without quotes only its beginning is looked at.

    Args:
        source: The file's bytes.
        work: The range.
        file: The open file, to look at the rows after a place.
        table: The table of it.
        is_first: The first range begins where the table does.
    """
    quotes, places = _look_through(source, work)
    if is_first:
        return Scan(is_odd=quotes % 2 == 1)
    outside, inside = places
    return Scan(
        is_odd=quotes % 2 == 1,
        outside=outside,
        inside=inside,
        outside_fit=_fit(file, table, outside) if work.quote else 1.0,
        inside_fit=_fit(file, table, inside),
    )


def _look_through(source: Source, work: RangeWork) -> tuple[int, list[int | None]]:
    """How many quotes there are, and where the first line begins after an even and after an odd number of them."""
    quote, escape = work.quote.encode(), work.escape.encode()
    places: list[int | None] = [None, None]
    quotes, offset, last = 0, work.begin, b""
    with source.open(work.begin) as stream:
        while offset < work.end and (block := stream.read(min(_BLOCK, work.end - offset))):
            if offset - work.begin < _LOOKED_FOR:
                _find_places(block, quote, quotes, offset, places)
            if not quote and places[0] is not None:
                break
            quotes += _count(last + block, quote, escape) if quote else 0
            last = block[-1:] if escape and block.endswith(escape) else b""
            offset += len(block)
    return quotes, [None if place is None or place >= work.end else place for place in places]


def _find_places(block: bytes, quote: bytes, quotes: int, offset: int, places: list[int | None]) -> None:
    """Note the first line that begins in a block after an even, and after an odd, number of quotes."""
    at = 0
    while None in places and (found := block.find(b"\n", at)) >= 0:
        quotes += block.count(quote, at, found) if quote else 0
        if places[quotes % 2] is None:
            places[quotes % 2] = offset + found + 1
        # Lines without a quote change nothing.
        at = block.find(quote, found + 1) if quote else -1
        if at < 0:
            return


def _count(block: bytes, quote: bytes, escape: bytes) -> int:
    return block.count(quote) - (block.count(escape + quote) if escape else 0)


def _fit(file: TableFile, table: Table, offset: int | None) -> float:
    """How many of the first rows from a place on are as wide as the table, from 0 to 1.

    The first alone: a reader that begins in the middle of a cell is right again a row or two further on.
    """
    if offset is None:
        return 0.0
    chunk = next(iter(file.read(table, {"offset": offset, "line": 1, "row": 0})), None)
    if chunk is None:
        return 1.0
    width = len(table.columns)
    rows = [(line, len(row) == width) for line, row in zip(chunk.lines, chunk.rows, strict=True)]
    first = sorted(rows + [(reject.line or 0, False) for reject in chunk.rejects])[:_FIRST_ROWS]
    return sum(is_right for _, is_right in first) / len(first) if first else 1.0
