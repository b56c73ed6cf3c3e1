"""From rows to records: a mapping compiled to work column by column, and a reject for all that does not fit."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any

from core.errors import PermanentError
from importer.checks import check_step, record_check
from importer.columns import CellFaultError, Chain, Column, Fault, Faults, Step, has_none
from importer.operations import compile_operation, join
from importer.problems import ProblemCode, Reject, refuse, shorten
from importer.shapes import shape_of
from importer.template import Contract, Template
from importer.typed import boolean_step, date_step, datetime_step, number_step, plain_step, text_step
from importer.values import (
    Cell,
    Chunk,
    FieldMapping,
    Operation,
    OperationName,
    Origin,
    Record,
    Repair,
    Row,
    TableMapping,
)

_MEMORY = 100_000  # texts that a mapping remembers, over all of its fields
_MOST_FAULTS = 5  # of one row that are told
_MOST_SHOWN = 2_000  # characters of a value that is a list or an object
_TYPED = {
    OperationName.NUMBER: "number",
    OperationName.INTEGER: "integer",
    OperationName.BOOLEAN: "boolean",
    OperationName.DATE: "string",
    OperationName.DATETIME: "string",
    OperationName.PHONE: "string",
}
# What stays of the type that it was.
_SAME_TYPE = frozenset((OperationName.TRIM, OperationName.LOWER, OperationName.UPPER, OperationName.NULL_IF))


@dataclass(slots=True)
class Made:
    """What became of a chunk: records, rejects, and how many rows each of them is."""

    records: list[Record]
    rejects: list[Reject]
    rejected: int


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of the template, compiled."""

    target: str
    places: tuple[int, ...]
    separator: str
    chain: Chain
    repairs: Mapping[str, Chain]
    is_required: bool
    label: str


