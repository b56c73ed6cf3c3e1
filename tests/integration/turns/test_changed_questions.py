"""A question that is edited or deleted: before its turn, while it runs, and after it."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from core.models import ConversationStatus, Message, Role, TaskStatus
from core.store import Store
from local.fake_slack.demo import DEMO
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour, ToolCall, Usage
from tests.integration.cloud import BUCKET_NAME
from tests.integration.turns.border import Border
from tests.integration.turns.stack import COMPANY, Killed, Record, Stack, again, load_door
from tests.integration.turns.test_tools import configure, usages

_WRITE = ToolCall("orders_placeOrder", {"body": {"item": "coffee", "quantity": 1}}, call_id="call_write")
_LONG = "a secret of many words " * 1_000  # more than the table takes


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.stopping._SECONDS_BETWEEN", 0.02)


def change(
    stack: Stack, kind: str, ts: str, text: str = "", *, thread: str = "", after: float = 1, **fields: Any
) -> bool:
    """Deliver that the message `ts` was edited or deleted, so many seconds after it was sent; whether that is done."""
    sent_at = datetime.fromtimestamp(float(ts), UTC)
    given: dict[str, Any] = {
        "external_message_id": ts,
        "message_sent_at": sent_at,
        "sent_at": sent_at + timedelta(seconds=after),
        "text": text,
    }
    return stack.signal(kind, ts=thread or ts, **{**given, **fields})


@contextmanager
def answering(stack: Stack, *behaviours: Behaviour, text: str = "the first text") -> Iterator[str]:
    """An answer that has begun and is held at its first word; the question's ts."""
    gate = threading.Event()
    stack.model.script(Behaviour(deltas=["Old ", "answer."], gate=gate, hold_at=1), *behaviours)
    ts = stack.ask(text)
    records = stack.receive()
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, records)
        assert stack.slack.wait_for(lambda: bool(stack.thread(ts)), seconds=20)
        yield ts
        assert done.result(timeout=30) == []
    gate.set()


def question(stack: Stack, ts: str, place: int = 1) -> Message:
    """The stored question."""
    found = stack.messages(ts)[place]
    assert found.role is Role.USER
    return found


def seen(stack: Stack) -> str:
    """What the model was told last, for an answer; titles are made of what was said by then."""
    told = [json.dumps(request.body) for request in stack.model.requests]
    return next(each for each in reversed(told) if "Person: " not in each)


def test_an_edit_restarts_the_turn_in_the_same_message(stack: Stack) -> None:
    with answering(stack, Behaviour(text="New answer.")) as ts:
        (begun,) = stack.thread(ts)
        assert change(stack, "edit", ts, "the second text")
    (shown,) = stack.thread(ts)
    assert (shown.ts, shown.text, shown.is_streaming) == (begun.ts, "New answer.", False)
    asked = question(stack, ts)
    assert (asked.text, asked.user_prompt, asked.structured_user_prompt) == ("the second text",) * 3
    assert asked.edited_at is not None
    assert [message.text for message in stack.messages(ts)[2:]] == ["New answer."]
    assert "the second text" in seen(stack)
    assert "the first text" not in seen(stack)
    (task,) = stack.tasks(ts)
    assert task.status is TaskStatus.COMPLETED
    assert stack.conversation(ts).status is ConversationStatus.COMPLETED


def test_a_write_that_took_effect_before_an_edit_is_told_and_not_done_again(stack: Stack, book: FakeTools) -> None:
    configure(stack, book)
    spent = Usage(input_tokens=100, output_tokens=10)
    gate = threading.Event()
    stack.model.script(
        Behaviour(tool_calls=[_WRITE], usage=spent),
        Behaviour(deltas=["Old ", "answer."], gate=gate, hold_at=1),
        Behaviour(text="Coffee is ordered already.", usage=spent),
    )
    ts = stack.ask("order a coffee")
    (record,) = stack.receive()
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, [record])
        assert stack.slack.wait_for(lambda: bool(stack.thread(ts)), seconds=20)
        assert change(stack, "edit", ts, "order a coffee, and tell me the number")
        assert done.result(timeout=30) == []
    gate.set()
    assert stack.answer(ts) == "Coffee is ordered already."
    assert len(book.orders.effects) == 1
    assert "B-1" in seen(stack)
    assert "do not do it a second time" in seen(stack)
    (used,) = usages(stack, ts)
    assert used.edition is None
    (task,) = stack.tasks(ts)
    assert task.total_tokens == 220


