"""A stop, from the signal on its queue to the answer that ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.models import ConversationStatus, Task, TaskStatus, ToolStatus
from core.outside import OutsideHttp
from core.store import Claim, Store
from core.store.interruptions import Interruptions
from local.fake_slack import payloads
from local.fake_slack.demo import DEMO
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour, ToolCall, Usage
from tests.integration.turns.stack import COMPANY, Stack
from tests.integration.turns.test_tools import configure, usages

_READ = ToolCall("orders_getOrder", {"orderId": "A-1"}, call_id="call_read")
_WRITE = ToolCall("orders_placeOrder", {"body": {"item": "coffee", "quantity": 1}}, call_id="call_write")


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
    monkeypatch.setattr("agent.stopping._SECONDS_BETWEEN", 0.02)


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
    assert stack.signal("stop", ts="1.2", external_user_id="U0NOBODY01")
    assert stack.signal("stop", ts="1.2", attempt=3)  # of a colleague, where no question came
    stack.store.directory.set_installation_enabled(
        "acme", "slack", DEMO.team_id, False, stack.store.directory.list_companies()[0].created_at
    )
    assert stack.signal("stop", ts="1.2")


def test_a_silent_model_does_not_keep_a_stop_waiting(stack: Stack) -> None:
    gate = threading.Event()
    stack.model.script(Behaviour(deltas=["Too ", "late."], gate=gate))
    ts = stack.ask("tell me everything")
    records = stack.receive()
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, records)
        assert stack.slack.wait_for(lambda: bool(stack.model.requests), seconds=20)
        assert stack.signal("stop", ts=ts)
        assert done.result(timeout=20) == []  # nothing but the stop ends it: the model is still held
    gate.set()
    assert "Stopped" in stack.answer(ts)
    assert [task.status for task in stack.tasks(ts)] == [TaskStatus.CANCELED]


def test_a_tool_that_reads_is_left_behind_and_one_that_writes_is_waited_for(
    stack: Stack, book: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(stack, book)
    to_service, running, released = OutsideHttp.request, threading.Event(), threading.Event()

    def request(self: OutsideHttp, *args: Any, **kwargs: Any) -> object:
        running.set()
        assert released.wait(20)
        return to_service(self, *args, **kwargs)

    monkeypatch.setattr(OutsideHttp, "request", request)
    for call, is_waited_for in ((_READ, False), (_WRITE, True)):
        running.clear()
        released.clear()
        stack.model.script(Behaviour(tool_calls=[call], usage=Usage(input_tokens=100, output_tokens=10)))
        ts = stack.ask("order")
        records = stack.receive()
        with ThreadPoolExecutor(1) as invocation:
            done = invocation.submit(stack.deliver, records)
            assert running.wait(20)
            assert stack.signal("stop", ts=ts)
            if is_waited_for:
                with pytest.raises(TimeoutError):
                    done.result(timeout=0.3)  # more than ten looks at the flag
                released.set()
            assert done.result(timeout=20) == []
        released.set()
        (usage,) = usages(stack, ts)
        assert usage.status is (ToolStatus.COMPLETED if is_waited_for else ToolStatus.FAILED)
        (task,) = stack.tasks(ts)
        assert (task.status, task.total_tokens) == (TaskStatus.CANCELED, 110)
    assert len(book.orders.effects) == 1


def test_what_still_waits_when_somebody_says_stop_is_not_answered(stack: Stack) -> None:
    ts = stack.ask("hello")
    stack.settle()
    asked = len(stack.model.requests)
    stack.ask("and then?", thread_ts=ts)
    assert stack.signal("stop", ts=ts, sent_at=datetime.now(UTC) + timedelta(seconds=1))
    stack.settle()
    assert len(stack.model.requests) == asked
    assert "Stopped" in stack.thread(ts)[1].text
    assert stack.conversation(ts).status is ConversationStatus.CANCELED
    later = payloads.mention("and now?", thread_ts=ts)
    later["event"]["ts"] = f"{datetime.now(UTC).timestamp() + 2:.6f}"
    stack.post(later)
    stack.settle()
    assert stack.conversation(ts).status is ConversationStatus.COMPLETED


def test_a_stop_between_the_claim_and_the_first_call_counts(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.stopping._SECONDS_BETWEEN", 60.0)
    to_table = Store.start_task

    def start_task(self: Store, claim: Claim, task: Task) -> Task:
        assert self.interruptions.request_cancel(COMPANY, claim.conversation.id)
        return to_table(self, claim, task)

    monkeypatch.setattr(Store, "start_task", start_task)
    ts = stack.ask("hello")
    stack.settle()
    assert stack.conversation(ts).status is ConversationStatus.CANCELED
    assert "Stopped" in stack.answer(ts)


def test_a_short_turn_pays_for_no_look(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.stopping._SECONDS_BETWEEN", 1.5)
    looks = []
    to_table = Interruptions.look

    def look(self: Interruptions, *args: Any, **kwargs: Any) -> object:
        looks.append(1)
        return to_table(self, *args, **kwargs)

    monkeypatch.setattr(Interruptions, "look", look)
    with answering(stack) as ts:
        pass
    assert stack.answer(ts) == "Half of it all."
    assert len(looks) <= 2  # one in each second and a half that this machine took
