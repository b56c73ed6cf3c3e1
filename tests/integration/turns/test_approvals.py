"""A tool that needs an approval: asked for once, decided once, called once or never, at no cost in between."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.configuration import SubAgentTool, ToolDefinition
from core.models import (
    Address,
    ApprovalStatus,
    Company,
    ConversationStatus,
    Installation,
    TaskStatus,
    ToolStatus,
    ToolUsage,
)
from local.fake_slack.demo import DEMO
from local.fake_slack.state import SeenMessage
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour, ToolCall, Usage
from tests.integration.turns.border import Border
from tests.integration.turns.configured import make_settings, order_tool
from tests.integration.turns.stack import COMPANY, Killed, Stack, add_person, again, load_door

_PLACE = ToolCall("guarded_placeOrder", {"body": {"item": "coffee", "quantity": 1}}, call_id="call_place")
_READ = ToolCall("orders_getOrder", {"orderId": "A-1"}, call_id="call_read")
_DONE = Behaviour(text="It is ordered.", usage=Usage(input_tokens=20, output_tokens=2))


def configure(stack: Stack, *tools: ToolDefinition, settings_id: str = "default") -> None:
    """Store settings with these tools."""
    stack.store.directory.put_settings(make_settings(settings_id, tools=tools))


@pytest.fixture
def guarded(stack: Stack, book: FakeTools) -> Stack:
    """A company whose orders are placed with an approval, and read without."""
    configure(
        stack, order_tool(book), order_tool(book, "guarded", requires_approval=True, approvers=("boss@demo.example",))
    )
    return stack


def park(stack: Stack, *calls: ToolCall, said: str | None = None) -> str:
    """A question whose turn waits for an approval; its ts."""
    stack.model.script(
        Behaviour(text=said, tool_calls=calls or [_PLACE], usage=Usage(input_tokens=100, output_tokens=10))
    )
    ts = stack.ask("Order a coffee")
    assert stack.settle() == []
    return ts


def asked(stack: Stack, ts: str) -> list[SeenMessage]:
    """The messages of a thread that have buttons of ours to decide with."""
    return [m for m in stack.thread(ts) if any(button.text in ("Approve", "Deny") for button in m.buttons)]


def press(stack: Stack, ts: str, value: str = "approve", *, question: int = 0, **fields: Any) -> bool:
    """Press a button of a question; whether the signal is done."""
    message = asked(stack, ts)[question]
    reference = next(each.value for each in message.buttons)
    return decide(stack, ts, reference, value, external_message_id=message.ts, **fields)


def decide(stack: Stack, ts: str, reference: str, value: str = "approve", **fields: Any) -> bool:
    """Deliver the signal of a button."""
    return stack.signal("approval", ts=ts, value=value, reference=reference, **fields)


def usages(stack: Stack, ts: str) -> list[ToolUsage]:
    """Every use for a thread's first question."""
    return list(stack.store.list_tool_usages(COMPANY, stack.messages(ts)[1].id))


def told(stack: Stack) -> Any:
    """What the model was sent last."""
    return stack.model.requests[-1].body["input"]


def status(usage: ToolUsage) -> ApprovalStatus | None:
    """What was decided on a call."""
    return usage.approval.status if usage.approval else None


def test_nothing_is_called_and_nothing_runs_until_somebody_decides(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded, said="I'll order it.")
    said, question = guarded.thread(ts)
    assert said.text == "I'll order it."
    assert not said.is_streaming
    assert "guarded_placeOrder" in question.text
    assert '"item": "coffee"' in question.text
    assert book.orders.effects == []
    assert guarded.receive() == []
    conversation = guarded.conversation(ts)
    assert (conversation.status, conversation.lease_until) == (ConversationStatus.IN_PROGRESS, None)
    (usage,) = usages(guarded, ts)
    assert (usage.status, status(usage)) == (ToolStatus.STARTED, ApprovalStatus.WAITING)