def test_what_an_edit_left_behind_is_counted_by_another_process_too(
    stack: Stack, book: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(stack, book)
    spent = Usage(input_tokens=100, output_tokens=10)
    gate = threading.Event()
    stack.model.script(
        Behaviour(tool_calls=[_WRITE], usage=spent),
        Behaviour(deltas=["Old ", "answer."], gate=gate, hold_at=1),
        *[Behaviour(text="Coffee is ordered already.", usage=spent)] * 2,
    )

    def die(*_: object, **__: object) -> None:
        raise Killed

    ts = stack.ask("order a coffee")
    (record,) = stack.receive()
    with ThreadPoolExecutor(1) as invocation, monkeypatch.context() as patch:
        patch.setattr(stack.processor.collaborators.store, "commit_reply", die)
        done = invocation.submit(stack.deliver, [record])
        assert stack.slack.wait_for(lambda: bool(stack.thread(ts)), seconds=20)
        assert change(stack, "edit", ts, "order a coffee, and tell me the number")
        with pytest.raises(Killed):
            done.result(timeout=30)
    gate.set()
    assert stack.deliver([again(record)]) == []
    (task,) = stack.tasks(ts)
    assert task.total_tokens == 220, "but for the answer that was lost with its process"


def test_a_write_after_an_edit_has_a_record_and_a_key_of_its_own(stack: Stack, book: FakeTools) -> None:
    configure(stack, book)
    gate = threading.Event()
    stack.model.script(
        Behaviour(tool_calls=[_WRITE]),
        Behaviour(deltas=["Old ", "answer."], gate=gate, hold_at=1),
        Behaviour(tool_calls=[_WRITE]),
        Behaviour(text="Two coffees."),
    )
    ts = stack.ask("order a coffee")
    (record,) = stack.receive()
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, [record])
        assert stack.slack.wait_for(lambda: bool(stack.thread(ts)), seconds=20)
        assert change(stack, "edit", ts, "order another coffee")
        assert done.result(timeout=30) == []
    gate.set()
    first, second = usages(stack, ts)
    assert (first.edition, second.edition) == (None, question(stack, ts).edited_at)
    assert book.orders.effects == [first.idempotency_key, second.idempotency_key]
    assert stack.answer(ts) == "Two coffees."
    assert stack.deliver([again(record)]) == []
    assert len(book.orders.effects) == 2


@pytest.mark.parametrize("is_thread_known", [True, False], ids=["in a conversation", "as its first message"])
def test_an_edit_that_overtakes_its_message_is_what_gets_answered(stack: Stack, *, is_thread_known: bool) -> None:
    thread = ""
    if is_thread_known:
        thread = stack.ask("hello")
        stack.settle()
    ts = stack.ask("the first text", thread_ts=thread or None)
    records = stack.receive()
    is_done = change(stack, "edit", ts, "the second text", thread=thread)
    assert is_done is is_thread_known  # where there is no conversation yet it comes again
    assert stack.deliver(records) == []
    if is_thread_known:
        assert "the second text" in seen(stack)
        assert "the first text" not in seen(stack)
    else:
        assert change(stack, "edit", ts, "the second text", attempt=2)
    asked = question(stack, thread or ts, 3 if thread else 1)
    assert (asked.text, asked.user_id) == ("the second text", "usr_alice")
    assert len(stack.thread(thread or ts)) == (2 if thread else 1)


