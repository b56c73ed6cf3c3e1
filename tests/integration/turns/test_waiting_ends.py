"""Turns that wait for a person and do not end as planned: dead letters and time that runs out."""

from collections.abc import Iterator

import pytest

from core.models import ConversationStatus, TaskStatus
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour
from tests.integration.turns.stack import COMPANY, Stack
from tests.integration.turns.test_approvals import configure, orders, park, press


@pytest.fixture
def book() -> Iterator[FakeTools]:
    """The company's order service."""
    with FakeTools() as running:
        yield running


@pytest.fixture
def guarded(stack: Stack, book: FakeTools) -> Stack:
    """A company whose orders are placed with an approval."""
    configure(stack, orders(book, "guarded", requires_approval=True))
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
