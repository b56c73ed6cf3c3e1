"""Answers of a fixed shape, as models really write them."""

import pytest

from agent.output import MAX_OUTPUT_CHARACTERS, MAX_REPAIRS, Misfit, Parsed, parse_output, repair_request
from agent.tools import Json
from core.errors import PermanentError

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer", "minimum": 0}},
    "required": ["city"],
    "additionalProperties": False,
}
BERN = '{"city": "Bern", "people": 140000}'


@pytest.mark.parametrize(
    "text",
    [
        BERN,
        f"\n  {BERN}\n\n",
        f"```json\n{BERN}\n```",
        f"```\n{BERN}\n```\n",
        f"Here you are:\n\n```json\n{BERN}\n```\n\nAnything else?",
        f"The answer is {BERN}",
        f"{BERN}\n\nI hope that {{helps}}.",
        f"```sh\nls\n```\n\n```json\n{BERN}\n```",
    ],
)
def test_the_value_is_found_in_whatever_stands_around_it(text: str) -> None:
    assert parse_output(text, SCHEMA) == Parsed({"city": "Bern", "people": 140000})


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ('["a", "b"]', {"type": "array", "items": {"type": "string"}}, ["a", "b"]),
        ("Sure: [1, 2]", {"type": "array"}, [1, 2]),
        ("42", {"type": "integer"}, 42),
        ('"yes"', {"enum": ["yes", "no"]}, "yes"),
        ("null", {"type": "null"}, None),
        ('{"a": {"b": "```"}}', {"type": "object"}, {"a": {"b": "```"}}),
    ],
)
def test_the_value_may_be_of_any_kind(text: str, schema: dict[str, object], value: Json) -> None:
    assert parse_output(text, schema) == Parsed(value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"people": 3}', "city"),
        ('{"city": 7}', "string"),
        ('{"city": "Bern", "people": -1}', "people"),
        ('{"city": "Bern", "mayor": "A"}', "mayor"),
        ('["Bern"]', "object"),
    ],
)
def test_a_value_that_does_not_fit_is_described(text: str, word: str) -> None:
    parsed = parse_output(text, SCHEMA)
    assert isinstance(parsed, Misfit)
    assert word in "\n".join(parsed.problems)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I don't know.",
        '{"city": "Bern"',
        '{"city": "Bern",}',
        '{"city": NaN}',
        '{"city": "\\ud800"}',
        '{"outer": {"city": "Bern"}, oops}',
        "[" * 200_000,
        "7 cities",
    ],
    ids=range(9),
)
def test_what_is_no_json_is_a_misfit_and_never_half_taken(text: str) -> None:
    assert isinstance(parse_output(text, {"type": ["object", "integer"]}), Misfit)


def test_an_answer_too_large_to_look_at_is_a_misfit() -> None:
    text = '{"city": "' + "x" * MAX_OUTPUT_CHARACTERS + '"}'
    parsed = parse_output(text, SCHEMA)
    assert isinstance(parsed, Misfit)
    assert str(MAX_OUTPUT_CHARACTERS) in parsed.problems[0]


def test_a_schema_that_cannot_be_used_is_nobodys_misfit() -> None:
    with pytest.raises(PermanentError):
        parse_output("{}", {"$ref": "https://example.com/schema.json"})


def test_the_model_is_told_every_problem_and_asked_for_the_whole_answer() -> None:
    parsed = parse_output('{"city": 7, "people": -1}', SCHEMA)
    assert isinstance(parsed, Misfit)
    request = repair_request(parsed.problems)
    assert all(problem in request for problem in parsed.problems)
    assert {"city", "people"} <= set(request.replace(":", " ").replace("/", " ").split())
    assert "whole answer" in request
    assert MAX_REPAIRS == 2
