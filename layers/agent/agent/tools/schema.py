"""JSON Schemas: makes a foreign one safe to use, and says what is wrong with a value in words a model can act on.

A schema comes from a company's settings, an API's document or an MCP server, and may be meant to hurt: references to
other hosts, references that multiply, patterns that take for ever. `make_self_contained` leaves none of that, and the
validator's patterns run in linear time.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from core.errors import PermanentError

if TYPE_CHECKING:
    import jsonschema_rs

MAX_ARGUMENTS_BYTES = 64 * 1024
_MAX_VALUE_DEPTH = 32  # of arguments; nobody needs more, and a schema may be applied once per level
_MAX_SCHEMA_BYTES = 64 * 1024
_MAX_SCHEMA_DEPTH = 64  # as it is written
_MAX_DEPTH = 24  # with its references resolved; what lies deeper is not checked
_MAX_PARTS = 4_000  # of a schema with its references resolved: each sub-schema, and each `_PART` of what it says
_PART = 100  # characters
_MAX_TEXT = 1_000  # characters of a title or a description
_TEXTS = frozenset(("title", "description"))
_MAX_PATTERN = 1_000  # characters
_MAX_MISFITS = 5
_MAX_MISFIT_LENGTH = 300

_SCHEMAS = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_NAMED_SCHEMAS = frozenset(("properties", "patternProperties", "dependentSchemas"))
# fmt: off
_SCHEMA = frozenset((
    "items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else", "unevaluatedItems",
    "unevaluatedProperties",
))
_PLAIN = frozenset((
    "type", "enum", "const", "required", "title", "description", "default", "format", "multipleOf", "minimum",
    "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern", "minItems", "maxItems",
    "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties", "dependentRequired",
))
# fmt: on


def check_schema(schema: Mapping[str, Any]) -> None:
    """Refuse a schema of arguments that could not be used: for settings, before they are stored.

    Raises:
        PermanentError: It is too large, refers to another document, is not valid, or its root is not an object.
    """
    depth = measure_depth(schema, _MAX_SCHEMA_DEPTH)
    if depth > _MAX_SCHEMA_DEPTH:
        raise PermanentError("schema-too-deep", f"the schema is nested deeper than {_MAX_SCHEMA_DEPTH} levels")
    try:
        size = len(json.dumps(schema, allow_nan=False).encode())
    except (TypeError, ValueError):
        raise PermanentError("schema-invalid", "the schema is not JSON") from None
    if size > _MAX_SCHEMA_BYTES:
        raise PermanentError("schema-too-large", f"the schema is over {_MAX_SCHEMA_BYTES} bytes")
    usable = make_self_contained(schema)
    if usable.get("type") != "object":
        raise PermanentError("schema-not-object", 'the root of the schema needs "type": "object"')
    _make_validator(usable)


def check_arguments(schema: Mapping[str, Any], arguments_json: str) -> dict[str, Any] | str:
    """The arguments, if they fit `schema`; else a text that tells the model what to write differently.

    Raises:
        PermanentError: The schema itself cannot be used.
    """
    try:
        if len(arguments_json.encode()) > MAX_ARGUMENTS_BYTES:
            return f"The arguments are over {MAX_ARGUMENTS_BYTES} bytes: write less."
        value = json.loads(arguments_json.strip() or "{}", parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is valid JSON and no text
    except (ValueError, RecursionError) as exc:
        where = f" at character {exc.pos}: {exc.msg}" if isinstance(exc, json.JSONDecodeError) else ""
        return f"The arguments are not valid JSON{where}. Write one JSON object."
    if not isinstance(value, dict):
        return "The arguments must be one JSON object."
    return explain_misfit(schema, value) or value


def explain_misfit(schema: Mapping[str, Any], value: object) -> str:
    """What does not fit, for the model to mend; empty where all of `value` fits `schema`.

    Raises:
        PermanentError: The schema itself cannot be used.
    """
    if measure_depth(value, _MAX_VALUE_DEPTH) > _MAX_VALUE_DEPTH:
        return f"The value is nested deeper than {_MAX_VALUE_DEPTH} levels: write it flatter."
    validator = _make_validator(make_self_contained(schema))
    misfits = []
    for error in validator.iter_errors(value):
        place = "/".join(str(step) for step in error.instance_path)
        message = (
            error.message if len(error.message) <= _MAX_MISFIT_LENGTH else f"{error.message[:_MAX_MISFIT_LENGTH]}…"
        )
        misfits.append(f"- {place or 'the whole'}: {message}")
        if len(misfits) == _MAX_MISFITS:
            break
    return "\n".join(("It does not fit the schema:", *misfits)) if misfits else ""


def make_self_contained(schema: object, *, root: object = None) -> dict[str, Any]:
    """The schema as plain JSON Schema 2020-12: local references resolved, OpenAPI 3.0's own words translated.

    What repeats itself without end accepts anything from its first repetition on. A pattern that needs more than
    linear time is left out. What may only be read is left out, too: a model writes.

    Args:
        schema: The schema as it was written.
        root: The document that its references point into; itself, where nothing else is given.

    Raises:
        PermanentError: It refers to another document, to nothing, or becomes too large.
    """
    plain = _Resolving(schema if root is None else root).resolve(schema, 0, ())
    return plain if isinstance(plain, dict) else {}


def follow(root: object, reference: object) -> object:
    """What a reference of the form `#/a/b` points to.

    Raises:
        PermanentError: It points into another document, or to nothing.
    """
    shown = str(reference)[:200]
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise PermanentError("schema-reference", f"the reference {shown!r} leaves the document: only #/… is followed")
    found = root
    for step in reference.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdigit() and len(name) < 6 and int(name) < len(found):
            found = found[int(name)]
        else:
            raise PermanentError("schema-reference", f"the reference {shown!r} points to nothing")
    return found


def _refuse_constant(name: str) -> float:
    message = f"{name} is no JSON"
    raise ValueError(message)


def measure_depth(value: object, most: int) -> int:
    """How many levels of objects and lists are in each other; no more than `most` and one are counted."""
    depth, level = 0, [value]
    while level and depth <= most:
        level = [child for each in level for child in _children(each)]
        depth += 1
    return depth if level else depth - 1


def _children(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value


class _Resolving:
    """One pass over one schema; counts what it makes."""

    def __init__(self, root: object) -> None:
        self._root = root
        self._parts = 0

    def resolve(self, schema: object, depth: int, seen: tuple[str, ...]) -> dict[str, Any] | bool:
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            return {}
        self._count(1)
        own = self._resolve_keywords(schema, depth, seen)
        if "$ref" not in schema:
            return own
        referred = self._resolve_reference(schema["$ref"], depth, seen)
        if not own or not isinstance(referred, dict):
            return referred
        if own.keys() <= {"title", "description", "default"}:
            return {**referred, **own}
        return {**own, "allOf": [*own.get("allOf", ()), referred]}

    def _count(self, parts: int) -> None:
        self._parts += parts
        if self._parts > _MAX_PARTS:
            message = f"with its references resolved, the schema has over {_MAX_PARTS} parts"
            raise PermanentError("schema-too-large", message)

    def _resolve_reference(self, reference: object, depth: int, seen: tuple[str, ...]) -> dict[str, Any] | bool:
        target = follow(self._root, reference)
        name = str(reference)
        return {} if name in seen else self.resolve(target, depth + 1, (*seen, name))

    def _resolve_keywords(self, schema: Mapping[Any, Any], depth: int, seen: tuple[str, ...]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for word, value in schema.items():
            if word in _PLAIN:
                made[word] = value[:_MAX_TEXT] if word in _TEXTS and isinstance(value, str) else value
                self._count(len(repr(made[word])) // _PART)
            elif word in _NAMED_SCHEMAS and isinstance(value, Mapping):
                made[word] = {str(name): self.resolve(each, depth + 1, seen) for name, each in value.items()}
            elif word in _SCHEMAS and isinstance(value, list):
                made[word] = [self.resolve(each, depth + 1, seen) for each in value]
            elif word == "items" and isinstance(value, list):  # a tuple, as drafts before 2020-12 wrote it
                made["prefixItems"] = [self.resolve(each, depth + 1, seen) for each in value]
            elif word in _SCHEMA:
                made[word] = self.resolve(value, depth + 1, seen)
        _translate_openapi(schema, made)
        _drop_patterns(made)
        return made


def _translate_openapi(schema: Mapping[Any, Any], made: dict[str, Any]) -> None:
    """OpenAPI 3.0 writes some things otherwise than JSON Schema: nullable, bounds that are flags, readOnly."""
    if schema.get("nullable") is True and isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
        if isinstance(made.get("enum"), list) and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(flag := made.get(exclusive), bool):
            del made[exclusive]
            if flag and bound in made:
                made[exclusive] = made.pop(bound)
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        read_only = {
            name for name, each in properties.items() if isinstance(each, Mapping) and each.get("readOnly") is True
        }
        made["properties"] = {name: each for name, each in made["properties"].items() if name not in read_only}
        if read_only and isinstance(made.get("required"), list):
            made["required"] = [n for n in made["required"] if not (isinstance(n, str) and n in read_only)]


def _drop_patterns(made: dict[str, Any]) -> None:
    """Leave out the patterns that only a backtracking engine can match: whoever gets the value checks them itself."""
    if "pattern" in made and not _is_linear(made["pattern"]):
        del made["pattern"]
    if "patternProperties" in made:
        made["patternProperties"] = {name: each for name, each in made["patternProperties"].items() if _is_linear(name)}


def _is_linear(pattern: object) -> bool:
    if not isinstance(pattern, str) or len(pattern) > _MAX_PATTERN:
        return False
    try:
        _make_validator({"pattern": pattern})
    except PermanentError:
        return False
    return True


def _make_validator(schema: dict[str, Any]) -> "jsonschema_rs.Draft202012Validator":
    import jsonschema_rs  # here, so that a turn without tools does not load it

    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=False,
            offline=True,
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except (ValueError, jsonschema_rs.ReferencingError) as exc:
        place = "/".join(str(step) for step in getattr(exc, "instance_path", ()))
        message = str(getattr(exc, "message", ""))[:_MAX_MISFIT_LENGTH]
        raise PermanentError("schema-invalid", f"the schema is not valid at #/{place}: {message}") from None