class RowMaker:
    """Makes records of rows as one mapping says."""

    def __init__(self, template: Template, mapping: TableMapping, columns: Sequence[str]) -> None:
        """Compile a mapping for a table with `columns`.

        Raises:
            PermanentError: A required field comes from nowhere, a column is not there, an operation makes no sense,
                or the template allows no columns beyond its own and there are some.
        """
        self._template = template
        self._width = len(columns)
        mapped = {field.target: field for field in mapping.fields}
        if missing := template.required - mapped.keys():
            names = ", ".join(sorted(missing))
            raise refuse(ProblemCode.NO_MAPPING, f"nothing in the file was found for: {names}")
        used = {name for field in mapping.fields for name in field.columns}
        if template.contract is Contract.FREEZE and (unknown := [name for name in columns if name not in used]):
            message = f"the template is frozen, and the file has {len(unknown)} columns that it does not know"
            raise refuse(ProblemCode.UNEXPECTED_COLUMN, message)
        places = {name: place for place, name in enumerate(columns)}
        self._fields = [self._compile(mapped[name], places) for name in template.fields if name in mapped]
        if not self._fields:
            raise refuse(ProblemCode.NO_MAPPING, "nothing in the file was found for any field of the template")
        self._records_of = _record_maker(template.fields, mapped)
        self._check_record = record_check(template.record)

    def _compile(self, field: FieldMapping, places: Mapping[str, int]) -> _Field:
        schema = self._template.schema_of(field.target)
        if absent := [name for name in field.columns if name not in places]:
            raise refuse(ProblemCode.NO_MAPPING, f"the mapping names {len(absent)} columns that the file does not have")
        definitions: Mapping[str, Any] = self._template.record.get("$defs", {})
        compiled = partial(_compile_chain, schema, definitions, fields=len(self._template.fields))
        separators = [op.arguments.get("separator", " ") for op in field.operations if op.name is OperationName.CONCAT]
        return _Field(
            target=field.target,
            places=tuple(places[name] for name in field.columns),
            separator=separators[0] if separators else " ",
            chain=compiled(field.operations),
            repairs={repair.shape: compiled(repair.operations) for repair in field.repairs},
            is_required=field.target in self._template.required,
            label=" + ".join(field.columns),
        )

    def make(self, chunk: Chunk) -> Made:
        """The records of a chunk's rows, in order, and rejects of the others."""
        rows, places, uneven = self._rectangular(chunk.rows)
        faults: _RowFaults = {}
        columns = self._apply(rows, faults)
        bad = {place for place, found in faults.items() if any(fatal for _, _, fatal in found)}
        records = self._records(columns, bad, faults)
        told = {places[place]: found for place, found in faults.items()} | uneven
        rejects = chunk.rejects + [
            self._reject(chunk, place, target, fault)
            for place, found in sorted(told.items())
            for target, fault, _ in found[:_MOST_FAULTS]
        ]
        if chunk.rejects:
            rejects.sort(key=lambda reject: reject.row)
        return Made(records=records, rejects=rejects, rejected=len(bad) + len(uneven) + len(chunk.rejects))

    def _rectangular(self, rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[int], "_RowFaults"]:
        """The rows that are as wide as the table, the place of each, and what is wrong with the others."""
        width = self._width
        faults: _RowFaults = {}
        widths = list(map(len, rows))
        if widths.count(width) == len(rows):
            return rows, range(len(rows)), faults
        even = [*rows]
        for place in [place for place, found in enumerate(widths) if found != width]:
            row = rows[place]
            if len(row) > width and self._allows_more(row[width:]):
                even[place] = row[:width]
                continue
            code = ProblemCode.MISSING_CELL if len(row) < width else ProblemCode.EXTRA_CELL
            if len(row) > width and isinstance(row[width], dict):
                code = ProblemCode.UNEXPECTED_COLUMN
            faults[place] = [(None, (code, f"the row has {len(row)} cells, the table {width}"), True)]
        is_even = [place not in faults for place in range(len(rows))]
        return list(compress(even, is_even)), list(compress(range(len(rows)), is_even)), faults

    def _allows_more(self, cells: Sequence[object]) -> bool:
        """Whether cells beyond the table's width are harmless: empty, or fields of JSON that nobody asked for."""
        if len(cells) == 1 and isinstance(cells[0], dict):
            return self._template.contract is not Contract.FREEZE
        return all(cell is None or cell == "" or str(cell).isspace() for cell in cells)

    def _apply(self, rows: Sequence[Row], faults: "_RowFaults") -> list[Column]:
        """Every field's values; what has a fault is None and noted."""
        source = list(zip(*rows, strict=True)) if rows else [()] * self._width
        is_lenient = self._template.contract is Contract.DISCARD_VALUE
        columns = []
        for field in self._fields:
            column, found = self._apply_field(field, source, len(rows))
            for place, fault in found.items():
                faults.setdefault(place, []).append((field, fault, not is_lenient or field.is_required))
            if field.is_required and has_none(column):
                for place, value in enumerate(column):
                    if value is None and place not in found:
                        missing = (ProblemCode.MISSING_VALUE, "a value is required")
                        faults.setdefault(place, []).append((field, missing, True))
            columns.append(column)
        return columns

    @staticmethod
    def _apply_field(field: _Field, source: Sequence[Sequence[object]], count: int) -> tuple[Column, Faults]:
        found: Faults = {}
        if len(field.places) == 1:
            column = list(source[field.places[0]])
        elif field.places:
            column = join([list(source[place]) for place in field.places], field.separator)
        else:
            column = [None] * count
        column = field.chain.many(column, found)
        if found and field.repairs and len(field.places) == 1:
            _repair(field, source[field.places[0]], column, found)
        return column, found

    def _records(self, columns: list[Column], bad: set[int], faults: "_RowFaults") -> list[Record]:
        rows, check = zip(*columns, strict=True), self._check_record
        is_good = [place not in bad for place in range(len(columns[0]))]
        records = self._records_of(compress(rows, is_good) if bad else rows)
        if check is None:
            return records
        good = []
        for place, record in zip(compress(range(len(is_good)), is_good), records, strict=True):
            if fault := check(record):
                faults.setdefault(place, []).append((None, fault, True))
                bad.add(place)
            else:
                good.append(record)
        return good

    @staticmethod
    def _reject(chunk: Chunk, place: int, field: _Field | None, fault: Fault) -> Reject:
        code, message = fault
        value: object = None
        if field and len(field.places) == 1:
            value = chunk.rows[place][field.places[0]]
        elif field and field.places:
            value = [chunk.rows[place][at] for at in field.places]
        return Reject(
            row=chunk.numbers[place],
            line=chunk.lines[place] if chunk.lines else None,
            column=field.label if field else None,
            target=field.target if field else None,
            code=code,
            message=message,
            value=_shown(value),
            raw=chunk.raw(place),
        )


def _record_maker(names: Sequence[str], mapped: Container[str]) -> Callable[[Iterable[Row]], list[Record]]:
    """Makes records of the values of the mapped fields; the others are None.

    A dict that is written out takes half as long as one that is made of pairs, so it is: with numbers for names.
    """
    keys = ", ".join(f"k{place}" for place in range(len(names)))
    pairs = ", ".join(f"k{place}: {f'v{place}' if name in mapped else None}" for place, name in enumerate(names))
    values = ", ".join(f"v{place}" for place, name in enumerate(names) if name in mapped)
    make: Callable[..., Callable[[Iterable[Row]], list[Record]]]
    make = eval(f"lambda {keys}: lambda rows: [{{{pairs}}} for {values}, in rows]")  # noqa: S307 - see above
    return make(*names)


