"""Approvals that somebody else is to give: asked for where that person sees it, decided there, closed everywhere."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.models import Address, ApprovalStatus, ToolUsage, User
from local.fake_slack.demo import DEMO
from local.fake_slack.state import SeenMessage
from local.fake_slack.state import User as SlackUser
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour
from tests.integration.turns.border import Border
from tests.integration.turns.configured import order_tool
from tests.integration.turns.stack import COMPANY, Killed, Stack, add_person, again, log_lines
from tests.integration.turns.test_approvals import asked, configure, decide, park, press, status, usages

_BOSS = "U0BOSS0001"
_DONE = Behaviour(text="It is ordered.")


@pytest.fixture
def guarded(stack: Stack, book: FakeTools) -> Stack:
    """A company whose orders the boss may approve, too."""
    named = ("Boss@demo.example", "nobody@demo.example", "usr_alice")
    configure(stack, order_tool(book, "guarded", requires_approval=True, approvers=named))
    stack.slack.add_user(SlackUser(_BOSS, DEMO.team_id, "boss@demo.example", "Bo Boss"))
    return stack


def alone(stack: Stack, ts: str) -> tuple[str, list[SeenMessage]]:
    """The one other place in which a call's approval is asked for, and what stands there."""
    approval = usages(stack, ts)[0].approval
    assert approval
    ((channel, ids),) = approval.asked_alone.items()
    messages = [each for each in stack.slack.messages(channel) if each.user == DEMO.bot_user_id]
    assert [each.ts for each in messages] == list(ids)
    return channel, messages


def test_a_named_approver_is_asked_alone_decides_there_and_all_is_closed(guarded: Stack, book: FakeTools) -> None:
    add_person(guarded, "usr_boss", _BOSS, email="boss@demo.example")
    ts = park(guarded, said="I'll order it.")
    assert "usr_boss can decide this, too." in guarded.thread(ts)[-1].text
    channel, (question,) = alone(guarded, ts)
    assert "Alice Adams asks" in question.text
    assert '"item": "coffee"' in question.text
    assert "I'll order it." not in question.text
    reference = question.buttons[0].value
    guarded.model.script(_DONE)
    here = Address(platform="slack", workspace_id=DEMO.team_id, channel_id=channel, is_direct=True)
    assert decide(guarded, ts, reference, external_user_id=_BOSS, address=here, external_message_id=question.ts)
    assert guarded.settle() == []
    assert len(book.orders.effects) == 1
    assert guarded.thread(ts)[-1].text == "It is ordered."
    assert not asked(guarded, ts)
    _, (closed,) = alone(guarded, ts)
    assert "Approved by usr_boss" in closed.text
    assert not closed.buttons


