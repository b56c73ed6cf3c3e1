"""A process that dies at any crossing of its border: the next delivery ends with one answer, stored and shown once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.model import OpenAIModel
from agent.model_values import ModelEvent, ModelRequest
from core.models import ConversationStatus, Role, TaskStatus
from local.standin_model.script import Behaviour
from local.standin_model.values import Usage
from tests.integration.turns.border import Border
from tests.integration.turns.stack import COMPANY, Killed, Stack, again, load_door

_DELTAS = ["Once ", "and ", "only ", "once."]
_MOST_CROSSINGS = 40  # more than a turn has


@pytest.mark.parametrize("is_streaming_offered", [True, False], ids=["streamed", "posted"])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_one_answer_wherever_the_process_dies(
    stack: Stack, border: Border, *, is_after: bool, is_streaming_offered: bool
) -> None:
    if not is_streaming_offered:
        stack.slack.disable("chat.startStream")
    border.is_after = is_after
    deaths = 0
    for crossing in range(1, _MOST_CROSSINGS):
        border.die_at = 0
        stack.model.clear()
        usage = Usage(input_tokens=11, output_tokens=7)
        answer = Behaviour(deltas=_DELTAS, usage=usage)
        stack.model.script(answer, answer)
        ts = stack.ask(f"question {crossing}")
        (record,) = stack.receive()

        border.crossings, border.die_at = 0, crossing
        is_dead = False
        try:
            assert stack.deliver([record]) == []
        except Killed:
            is_dead = True
            deaths += 1
        border.die_at = 0
        if is_dead:
            stack.processor = load_door("llm_processor")
            assert stack.deliver([again(record)]) == []

        assert stack.answer(ts) == "Once and only once.", f"died at crossing {crossing}"
        system, question, reply = stack.messages(ts)
        assert (system.role, question.role, reply.role) == (Role.SYSTEM, Role.USER, Role.ASSISTANT)
        assert reply.text == "Once and only once."
        (task,) = stack.tasks(ts)
        assert (task.status, task.total_tokens) == (TaskStatus.COMPLETED, 18)
        conversation = stack.conversation(ts)
        assert conversation.status is ConversationStatus.COMPLETED
        assert (conversation.message_count, conversation.total_tokens) == (2, 18)
        month = stack.store.month_usage(COMPANY, reply.created_at.strftime("%Y-%m"))[0]
        assert (month.messages, month.total_tokens) == (crossing, 18 * crossing)
        if not is_dead:
            break
    else:
        pytest.fail("the turn never ended without dying")
    assert deaths >= 10


def test_a_message_published_twice_by_a_webhook_that_died_is_answered_once(stack: Stack, border: Border) -> None:
    ts = stack.ask("hello")
    (record,) = stack.receive()
    copy = {**record, "messageId": "another-id", "attributes": {**record["attributes"], "MessageGroupId": "g"}}
    assert stack.deliver([record]) == []
    assert stack.deliver([copy]) == []
    assert len(stack.model.requests) == 1
    assert len(stack.thread(ts)) == 1
    assert len(stack.messages(ts)) == 3


def test_a_late_worker_neither_stores_nor_answers_a_second_time(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    ts = stack.ask("hello")
    (record,) = stack.receive()
    to_model = OpenAIModel.stream
    overtaken: list[bool] = []

    def stream(self: OpenAIModel, request: ModelRequest, *, seconds: float) -> Iterator[ModelEvent]:
        for event in to_model(self, request, seconds=seconds):
            if not overtaken:
                overtaken.append(True)  # while the first worker waits for the model, the second does it all
                assert stack.deliver([again(record)]) == []
            yield event

    monkeypatch.setattr(OpenAIModel, "stream", stream)
    failed = stack.deliver([record])
    assert [r["messageId"] for r in failed] == [record["messageId"]]
    assert len(stack.thread(ts)) == 1
    assert len(stack.messages(ts)) == 3
    assert stack.store.month_usage(COMPANY, stack.messages(ts)[-1].created_at.strftime("%Y-%m"))[0].messages == 1
    assert stack.deliver(failed) == []
    assert len(stack.thread(ts)) == 1


def test_one_notice_wherever_the_dead_letter_processor_dies(stack: Stack, border: Border) -> None:
    for crossing in range(1, _MOST_CROSSINGS):
        for is_after in (False, True):
            stack.model.clear()
            stack.model.script(*[Behaviour(fail_status=500)] * 12)
            border.die_at = 0
            ts = stack.ask("doomed")
            waiting = stack.receive()
            for _ in range(3):
                waiting = stack.deliver(waiting)
            waiting = stack.receive("dead_letters")
            border.crossings, border.die_at, border.is_after = 0, crossing, is_after
            is_dead = False
            try:
                assert stack.bury(waiting) == []
            except Killed:
                is_dead = True
            border.die_at = 0
            if is_dead:
                assert stack.bury([again(each) for each in waiting]) == []
            assert "went wrong" in stack.answer(ts)
            (task,) = stack.tasks(ts)
            assert (task.status, task.error_class) == (TaskStatus.FAILED, "dead-letter")
        if not is_dead:
            break
    else:
        pytest.fail("it never ended without dying")
    assert crossing >= 4


def test_a_dead_letter_leaves_the_next_answer_alone(stack: Stack) -> None:
    stack.model.script(Behaviour(when="first", text="Answer to the first."))
    for method in ("chat.startStream", "chat.postMessage", "chat.update"):
        stack.slack.fail_next(method, error="internal_error", times=30)
    first = stack.ask("first")
    waiting = stack.receive()
    for _ in range(3):
        waiting = stack.deliver(waiting)
    waiting = stack.receive("dead_letters")
    stack.slack.clear_failures()
    gate = threading.Event()
    stack.model.script(Behaviour(when="second", deltas=["Answer ", "to the second."], gate=gate, hold_at=1))
    stack.ask("second", thread_ts=first)
    (second,) = stack.receive()
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, [second])
        assert stack.slack.wait_for(lambda: any(m.is_streaming for m in stack.thread(first)), seconds=20)
        assert stack.bury(waiting) == []
        gate.set()
        assert done.result() == []
    assert {message.text for message in stack.thread(first)} == {"Answer to the first.", "Answer to the second."}
    assert len(stack.thread(first)) == 2
