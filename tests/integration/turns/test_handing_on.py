"""A turn that its invocation has no time for goes on with the next delivery, and the person sees one answer."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.model import OpenAIModel
from agent.model_values import ModelEvent, ModelRequest, TextDelta
from core.configuration import Limits
from core.errors import RetryableError
from core.models import ConversationStatus, TaskStatus, ToolStatus
from core.outside import OutsideHttp
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour, ToolCall, Usage
from tests.integration.turns.border import Border
from tests.integration.turns.configured import order_tool
from tests.integration.turns.passing import Passing, let_pass
from tests.integration.turns.stack import COMPANY, Killed, Stack, again, attempts, load_door
from tests.integration.turns.test_sub_agents import helper, store
from tests.integration.turns.test_tools import configure, usages

_READ = ToolCall("orders_getOrder", {"orderId": "A-1"}, call_id="call_read")
_WRITE = ToolCall("orders_placeOrder", {"body": {"item": "coffee", "quantity": 1}}, call_id="call_write")
_ROUND = Behaviour(
    deltas=["One ", "moment."], tool_calls=[_READ, _WRITE], usage=Usage(input_tokens=100, output_tokens=10)
)
_ANSWER = Behaviour(deltas=["Order ", "B-1 ", "is ", "placed."], usage=Usage(input_tokens=150, output_tokens=5))
_SAID = "One moment.\n\nOrder B-1 is placed."
_BOTH = 'call orders_getOrder {"orderId": "A-1"}\ncall orders_placeOrder {"body": {"item": "coffee", "quantity": 1}}'
_LONG = Limits(max_seconds=840, max_steps=50)


@pytest.fixture
def passing(stack: Stack, border: Border, monkeypatch: pytest.MonkeyPatch) -> Passing:
    """The turn's clock; the border is below it."""
    assert border
    monkeypatch.setattr("agent.afterwards.Afterwards.is_needed", False)  # a title would take one of the answers
    return let_pass(stack, monkeypatch)


def test_a_turn_without_time_for_its_tools_goes_on_with_the_next_delivery(
    stack: Stack, book: FakeTools, passing: Passing
) -> None:
    configure(stack, book)
    stack.model.script(_ROUND, _ANSWER)
    ts = stack.ask("Order a coffee like A-1")
    passing.takes = [55, 4]
    failed = passing.deliver(stack.receive(), seconds=80)
    assert book.calls == []
    assert [usage.status for usage in usages(stack, ts)] == [ToolStatus.STARTED] * 2
    (task,) = stack.tasks(ts)
    assert (task.status, task.attempt, task.hand_overs, task.duration_ms) == (TaskStatus.IN_PROGRESS, 1, 1, 55_000)
    assert stack.conversation(ts).status is ConversationStatus.IN_PROGRESS

    assert passing.deliver(failed, seconds=80) == []
    assert stack.answer(ts) == _SAID
    assert len(stack.model.requests) == 2  # what it answered is not asked again
    assert book.orders.effects == [usages(stack, ts)[1].idempotency_key]
    (task,) = stack.tasks(ts)
    assert (task.status, task.attempt, task.hand_overs, task.duration_ms) == (TaskStatus.COMPLETED, 2, 1, 59_000)
    assert (task.total_input_tokens, task.total_output_tokens) == (250, 15)
    assert stack.conversation(ts).total_tokens == 265


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_turn_that_is_handed_on_ends_once_wherever_the_process_dies(
    stack: Stack, book: FakeTools, passing: Passing, border: Border, *, is_after: bool
) -> None:
    configure(stack, book)
    passing.takes_to_call = 65.0
    border.is_after, border.is_text_free = is_after, True
    tokens = [0]
    for crossing in range(60):
        ts = stack.ask(_BOTH)
        waiting = stack.receive()
        border.crossings, border.die_at = 0, crossing  # the first time round nobody dies
        deliveries, is_dead = 0, False
        while waiting:
            deliveries += 1
            try:
                waiting = passing.deliver(waiting, seconds=80)
            except Killed:
                is_dead, border.die_at = True, 0
                stack.processor = load_door("llm_processor")
                waiting = [again(record) for record in waiting]
        border.die_at = 0
        is_through = not is_dead and border.crossings < crossing  # a refusal of the table crosses without dying
        where = f"died at crossing {crossing}"
        assert deliveries <= 2 + is_dead, where
        assert "coffee" in stack.answer(ts), where
        assert len(book.orders.effects) == crossing + 1, where
        assert [usage.status for usage in usages(stack, ts)] == [ToolStatus.COMPLETED] * 2, where
        assert len(stack.messages(ts)) == 3, where
        (task,) = stack.tasks(ts)
        assert (task.status, task.hand_overs) in {(TaskStatus.COMPLETED, 1), (TaskStatus.COMPLETED, None)}, where
        assert task.attempt - (task.hand_overs or 0) <= 1 + is_dead, where
        tokens.append(task.total_tokens or 0)
        assert abs(tokens[-1] - tokens[1]) <= 4, where  # the order's number grows
        month = stack.store.month_usage(COMPANY, f"{datetime.now(UTC):%Y-%m}")[0]
        assert (month.messages, month.total_tokens) == (crossing + 1, sum(tokens)), where
        if is_through:
            break
    else:
        pytest.fail("the turn never ended without dying")
    assert crossing >= 25