def test_the_approver_sees_what_the_person_decided(guarded: Stack) -> None:
    add_person(guarded, "usr_boss", _BOSS, email="boss@demo.example")
    ts = park(guarded)
    guarded.model.script(Behaviour(text="Then not."))
    assert press(guarded, ts, "deny")
    guarded.settle()
    _, (closed,) = alone(guarded, ts)
    assert "Denied by Alice Adams" in closed.text
    assert not closed.buttons


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_decision_that_comes_while_approvers_are_asked_leaves_no_open_button(
    guarded: Stack, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    add_person(guarded, "usr_boss", _BOSS, email="boss@demo.example")
    waiting = guarded.store.waiting
    note, notes = waiting.note_asked_alone, []

    def decide_first(company_id: str, usage: ToolUsage, given: Any) -> bool:
        notes.append(given)
        if len(notes) == (1 if moment == "before" else 2):
            waiting.decide(company_id, usage, ApprovalStatus.DENIED, decided_by="usr_alice", now=datetime.now(UTC))
        return note(company_id, usage, given)

    monkeypatch.setattr(waiting, "note_asked_alone", decide_first)
    park(guarded)
    (channel,) = notes[0]
    there = [each for each in guarded.slack.messages(channel) if each.user == DEMO.bot_user_id]
    assert len(there) == (0 if moment == "before" else 1)
    assert not any(each.buttons for each in there)


def test_in_the_place_of_one_approver_nobody_else_decides(guarded: Stack) -> None:
    add_person(guarded, "usr_boss", _BOSS, email="boss@demo.example")
    mate = add_person(guarded, "usr_mate", "U0MATE0001")
    ts = park(guarded)
    channel, (question,) = alone(guarded, ts)
    reference = question.buttons[0].value
    here = Address(platform="slack", workspace_id=DEMO.team_id, channel_id=channel, is_direct=True)
    decide(guarded, ts, reference, external_user_id=mate, address=here)
    elsewhere = here.model_copy(update={"workspace_id": "T0SECOND01"})
    decide(guarded, ts, reference, external_user_id=_BOSS, address=elsewhere)
    assert status(usages(guarded, ts)[0]) is ApprovalStatus.WAITING


def test_an_approver_who_never_met_the_assistant_is_known_by_e_mail(guarded: Stack, book: FakeTools) -> None:
    boss = User(id="usr_boss", company_id=COMPANY, email="boss@demo.example", name="Bo", created_at=datetime.now(UTC))
    guarded.store.directory.add_user(boss)
    ts = park(guarded)
    approval = usages(guarded, ts)[0].approval
    assert approval
    assert approval.asked_alone == {}
    assert "Bo can decide this, too." in guarded.thread(ts)[-1].text
    guarded.model.script(_DONE)
    assert press(guarded, ts, external_user_id=_BOSS)
    assert guarded.settle() == []
    assert len(book.orders.effects) == 1
    assert "Approved by Bo" in guarded.thread(ts)[0].text


@pytest.mark.parametrize("why", ["of another workspace", "disabled", "e-mail of nobody"])
def test_an_e_mail_address_makes_nobody_an_approver_who_is_no_colleague(guarded: Stack, why: str) -> None:
    email = "boss@demo.example" if why != "e-mail of nobody" else "other@demo.example"
    boss = User(id="usr_boss", company_id=COMPANY, email=email, name="Bo", created_at=datetime.now(UTC))
    guarded.store.directory.add_user(boss.model_copy(update={"enabled": why != "disabled"}))
    ts = park(guarded)
    assert ("Bo can decide" in guarded.thread(ts)[-1].text) is (why == "of another workspace")
    workspace = "T0SECOND01" if why == "of another workspace" else ""
    assert press(guarded, ts, external_user_id=_BOSS, external_user_workspace_id=workspace)
    assert status(usages(guarded, ts)[0]) is ApprovalStatus.WAITING
    assert guarded.store.directory.get_identity(COMPANY, "slack", DEMO.team_id, _BOSS) is None


def test_where_nobody_may_be_written_to_the_thread_alone_asks(guarded: Stack, logged: Callable[[], str]) -> None:
    add_person(guarded, "usr_boss", _BOSS, email="boss@demo.example")
    guarded.slack.fail_next("conversations.open", error="missing_scope")
    ts = park(guarded)
    assert len(asked(guarded, ts)) == 1
    (line,) = [each for each in log_lines(logged()) if each["message"] == "approver not asked"]
    assert line["code"].startswith("slack-")
    assert press(guarded, ts, external_user_id=_BOSS)
    assert status(usages(guarded, ts)[0]) is ApprovalStatus.APPROVED


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_everybody_is_asked_once_wherever_the_process_dies(guarded: Stack, border: Border, *, is_after: bool) -> None:
    add_person(guarded, "usr_boss", _BOSS, email="boss@demo.example")
    border.is_after, border.is_text_free = is_after, True
    line = 'call guarded_placeOrder {"body": {"item": "coffee", "quantity": 1}}'
    for crossing in range(6, 60):
        ts = guarded.ask(line)
        (record,) = guarded.receive()
        border.crossings, border.die_at, is_dead = 0, crossing, False
        try:
            assert guarded.deliver([record]) == []
        except Killed:
            is_dead, border.die_at = True, 0
            assert guarded.deliver([again(record)]) == []
        border.die_at = 0
        assert len(asked(guarded, ts)) == 1
        approval = usages(guarded, ts)[0].approval
        assert approval
        ((channel, ids),) = approval.asked_alone.items()
        assert len(ids) == 1
        reference = asked(guarded, ts)[0].buttons[0].value
        there = [each for each in guarded.slack.messages(channel) if any(b.value == reference for b in each.buttons)]
        assert [each.ts for each in there] == list(ids)
        if not is_dead:
            break
    assert crossing > 12