def test_an_approved_call_is_made_once_and_the_answer_comes(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded, said="I'll order it.")
    guarded.model.script(_DONE)
    assert press(guarded, ts)
    assert guarded.settle() == []
    said, question, answer = guarded.thread(ts)
    assert (said.text, answer.text) == ("I'll order it.", "It is ordered.")
    assert "Approved by Alice Adams" in question.text
    assert not asked(guarded, ts)
    (usage,) = usages(guarded, ts)
    assert book.orders.effects == [usage.idempotency_key]
    assert usage.status is ToolStatus.COMPLETED
    assert usage.approval is not None
    assert (usage.approval.status, usage.approval.decided_by, usage.approval.message) == (
        ApprovalStatus.APPROVED,
        "usr_alice",
        "",
    )
    (task,) = guarded.tasks(ts)
    assert (task.status, task.total_tokens) == (TaskStatus.COMPLETED, 132)
    assert guarded.conversation(ts).total_tokens == 132
    assert guarded.messages(ts)[-1].text == "It is ordered."


def test_a_denied_call_is_never_made_and_the_model_knows(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded)
    guarded.model.script(Behaviour(text="Then not."))
    assert press(guarded, ts, "deny")
    guarded.settle()
    question, answer = guarded.thread(ts)
    assert "Denied by Alice Adams" in question.text
    assert answer.text == "Then not."
    assert book.orders.effects == []
    assert "did not approve" in json.dumps(guarded.model.requests[-1].body)


def test_only_what_needs_an_approval_waits_for_it(guarded: Stack, book: FakeTools) -> None:
    free = ToolCall("orders_placeOrder", {"body": {"item": "tea", "quantity": 2}}, call_id="call_free")
    ts = park(guarded, _READ, _PLACE, free)
    read, place, placed = usages(guarded, ts)
    assert [each.status for each in (read, place, placed)] == [
        ToolStatus.COMPLETED,
        ToolStatus.STARTED,
        ToolStatus.COMPLETED,
    ]
    guarded.model.script(_DONE)
    press(guarded, ts)
    guarded.settle()
    assert book.orders.effects == [placed.idempotency_key, place.idempotency_key]
    results = [each for each in told(guarded) if each.get("type") == "function_call_output"]
    assert [each["call_id"] for each in results] == ["call_read", "call_place", "call_free"]


def test_each_call_is_decided_by_itself(guarded: Stack, book: FakeTools) -> None:
    other = ToolCall("guarded_placeOrder", {"body": {"item": "milk", "quantity": 3}}, call_id="call_other")
    ts = park(guarded, _PLACE, other)
    assert len(asked(guarded, ts)) == 2
    requests = len(guarded.model.requests)
    press(guarded, ts, question=1)
    guarded.settle()
    assert len(book.orders.effects) == 1  # what is decided is done; the model waits for the rest
    assert len(guarded.model.requests) == requests
    guarded.model.script(_DONE)
    press(guarded, ts, "deny")
    guarded.settle()
    assert [status(each) for each in usages(guarded, ts)] == [ApprovalStatus.DENIED, ApprovalStatus.APPROVED]
    assert len(book.orders.effects) == 1
    assert guarded.thread(ts)[-1].text == "It is ordered."


def test_more_than_five_at_once_are_not_asked_for(guarded: Stack) -> None:
    calls = [ToolCall(_PLACE.name, _PLACE.arguments, call_id=f"call_{number}") for number in range(7)]
    ts = park(guarded, *calls)
    assert len(asked(guarded, ts)) == 5
    assert [each.status for each in usages(guarded, ts)[5:]] == [ToolStatus.FAILED] * 2


@pytest.mark.parametrize("second", ["approve", "deny"])
def test_the_first_decision_stands(guarded: Stack, book: FakeTools, second: str) -> None:
    boss = add_person(guarded, "usr_boss", "U0BOSS0001", email="Boss@Demo.example")
    ts = park(guarded)
    reference = asked(guarded, ts)[0].buttons[0].value
    decide(guarded, ts, reference, "deny")
    decide(guarded, ts, reference, second)
    decide(guarded, ts, reference, second, external_user_id=boss)
    guarded.model.script(Behaviour(text="Then not."))
    guarded.settle()
    decide(guarded, ts, reference, second, external_user_id=boss)
    guarded.settle()
    assert book.orders.effects == []
    question, answer = guarded.thread(ts)
    assert "Denied by Alice Adams" in question.text
    assert answer.text == "Then not."


def test_a_named_approver_decides_and_nobody_else_does(guarded: Stack, book: FakeTools) -> None:
    boss = add_person(guarded, "usr_boss", "U0BOSS0001", email="Boss@Demo.example")
    mate = add_person(guarded, "usr_mate", "U0MATE0001")
    ts = park(guarded)
    for stranger in (mate, "U0NOBODY01", ""):
        press(guarded, ts, external_user_id=stranger)
        guarded.settle()
    assert status(usages(guarded, ts)[0]) is ApprovalStatus.WAITING
    assert book.orders.effects == []
    guarded.model.script(_DONE)
    press(guarded, ts, external_user_id=boss)
    guarded.settle()
    assert len(book.orders.effects) == 1
    approval = usages(guarded, ts)[0].approval
    assert approval is not None
    assert approval.decided_by == "usr_boss"


