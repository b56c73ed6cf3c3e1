"""A stop, from the signal on its queue to the answer that ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from core.models import ConversationStatus, TaskStatus
from local.fake_slack.demo import DEMO
from local.standin_model.script import Behaviour
from tests.integration.turns.stack import Stack


@contextmanager
def answering(stack: Stack, *, text: str = "tell me everything") -> Iterator[str]:
    """An answer that has begun and goes on after the block; the question's ts."""
    gate = threading.Event()
    stack.model.script(Behaviour(deltas=["Half ", "of ", "it ", "all."], gate=gate, hold_at=1))
    ts = stack.ask(text)
    records = stack.receive()
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, records)
        assert stack.slack.wait_for(lambda: bool(stack.thread(ts)), seconds=20)
        yield ts
        gate.set()
        assert done.result(timeout=20) == []


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.stopping._SECONDS_BETWEEN", 0.0)


@pytest.mark.parametrize("is_button", [True, False], ids=["by its button", "by a message"])
def test_a_running_answer_is_stopped_and_keeps_what_was_said(stack: Stack, *, is_button: bool) -> None:
    with answering(stack) as ts:
        task_id = stack.conversation(ts).current_task_id or ""
        assert stack.signal("stop", ts=ts, reference=task_id if is_button else "", external_message_id="1.5")
    assert stack.conversation(ts).status is ConversationStatus.CANCELED
    assert "Stopped" in stack.answer(ts)
    assert [task.status for task in stack.tasks(ts)] == [TaskStatus.CANCELED]


def test_operations_stop_an_answer_without_being_a_person_of_the_company(stack: Stack) -> None:
    with answering(stack) as ts:
        reference = f"ops:{stack.conversation(ts).current_task_id}"
        assert stack.signal("stop", ts=ts, reference=reference, external_user_id="")
    assert stack.conversation(ts).status is ConversationStatus.CANCELED


def test_nobody_else_stops_it(stack: Stack) -> None:
    with answering(stack) as ts:
        task_id = stack.conversation(ts).current_task_id or ""
        other = stack.ask("elsewhere")
        assert stack.signal("stop", ts=ts, reference=task_id, external_user_id="USTRANGER")
        assert stack.signal("stop", ts=ts, reference=f"ops:{task_id}", external_user_id="USTRANGER")
        assert stack.signal("stop", ts=other, reference=task_id)
        assert stack.signal("stop", ts=ts, reference="cnv_of_another_company.t.01ARZ3NDEKTSV4RRFFQ69G5FAV")
        assert stack.signal("stop", ts=ts, reference="not a task")
    assert stack.answer(ts) == "Half of it all."


def test_where_nothing_runs_that_is_said_once_and_in_the_persons_language(stack: Stack) -> None:
    ts = stack.ask("Guten Morgen, können Sie mir bitte bei meiner Reisekostenabrechnung helfen?")
    stack.settle()
    stop = stack.slack.post_as(DEMO.user_id, "stop", channel=DEMO.channel_id, thread_ts=ts).ts
    for attempt in (1, 2):
        assert stack.signal("stop", ts=ts, external_id="S-once", external_message_id=stop, attempt=attempt)
    assert [message.text for message in stack.thread(ts)][1:] == ["Hier wird gerade nichts mehr beantwortet."]
    assert stack.signal("stop", ts=ts, reference=stack.tasks(ts)[0].id, external_message_id=stop)
    assert len(stack.thread(ts)) == 2


def test_a_signal_that_is_nobodys_ends_quietly(stack: Stack) -> None:
    assert stack.signal("shout")
    assert stack.signal("stop", ts="1.2")
    stack.store.directory.set_installation_enabled(
        "acme", "slack", DEMO.team_id, False, stack.store.directory.list_companies()[0].created_at
    )
    assert stack.signal("stop", ts="1.2")
