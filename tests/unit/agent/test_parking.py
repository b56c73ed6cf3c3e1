"""Which calls may run: what became of their approvals, and whether there is still time for one."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.parking import NeedsApproval, NobodyDecidedError, sort
from agent.stopping import TurnStoppedError
from agent.tools import ToolContext, ToolResult
from core.models import Approval, ApprovalStatus, ToolStatus, ToolType, ToolUsage

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


class _Order:
    """A tool that takes anything."""

    name = "order"
    type = ToolType.TPA
    description = "Orders."
    parameters: dict[str, object] = {"type": "object"}  # noqa: RUF012 - read alone
    is_write = True
    timeout_seconds = 1.0

    def run(self, _arguments: object, _context: ToolContext) -> ToolResult:
        return ToolResult(text="ordered")


_TOOLS = {"order": NeedsApproval(_Order(), ())}


def usage(status: ApprovalStatus, *, until: datetime = _NOW + timedelta(days=1)) -> ToolUsage:
    """A call whose approval stands so."""
    return ToolUsage(
        name="order",
        call_id="call",
        request="{}",
        message_id="m",
        status=ToolStatus.STARTED,
        started_at=_NOW,
        idempotency_key="key",
        approval=Approval(status=status, user_id="usr", until=until),
    )


def test_what_waits_in_time_waits_and_what_was_decided_goes_on() -> None:
    calls = sort([usage(ApprovalStatus.WAITING), usage(ApprovalStatus.APPROVED)], _TOOLS, _NOW)
    assert (len(calls.waiting), len(calls.free), calls.settled) == (1, 1, [])
    (denied,) = sort([usage(ApprovalStatus.DENIED)], _TOOLS, _NOW).settled
    assert denied.status is ToolStatus.FAILED


@pytest.mark.parametrize("late", [usage(ApprovalStatus.WAITING, until=_NOW), usage(ApprovalStatus.EXPIRED)])
def test_what_nobody_decided_in_time_ends_the_turn(late: ToolUsage) -> None:
    with pytest.raises(NobodyDecidedError):
        sort([late], _TOOLS, _NOW)


def test_what_was_withdrawn_ends_the_turn_as_stopped() -> None:
    with pytest.raises(TurnStoppedError) as stopped:
        sort([usage(ApprovalStatus.CANCELED)], _TOOLS, _NOW)
    assert not isinstance(stopped.value, NobodyDecidedError)