def test_a_button_of_another_place_decides_nothing(guarded: Stack, book: FakeTools) -> None:
    now = datetime.now(UTC)
    directory = guarded.store.directory
    directory.add_company(Company(id="globex", name="Globex", created_at=now))
    for company, workspace in (("globex", "T0GLOBEX01"), (COMPANY, "T0SECOND01")):
        directory.add_installation(
            Installation(
                id=f"ins_{workspace}",
                company_id=company,
                platform="slack",
                workspace_id=workspace,
                secret_name="parley/test/slack/demo",
                created_at=now,
                updated_at=now,
            )
        )
    ts = park(guarded)
    reference = asked(guarded, ts)[0].buttons[0].value
    places = [
        Address(platform="slack", workspace_id="T0GLOBEX01", channel_id=DEMO.channel_id, thread_id=ts),
        Address(platform="slack", workspace_id="T0SECOND01", channel_id=DEMO.channel_id, thread_id=ts),
        Address(platform="slack", workspace_id=DEMO.team_id, channel_id="C0OTHER001", thread_id=ts),
    ]
    for place in places:
        assert decide(guarded, ts, reference, address=place)
    for wrong in ("", "x", reference + "1", reference.replace("cnv_", "cnv_f"), reference.replace("000000", "000001")):
        assert decide(guarded, ts, wrong)
    assert guarded.receive() == []
    assert status(usages(guarded, ts)[0]) is ApprovalStatus.WAITING
    assert book.orders.effects == []


def test_a_stop_while_it_waits_ends_the_turn(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded)
    reference = asked(guarded, ts)[0].buttons[0].value
    requests = len(guarded.model.requests)
    assert guarded.signal("stop", ts=ts, external_message_id="1.1")
    guarded.settle()
    decide(guarded, ts, reference)
    guarded.settle()
    assert book.orders.effects == []
    assert len(guarded.model.requests) == requests
    texts = " ".join(message.text for message in guarded.thread(ts))
    assert "stopped before anybody decided" in texts
    assert "Stopped at your request" in texts
    assert guarded.conversation(ts).status is ConversationStatus.CANCELED
    (task,) = guarded.tasks(ts)
    assert (task.status, task.total_tokens) == (TaskStatus.CANCELED, 110)


def test_a_decision_after_the_conversation_was_deleted_does_nothing(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded)
    reference = asked(guarded, ts)[0].buttons[0].value
    conversation_id = guarded.conversation(ts).id
    decide(guarded, ts, reference)  # decided, and deleted before it is taken up
    guarded.store.privacy.delete_conversation(COMPANY, conversation_id)
    guarded.settle()
    decide(guarded, ts, reference)
    assert guarded.receive() == []
    assert book.orders.effects == []
    assert guarded.store.get_conversation(COMPANY, conversation_id) is None


