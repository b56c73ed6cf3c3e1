"""What a person sees of a call: bounded, readable, nothing secret, nothing that passes for something else."""

import json

from hypothesis import given
from hypothesis import strategies as st

from core.call_texts import describe_call


def test_arguments_are_readable() -> None:
    text = describe_call("orders_place", '{"item": "café", "quantity": 2}')
    assert text == '`orders_place`\n\n```\n{\n  "item": "café",\n  "quantity": 2\n}\n```'


def test_secrets_are_not_shown() -> None:
    request = {"user": {"password": "hunter2", "apiKey": "k-1", "Authorization": ["Bearer x"]}, "name": "Ann"}
    text = describe_call("t", json.dumps(request))
    assert "Ann" in text
    assert not any(secret in text for secret in ("hunter2", "k-1", "Bearer"))


def test_what_is_left_out_is_named() -> None:
    text = describe_call("t", json.dumps({"a": "x" * 10_000, "b": list(range(5_000))}))
    assert len(text) < 2_300
    assert "9500 characters more are not shown" in text
    assert text.endswith("characters more are not shown)\n```")


@given(st.text(), st.one_of(st.text(), st.builds(json.dumps, st.dictionaries(st.text(), st.text()))))
def test_no_argument_closes_its_block_or_hides(name: str, request: str) -> None:
    text = describe_call(name, request)
    assert text.count("```") == 2
    assert len(text) < 2_300
    assert all(character.isprintable() or character == "\n" or character.isspace() for character in text)


def test_a_deep_argument_is_cut() -> None:
    assert describe_call("t", "[" * 100_000 + "]" * 100_000)
    assert "…" in describe_call("t", "[" * 20 + "]" * 20)
