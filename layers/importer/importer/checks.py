"""Whether values fit the template's JSON Schema: asked for a whole column at once.

The only importer of the validator in this room. Its patterns run in linear time, and no reference leaves the schema.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs

from importer.columns import CellFaultError, Column, Fault, Faults, Step, has_none
from importer.problems import ProblemCode, refuse
from importer.values import Cell, Record

type Schema = Mapping[str, Any]
"""JSON Schema: somebody else's document, of which a few words are read."""

_SILENT = frozenset(("type", "title", "description", "default", "examples", "$comment", "deprecated"))
_RECORD_WORDS = (
    frozenset(("type", "properties", "required", "additionalProperties", "$schema", "$id", "$defs")) | _SILENT
)
_SAYING = {
    "enum": "the value is not one of the allowed ones",
    "const": "the value is not the only allowed one",
    "pattern": "the text does not have the form that the template asks for",
    "format": "the text does not have the format that the template asks for",
    "type": "the value is not of the type that the template asks for",
    "minLength": "the text is too short",
    "maxLength": "the text is too long",
    "minimum": "the number is too small",
    "exclusiveMinimum": "the number is too small",
    "maximum": "the number is too large",
    "exclusiveMaximum": "the number is too large",
    "multipleOf": "the number is not a multiple of what the template asks for",
}


def check_step(schema: Schema, definitions: Schema, made: str) -> Step | None:
    """Refuses what does not fit; None where all values do, because they are `made` as that type.

    Raises:
        PermanentError: The schema is not valid.
    """
    if schema.get("type") in (made, [made, "null"]) and schema.keys() <= _SILENT:
        return None
    if definitions:
        schema = {**schema, "$defs": definitions}
    single = _validator(schema)
    # The definitions are referred to from the root, wherever the schema itself stands.
    several = _validator(
        {"type": "array", "items": {k: v for k, v in schema.items() if k != "$defs"}, "$defs": definitions}
    )

    def one(value: Cell) -> Cell:
        if not single.is_valid(value):
            code, message = _explain(single, value)
            raise CellFaultError(message, code)
        return value

    def many(column: Column, faults: Faults) -> Column:
        is_full = not has_none(column)
        values = column if is_full else [value for value in column if value is not None]
        if several.is_valid(values):
            return column
        places = range(len(column)) if is_full else [place for place, value in enumerate(column) if value is not None]
        column = [*column]
        for place in {places[int(error.instance_path[0])] for error in several.iter_errors(values)}:
            faults[place] = _explain(single, column[place])
            column[place] = None
        return column

    return Step(one, many)


def record_check(record: Schema) -> Callable[[Record], Fault | None] | None:
    """Says what is wrong with a record as a whole; None where the template asks nothing of it beyond its fields.

    Raises:
        PermanentError: The schema is not valid.
    """
    if record.keys() <= _RECORD_WORDS:
        _validator(record)
        return None
    validator = _validator(record)

    def check(values: Record) -> Fault | None:
        present = {name: value for name, value in values.items() if value is not None}
        return None if validator.is_valid(present) else _explain(validator, present)

    return check


def _validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            dict(schema), validate_formats=True, offline=True, pattern_options=jsonschema_rs.RegexOptions()
        )
    except (ValueError, jsonschema_rs.ReferencingError) as exc:
        raise refuse(ProblemCode.NO_MAPPING, "the template's JSON Schema is not valid") from exc


def _explain(validator: jsonschema_rs.Draft202012Validator, value: object) -> Fault:
    error = next(iter(validator.iter_errors(value)), None)
    words = [str(step) for step in error.schema_path] if error else []
    word = words[-1] if words else ""
    code = ProblemCode.TYPE_ERROR if word == "type" else ProblemCode.CONSTRAINT
    return code, _SAYING.get(word, f"the value does not keep the template's rule {word[:40]!r}")