def test_a_signal_about_a_message_that_never_comes_is_given_up_quietly(stack: Stack) -> None:
    ts = f"{datetime.now(UTC).timestamp():.6f}"
    assert [change(stack, "edit", ts, "?", attempt=attempt) for attempt in range(1, 6)] == [False] * 4 + [True]
    assert change(stack, "delete", ts, after=86_400 * 5)
    assert change(stack, "edit", ts, "?", is_addressed=False)
    assert change(stack, "edit", ts, "?", message_sent_at=None)


def test_an_edit_after_the_answer_changes_the_text_and_nothing_else(stack: Stack) -> None:
    stack.model.script(Behaviour(text="That was the first."))
    ts = stack.ask("the first text")
    stack.settle()
    answer, asked = stack.answer(ts), len(stack.model.requests)
    assert change(stack, "edit", ts, f"<@{DEMO.bot_user_id}> the third text", after=3)
    assert change(stack, "edit", ts, "the second text", after=2)  # comes late, was said earlier
    assert stack.receive() == []
    assert (stack.answer(ts), len(stack.model.requests)) == (answer, asked)
    assert question(stack, ts).text == "the third text"
    stack.ask("and now?", thread_ts=ts)
    stack.settle()
    assert "the third text" in seen(stack)
    assert "the first text" not in seen(stack)


def test_an_unchanged_text_is_no_edit(stack: Stack) -> None:
    with answering(stack) as ts:
        (call,) = stack.model.requests
        text = question(stack, ts).user_prompt or ""
        assert change(stack, "edit", ts, text)
        assert question(stack, ts).edited_at is None
        assert stack.signal("stop", ts=ts)
    assert stack.model.requests == [call]


def test_a_deleted_question_ends_its_turn_and_is_erased(stack: Stack) -> None:
    with answering(stack, text=_LONG) as ts:
        assert objects()
        assert change(stack, "delete", ts)
    assert "deleted" in stack.answer(ts)
    asked = question(stack, ts)
    assert asked.deleted_at is not None
    assert (asked.user_prompt, asked.structured_user_prompt, asked.content) == (None, None, ())
    assert not objects()
    assert [message.role for message in stack.messages(ts)] == [Role.SYSTEM, Role.USER]
    assert [task.status for task in stack.tasks(ts)] == [TaskStatus.CANCELED]
    assert stack.conversation(ts).status is ConversationStatus.CANCELED


def test_a_deleted_question_that_waits_is_never_answered(stack: Stack) -> None:
    ts = stack.ask("hello")
    stack.settle()
    asked = len(stack.model.requests)
    second = stack.ask("a secret", thread_ts=ts)
    (record,) = stack.receive()
    assert change(stack, "delete", second, thread=ts)
    for each in (record, again(record)):
        assert stack.deliver([each]) == []
    assert len(stack.model.requests) == asked
    assert len(stack.thread(ts)) == 1
    assert "a secret" not in str(stack.messages(ts))
    assert change(stack, "edit", second, "a secret, edited", thread=ts, after=5)
    assert "a secret" not in str(stack.messages(ts))


def test_what_was_deleted_after_its_answer_is_not_shown_to_the_model_any_more(stack: Stack) -> None:
    stack.model.script(Behaviour(text="Hello."), Behaviour(text="You said blue."))
    ts = stack.ask("hello")
    stack.settle()
    second = stack.ask("my colour is blue", thread_ts=ts)
    stack.settle()
    assert change(stack, "delete", second, thread=ts)
    assert stack.thread(ts)[1].text == "You said blue."
    assert stack.messages(ts)[4].text == "You said blue."
    stack.ask("which colour?", thread_ts=ts)
    stack.settle()
    assert "Hello." in seen(stack)
    assert "blue" not in seen(stack)
    assert len(stack.thread(ts)) == 3


@pytest.mark.parametrize("kind", ["delete", "edit"])
def test_what_was_asked_before_a_new_conversation_began_in_the_thread_is_still_found(stack: Stack, kind: str) -> None:
    ts = stack.ask("hello")
    stack.settle()
    asked = stack.ask("a secret", thread_ts=ts)
    stack.settle()
    before = stack.conversation(ts).id
    for _ in range(2):
        stack.ask("/new", thread_ts=ts)
        stack.settle()
        stack.ask("something else", thread_ts=ts)
        stack.settle()
    now = stack.conversation(ts).id
    assert now != before
    present = stack.messages(ts)
    assert change(stack, kind, asked, "harmless" if kind == "edit" else "", thread=ts)
    texts = [each.user_prompt for each in stack.store.list_messages(COMPANY, before) if each.role is Role.USER]
    assert texts[1:] == ["harmless" if kind == "edit" else None]
    assert stack.messages(ts) == present


