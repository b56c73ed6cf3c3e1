"""From rows to records: a mapping compiled to work column by column, and a reject for all that does not fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from typing import Any

from core.errors import PermanentError
from importer.checks import column_check, record_check
from importer.columns import Column, Fault, Faults, Step, has_none
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
    steps: tuple[Step, ...]
    check: Callable[[Column, Faults], None] | None
    repairs: Mapping[str, tuple[Step, ...]]
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
        self._empty = {name: None for name in template.fields if name not in mapped}
        self._names = [field.target for field in self._fields]
        self._check_record = record_check(template.record)

    def _compile(self, field: FieldMapping, places: Mapping[str, int]) -> _Field:
        schema = self._template.schema_of(field.target)
        if absent := [name for name in field.columns if name not in places]:
            raise refuse(ProblemCode.NO_MAPPING, f"the mapping names {len(absent)} columns that the file does not have")
        steps, made = _compile_steps(schema, field.operations)
        separators = [op.arguments.get("separator", " ") for op in field.operations if op.name is OperationName.CONCAT]
        return _Field(
            target=field.target,
            places=tuple(places[name] for name in field.columns),
            separator=separators[0] if separators else " ",
            steps=steps,
            check=column_check(schema, self._template.record.get("$defs", {}), made),
            repairs={repair.shape: _compile_steps(schema, repair.operations)[0] for repair in field.repairs},
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
        if set(map(len, rows)) <= {width}:
            return rows, range(len(rows)), faults
        even: list[Row] = []
        places: list[int] = []
        for place, row in enumerate(rows):
            if len(row) == width:
                even.append(row)
            elif len(row) > width and self._allows_more(row[width:]):
                even.append(row[:width])
            else:
                code = ProblemCode.MISSING_CELL if len(row) < width else ProblemCode.EXTRA_CELL
                if len(row) > width and isinstance(row[width], dict):
                    code = ProblemCode.UNEXPECTED_COLUMN
                faults[place] = [(None, (code, f"the row has {len(row)} cells, the table {width}"), True)]
                continue
            places.append(place)
        return even, places, faults

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
        for step in field.steps:
            column = step(column, found)
        if field.check:
            field.check(column, found)
        if found and field.repairs and len(field.places) == 1:
            _repair(field, source[field.places[0]], column, found)
        return column, found

    def _records(self, columns: list[Column], bad: set[int], faults: "_RowFaults") -> list[Record]:
        names, empty, check = self._names, self._empty, self._check_record
        rows = zip(*columns, strict=True)
        is_good = [place not in bad for place in range(len(columns[0]))]
        kept = compress(rows, is_good) if bad else rows
        records: list[Record] = list(map(dict, map(zip, repeat(names), kept)))
        if empty:
            fields = self._template.fields
            records = [{name: record.get(name) for name in fields} for record in records]
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


def _shown(value: object) -> object:
    """What a reject shows of a value: what is long as the beginning of its text."""
    if isinstance(value, list | dict) and len(text := str(value)) > _MOST_SHOWN:
        return shorten(text)
    return shorten(value) if isinstance(value, str) else value


type _RowFaults = dict[int, list[tuple[_Field | None, Fault, bool]]]
"""By place of the row: the field, the fault, and whether it costs the row."""


def _compile_steps(schema: Mapping[str, Any], operations: Sequence[Operation]) -> tuple[tuple[Step, ...], str]:
    """The code of a field's operations, and the type that it is sure to make; empty where it is sure of none."""
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
        steps = field.repairs.get(shape_of(value)) if isinstance(value, str) else None
        if not steps:
            continue
        again: Column = [value]
        found: Faults = {}
        for step in steps:
            again = step(again, found)
        if field.check:
            field.check(again, found)
        if not found and again[0] is not None:
            column[place] = again[0]
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
