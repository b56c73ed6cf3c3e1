"""The ranges of a large file: where each begins, whether they fit together, and what they are in all; pure decisions.

A range begins where a scan of the file says that a record does: quote parity tells whether a place is inside a quoted
cell. Parity believes what the file says of itself, and stray quotes lie. So nothing is joined on its word: a range ends
where the reader, reading on, begins its next record, and the next range is worth something only if it began there.
What began elsewhere is converted again from the right place. The result is that of one reader for any file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pydantic import Field

from core.models import Value
from importer.problems import ProblemCode
from importer.values import Checkpoint, Position

_MOST_RANGES = 500
# The reader looks less far for the end of a quoted cell once it met so many without an end (`importer.cutting`).
FEW_STRAYS = 100


class Scan(Value):
    """What looking through a range's bytes tells.

    Attributes:
        is_odd: Its number of quotes is odd: what is outside a quoted cell at its beginning is inside at its end.
        outside: Where its first record begins if its beginning is outside a quoted cell; None where none does.
        inside: The same if its beginning is inside one.
        outside_fit: How many of the first rows from there on look right, from 0 to 1.
        inside_fit: The same of the other place.
    """

    is_odd: bool = False
    outside: int | None = None
    inside: int | None = None
    outside_fit: float = 0.0
    inside_fit: float = 0.0


class RangeWork(Value):
    """One range, and what is stored of it; the document of an `ImportRange`.

    Attributes:
        begin: Of the bytes that are looked through.
        end: Of the bytes that are looked through.
        quote: The file's; empty where it does not quote.
        escape: The file's; empty where quotes are doubled.
        is_spooled: Whether the lines are made that an output is made of, instead of the output.
        generation: How often it was begun anew from another place.
        start: Where its first record begins; empty where none does.
        border: Where the next range begins; None for the table's end.
        reached: How far it is for good; None before the first piece.
        pieces: Sizes of the pieces of its output, in order.
        rejects: Sizes of the pieces of its rejects, in order.
        problem: Code and message of what ended it early.
    """

    begin: int
    end: int
    quote: str = ""
    escape: str = ""
    is_spooled: bool = False
    scan: Scan | None = None
    generation: int = 0
    start: dict[str, int] = Field(default_factory=dict)
    border: int | None = None
    reached: Checkpoint | None = None
    pieces: tuple[int, ...] = ()
    rejects: tuple[int, ...] = ()
    problem: tuple[str, str] | None = None

    @property
    def rows_rejected(self) -> int:
        """Of the rows that are stored."""
        return self.reached.rows_rejected if self.reached else 0

    def begun_at(self, start: Position, border: int | None) -> "RangeWork":
        """This range with another beginning, and nothing done."""
        changes = {"start": dict(start), "border": border, "generation": self.generation + 1}
        return self.model_copy(update={**changes, "reached": None, "pieces": (), "rejects": (), "problem": None})


def cut(start: int, end: int, size: int) -> list[tuple[int, int]]:
    """Equal pieces of the bytes from `start` to `end`, of about `size`; 500 at most."""
    count = max(1, min(_MOST_RANGES, -(-(end - start) // size)))
    places = [start + (end - start) * number // count for number in range(count + 1)]
    return list(pairwise(places))


def choose_starts(works: Sequence[RangeWork]) -> list[int | None]:
    """Where each range's first record begins, by parity; where what follows looks wrong, by what looks right."""
    starts: list[int | None] = [works[0].begin]
    is_inside = False
    for before, work in pairwise(works):
        is_inside ^= before.scan is not None and before.scan.is_odd
        scan = work.scan or Scan()
        chosen, other = (scan.inside_fit, scan.outside_fit) if is_inside else (scan.outside_fit, scan.inside_fit)
        if other > chosen:
            is_inside = not is_inside
        starts.append(scan.inside if is_inside else scan.outside)
    return starts


