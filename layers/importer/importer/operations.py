"""The closed list of what a mapping may do to values, compiled to code of ours: a model chooses, and writes no code.

| operation | arguments |
|---|---|
| trim, lower, upper | |
| number, integer | `decimal` "." or ","; `affixes` around it, as `€|EUR`; `percent` "number" or "fraction" |
| date | `order` dmy, mdy, ymd, excel; `time` "drop" takes the day of a time |
| datetime | `order` as date, or epoch, epoch_ms; `zone` "UTC" or `+02:00` |
| boolean | `true`, `false`: more words, as `ja|x` |
| enum | value of the file → value of the field |
| null_if | `values`: texts that mean nothing, as `n/a|-` |
| split | `separator`; `index` of the piece, from 0 or from the end with -1; without it a list |
| concat | `separator`, between the columns |
| regex | `pattern` for the whole value; `group` |
| phone | `country`, ISO 3166, for numbers without one |
| const | `value` |
| scale | `factor` |
| json_path | `path`, as `lines[0].sku` |
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from math import isfinite

from core.errors import PermanentError
from importer.columns import CellFaultError, Column, Faults, Step, as_texts
from importer.patterns import compile_pattern
from importer.phones import parse_phone
from importer.problems import ProblemCode, refuse
from importer.typed import boolean_step, date_step, datetime_step, number_step, to_text
from importer.values import Cell, Operation, OperationName

type Arguments = Mapping[str, str]

_MOST_ARGUMENT = 2_000  # characters
_MOST_VALUES = 500
_MOST_PATH = 10


def compile_operation(operation: Operation) -> Step:
    """The code of one operation.

    Raises:
        PermanentError: Its arguments make no sense.
    """
    arguments = operation.arguments
    if len(arguments) > _MOST_VALUES or any(len(text) > _MOST_ARGUMENT for pair in arguments.items() for text in pair):
        raise refuse(ProblemCode.NO_MAPPING, f"an operation {operation.name.value} has too much in its arguments")
    try:
        return _MAKERS[operation.name](arguments)
    except (KeyError, ValueError, InvalidOperation) as exc:
        message = f"an operation {operation.name.value} lacks an argument or has one that makes no sense"
        raise refuse(ProblemCode.NO_MAPPING, message) from exc


def is_usable(operation: Operation) -> bool:
    """Whether an operation can be compiled."""
    try:
        compile_operation(operation)
    except PermanentError:
        return False
    return True


def join(columns: list[Column], separator: str) -> Column:
    """Several columns as one text each; what is empty leaves no separator."""
    return [
        separator.join(str(to_text(cell)).strip() for cell in cells if cell not in (None, "")) or None
        for cells in zip(*columns, strict=True)
    ]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split("|") if word.strip()]


def _text_step(change: Callable[[str], str]) -> Step:
    """Changes texts, and leaves what is none; an empty text is nothing."""

    def one(value: Cell) -> Cell:
        return (change(value) or None) if isinstance(value, str) else value

    def many(column: Column, faults: Faults) -> Column:  # noqa: ARG001 - there are none
        try:
            texts = list(map(change, as_texts(column)))
        except TypeError:
            return list(map(one, column))
        return [*texts] if all(texts) else [text or None for text in texts]

    return Step(one, many)


def _enum(arguments: Arguments) -> Step:
    known = {source.strip().casefold(): target for source, target in arguments.items()}
    if not known:
        raise ValueError

    def one(value: Cell) -> Cell:
        text = str(to_text(value)).strip().casefold()
        if text not in known:
            raise CellFaultError("the value is not in the list")
        return known[text]

    return Step(one)


def _null_if(arguments: Arguments) -> Step:
    words = _words(arguments["values"])
    nothing = frozenset(form for word in words for form in (word, word.lower(), word.upper(), word.capitalize()))

    def one(value: Cell) -> Cell:
        return None if isinstance(value, str) and value.strip() in nothing else value

    def many(column: Column, faults: Faults) -> Column:  # noqa: ARG001 - there are none
        try:
            # The values are trimmed by now; most columns have none of these words.
            if nothing.isdisjoint(as_texts(column)):
                return column
        except TypeError:
            pass  # a list or an object is none of them
        return list(map(one, column))

    return Step(one, many)


def _split(arguments: Arguments) -> Step:
    separator = arguments["separator"]
    index = int(arguments["index"]) if arguments.get("index") else None
    if not separator:
        raise ValueError

    def one(value: Cell) -> Cell:
        if isinstance(value, list):
            return value
        pieces = [piece.strip() for piece in str(to_text(value)).split(separator)]
        if index is None:
            return [piece for piece in pieces if piece]
        if not -len(pieces) <= index < len(pieces):
            raise CellFaultError("the value has no such part")
        return pieces[index] or None

    return Step(one)


def _regex(arguments: Arguments) -> Step:
    find = compile_pattern(arguments["pattern"], int(arguments.get("group") or 1))

    def one(value: Cell) -> Cell:
        found = find(str(to_text(value)))
        if found is None:
            raise CellFaultError("the value does not have the expected form")
        return found.strip() or None

    return Step(one)


def _phone(arguments: Arguments) -> Step:
    country = arguments.get("country", "").upper()

    def one(value: Cell) -> Cell:
        number = parse_phone(str(to_text(value)), country)
        if number is None:
            raise CellFaultError("the value is not a telephone number with a country that is known")
        return number

    return Step(one)


def _const(arguments: Arguments) -> Step:
    value = arguments["value"]
    return Step(lambda _: value, is_for_none=True)


def _scale(arguments: Arguments) -> Step:
    factor = Decimal(arguments["factor"])
    if not factor.is_finite():
        raise ValueError

    def one(value: Cell) -> Cell:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise CellFaultError("only a number can be converted")
        try:
            scaled = Decimal(repr(value)) * factor
            is_whole = scaled == scaled.to_integral_value()
        except ArithmeticError:
            raise CellFaultError("the number is none that can be stored") from None
        made = int(scaled) if is_whole and abs(scaled) < 2**53 else float(scaled)
        if not isfinite(made) or bool(made) != bool(scaled):
            raise CellFaultError("the number is none that can be stored")
        return made

    return Step(one)


def _json_path(arguments: Arguments) -> Step:
    keys: list[str | int] = []
    for part in arguments["path"].removeprefix("$").removeprefix(".").split("."):
        name, *indexes = part.replace("]", "").split("[")
        keys += ([name] if name else []) + [int(index) for index in indexes]
    if not keys or len(keys) > _MOST_PATH:
        raise ValueError

    def one(value: Cell) -> Cell:
        for key in keys:
            if isinstance(key, str) and isinstance(value, dict):
                value = value.get(key)
            elif isinstance(key, int) and isinstance(value, list) and -len(value) <= key < len(value):
                value = value[key]
            else:
                return None
        return value

    return Step(one)


_MAKERS: dict[OperationName, Callable[[Arguments], Step]] = {
    OperationName.TRIM: lambda _: _text_step(str.strip),
    OperationName.LOWER: lambda _: _text_step(str.lower),
    OperationName.UPPER: lambda _: _text_step(str.upper),
    OperationName.DATE: date_step,
    OperationName.DATETIME: datetime_step,
    OperationName.NUMBER: number_step,
    OperationName.INTEGER: lambda arguments: number_step(arguments, is_whole=True),
    OperationName.BOOLEAN: boolean_step,
    OperationName.ENUM: _enum,
    OperationName.SPLIT: _split,
    OperationName.CONCAT: lambda _: _text_step(str),  # the columns are joined before: see `join`
    OperationName.REGEX: _regex,
    OperationName.PHONE: _phone,
    OperationName.CONST: _const,
    OperationName.NULL_IF: _null_if,
    OperationName.SCALE: _scale,
    OperationName.JSON_PATH: _json_path,
}
