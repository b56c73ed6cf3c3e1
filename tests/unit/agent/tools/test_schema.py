"""JSON Schemas: what the model is told, and what a hostile schema cannot do."""

import json
import time
from typing import Any

import pytest

from agent.tools.schema import check_arguments, check_schema, explain_misfit, make_self_contained
from core.errors import PermanentError

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}


def test_arguments_that_fit_come_back_as_they_are() -> None:
    assert check_arguments(_SCHEMA, '{"city": "Köln", "days": 3}') == {"city": "Köln", "days": 3}


def test_no_arguments_are_an_empty_object() -> None:
    assert check_arguments({"type": "object"}, "") == {}


def test_model_is_told_every_place_that_does_not_fit() -> None:
    told = check_arguments(_SCHEMA, '{"city": "köln", "days": 0, "hours": 1}')
    assert isinstance(told, str)
    assert "- city: " in told
    assert "- days: 0 is less than the minimum of 1" in told
    assert "'hours' was unexpected" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"city": ', "not valid JSON at character"),
        ("[]", "must be one JSON object"),
        ('"Köln"', "must be one JSON object"),
        ('{"city": NaN}', "not valid JSON"),
        ('{"city": "\\ud800"}', "not valid JSON"),
        ("[" * 30_000, "not valid JSON"),
        (json.dumps({"city": "K" * 70_000}), "over 65536 bytes"),
        ('{"city": ' + "[" * 40 + "]" * 40 + "}", "nested deeper than 32"),
    ],
)
def test_model_is_told_what_is_wrong_with_its_arguments(arguments: str, told: str) -> None:
    answer = check_arguments(_SCHEMA, arguments)
    assert isinstance(answer, str)
    assert told in answer
    assert len(answer) < 2_000


def test_long_misfits_are_told_in_short() -> None:
    value = {f"k{n}": "x" * 1_000 for n in range(100)}
    schema = {"type": "object", "properties": {name: {"const": "y" * 2_000} for name in value}}
    assert len(explain_misfit(schema, value)) < 2_000


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^([a-zA-Z]+)*$"])
def test_pattern_that_would_backtrack_for_ever_is_quick(pattern: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    started = time.monotonic()
    told = check_arguments(schema, json.dumps({"a": "a" * 50_000 + "!"}))
    assert isinstance(told, str)
    assert time.monotonic() - started < 2.0


@pytest.mark.parametrize("pattern", ["^(?=a)b", r"(a)\1", "(" * 3, "x" * 2_000, "(a{1000}){1000}"])
def test_pattern_that_is_not_linear_is_left_out(pattern: str) -> None:
    assert make_self_contained({"type": "string", "pattern": pattern}) == {"type": "string"}
    assert make_self_contained({"patternProperties": {pattern: {}}}) == {"patternProperties": {}}


@pytest.mark.parametrize(
    "reference",
    ["https://example.com/schema.json", "file:///etc/passwd", "other.json#/a", "#anchor", "#/$defs/none", "", 7],
)
def test_reference_that_leaves_the_document_is_refused(reference: object) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": reference}}, "$defs": {}}
    with pytest.raises(PermanentError) as caught:
        check_schema(schema)
    assert caught.value.code == "schema-reference"


def test_reference_is_resolved_and_what_stands_beside_it_holds_too() -> None:
    schema = {
        "properties": {
            "a": {"$ref": "#/$defs/a~1b%20c", "description": "the first"},
            "b": {"$ref": "#/$defs/a~1b%20c", "maximum": 9},
        },
        "$defs": {"a/b c": {"type": "integer", "description": "any"}},
    }
    assert make_self_contained(schema)["properties"] == {
        "a": {"type": "integer", "description": "the first"},
        "b": {"maximum": 9, "allOf": [{"type": "integer", "description": "any"}]},
    }


def test_schema_that_contains_itself_ends_where_it_begins_again() -> None:
    schema = {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    }
    check_schema(schema)
    node = {"type": "object", "properties": {"next": {}}}
    assert make_self_contained(schema)["properties"] == {"root": node}
    assert check_arguments(schema, '{"root": {"next": {"next": 7}}}') == {"root": {"next": {"next": 7}}}
    assert isinstance(check_arguments(schema, '{"root": 7}'), str)


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}])
def test_schema_that_is_nothing_but_itself_has_no_type(schema: dict[str, Any]) -> None:
    with pytest.raises(PermanentError) as caught:
        check_schema(schema)
    assert caught.value.code == "schema-not-object"


def test_references_that_multiply_are_refused_soon() -> None:
    definitions: dict[str, Any] = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]} for n in range(40)
    }
    started = time.monotonic()
    with pytest.raises(PermanentError) as caught:
        check_schema({"type": "object", "$defs": definitions | {"a40": {}}, "$ref": "#/$defs/a0"})
    assert caught.value.code == "schema-too-large"
    assert time.monotonic() - started < 2.0


def test_value_that_a_recursive_schema_would_try_in_every_way_is_quick() -> None:
    schema = {"type": "object", "properties": {"x": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}}
    value: dict[str, Any] = {}
    for _ in range(30):
        value = {"x": value}
    started = time.monotonic()
    assert check_arguments(schema, json.dumps(value)) == value
    assert time.monotonic() - started < 2.0


def _nest(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        (_nest(3_000), "schema-too-deep"),
        ({"type": "object", "description": "x" * 70_000}, "schema-too-large"),
        ({"type": "object", "properties": {"a": {"type": "nope"}}}, "schema-invalid"),
        ({"type": "object", "required": "a"}, "schema-invalid"),
        ({"type": "object", "default": float("nan")}, "schema-invalid"),
        ({"type": "array"}, "schema-not-object"),
        ({}, "schema-not-object"),
    ],
)
def test_schema_that_cannot_be_used_is_refused_before_it_is_stored(schema: dict[str, Any], code: str) -> None:
    with pytest.raises(PermanentError) as caught:
        check_schema(schema)
    assert caught.value.code == code


def test_invalid_schema_is_named_with_its_place() -> None:
    with pytest.raises(PermanentError, match="#/properties/a/type"):
        check_schema({"type": "object", "properties": {"a": {"type": "nope"}}})


def test_words_of_openapi_become_words_of_json_schema() -> None:
    schema = {
        "type": "object",
        "required": ["id", "size"],
        "properties": {
            "id": {"type": "string", "readOnly": True},
            "size": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "exclusiveMaximum": False},
            "kind": {"type": "string", "nullable": True, "enum": ["a"], "example": "a", "xml": {}},
        },
    }
    assert make_self_contained(schema) == {
        "type": "object",
        "required": ["size"],
        "properties": {
            "size": {"type": "integer", "exclusiveMinimum": 0},
            "kind": {"type": ["string", "null"], "enum": ["a", None]},
        },
    }