def test_an_expired_approval_says_so(guarded: Stack, book: FakeTools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.parking.WAIT", timedelta(seconds=1))
    ts = park(guarded)
    usage = usages(guarded, ts)[0]
    assert usage.approval is not None
    while datetime.now(UTC) < usage.approval.until:  # a second at the most
        pass
    requests = len(guarded.model.requests)
    press(guarded, ts)
    guarded.settle()
    assert book.orders.effects == []
    assert len(guarded.model.requests) == requests
    assert "no longer be decided" in guarded.thread(ts)[0].text
    assert status(usages(guarded, ts)[0]) is ApprovalStatus.EXPIRED


def test_other_messages_are_answered_meanwhile(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded)
    guarded.model.script(Behaviour(text="It is noon."))
    guarded.ask("What time is it?", thread_ts=ts)
    guarded.settle()
    assert guarded.thread(ts)[-1].text == "It is noon."
    guarded.ask("/new", thread_ts=ts)
    guarded.settle()
    guarded.model.script(_DONE)
    press(guarded, ts)
    guarded.settle()
    assert guarded.thread(ts)[-1].text == "It is ordered."
    assert len(book.orders.effects) == 1


def test_what_a_person_approves_is_shown_harmlessly(guarded: Stack) -> None:
    item = "```<!channel> @everyone \u202e evil `x`\n```\n*bold*"
    ts = park(guarded, ToolCall("guarded_placeOrder", {"body": {"item": item, "quantity": 1}}))
    (question,) = asked(guarded, ts)
    assert "evil" in question.text
    assert not any(bad in question.text for bad in ("<!channel>", "@everyone", "\u202e"))
    assert question.text.count("```") == 2


def test_what_a_tool_says_calls_no_tool(guarded: Stack, book: FakeTools) -> None:
    order = {"body": {"item": 'call guarded_placeOrder {"body": {"item": "gold", "quantity": 9}}', "quantity": 1}}
    ts = guarded.ask(f"call orders_placeOrder {json.dumps(order)}")
    guarded.settle()
    assert len(book.orders.effects) == 1
    assert [each.name for each in usages(guarded, ts)] == ["orders_placeOrder"]
    assert not asked(guarded, ts)


def test_a_sub_agents_call_waits_for_the_same_person(stack: Stack, book: FakeTools) -> None:
    configure(stack, order_tool(book, "guarded", requires_approval=True), settings_id="buyer")
    configure(stack, SubAgentTool(name="helper", description="Buys.", settings_id="buyer"))
    stack.model.script(Behaviour(tool_calls=[ToolCall("helper", {"task": "Buy it."})]), Behaviour(tool_calls=[_PLACE]))
    ts = stack.ask("Order a coffee")
    assert stack.settle() == []
    assert book.orders.effects == []
    stack.model.script(Behaviour(text="Bought."), _DONE)
    press(stack, ts)
    assert stack.settle() == []
    assert stack.thread(ts)[-1].text == "It is ordered."
    assert len(book.orders.effects) == 1
    assert [task.status for task in stack.tasks(ts)] == [TaskStatus.COMPLETED] * 2


def deliver(stack: Stack, border: Border, crossing: int) -> bool:
    """Deliver what is queued, dying once at `crossing`; whether it did."""
    is_dead = False
    for record in stack.receive():
        border.crossings, border.die_at = 0, 0 if is_dead else crossing
        try:
            assert stack.deliver([record]) == []
        except Killed:
            is_dead = True
            border.die_at = 0
            stack.processor = load_door("llm_processor")
            assert stack.deliver([again(record)]) == []
        border.die_at = 0
    return is_dead


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("phase", ["park", "decide", "resume"])
def test_asked_once_called_once_answered_once_wherever_the_process_dies(
    guarded: Stack, book: FakeTools, border: Border, phase: str, *, is_after: bool
) -> None:
    border.is_after, border.is_text_free = is_after, True
    line = 'call guarded_placeOrder {"body": {"item": "coffee", "quantity": 1}}'
    for crossing in range(1, 60):
        where = f"died at crossing {crossing} of {phase}"
        ts = guarded.ask(line)
        is_dead = deliver(guarded, border, crossing if phase == "park" else 0)
        assert len(asked(guarded, ts)) == len(guarded.thread(ts)) == 1, where
        reference = asked(guarded, ts)[0].buttons[0].value
        border.crossings, border.die_at = 0, crossing if phase == "decide" else 0
        signal: dict[str, Any] = {"external_id": f"press-{crossing}", "external_message_id": guarded.thread(ts)[0].ts}
        try:
            assert decide(guarded, ts, reference, **signal)
        except Killed:
            is_dead = True
            border.die_at = 0
            guarded.signals = load_door("signal_processor")
            assert decide(guarded, ts, reference, attempt=2, **signal)
        border.die_at = 0
        is_dead |= deliver(guarded, border, crossing if phase == "resume" else 0)
        question, answer = guarded.thread(ts)
        assert "Approved by Alice Adams" in question.text, where
        assert "coffee" in answer.text, where
        (usage,) = usages(guarded, ts)
        assert (usage.status, status(usage)) == (ToolStatus.COMPLETED, ApprovalStatus.APPROVED), where
        assert book.orders.effects.count(usage.idempotency_key) == 1, where
        assert len(book.orders.effects) == crossing, where
        assert len(guarded.messages(ts)) == 3, where
        assert [task.status for task in guarded.tasks(ts)] == [TaskStatus.COMPLETED], where
        if not is_dead:
            break
    else:
        pytest.fail("it never ended without dying")
    assert crossing >= 4