def test_an_answer_that_the_invocation_cuts_off_is_asked_again_and_ends_in_the_same_message(
    stack: Stack, passing: Passing
) -> None:
    stack.model.script(Behaviour(deltas=["It ", "is ", "the ", "old ", "one."]), Behaviour(text="It is the new one."))
    ts = stack.ask("which one?")
    passing.cut_after = 3
    failed = passing.deliver(stack.receive(), seconds=80)
    (begun,) = stack.thread(ts)
    assert begun.is_streaming
    assert passing.deliver(failed, seconds=80) == []
    (ended,) = stack.thread(ts)
    assert (ended.ts, ended.text) == (begun.ts, "It is the new one.")
    (task,) = stack.tasks(ts)
    assert (task.status, task.hand_overs) == (TaskStatus.COMPLETED, 1)


def test_after_five_hand_overs_the_turn_ends_with_what_it_knows(
    stack: Stack, book: FakeTools, passing: Passing
) -> None:
    configure(stack, book, limits=_LONG)
    stack.model.script(*[Behaviour(tool_calls=[_look(number)]) for number in range(6)], Behaviour(text="That is all."))
    ts = stack.ask("look at everything")
    waiting = stack.receive()
    passing.takes = [60, 60, 60, 60, 60, 66]
    deliveries = 0
    while waiting:
        deliveries += 1
        waiting = passing.deliver(waiting, seconds=80)
    assert deliveries == 6
    assert stack.answer(ts) == "That is all."
    last = stack.model.requests[-1].body
    assert not last.get("tools")
    assert "reached this turn's limit" in json.dumps(last)
    assert len(book.calls) == 6  # each of them once
    (task,) = stack.tasks(ts)
    assert (task.status, task.hand_overs) == (TaskStatus.COMPLETED, 5)
    assert stack.receive("dead_letters") == []


def test_an_answer_that_cannot_be_handed_on_any_more_ends_with_what_was_said_and_a_word_about_it(
    stack: Stack, passing: Passing
) -> None:
    stack.model.script(Behaviour(deltas=["This ", "much ", "is ", "known ", "now."]))
    ts = stack.ask("tell me")
    (record,) = stack.receive()
    passing.cut_after = 4
    last = {**record, "attributes": {**record["attributes"], "ApproximateReceiveCount": "8"}}
    assert passing.deliver([last], seconds=80) == []
    assert stack.answer(ts).startswith("This much is known")
    assert "longer than one answer may take" in stack.answer(ts)
    (task,) = stack.tasks(ts)
    assert (task.status, task.error_class) == (TaskStatus.FAILED, "limit-turn-seconds")


