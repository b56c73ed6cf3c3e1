"""What people and companies may use together: who is counted, what counts, and which settings say how much."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.configuration import Limits
from core.models import TaskStatus
from local.fake_slack.demo import DEMO
from local.fake_slack.state import User as SlackUser
from local.standin_model import Behaviour, Usage
from tests.integration.turns.configured import make_settings
from tests.integration.turns.stack import COMPANY, Stack, add_person, load_door

_LONG = "Could somebody please tell me how I file my travel expenses for the trip to the customer in Lisbon?"
_NAME = "Person: "  # begins what a model is asked for a title
_REMEMBER = "Said since:"  # in what a model is asked for a summary
_SPENT = Usage(input_tokens=100, output_tokens=10)


def configure(stack: Stack, limits: Limits, *, version: int = 1, **settings: Any) -> None:
    """Give the company settings with these limits, known to the processor at once."""
    stack.store.directory.put_settings(make_settings(version=version, limits=limits, **settings))
    stack.processor = load_door("llm_processor")


def asked(stack: Stack, mark: str) -> int:
    """How often the model was asked something with this in it."""
    bodies: list[dict[str, Any]] = [each.body or {} for each in stack.model.requests]
    return sum(mark in json.dumps(body["input"][-1], ensure_ascii=False) for body in bodies)


def used(stack: Stack, user_id: str) -> int:
    """The tokens of a person's day."""
    return stack.store.day_usage(COMPANY, user_id, datetime.now(UTC).date()).total_tokens


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_user_day_messages=1),
        Limits(max_user_day_tokens=110),
        Limits(max_company_month_tokens=110),
    ],
)
def test_nobody_names_a_conversation_once_a_limit_is_reached(stack: Stack, limits: Limits) -> None:
    configure(stack, limits)
    stack.model.script(Behaviour(text="In the tool.", usage=_SPENT))
    ts = stack.ask(_LONG)
    assert stack.settle() == []
    assert stack.answer(ts) == "In the tool."
    assert asked(stack, _NAME) == 0
    assert stack.conversation(ts).title == _LONG[:80]


def test_what_follows_a_turn_counts_for_whom_it_answered(stack: Stack) -> None:
    configure(stack, Limits(max_user_day_tokens=1_000))
    stack.model.script(
        Behaviour(when=_NAME, text="Expenses", usage=_SPENT), Behaviour(when="", text="Yes.", usage=_SPENT)
    )
    ts = stack.ask(_LONG)
    stack.settle()
    assert stack.conversation(ts).title == "Expenses"
    assert used(stack, "usr_alice") == 220
    assert stack.store.company_month_usage(COMPANY, f"{datetime.now(UTC):%Y-%m}").total_tokens == 220


def test_no_summary_is_made_once_a_limit_is_reached(stack: Stack) -> None:
    configure(stack, Limits(history_messages=2, max_user_day_messages=5))
    ts = stack.ask("question")
    stack.settle()
    for _ in range(4):
        stack.ask("and then?", thread_ts=ts)
        assert stack.settle() == []
        summaries = asked(stack, _REMEMBER)
        if stack.conversation(ts).message_count < 10:
            before = summaries
    assert before > 0, "a summary is made while there is room"
    assert summaries == before


def test_a_failed_turn_counts_for_who_asked_and_not_for_who_began_the_conversation(stack: Stack) -> None:
    mate = add_person(stack, "usr_mate", "U0MATE0001")
    stack.slack.add_user(SlackUser(mate, DEMO.team_id, "usr_mate@demo.example", "mate"))
    configure(stack, Limits(), output_configuration={"type": "object", "required": ["a"]})
    stack.model.script(Behaviour(text='{"a": 1}', usage=_SPENT), *[Behaviour(text="no JSON", usage=_SPENT)] * 3)
    ts = stack.ask("question")
    stack.settle()
    stack.ask("and mine?", thread_ts=ts, user=mate)
    stack.settle()
    assert stack.tasks(ts)[-1].status is TaskStatus.FAILED
    assert (used(stack, "usr_alice"), used(stack, "usr_mate")) == (110, 330)


def test_a_new_limit_holds_in_conversations_that_began_before_it(stack: Stack) -> None:
    configure(stack, Limits())
    ts = stack.ask("question")
    stack.settle()
    configure(stack, Limits(max_user_day_messages=1), version=2)
    stack.ask("and now?", thread_ts=ts)
    assert stack.settle() == []
    assert "limit for today" in stack.thread(ts)[-1].text
    assert stack.tasks(ts)[-1].status is TaskStatus.FAILED
    configure(stack, Limits(max_user_day_messages=100), version=3)
    stack.ask("and then?", thread_ts=ts)
    stack.settle()
    assert "limit" not in stack.thread(ts)[-1].text