def objects() -> list[str]:
    """What lies in the bucket."""
    found = boto3.client("s3").list_objects_v2(Bucket=BUCKET_NAME).get("Contents", [])
    return [each["Key"] for each in found]


@pytest.mark.parametrize("kind", ["edit", "delete"])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_signal_ends_the_same_wherever_its_processor_dies(
    stack: Stack, border: Border, kind: str, *, is_after: bool
) -> None:
    border.is_after = is_after
    for crossing in range(1, 30):
        stack.model.clear()
        stack.model.script(Behaviour(deltas=["Old ", "answer."], break_after=1), Behaviour(text="New answer."))
        ts = stack.ask("first")
        waiting = stack.deliver(stack.receive())  # its message is begun, its turn waits to be tried again
        assert len(waiting) == len(stack.thread(ts)) == 1
        border.crossings, border.die_at = 0, crossing
        is_dead = False
        try:
            assert change(stack, kind, ts, "second", external_id="S-again")
        except Killed:
            is_dead = True
        border.die_at = 0
        if is_dead:
            stack.signals = load_door("signal_processor")
            assert change(stack, kind, ts, "second", external_id="S-again", attempt=2)
        assert stack.deliver(waiting) == []
        shown, text = ("New answer.", "second") if kind == "edit" else ("deleted", "")
        assert shown in stack.answer(ts)
        assert question(stack, ts).text == text
        if not is_dead:
            break
    assert crossing > 4


def test_an_edited_turn_ends_with_one_answer_wherever_it_dies(stack: Stack, border: Border) -> None:
    deaths = 0
    for crossing in range(1, 30):
        stack.model.clear()
        stack.model.script(*[Behaviour(text="New answer.")] * 3)
        thread = stack.ask("hello")
        stack.settle()
        ts = stack.ask("the first text", thread_ts=thread)
        (record,) = stack.receive()
        assert change(stack, "edit", ts, "the second text", thread=thread)
        deaths += _kill(stack, border, crossing, record)
        assert [message.text for message in stack.thread(thread)][1:] == ["New answer."], crossing
        assert [message.text for message in stack.messages(thread)][3:] == ["the second text", "New answer."]
        if deaths < crossing:
            break
    assert deaths > 8


def _kill(stack: Stack, border: Border, crossing: int, record: Record) -> bool:
    border.crossings, border.die_at = 0, crossing
    try:
        assert stack.deliver([record]) == []
    except Killed:
        border.die_at = 0
        stack.processor = load_door("llm_processor")
        assert stack.deliver([again(record)]) == []
        return True
    border.die_at = 0
    return False


@pytest.mark.parametrize("kind", ["edit", "delete", "stop"])
def test_the_last_moment_before_the_commit_counts(stack: Stack, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("agent.stopping._SECONDS_BETWEEN", 60.0)
    stack.model.script(Behaviour(text="Old answer."), Behaviour(text="New answer."))
    ts = stack.ask("the first text")
    to_table, signals = Store.commit_reply, [kind]

    def commit_reply(self: Store, *args: Any, **kwargs: Any) -> None:
        if signals:
            assert change(stack, signals.pop(), ts, "the second text")
        to_table(self, *args, **kwargs)

    monkeypatch.setattr(Store, "commit_reply", commit_reply)
    assert stack.deliver(stack.receive()) == []
    assert {"edit": "New answer.", "delete": "deleted", "stop": "Stopped"}[kind] in stack.answer(ts)
    (task,) = stack.tasks(ts)
    assert task.status is (TaskStatus.COMPLETED if kind == "edit" else TaskStatus.CANCELED)