def _shown(value: object) -> object:
    """What a reject shows of a value: what is long as the beginning of its text."""
    if isinstance(value, list | dict) and len(text := str(value)) > _MOST_SHOWN:
        return shorten(text)
    return shorten(value) if isinstance(value, str) else value


type _RowFaults = dict[int, list[tuple[_Field | None, Fault, bool]]]
"""By place of the row: the field, the fault, and whether it costs the row."""


def _compile_chain(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], operations: Sequence[Operation], fields: int
) -> Chain:
    """The code of one of `fields` fields: of its operations, and of what its schema asks of what they make."""
    steps, made = _compile_steps(schema, operations)
    check = check_step(schema, definitions, made)
    return Chain([*steps, check] if check else steps, memory=_MEMORY // fields)


def _compile_steps(schema: Mapping[str, Any], operations: Sequence[Operation]) -> tuple[tuple[Step, ...], str]:
    """The steps of a field's operations, and the type that they are sure to make; empty where they are sure of none."""
    chosen = [Operation(name=OperationName.TRIM), *operations]
    steps = [compile_operation(operation) for operation in chosen if operation.name is not OperationName.CONCAT]
    made = _made_by(chosen)
    if made == "number" and main_type(schema) == "integer":
        return (*steps, number_step({}, is_whole=True)), "integer"
    if made:
        return tuple(steps), made
    last = default_step(schema)
    return (*steps, last or plain_step()), main_type(schema) if last else ""


def _made_by(operations: Sequence[Operation]) -> str:
    """The type that is sure to come out of operations: what the last of them that counts makes."""
    for operation in reversed(operations):
        if operation.name is OperationName.SCALE:
            return "number"
        if operation.name not in _SAME_TYPE:
            return _TYPED.get(operation.name, "")
    return ""


def _repair(field: _Field, source: Sequence[Cell], column: Column, faults: Faults) -> None:
    """Try what else there is for the values that have a fault."""
    for place in list(faults):
        value = source[place]
        chain = field.repairs.get(shape_of(value)) if isinstance(value, str) else None
        if chain is None:
            continue
        try:
            again = chain.one(value)
        except CellFaultError:
            continue
        if again is not None:
            column[place] = again
            del faults[place]


def _alone(template: Template, each: FieldMapping, columns: Sequence[str]) -> RowMaker:
    """Makes records of one field."""
    record = {
        "type": "object",
        "properties": {each.target: template.schema_of(each.target)},
        "$defs": template.record.get("$defs", {}),
    }
    single = Template(name=template.name, record=record)
    return RowMaker(single, TableMapping(fields=(each,)), columns)


def validity(template: Template, each: FieldMapping, samples: Mapping[str, Sequence[Cell]]) -> float:
    """How many of a sample's values that are not empty fit a field, from 0 to 1; 1 where all are empty."""
    try:
        maker = _alone(template, each, list(samples))
    except PermanentError:
        return 0.0
    rows = list(zip(*samples.values(), strict=True))
    chunk = Chunk(rows=rows, numbers=range(1, len(rows) + 1), lines=(), end={}, bytes_done=0, raw=lambda index: "")  # noqa: ARG005 - no raw text
    made = maker.make(chunk)
    filled = sum(record[each.target] is not None for record in made.records)
    return filled / (filled + made.rejected) if filled + made.rejected else 1.0


def repaired(template: Template, target: str, repair: Repair, value: str) -> object:
    """What a repair makes of a value; None where it does not help."""
    each = FieldMapping(target=target, columns=("value",), operations=repair.operations, origin=Origin.MODEL)
    try:
        made = _alone(template, each, ["value"]).make(
            Chunk(rows=[[value]], numbers=[1], lines=(), end={}, bytes_done=0, raw=lambda index: "")  # noqa: ARG005 - no raw text
        )
    except PermanentError:
        return None
    return made.records[0][target] if made.records else None


def main_type(schema: Mapping[str, object]) -> str:
    """The one type beside null that a schema allows; empty where there are more or none."""
    given = schema.get("type")
    names = (
        [given]
        if isinstance(given, str)
        else [name for name in given if name != "null"]
        if isinstance(given, list)
        else []
    )
    return str(names[0]) if len(names) == 1 else ""


def default_step(schema: Mapping[str, object]) -> Step | None:
    """What makes the type of a schema where a mapping says nothing: only what can be read in one way."""
    kind, form = main_type(schema), schema.get("format")
    if kind == "string":
        return date_step({}) if form == "date" else datetime_step({}) if form == "date-time" else text_step()
    makers: dict[str, Callable[[], Step]] = {
        "number": lambda: number_step({}),
        "integer": lambda: number_step({}, is_whole=True),
        "boolean": lambda: boolean_step({}),
    }
    return makers[kind]() if kind in makers else None
