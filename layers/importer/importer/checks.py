"""Whether values fit the template's JSON Schema: asked for a whole column at once, and again one by one only if not.

The only importer of the validator in this room. Its patterns run in linear time, and no reference leaves the schema.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jsonschema_rs

from importer.columns import Column, Fault, Faults, has_none
from importer.problems import ProblemCode, refuse
from importer.values import Record

type Schema = Mapping[str, Any]
"""JSON Schema: somebody else's document, of which a few words are read."""

_BLOCK = 32  # values that are asked about together
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


def column_check(schema: Schema, definitions: Schema, made: str) -> Callable[[Column, Faults], None] | None:
    """Finds the values of a column that do not fit; None where all values do, because they are `made` as that type.

    Raises:
        PermanentError: The schema is not valid.
    """
    if schema.get("type") in (made, [made, "null"]) and schema.keys() <= _SILENT:
        return None
    if definitions:
        schema = {**schema, "$defs": definitions}
    one = _validator(schema)
    if allowed := _plain_enum(schema):
        return lambda column, faults: _check_enum(column, faults, allowed)
    # The definitions are referred to from the root, wherever the schema itself stands.
    many = _validator(
        {"type": "array", "items": {k: v for k, v in schema.items() if k != "$defs"}, "$defs": definitions}
    )

    def check(column: Column, faults: Faults) -> None:
        values = column if not has_none(column) else [value for value in column if value is not None]
        if many.is_valid(values):
            return
        for start in range(0, len(column), _BLOCK):
            block = column[start : start + _BLOCK]
            if many.is_valid([value for value in block if value is not None]):
                continue
            for place, value in enumerate(block, start=start):
                if value is not None and not one.is_valid(value):
                    faults[place] = _explain(one, value)
                    column[place] = None

    return check


def _plain_enum(schema: Schema) -> frozenset[str]:
    """The texts that a schema allows, if that is all it says."""
    values = schema.get("enum")
    is_plain = (
        isinstance(values, list) and schema.keys() <= _SILENT | {"enum"} and schema.get("type") in (None, "string")
    )
    texts = frozenset(value for value in values or () if isinstance(value, str)) if is_plain else frozenset()
    return texts if is_plain and len(texts) == len(values or ()) else frozenset()


def _check_enum(column: Column, faults: Faults, allowed: frozenset[str]) -> None:
    if set(map(type, column)) == {str} and allowed.issuperset(column):
        return
    for place, value in enumerate(column):
        if value is not None and not (isinstance(value, str) and value in allowed):
            faults[place] = (ProblemCode.CONSTRAINT, _SAYING["enum"])
            column[place] = None


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
