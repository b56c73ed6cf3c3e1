"""A question back: the turn ends with it, and the person's next message is its tool's result."""

import json
from datetime import timedelta
from typing import Any

import pytest

from core.configuration import AskPersonTool
from core.models import ConversationStatus, Role, TaskStatus, ToolStatus
from core.store.waiting import ASKED
from local.fake_slack import payloads
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour, ToolCall, Usage
from tests.integration.turns.border import Border
from tests.integration.turns.configured import make_settings, order_tool
from tests.integration.turns.stack import COMPANY, Killed, Stack, add_person, again, load_door

_READ = ToolCall("orders_getOrder", {"orderId": "A-1"}, call_id="call_read")
_ASK = ToolCall("ask", {"question": "Which size?"}, call_id="call_ask")


@pytest.fixture
def asking(stack: Stack, book: FakeTools) -> Stack:
    """A company whose assistant may ask back, and read orders."""
    ask = AskPersonTool(name="ask", description="Asks the person.", subject="person")
    stack.store.directory.put_settings(make_settings(tools=(order_tool(book), ask)))
    return stack


def ask_back(stack: Stack) -> str:
    """A question that the assistant answers with a question; its ts."""
    stack.model.script(
        Behaviour(text="Let me see.", tool_calls=[_READ, _ASK], usage=Usage(input_tokens=100, output_tokens=10))
    )
    ts = stack.ask("Order a shirt like A-1")
    assert stack.settle() == []
    return ts


def told(stack: Stack) -> Any:
    """What the model was sent last."""
    return stack.model.requests[-1].body["input"]


def texts(stack: Stack, ts: str) -> list[str]:
    """What the assistant says in a thread."""
    return [message.text for message in stack.thread(ts)]


def test_the_turn_ends_with_the_question_and_nothing_runs(asking: Stack) -> None:
    ts = ask_back(asking)
    assert texts(asking, ts) == ["Let me see.\n\nWhich size?"]
    conversation = asking.conversation(ts)
    assert (conversation.status, conversation.lease_until) == (ConversationStatus.COMPLETED, None)
    assert conversation.total_tokens == 110
    (task,) = asking.tasks(ts)
    assert task.status is TaskStatus.COMPLETED
    read, asked = asking.store.list_tool_usages(COMPANY, asking.messages(ts)[1].id)
    assert (read.status, asked.status, asked.response) == (ToolStatus.COMPLETED, ToolStatus.STARTED, None)
    assert asking.receive() == []


def test_the_next_message_is_the_result_and_the_answer_is_its_reply(asking: Stack, book: FakeTools) -> None:
    ts = ask_back(asking)
    calls = len(book.calls)
    asking.model.script(Behaviour(text="Ordered in L.", usage=Usage(input_tokens=30, output_tokens=3)))
    asking.ask("L, please", thread_ts=ts)
    assert asking.settle() == []
    assert texts(asking, ts) == ["Let me see.\n\nWhich size?", "Ordered in L."]
    assert len(book.calls) == calls  # what was read before is not read again
    sent = told(asking)
    assert sent[-1] == {"type": "function_call_output", "call_id": "call_ask", "output": "L, please"}
    assert [each.get("call_id") for each in sent if each.get("type") == "function_call"] == ["call_read", "call_ask"]
    assert sum("L, please" in json.dumps(each) for each in sent) == 1
    assert "shipped" in json.dumps(sent)
    _, first, question, second, reply = asking.messages(ts)
    assert (question.finish_reason, question.parent_message_id) == (ASKED, first.id)
    assert (reply.role, reply.parent_message_id, reply.text) == (Role.ASSISTANT, second.id, "Ordered in L.")
    assert asking.conversation(ts).total_tokens == 143
    asked = asking.store.list_tool_usages(COMPANY, first.id)[-1]
    assert (asked.status, asked.response) == (ToolStatus.COMPLETED, "L, please")


