"""Works on a column of values at once: fast where all of it is as expected, cell by cell only where it is not."""

from collections.abc import Callable

from importer.problems import ProblemCode
from importer.values import Cell

type Column = list[Cell]
type Fault = tuple[ProblemCode, str]
"""Why a value was not taken: the code and a message that does not repeat the value."""

type Faults = dict[int, Fault]
"""The faults of a column, by the place in it. A value with a fault is None from then on."""

type Step = Callable[[Column, Faults], Column]
"""Makes a column of a column; None stays None."""

_BLOCK = 12  # cells: a bad one costs its block a slow pass


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


def step(one: Callable[[Cell], Cell], many: Callable[[Column], Column] | None = None) -> Step:
    """A step from what is done to one value.

    Args:
        one: Makes a value of a value that is not None; raises CellFaultError.
        many: Does the same to a column without None, faster; raises ValueError, TypeError or AttributeError where some
            value is not as it expects, and then `one` decides.
    """

    def run(column: Column, faults: Faults) -> Column:
        if not has_none(column):
            return _blocks(column, faults, one, many)
        places = [place for place, value in enumerate(column) if value is not None]
        found: Faults = {}
        made = _blocks([column[place] for place in places], found, one, many)
        faults.update({places[place]: fault for place, fault in found.items()})
        result: Column = [None] * len(column)
        for place, value in zip(places, made, strict=True):
            result[place] = value
        return result

    return run


def _blocks(
    column: Column, faults: Faults, one: Callable[[Cell], Cell], many: Callable[[Column], Column] | None
) -> Column:
    if many is None:
        return _cells(column, 0, faults, one)
    try:
        return many(column)
    except (ValueError, TypeError, AttributeError):
        pass
    made: Column = []
    for start in range(0, len(column), _BLOCK):
        block = column[start : start + _BLOCK]
        try:
            made += many(block)
        except (ValueError, TypeError, AttributeError):
            made += _cells(block, start, faults, one)
    return made


def _cells(column: Column, start: int, faults: Faults, one: Callable[[Cell], Cell]) -> Column:
    made: Column = []
    for place, value in enumerate(column, start=start):
        try:
            made.append(one(value))
        except CellFaultError as exc:
            faults[place] = exc.fault
            made.append(None)
    return made


class Remembered:
    """Answers again what was asked before: most columns of dates, codes and words have few values."""

    _MOST = 20_000

    def __init__(self, one: Callable[[Cell], Cell]) -> None:
        """Remember what `one` makes of texts."""
        self._one = one
        self._known: dict[str, Cell] = {}

    def single(self, value: Cell) -> Cell:
        """What `one` says."""
        made = self._one(value)
        if isinstance(value, str) and made is not None:
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[value] = made
        return made

    def column(self, column: Column) -> Column:
        """All of a column from memory; what is not known yet is worked out.

        Raises:
            TypeError: A value is no text.
        """
        if set(map(type, column)) != {str}:
            raise TypeError
        made = list(map(self._known.get, as_texts(column)))
        if None in made:
            for place, value in enumerate(made):
                if value is None:
                    try:
                        made[place] = self.single(column[place])
                    except CellFaultError:
                        raise ValueError from None
        return made