def test_the_seconds_of_a_turn_count_over_all_its_deliveries(stack: Stack, book: FakeTools, passing: Passing) -> None:
    configure(stack, book, limits=Limits(max_seconds=100))
    stack.model.script(*[Behaviour(tool_calls=[_look(number)]) for number in range(2)], Behaviour(text="Enough."))
    ts = stack.ask("look at everything")
    passing.takes = [60, 30]
    failed = passing.deliver(stack.receive(), seconds=80)
    assert passing.deliver(failed, seconds=880) == []  # 40 of 100 seconds were left, then 10
    assert stack.answer(ts) == "Enough."
    assert "reached this turn's limit" in json.dumps(stack.model.requests[-1].body)


def test_a_turn_that_another_delivery_would_give_no_time_is_not_handed_on(
    stack: Stack, book: FakeTools, passing: Passing
) -> None:
    configure(stack, book, limits=Limits(max_seconds=85))
    stack.model.script(Behaviour(tool_calls=[_look(1)]), Behaviour(text="Enough."))
    ts = stack.ask("look")
    passing.takes = [70]
    assert passing.deliver(stack.receive(), seconds=80) == []
    assert stack.answer(ts) == "Enough."


def test_a_write_is_not_begun_without_time_for_all_of_it(stack: Stack, book: FakeTools, passing: Passing) -> None:
    configure(stack, book)
    stack.model.script(Behaviour(tool_calls=[_WRITE]), Behaviour(text="Placed."))
    ts = stack.ask("coffee")
    passing.takes = [61]  # 19 seconds are left, and the tool may take 20
    failed = passing.deliver(stack.receive(), seconds=80)
    assert book.calls == []
    assert passing.deliver(failed, seconds=80) == []
    assert (stack.answer(ts), len(book.orders.effects)) == ("Placed.", 1)


