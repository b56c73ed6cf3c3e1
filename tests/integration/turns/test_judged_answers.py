"""Which answer a platform's own thumbs judge, and that one place's farewell is not the workspace's."""

from datetime import UTC, datetime, timedelta
from typing import Any

from core.events import SignalKind, SignalReceived
from core.models import Address
from core.signals.answers import name_answer
from core.signals.case import Case
from local.fake_slack.demo import DEMO
from tests.integration.meter import Meter
from tests.integration.turns.stack import Stack
from tests.integration.turns.test_cost import lengthen

_NOW = datetime.now(UTC) + timedelta(hours=1)


def _never(*_: object) -> Any:  # nobody connects here
    raise AssertionError


def _case(stack: Stack, ts: str, judged: str, *, shown_at: datetime | None = None) -> Case:
    installation = stack.store.directory.find_installation("slack", DEMO.team_id)
    assert installation
    signal = SignalReceived(
        kind=SignalKind.FEEDBACK,
        external_id="one",
        address=Address(platform="slack", workspace_id=DEMO.team_id, channel_id=DEMO.channel_id, thread_id=ts),
        external_message_id=judged,
        message_sent_at=shown_at,
        value="up",
        sent_at=_NOW,
        received_at=_NOW,
        correlation_id="request-1",
    )
    return Case(
        signal=signal,
        attempt=1,
        is_last=False,
        installation=installation,
        store=stack.store,
        connect=_never,
        go_on=_never,
        resume=_never,
        forget_secret=_never,
        clock=lambda: _NOW,
    )


def test_the_judged_message_is_the_answer_that_it_holds(stack: Stack) -> None:
    ts = stack.ask("first")
    stack.settle()
    stack.ask("second", thread_ts=ts)
    stack.settle()
    answers = [message for message in stack.messages(ts) if message.role == "assistant"]
    assert len(answers) == 2
    for answer in answers:
        named = name_answer(_case(stack, ts, answer.outgoing_ids[0]))
        assert named
        assert named.signal.reference == answer.id


def test_a_question_or_a_message_of_elsewhere_is_no_answer(stack: Stack) -> None:
    ts, other = stack.ask("first"), stack.ask("elsewhere")
    stack.settle()
    elsewhere = next(message for message in stack.messages(other) if message.role == "assistant")
    assert name_answer(_case(stack, ts, ts)) is None
    assert name_answer(_case(stack, ts, elsewhere.outgoing_ids[0])) is None
    assert name_answer(_case(stack, "1767225600.999999", ts)) is None


def test_a_judged_answer_is_found_at_the_same_cost_however_long_the_conversation(stack: Stack) -> None:
    ts = stack.ask("first")
    stack.settle()
    lengthen(stack, ts, 998)
    judged = stack.messages(ts)[-1]
    with Meter() as meter:
        named = name_answer(_case(stack, ts, judged.outgoing_ids[0]))
        assert name_answer(_case(stack, ts, "1.2")) is None
    assert named
    assert named.signal.reference == judged.id
    assert meter.read_units <= 30, meter.by_operation


def test_an_answer_is_judged_long_after_it_was_given(stack: Stack) -> None:
    ts = stack.ask("first")
    stack.settle()
    judged = stack.messages(ts)[-1]
    for number in range(30):
        stack.ask(f"and {number}?", thread_ts=ts)
    assert stack.settle() == []
    named = name_answer(_case(stack, ts, judged.outgoing_ids[0], shown_at=judged.created_at))
    assert named
    assert named.signal.reference == judged.id


def test_an_answer_of_before_a_new_conversation_is_judged_too(stack: Stack) -> None:
    ts = stack.ask("first")
    stack.settle()
    judged = stack.messages(ts)[-1]
    stack.ask("/new", thread_ts=ts)
    stack.settle()
    named = name_answer(_case(stack, ts, judged.outgoing_ids[0]))
    assert named
    assert named.signal.reference == judged.id


def test_feedback_on_no_answer_and_the_farewell_of_one_place_end_quietly(stack: Stack) -> None:
    ts = stack.ask("first")
    stack.settle()
    assert stack.signal("feedback", ts=ts, value="up", external_message_id="1.2")
    assert stack.signal("uninstall", ts=ts)
    installation = stack.store.directory.find_installation("slack", DEMO.team_id)
    assert installation
    assert (installation.enabled, installation.status) == (True, "ACTIVE")
