"""Turns that wait for a person and do not end as planned: dead letters and time that runs out."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest

from core.events import SignalReceived
from core.models import ApprovalStatus, ConversationStatus, TaskStatus, to_iso
from core.store import keys
from local.fake_slack.demo import DEMO
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour
from tests.integration.cloud import TABLE_NAME
from tests.integration.turns.border import Border
from tests.integration.turns.configured import order_tool
from tests.integration.turns.stack import COMPANY, Context, Killed, Stack, load_door
from tests.integration.turns.test_approvals import asked, configure, park, press, status, usages


@pytest.fixture
def guarded(stack: Stack, book: FakeTools) -> Stack:
    """A company whose orders are placed with an approval."""
    configure(stack, order_tool(book, "guarded", requires_approval=True))
    return stack


def test_a_decided_turn_that_fails_to_the_last_fails_where_it_waited(guarded: Stack) -> None:
    ts = park(guarded, said="I'll order it.")
    waited = guarded.conversation(ts).id
    guarded.ask("/new", thread_ts=ts)
    guarded.settle()
    guarded.ask("hello", thread_ts=ts)
    guarded.settle()
    other = guarded.conversation(ts)
    assert other.id != waited
    guarded.model.script(*[Behaviour(when="Order", fail_status=500)] * 20)
    assert press(guarded, ts)
    assert len(guarded.settle()) == 1
    conversation = guarded.store.get_conversation(COMPANY, waited)
    assert conversation
    assert conversation.status is ConversationStatus.FAILED
    (task,) = guarded.store.list_tasks(COMPANY, waited)
    assert task.status is TaskStatus.FAILED
    assert [each.status for each in guarded.store.list_tasks(COMPANY, other.id)] == [TaskStatus.COMPLETED]
    texts = [each.text for each in guarded.thread(ts)]
    assert "I'll order it." in texts
    assert sum("something went wrong" in text for text in texts) == 1


def outlive(stack: Stack, ts: str) -> None:
    """Let the time be over in which what a thread waits for could be decided."""
    then = to_iso(datetime.now(UTC) - timedelta(seconds=1))
    for usage in usages(stack, ts):
        partition, place = keys.tool_usage_key(COMPANY, usage.message_id, usage.place_of_use)
        boto3.client("dynamodb").update_item(
            TableName=TABLE_NAME,
            Key={"PK": {"S": partition}, "SK": {"S": place}},
            UpdateExpression="SET approvalUntil = :then, GSI1SK = :then",
            ExpressionAttributeValues={":then": {"S": then}},
        )


def look_for_overdue(stack: Stack) -> list[SignalReceived]:
    """Run the schedule once; the signals that it published, off their queue."""
    load_door("overdue_approvals").handler({}, Context())
    url = stack.queue_urls["signals"]
    found = stack.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        stack.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [SignalReceived.model_validate_json(message["Body"]) for message in found]


def take_up(stack: Stack, signal: SignalReceived, attempt: int = 1) -> bool:
    """Deliver a signal; whether it is done."""
    return stack.signal(attempt=attempt, **signal.model_dump(exclude={"version"}))


def test_what_nobody_decided_in_time_ends_without_anybody(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded, said="I'll order it.")
    outlive(guarded, ts)
    requests = len(guarded.model.requests)
    (signal,) = look_for_overdue(guarded)
    for attempt in (1, 2):
        assert take_up(guarded, signal, attempt)
    assert guarded.settle() == []
    said, question, end = guarded.thread(ts)
    assert said.text == "I'll order it."
    assert "can no longer be decided" in question.text
    assert "Nobody decided in time" in end.text
    assert "Stopped at your request" not in end.text
    assert not asked(guarded, ts)
    assert guarded.conversation(ts).status is ConversationStatus.CANCELED
    assert guarded.tasks(ts)[0].status is TaskStatus.CANCELED
    assert status(usages(guarded, ts)[0]) is ApprovalStatus.EXPIRED
    assert book.orders.effects == []
    assert len(guarded.model.requests) == requests
    assert look_for_overdue(guarded) == []


def test_what_can_still_be_decided_or_was_is_left_alone(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded)
    assert look_for_overdue(guarded) == []
    outlive(guarded, ts)
    (signal,) = look_for_overdue(guarded)
    other = park(guarded)
    named = {"reference": asked(guarded, other)[0].buttons[0].value, "address": guarded.conversation(other).address}
    early = signal.model_copy(update=named)
    assert take_up(guarded, early)
    assert status(usages(guarded, other)[0]) is ApprovalStatus.WAITING
    guarded.model.script(Behaviour(text="Then not."))
    assert press(guarded, other, "deny")
    guarded.settle()
    outlive(guarded, other)
    assert take_up(guarded, early)
    assert guarded.settle() == []
    assert status(usages(guarded, other)[0]) is ApprovalStatus.DENIED
    overdue = guarded.store.waiting.list_overdue(COMPANY, datetime.now(UTC), limit=10)
    assert [each.message_id for each in overdue] == [usages(guarded, ts)[0].message_id], "what was decided is no more"
    assert guarded.thread(other)[-1].text == "Then not."
    assert book.orders.effects == []


def test_what_waits_in_a_workspace_that_removed_the_app_does_not_stand_in_the_way(
    guarded: Stack, book: FakeTools
) -> None:
    ts = park(guarded)
    outlive(guarded, ts)
    guarded.store.directory.set_installation_enabled(COMPANY, "slack", DEMO.team_id, False, datetime.now(UTC))
    (signal,) = look_for_overdue(guarded)
    assert take_up(guarded, signal)
    assert look_for_overdue(guarded) == []
    guarded.settle()
    assert book.orders.effects == []


def test_a_press_after_the_time_ends_it_too(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded)
    outlive(guarded, ts)
    assert press(guarded, ts)
    guarded.settle()
    assert "Nobody decided in time" in guarded.thread(ts)[-1].text
    assert book.orders.effects == []


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_it_ends_once_wherever_the_processor_of_signals_dies(guarded: Stack, border: Border, *, is_after: bool) -> None:
    border.is_after, border.is_text_free = is_after, True
    for crossing in range(1, 40):
        ts = park(guarded)
        outlive(guarded, ts)
        (signal,) = look_for_overdue(guarded)
        border.crossings, border.die_at = 0, crossing
        is_dead = False
        try:
            assert take_up(guarded, signal)
        except Killed:
            is_dead, border.die_at = True, 0
            assert take_up(guarded, signal, 2)
        border.die_at = 0
        assert guarded.settle() == []
        question, end = guarded.thread(ts)
        assert "can no longer be decided" in question.text
        assert "Nobody decided in time" in end.text
        if not is_dead:
            break
    assert crossing >= 4