def test_what_the_invocation_cuts_off_of_a_tool_that_reads_is_not_told_to_the_model(
    stack: Stack, book: FakeTools, passing: Passing, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(stack, book)
    stack.model.script(Behaviour(tool_calls=[_READ]), Behaviour(text="It is shipped."))
    ts = stack.ask("where is A-1?")
    to_tools = OutsideHttp.request
    slow = [True]

    def request(self: OutsideHttp, *args: Any, **kwargs: Any) -> Any:
        if slow:
            passing.seconds += 78 * slow.pop()
            raise RetryableError("tool-timeout", "no answer in time")
        return to_tools(self, *args, **kwargs)

    monkeypatch.setattr(OutsideHttp, "request", request)
    failed = passing.deliver(stack.receive(), seconds=80)
    assert [usage.status for usage in usages(stack, ts)] == [ToolStatus.STARTED]
    assert passing.deliver(failed, seconds=80) == []
    assert stack.answer(ts) == "It is shipped."
    assert "no answer in time" not in json.dumps(stack.model.requests[-1].body)


def test_a_sub_agent_hands_its_turn_on_and_goes_on_where_it_was(
    stack: Stack, book: FakeTools, passing: Passing
) -> None:
    store(stack, "orders", order_tool(book))
    store(stack, "default", helper())
    stack.model.script(
        Behaviour(tool_calls=[ToolCall("helper", {"task": "Order a coffee."})]),
        Behaviour(when="Order a coffee.", tool_calls=[_WRITE]),
        Behaviour(when="Order a coffee.", text="Placed."),
        Behaviour(text="It is ordered."),
    )
    ts = stack.ask("I want a coffee")
    passing.takes = [1, 55]
    failed = passing.deliver(stack.receive(), seconds=80)
    assert len(book.calls) == 1  # 24 seconds were enough for the tool, not for asking the model once more
    assert passing.deliver(failed, seconds=80) == []
    assert stack.answer(ts) == "It is ordered."
    assert (len(book.calls), len(stack.model.requests)) == (1, 4)
    (asking,) = (task for task in stack.tasks(ts) if task.parent_task_id is None)
    assert (asking.status, asking.hand_overs) == (TaskStatus.COMPLETED, 1)


def test_what_the_messages_before_left_no_time_for_is_handed_on_before_the_model_is_asked(stack: Stack) -> None:
    ts = stack.ask("hello")
    (record,) = stack.receive()
    (failed,) = stack.deliver([record], seconds=40)
    assert stack.model.requests == []
    assert stack.deliver([failed]) == []
    (task,) = stack.tasks(ts)
    assert (task.hand_overs, task.status) == (1, TaskStatus.COMPLETED)


def test_hand_overs_are_no_failures_and_three_failures_are_enough(
    stack: Stack, book: FakeTools, passing: Passing
) -> None:
    configure(stack, book, limits=_LONG)
    stack.model.script(*[Behaviour(tool_calls=[_look(number)]) for number in range(3)])
    ts = stack.ask("look at everything")
    waiting = stack.receive()
    passing.takes = [60, 60, 60]
    for _ in range(3):
        waiting = passing.deliver(waiting, seconds=80)
    stack.model.script(*[Behaviour(fail_status=500)] * 30)
    for _ in range(2):
        waiting = passing.deliver(waiting, seconds=80)
        assert stack.receive("dead_letters") == []
    assert attempts(waiting[0]) == 6
    assert passing.deliver(waiting, seconds=80) == []
    (dead,) = stack.receive("dead_letters")
    assert stack.bury([dead]) == []
    assert "went wrong" in stack.answer(ts)
    (task,) = stack.tasks(ts)
    assert (task.status, task.error_class, task.hand_overs) == (TaskStatus.FAILED, "dead-letter", None)


def test_a_turn_that_kills_its_processor_is_given_up_after_three_tries(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ts = stack.ask("poison")
    waiting = stack.receive()
    asked = []

    def stream(_model: OpenAIModel, _request: ModelRequest, *, seconds: float) -> Iterator[ModelEvent]:
        asked.append(seconds)
        yield TextDelta("This ")
        raise Killed

    monkeypatch.setattr(OpenAIModel, "stream", stream)
    for _ in range(3):
        with pytest.raises(Killed):
            stack.deliver(waiting)
        stack.processor = load_door("llm_processor")
        waiting = [again(record) for record in waiting]
    assert stack.deliver(waiting) == []
    assert len(asked) == 3
    assert stack.bury(stack.receive("dead_letters")) == []
    assert "went wrong" in stack.answer(ts)


def test_what_stands_behind_a_turn_that_is_handed_on_keeps_its_place_and_its_tries(
    stack: Stack, book: FakeTools, passing: Passing
) -> None:
    configure(stack, book, limits=_LONG)
    first = stack.ask("look at everything")
    second = stack.ask("and then?", thread_ts=first)
    waiting = stack.receive()
    assert len(waiting) == 2
    looks = [Behaviour(when="look at", tool_calls=[_look(number)]) for number in range(5)]
    stack.model.script(*looks, Behaviour(when="look at", text="Seen."))
    stack.model.script(
        *[Behaviour(when="and then", fail_status=500)] * 2, Behaviour(when="and then", text="Then this.")
    )
    passing.takes = [60] * 5
    for _ in range(5):
        waiting = passing.deliver(waiting, seconds=80)
        assert len(waiting) == 2
    waiting = passing.deliver(waiting, seconds=80)  # the first is done; the second fails its first try of three
    assert [attempts(record) for record in waiting] == [7]
    assert passing.deliver(waiting, seconds=80) == []
    assert [message.text for message in stack.thread(first)] == ["Seen.", "Then this."]
    assert stack.receive("dead_letters") == []
    assert second


def _look(number: int) -> ToolCall:
    return ToolCall("orders_getOrder", {"orderId": "A-1"}, call_id=f"call_{number}")
