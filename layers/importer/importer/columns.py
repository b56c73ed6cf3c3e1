"""Works on a column of values at once: from memory where values repeat, in bulk where they do not.

Either way each value becomes what it would become alone. A value that is not taken costs itself and no other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from importer.problems import ProblemCode
from importer.values import Cell

type Column = list[Cell]
type Fault = tuple[ProblemCode, str]
"""Why a value was not taken: the code and a message that does not repeat the value."""

type Faults = dict[int, Fault]
"""The faults of a column, by the place in it. A value with a fault is None from then on."""

_LONGEST_KNOWN = 100  # characters of such a value
_PATIENCE = 1_000  # values that may be new before a column counts as one without repetition


def as_texts(column: Column) -> list[str]:
    """The column, taken for texts without a look: who uses it is ready for what methods of str raise for others."""
    return column  # type: ignore[return-value] # a look would cost as much as the work


class CellFaultError(Exception):
    """A value that is not taken."""

    def __init__(self, message: str, code: ProblemCode = ProblemCode.TYPE_ERROR) -> None:
        super().__init__(message)
        self.fault: Fault = (code, message)


def has_none(column: Column) -> bool:
    """Whether a value is None; where all are true, which is quick to see, none is."""
    return not all(column) and None in column


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is done to the values of a column.

    Attributes:
        one: Makes a value of a value that is not None; raises CellFaultError.
        many: Does the same to a whole column, in which None stays None, and notes the faults; None where that is not
            faster.
        is_for_none: `one` takes None as well.
    """

    one: Callable[[Cell], Cell]
    many: Callable[[Column, Faults], Column] | None = None
    is_for_none: bool = False


class Chain:
    """Steps one after the other; None, and what has a fault, is left alone by those that come after."""

    def __init__(self, steps: Sequence[Step], *, memory: int) -> None:
        """Chain `steps`, remembering what became of at most `memory` texts."""
        self._steps = tuple(steps)
        self._known: _Known | None = _Known(self.one, memory)
        self._bulk = [step.many for step in steps if step.many]
        self._has_bulk = len(self._bulk) == len(steps)
        self._seen = 0

    def one(self, value: Cell) -> Cell:
        """What becomes of one value.

        Raises:
            CellFaultError: It is not taken.
        """
        for step in self._steps:
            if value is not None or step.is_for_none:
                value = step.one(value)
        return value

    def many(self, column: Column, faults: Faults) -> Column:
        """What becomes of a column's values; what is not taken is None and noted."""
        known = self._known
        if known is None:
            for many in self._bulk:
                column = many(column, faults)
            return column
        try:
            made = cells(column, faults, known.__getitem__)
        except TypeError:  # there is a list or an object in it, which cannot be remembered
            return cells(column, faults, self.one)
        self._seen += len(column)
        if self._has_bulk and known.misses > _PATIENCE + self._seen // 8:
            self._known = None
        return made


def unless_none(one: Callable[[Cell], Cell]) -> Callable[[Cell], Cell]:
    """`one`, which leaves None alone."""
    return lambda value: None if value is None else one(value)


def cells(column: Column, faults: Faults, one: Callable[[Cell], Cell], first: int = 0) -> Column:
    """What `one` makes of each value, None included; `first` is the place of the first one."""
    made: Column = []
    left = iter(column)
    while True:
        try:
            # What was made before an exception stays in the list: the next value is the one that raised it.
            made.extend(map(one, left))
        except CellFaultError as exc:
            faults[first + len(made)] = exc.fault
            made.append(None)
        else:
            return made


class _Known(dict[Cell, Cell]):
    """What became of texts before: most columns of dates, codes and words have few values."""

    def __init__(self, one: Callable[[Cell], Cell], most: int) -> None:
        self._one = one
        self._most = most
        self.misses = 0

    def __missing__(self, value: Cell) -> Cell:
        self.misses += 1
        made = self._one(value)
        # Numbers are not remembered: 1, 1.0 and True are the same key.
        if value is None or (isinstance(value, str) and len(value) <= _LONGEST_KNOWN):
            if len(self) >= self._most:
                self.clear()
            self[value] = made
        return made