def place(works: Sequence[RangeWork], first: Position) -> list[RangeWork]:
    """The scanned ranges with their beginnings and borders; `first` is where the table begins."""
    starts = choose_starts(works)
    placed: list[RangeWork] = []
    for number, work in enumerate(works):
        offset = starts[number]
        if offset is None:
            placed.append(work)
            continue
        border = next((each for each in starts[number + 1 :] if each is not None), None)
        start = dict(first) if not number else {"offset": offset, "line": 1, "row": 0}
        start.pop("end", None)
        placed.append(work.model_copy(update={"start": start, "border": border}))
    return placed


@dataclass(frozen=True, slots=True)
class Shift:
    """What has to be added to a range's own row and line numbers."""

    row: int
    line: int


@dataclass(frozen=True, slots=True)
class Whole:
    """Ranges that fit together.

    Attributes:
        count: How many of them count: all, or those up to the one at which the import failed.
        shifts: Of each that counts.
        last: How far the import is after them.
        problem: Code and message of what ended the import there.
    """

    count: int
    shifts: tuple[Shift, ...]
    last: Checkpoint
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A range that began where no record does, and where it has to begin."""

    number: int
    start: Mapping[str, int]


def count_needed(works: Sequence[RangeWork], rejected: Sequence[int], max_errors: int | None) -> int:
    """How many ranges decide how the import ends; the others are beyond the one at which it fails."""
    total = 0
    for number, (work, count) in enumerate(zip(works, rejected, strict=True), start=1):
        total += count
        if work.problem or (max_errors is not None and total > max_errors):
            return number
    return len(works)


def fit(works: Sequence[RangeWork], first: Position, etag: str, max_errors: int | None) -> Whole | Misplaced:
    """What ranges that are done make in all, or the first of them that began at the wrong place."""
    needed = count_needed(works, [work.rows_rejected for work in works], max_errors)
    true = {"strays": 0, **first}
    shifts: list[Shift] = []
    ok = rejected = done = 0
    for number, work in enumerate(works[:needed]):
        if not work.start:
            shifts.append(Shift(0, 0))
            continue
        end = work.reached.position if work.reached else work.start
        strays = end.get("strays", 0) - work.start.get("strays", 0)
        is_known = work.start.get("strays", 0) == true["strays"] or true["strays"] + strays < FEW_STRAYS
        if work.start["offset"] != true["offset"] or not is_known:
            return Misplaced(number, {name: count for name, count in true.items() if name != "end"})
        shift = Shift(true["row"] - work.start["row"], true["line"] - work.start["line"])
        shifts.append(shift)
        if work.reached:
            ok, rejected = ok + work.reached.rows_ok, rejected + work.reached.rows_rejected
            done = work.reached.bytes_done
        true |= {"offset": end["offset"], "row": end["row"] + shift.row, "line": end["line"] + shift.line}
        true["strays"] += strays
    last = Checkpoint(etag=etag, rows_ok=ok, rows_rejected=rejected, bytes_done=done, is_done=True)
    problem = works[needed - 1].problem
    if problem is None and max_errors is not None and rejected > max_errors:
        problem = (ProblemCode.TOO_MANY_ERRORS.value, f"more than {max_errors} rows do not fit")
    return Whole(needed, tuple(shifts), last, problem)


def replaced(works: Sequence[RangeWork], wrong: Misplaced) -> dict[int, RangeWork]:
    """The ranges that have to be done again: the misplaced one, and those that what is before it has swallowed."""
    offset = wrong.start["offset"]
    later = range(wrong.number + 1, len(works))
    swallowed = [number for number in later if works[number].start and works[number].start["offset"] <= offset]
    border = next((works[n].start["offset"] for n in later if works[n].start and n not in swallowed), None)
    again = {number: works[number].begun_at({}, None) for number in swallowed}
    # The misplaced one is the last to be stored: until then it is found again.
    return {**again, wrong.number: works[wrong.number].begun_at(wrong.start, border)}
