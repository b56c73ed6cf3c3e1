"""A sub-agent: another configuration with its own task, tools and limits, run once and counted once."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.configuration import (
    AskPersonTool,
    Limits,
    SubAgentTool,
    ToolDefinition,
)
from core.errors import PermanentError
from core.models import Task, TaskStatus, ToolStatus, ToolType, ToolUsage
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour, ToolCall, Usage
from tests.integration.turns.border import Border
from tests.integration.turns.configured import make_settings, order_tool
from tests.integration.turns.stack import COMPANY, Killed, Stack, again, load_door

_PLACE = 'call orders_placeOrder {"body": {"item": "coffee", "quantity": 1}}'
_DELEGATE = f"call helper {json.dumps({'task': _PLACE})}"


def helper(settings_id: str = "orders", **given: Any) -> SubAgentTool:
    """A sub-agent as a tool."""
    return SubAgentTool(name="helper", description="Knows about orders.", settings_id=settings_id, **given)


def store(stack: Stack, settings_id: str, *tools: ToolDefinition, version: int = 1, **given: Any) -> None:
    """Store a version of settings of the company."""
    named: dict[str, Any] = {"prompt": f"You are {settings_id}, asked by {{person}}.", **given}
    stack.store.directory.put_settings(make_settings(settings_id, version=version, tools=tools, **named))


def usages(stack: Stack, ts: str) -> list[ToolUsage]:
    """Every use for a thread's first question, sub-agents' included."""
    return list(stack.store.list_tool_usages(COMPANY, stack.messages(ts)[1].id))


def tasks(stack: Stack, ts: str) -> tuple[Task, ...]:
    """The question's task and those of its sub-agents."""
    return stack.tasks(ts)


def test_a_sub_agent_has_a_task_of_its_own_and_its_tokens_are_counted_once(stack: Stack, book: FakeTools) -> None:
    store(stack, "orders", order_tool(book), model="gpt-5-mini")
    store(stack, "default", helper(), model="gpt-5-mini")
    place = ToolCall("orders_placeOrder", {"body": {"item": "coffee", "quantity": 1}})
    stack.model.script(
        Behaviour(
            tool_calls=[ToolCall("helper", {"task": "Order a coffee."})], usage=Usage(input_tokens=100, output_tokens=0)
        ),
        Behaviour(when="Order a coffee.", tool_calls=[place], usage=Usage(input_tokens=20, output_tokens=0)),
        Behaviour(when="Order a coffee.", text="Placed as B-1.", usage=Usage(input_tokens=30, output_tokens=0)),
        Behaviour(text="Your coffee is ordered: B-1.", usage=Usage(input_tokens=200, output_tokens=0)),
    )
    ts = stack.ask("I want a coffee")
    assert stack.settle() == []
    assert stack.answer(ts) == "Your coffee is ordered: B-1."
    asked, placed = usages(stack, ts)
    assert (asked.name, asked.type, asked.response) == ("helper", ToolType.AI, "Placed as B-1.")
    assert (placed.name, placed.under, placed.status) == ("orders_placeOrder", "000000", ToolStatus.COMPLETED)
    assert book.orders.effects == [placed.idempotency_key]
    task, below = tasks(stack, ts)
    assert (below.parent_task_id, below.message_id, below.llm_settings_id) == (task.id, task.message_id, "orders:v1")
    assert (below.status, below.total_tokens) == (TaskStatus.COMPLETED, 50)
    assert (task.status, task.total_tokens) == (TaskStatus.COMPLETED, 350)
    conversation = stack.conversation(ts)
    assert conversation.total_tokens == 350
    assert below.cost is not None
    assert task.cost is not None
    assert Decimal(0) < below.cost < task.cost == conversation.total_cost
    month = stack.store.month_usage(COMPANY, f"{datetime.now(UTC):%Y-%m}")[0]
    assert (month.messages, month.total_tokens, month.cost) == (1, 350, task.cost)
    told = [json.dumps(request.body) for request in stack.model.requests]
    assert "You are orders, asked by Alice Adams." in told[1]
    assert "I want a coffee" not in told[1]  # what is not passed on is not known


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_sub_agents_write_happens_once_wherever_the_process_dies(
    stack: Stack, book: FakeTools, border: Border, monkeypatch: pytest.MonkeyPatch, *, is_after: bool
) -> None:
    monkeypatch.setattr("agent.afterwards.Afterwards.is_needed", False)  # a title has tokens of its own
    store(stack, "orders", order_tool(book))
    store(stack, "default", helper())
    border.is_after, border.is_text_free = is_after, True
    counted = 0
    for crossing in range(80):
        ts = stack.ask(_DELEGATE)
        (record,) = stack.receive()
        border.crossings, border.die_at = 0, crossing  # the first time round nobody dies
        is_dead = False
        try:
            assert stack.deliver([record]) == []
        except Killed:
            is_dead = True
        border.die_at = 0
        if is_dead:
            stack.processor = load_door("llm_processor")
            assert stack.deliver([again(record)]) == []
        where = f"died at crossing {crossing}"
        assert "coffee" in stack.answer(ts), where
        assert len(book.orders.effects) == crossing + 1, where
        assert [usage.status for usage in usages(stack, ts)] == [ToolStatus.COMPLETED] * 2, where
        task, below = tasks(stack, ts)
        assert {task.status, below.status} == {TaskStatus.COMPLETED}, where
        counted += task.total_tokens or 0
        assert 0 < (below.total_tokens or 0) < (task.total_tokens or 0), where
        month = stack.store.month_usage(COMPANY, f"{datetime.now(UTC):%Y-%m}")[0]
        assert (month.messages, month.total_tokens) == (crossing + 1, counted), where
        if crossing and not is_dead:
            break
    else:
        pytest.fail("the turn never ended without dying")
    assert crossing >= 20