def test_questions_follow_each_other(asking: Stack) -> None:
    ts = ask_back(asking)
    again_ = ToolCall("ask", {"question": "Which colour?"}, call_id="call_again")
    asking.model.script(Behaviour(tool_calls=[again_]))
    asking.ask("L", thread_ts=ts)
    asking.settle()
    asking.model.script(Behaviour(text="A blue one in L."))
    asking.ask("blue", thread_ts=ts)
    asking.settle()
    assert texts(asking, ts)[1:] == ["Which colour?", "A blue one in L."]
    results = [each["output"] for each in told(asking) if each.get("type") == "function_call_output"]
    assert results[1:] == ["L", "blue"]
    asking.model.script(Behaviour(text="You are welcome."))
    asking.ask("thanks", thread_ts=ts)
    asking.settle()
    assert not any(each.get("type") == "function_call" for each in told(asking))


def test_somebody_elses_message_is_no_answer(asking: Stack) -> None:
    ts = ask_back(asking)
    bob = add_person(asking, "usr_bob", "U0BOB00001")
    asking.post(payloads.mention("L", user=bob, thread_ts=ts))
    asking.settle()
    assert not any(each.get("type") == "function_call" for each in told(asking))


@pytest.mark.parametrize("withdraw", ["stop", "new", "late"])
def test_a_question_that_is_over_makes_the_next_message_an_ordinary_one(
    asking: Stack, monkeypatch: pytest.MonkeyPatch, withdraw: str
) -> None:
    ts = ask_back(asking)
    if withdraw == "stop":
        assert asking.signal("stop", ts=ts, external_message_id="1.1")
        assert "wait no longer" in texts(asking, ts)[-1]
    elif withdraw == "new":
        asking.ask("/new", thread_ts=ts)
        asking.settle()
    else:
        monkeypatch.setattr("agent.resuming.WAIT", timedelta(0))
    asking.model.script(Behaviour(text="Hello."))
    asking.ask("What is new?", thread_ts=ts)
    asking.settle()
    assert texts(asking, ts)[-1] == "Hello."
    assert not any(each.get("type") == "function_call" for each in told(asking))


def test_a_mention_of_everybody_in_a_question_back_rings_nobody(asking: Stack) -> None:
    shout = ToolCall("ask", {"question": "<!channel> @everyone <@U1> which size?"})
    asking.model.script(Behaviour(tool_calls=[shout]))
    ts = asking.ask("shout")
    asking.settle()
    (text,) = texts(asking, ts)
    assert "which size?" in text
    assert not any(ring in text for ring in ("<!channel>", "@everyone", "<@U1>"))


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_one_question_and_one_answer_wherever_the_process_dies(
    asking: Stack, border: Border, *, is_after: bool
) -> None:
    border.is_after, border.is_text_free = is_after, True
    first = asking.ask('call orders_getOrder {"orderId": "A-1"}\ncall ask {"question": "Which size?"}')
    asking.settle()
    alive = asking.conversation(first).total_tokens
    for crossing in range(1, 60):
        ts = asking.ask('call orders_getOrder {"orderId": "A-1"}\ncall ask {"question": "Which size?"}')
        is_dead = die(asking, border, crossing)
        assert texts(asking, ts) == ["Which size?"], f"died at crossing {crossing} of the question"
        assert asking.conversation(ts).total_tokens == alive
        asking.ask("L", thread_ts=ts)
        is_dead |= die(asking, border, crossing)
        where = f"died at crossing {crossing} of the answer"
        assert len(texts(asking, ts)) == 2, where
        assert "L" in texts(asking, ts)[1], where
        assert [message.role for message in asking.messages(ts)[1:]] == [Role.USER, Role.ASSISTANT] * 2, where
        uses = asking.store.list_tool_usages(COMPANY, asking.messages(ts)[1].id)
        assert [use.status for use in uses] == [ToolStatus.COMPLETED] * 2, where
        if not is_dead:
            break
    else:
        pytest.fail("the turn never ended without dying")
    assert crossing >= 15


def die(stack: Stack, border: Border, crossing: int) -> bool:
    """Deliver what is queued, dying once at `crossing`; whether it did."""
    (record,) = stack.receive()
    border.crossings, border.die_at = 0, crossing
    try:
        assert stack.deliver([record]) == []
    except Killed:
        border.die_at = 0
        stack.processor = load_door("llm_processor")
        assert stack.deliver([again(record)]) == []
        return True
    finally:
        border.die_at = 0
    return False
