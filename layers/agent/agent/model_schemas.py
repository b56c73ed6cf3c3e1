"""Which JSON Schemas the model's API can enforce while it writes ("strict").

Strict mode takes a part of JSON Schema only and refuses a request with any other schema, so it is used where a schema
already fits: its root is an object, every object lists all of its properties as required and allows no others, and
nothing is said in words that the API does not know. Those words and sizes are the ones that OpenAI and Azure have in
common; Azure's are the older and smaller ones. Every other schema is sent as a hint, and what the model writes is
validated either way.
https://developers.openai.com/api/docs/guides/structured-outputs
https://learn.microsoft.com/azure/ai-services/openai/how-to/structured-outputs
"""

from collections.abc import Iterator, Mapping
from typing import Any

_MAX_DEPTH = 5
_MAX_PROPERTIES = 100
_MAX_CHOICES = 500
_WORDS = frozenset(
    {
        "type",
        "title",
        "description",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "$defs",
        "definitions",
        "$ref",
    }
)
_IN_PLACE_OF_A_TYPE = frozenset({"anyOf", "enum", "const"})
_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether the model's API can hold the model to `schema` word for word."""
    if schema.get("type") != "object" or "anyOf" in schema:
        return False
    parts = _Parts()
    return parts.fit(schema, depth=1) and parts.properties <= _MAX_PROPERTIES and parts.choices <= _MAX_CHOICES


class _Parts:
    """Counts what has an upper bound over the whole schema."""

    def __init__(self) -> None:
        self.properties = 0
        self.choices = 0

    def fit(self, schema: object, *, depth: int) -> bool:
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH or not schema.keys() <= _WORDS:
            return False
        if "$ref" in schema:
            return set(schema) == {"$ref"} and str(schema["$ref"]).startswith("#")
        if not _is_well_formed(schema):
            return False
        self.choices += len(schema.get("enum", ()))
        self.properties += len(schema.get("properties", ()))
        return _is_closed(schema) and all(self.fit(part, depth=level) for part, level in _within(schema, depth))


def _is_well_formed(schema: Mapping[str, Any]) -> bool:
    """Whether each word has a value of its kind, and the type is said."""
    lists = all(isinstance(schema.get(word, []), list) for word in ("required", "enum", "anyOf"))
    objects = all(isinstance(schema.get(word, {}), Mapping) for word in ("properties", "$defs", "definitions"))
    types = _types(schema)
    is_typed = all(isinstance(each, str) and each in _TYPES for each in types)
    return lists and objects and is_typed and (bool(types) or not schema.keys().isdisjoint(_IN_PLACE_OF_A_TYPE))


def _is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether an object requires all that it may have, and a list says what it holds."""
    types = _types(schema)
    if "array" in types and "items" not in schema:
        return False
    if "object" not in types:
        return "properties" not in schema
    required = schema.get("required", [])
    is_complete = len(required) == len(schema.get("properties", {})) and all(
        name in schema.get("properties", {}) for name in required
    )
    return is_complete and schema.get("additionalProperties") is False


def _types(schema: Mapping[str, Any]) -> list[Any]:
    types = schema.get("type", [])
    return types if isinstance(types, list) else [types]


def _within(schema: Mapping[str, Any], depth: int) -> Iterator[tuple[Any, int]]:
    """The schemas inside a schema, each with its depth; alternatives and definitions do not add to it."""
    yield from ((part, depth + 1) for part in schema.get("properties", {}).values())
    if "items" in schema:
        yield schema["items"], depth + 1
    yield from ((part, depth) for part in schema.get("anyOf", []))
    yield from ((part, depth) for word in ("$defs", "definitions") for part in schema.get(word, {}).values())