def test_a_sub_agent_goes_on_where_the_model_failed_it(stack: Stack, book: FakeTools) -> None:
    store(stack, "orders", order_tool(book))
    store(stack, "default", helper())
    place = ToolCall("orders_placeOrder", {"body": {"item": "coffee", "quantity": 1}})
    stack.model.script(
        Behaviour(tool_calls=[ToolCall("helper", {"task": "Order a coffee."})]),
        Behaviour(when="Order a coffee.", tool_calls=[place]),
        *[Behaviour(when="Order a coffee.", fail_status=500)] * 8,
    )
    ts = stack.ask("I want a coffee")
    failed = stack.deliver(stack.receive())
    assert len(failed) == 1
    assert len(book.calls) == 1
    stack.model.clear()
    stack.model.script(Behaviour(when="Order a coffee.", text="Placed."), Behaviour(text="It is ordered."))
    assert stack.deliver(failed) == []
    assert stack.answer(ts) == "It is ordered."
    assert len(book.calls) == 1  # neither the tool nor the model is asked again what it has answered
    assert "function_call_output" in json.dumps(stack.model.requests[-2].body)


def test_what_the_asking_agent_has_left_is_all_that_a_sub_agent_may_take(stack: Stack) -> None:
    store(stack, "orders")
    store(stack, "default", helper(), limits=Limits(max_turn_tokens=100))
    call = ToolCall("helper", {"task": "Think."})
    stack.model.script(
        Behaviour(tool_calls=[call], usage=Usage(input_tokens=90, output_tokens=0)),
        Behaviour(when="Think.", text="Thought.", usage=Usage(input_tokens=60, output_tokens=0)),
        Behaviour(text="Enough.", usage=Usage(input_tokens=1, output_tokens=0)),
    )
    ts = stack.ask("go")
    assert stack.settle() == []
    assert stack.answer(ts) == "Enough."
    assert stack.conversation(ts).total_tokens == 151
    assert "tools" not in stack.model.requests[-1].body or not stack.model.requests[-1].body["tools"]
    stack.model.script(
        Behaviour(tool_calls=[call], usage=Usage(input_tokens=100, output_tokens=0)), Behaviour(text="Nothing left.")
    )
    ts = stack.ask("go on")
    stack.settle()
    (asked,) = usages(stack, ts)
    assert "leave nothing" in (asked.response or "")


