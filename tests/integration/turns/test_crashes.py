"""A process that dies at any crossing of its border: the next delivery ends with one answer, stored and shown once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from pynamodb.connection.base import Connection

from agent.model import OpenAIModel
from agent.model_values import ModelEvent, ModelRequest
from core.http import Http
from core.models import ConversationStatus, Role, TaskStatus
from local.fake_slack.demo import DEMO
from local.standin_model.script import Behaviour
from local.standin_model.values import Usage
from tests.integration.turns.stack import COMPANY, Killed, Stack, again, load_door

_DELTAS = ["Once ", "and ", "only ", "once."]
_MOST_CROSSINGS = 40  # more than a turn has


@dataclass(slots=True)
class Border:
    """Counts what crosses the process's border and dies at the chosen crossing, before or after it took effect."""

    die_at: int = 0
    is_after: bool = False
    crossings: int = 0

    def cross[T](self, go: Callable[[], T]) -> T:
        self.crossings += 1
        is_the_end = self.crossings == self.die_at
        if is_the_end and not self.is_after:
            raise Killed
        result = go()
        if is_the_end:
            raise Killed
        return result


@pytest.fixture
def border(monkeypatch: pytest.MonkeyPatch) -> Border:
    """A border around the table, the platform and the model."""
    border = Border()
    to_table, to_platform, to_model = Connection._make_api_call, Http.request, OpenAIModel.stream

    def table(self: Connection, *args: object, **kwargs: object) -> object:
        return border.cross(lambda: to_table(self, *args, **kwargs))  # type: ignore[arg-type]

    def platform(self: Http, *args: object, **kwargs: object) -> object:
        return border.cross(lambda: to_platform(self, *args, **kwargs))  # type: ignore[arg-type]

    def model(self: OpenAIModel, request: ModelRequest, *, seconds: float) -> Iterator[ModelEvent]:
        for event in to_model(self, request, seconds=seconds):
            yield border.cross(lambda event=event: event)  # type: ignore[misc]

    monkeypatch.setattr(Connection, "_make_api_call", table)
    monkeypatch.setattr(Http, "request", platform)
    monkeypatch.setattr(OpenAIModel, "stream", model)
    return border


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
    assert len(stack.messages(ts)) == 3
    assert stack.store.month_usage(COMPANY, stack.messages(ts)[-1].created_at.strftime("%Y-%m"))[0].messages == 1
    assert stack.deliver(failed) == []
    assert DEMO.bot_user_id == stack.thread(ts)[0].user
    assert len(stack.messages(ts)) == 3