def test_sub_agents_go_as_deep_as_the_limit_says(stack: Stack) -> None:
    store(stack, "third")
    store(stack, "second", helper("third"))
    store(stack, "first", helper("second"))
    store(stack, "default", helper("first"))
    deeper = json.dumps({"task": f"call helper {json.dumps({'task': 'hello'})}"})
    ts = stack.ask(f"call helper {deeper}")
    assert stack.settle() == []
    assert [task.llm_settings_id for task in tasks(stack, ts)] == ["default:v1", "first:v1", "second:v1"]
    top, inner = usages(stack, ts)
    assert (top.place_of_use, inner.place_of_use) == ("000000", "000000#000000")
    assert top.spent is not None
    assert inner.spent is not None
    assert top.spent.total_tokens > inner.spent.total_tokens
    asked = [request.body for request in stack.model.requests if "You are second" in json.dumps(request.body)]
    assert asked
    assert not any(body.get("tools") for body in asked)  # the third one is too deep


def test_an_edit_of_a_sub_agent_changes_new_conversations_only(stack: Stack) -> None:
    store(stack, "orders", prompt="The old way.")
    store(stack, "default", helper())
    ask = f"call helper {json.dumps({'task': 'how?'})}"
    ts = stack.ask(ask)
    stack.settle()
    store(stack, "orders", version=2, prompt="The new way.")
    stack.processor = load_door("llm_processor")
    stack.ask(ask, thread_ts=ts)
    stack.settle()
    assert sum("The old way." in json.dumps(request.body) for request in stack.model.requests) == 2
    stack.ask(ask)
    stack.settle()
    assert sum("The new way." in json.dumps(request.body) for request in stack.model.requests) == 1


def test_a_pinned_version_stays(stack: Stack) -> None:
    store(stack, "orders", prompt="Version one.")
    store(stack, "orders", version=2, prompt="Version two.")
    store(stack, "default", helper(settings_version=1))
    stack.ask(f"call helper {json.dumps({'task': 'how?'})}")
    stack.settle()
    assert any("Version one." in json.dumps(request.body) for request in stack.model.requests)


def test_a_sub_agent_that_fails_is_told_and_its_tokens_count(stack: Stack) -> None:
    store(stack, "orders")
    store(stack, "default", helper())
    stack.model.script(
        Behaviour(tool_calls=[ToolCall("helper", {"task": "Try."})], usage=Usage(input_tokens=10, output_tokens=0)),
        Behaviour(when="Try.", fail_status=400, fail_code="context_length_exceeded"),
        Behaviour(text="It did not work.", usage=Usage(input_tokens=5, output_tokens=0)),
    )
    ts = stack.ask("go")
    assert stack.settle() == []
    assert stack.answer(ts) == "It did not work."
    task, below = tasks(stack, ts)
    assert (below.status, below.error_class) == (TaskStatus.FAILED, "context-too-long")
    assert (task.status, task.total_tokens) == (TaskStatus.COMPLETED, 15)


def test_a_sub_agent_asks_nobody_back(stack: Stack) -> None:
    store(stack, "orders", AskPersonTool(name="ask", description="Ask.", subject="person"))
    store(stack, "default", helper())
    ts = stack.ask(f"call helper {json.dumps({'task': 'call ask {}'})}")
    assert stack.settle() == []
    assert [usage.name for usage in usages(stack, ts)] == ["helper"]


def test_settings_that_would_ask_themselves_are_refused(stack: Stack) -> None:
    store(stack, "b")
    store(stack, "a", helper("b"))
    with pytest.raises(PermanentError, match="b → a → b"):
        store(stack, "b", helper("a"), version=2)
    with pytest.raises(PermanentError, match="c → c"):
        store(stack, "c", helper("c"))
    with pytest.raises(PermanentError, match=r"tools\[0\].settingsId: there are no settings nobody"):
        store(stack, "d", helper("nobody"))
    with pytest.raises(PermanentError, match="no settings b v7"):
        store(stack, "d", helper("b", settings_version=7))


def test_a_circle_that_is_there_all_the_same_is_cut(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.store.directory.check_sub_agents", lambda *_: None)
    store(stack, "other", helper("default"))
    store(stack, "default", helper("other"))
    ts = stack.ask(f"call helper {json.dumps({'task': 'call helper {}'})}")
    assert stack.settle() == []
    assert len(tasks(stack, ts)) == 2


def test_another_companys_settings_are_no_sub_agent(stack: Stack) -> None:
    stack.store.directory.put_settings(make_settings("secret", company_id="globex"))
    with pytest.raises(PermanentError, match="no settings secret"):
        store(stack, "default", helper("secret"))
