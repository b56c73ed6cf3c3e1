"""Turns that wait for a person: which calls may run now, which wait, and how the person is asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from agent.approvers import Approvers
from agent.stopping import TurnStoppedError
from agent.tools import Tool, ToolContext, ToolResult, TurnInterruptedError
from agent.tools.ask_person import AskPerson
from agent.tools.schema import check_arguments
from core.call_texts import describe_call
from core.events import MessageReceived
from core.models import UNDECIDED, Approval, ApprovalStatus, Company, Conversation, Message, Task, ToolStatus, ToolUsage
from core.platforms import Button, Outbound, Question, Reply, reply_to
from core.store import Claim, Store, keys
from core.texts import say

WAIT = timedelta(days=7)  # for a decision, and for the answer to a question back
_PLATFORM_TIME = timedelta(minutes=2)
_MOST_APPROVALS = 5  # of one step: nobody reads more
_TOO_MANY = f"Not called: at most {_MOST_APPROVALS} calls that need an approval may be asked for at once."
_DENIED = (
    "The person did not approve this call, so it was not made. Do not ask for it again unless the person wants it."
)


class NeedsApproval:
    """A tool whose every call waits until somebody agrees to it."""

    def __init__(self, tool: Tool, approvers: tuple[str, ...]) -> None:
        self._tool = tool
        self.approvers = approvers
        self.name = tool.name
        self.type = tool.type
        self.description = tool.description
        self.parameters = tool.parameters
        self.is_write = tool.is_write
        self.timeout_seconds = tool.timeout_seconds

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it; whoever calls has seen to the approval. Raises as `Tool.run` does."""
        return self._tool.run(arguments, context)


class TurnParkedError(TurnInterruptedError):
    """Nothing more can be done before somebody has decided on these calls."""

    def __init__(self, waiting: Sequence[ToolUsage]) -> None:
        super().__init__("calls wait for an approval")
        self.waiting = tuple(waiting)


class NobodyDecidedError(TurnStoppedError):
    """The turn waited for an approval for as long as it may."""

    finish_reason = UNDECIDED


class PersonAskedError(TurnInterruptedError):
    """The turn ends with a question back."""

    def __init__(self, question: str) -> None:
        super().__init__("the person is asked back")
        self.question = question


@dataclass(slots=True)
class Calls:
    """The calls of a step that have no result yet: what may run, what has its result without running, what waits."""

    free: list[ToolUsage] = field(default_factory=list)
    settled: list[ToolUsage] = field(default_factory=list)
    waiting: list[ToolUsage] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)

    def hold(self) -> None:
        """Return if nothing waits.

        Raises:
            TurnParkedError: Calls wait for an approval; questions back are asked after that.
            PersonAskedError: All that can be done is done, and the person is asked.
        """
        if self.waiting:
            raise TurnParkedError(self.waiting)
        if self.questions:
            raise PersonAskedError("\n\n".join(self.questions))


def mark(usages: Sequence[ToolUsage], tools: Mapping[str, Tool], template: Approval | None) -> list[ToolUsage]:
    """Calls as they are first written down: with an approval, made of `template`, where they need one."""
    marked: list[ToolUsage] = []
    for usage in usages:
        tool = tools.get(usage.name)
        is_room = sum(each.approval is not None for each in marked) < _MOST_APPROVALS
        if isinstance(tool, NeedsApproval) and template and is_room and _read(tool, usage) is not None:
            approval = template.model_copy(update={"approvers": tool.approvers})
            marked.append(usage.model_copy(update={"approval": approval}))
        else:
            marked.append(usage)
    return marked


def sort(usages: Sequence[ToolUsage], tools: Mapping[str, Tool], now: datetime) -> Calls:
    """What becomes of each call now. A call that its tool could not take is free: it is told so without being made.

    Raises:
        TurnStoppedError: The turn was stopped while it waited.
        NobodyDecidedError: It waited too long.
    """
    calls = Calls()
    for usage in usages:
        tool = tools.get(usage.name)
        arguments = _read(tool, usage) if tool else None
        if arguments is None:
            calls.free.append(usage)
        elif isinstance(tool, AskPerson):
            calls.questions.append(arguments["question"])
        elif not isinstance(tool, NeedsApproval):
            calls.free.append(usage)
        elif usage.approval is None:
            calls.settled.append(_refuse(usage, _TOO_MANY))
        else:
            _sort_approved(calls, usage, usage.approval, now)
    return calls


def _sort_approved(calls: Calls, usage: ToolUsage, approval: Approval, now: datetime) -> None:
    match approval.status:
        case ApprovalStatus.APPROVED:
            calls.free.append(usage)
        case ApprovalStatus.DENIED:
            calls.settled.append(_refuse(usage, _DENIED))
        case ApprovalStatus.WAITING if now < approval.until:
            calls.waiting.append(usage)
        case ApprovalStatus.CANCELED:
            raise TurnStoppedError
        case _:
            raise NobodyDecidedError


def _refuse(usage: ToolUsage, text: str) -> ToolUsage:
    ended = {"status": ToolStatus.FAILED, "response": text, "error": text, "duration_ms": 0}
    return forget_message(usage).model_copy(update=ended)


def _read(tool: Tool, usage: ToolUsage) -> Mapping[str, Any] | None:
    arguments = check_arguments(tool.parameters, usage.request)
    return None if isinstance(arguments, str) else arguments


def forget_message(usage: ToolUsage) -> ToolUsage:
    """A call that ends, without the message that it was to be delivered again with."""
    if usage.approval is None:
        return usage
    return usage.model_copy(update={"approval": usage.approval.model_copy(update={"message": ""})})


@dataclass(frozen=True, slots=True)
class Parking:
    """Where one turn waits.

    Attributes:
        message: What the turn answers; delivered again when something was decided.
        question: The same as it is stored, in the form that is answered.
    """

    store: Store
    outbound: Outbound
    claim: Claim
    message: MessageReceived
    question: Message
    clock: Callable[[], datetime]

    def make_approval(self) -> Approval:
        """An approval that waits from now on."""
        plain = self.message.model_copy(update={"resumed": ""}).model_dump_json(by_alias=True)
        return Approval(user_id=self.question.user_id, until=self.clock() + WAIT, message=plain)

    def ask(self, waiting: Sequence[ToolUsage], task: Task, shown: Reply, *, is_shaped: bool) -> None:
        """Ask for each decision, once however often the turn is tried, and give the conversation up.

        What was said so far stays in a message of its own above; the answer comes below what was decided.

        Raises:
            ClaimLostError: A later delivery took the conversation over.
            RetryableError: The platform cannot take it now.
            PermanentError: The platform will never take it.
        """
        company_id = self.claim.conversation.user_company_id
        self.store.renew_claim(self.claim, lease=_PLATFORM_TIME, now=self.clock())
        recorded = self.store.list_tool_usages(company_id, task.message_id)
        said = "" if is_shaped else say_before([each for each in recorded if each.edition == self.question.edited_at])
        if said:
            ids = dict.fromkeys((*task.outgoing_ids, *shown.finish(said)))
            self.store.save_task_outgoing_ids(company_id, task, tuple(ids))
        approvers = Approvers(self.store, self.outbound, company_id, self.message, self.question)
        for usage in waiting:
            if usage.approval:
                self._show(usage, usage.approval, approvers)
        self.store.park(self.claim, now=self.clock())

    def _show(self, usage: ToolUsage, approval: Approval, approvers: Approvers) -> None:
        def remember(ids: tuple[str, ...]) -> None:
            self.store.waiting.note_shown(approvers.company_id, usage, ids)

        reference, language = refer_to(usage), self.question.language
        buttons = (
            Button(label=say("approve", language), value="approve", reference=reference, style="primary"),
            Button(label=say("deny", language), value="deny", reference=reference, style="danger"),
        )
        if not approval.message_ids:
            said = (say("approval", language), describe_call(usage.name, usage.request), approvers.name(approval))
            target = reply_to(self.message, is_unrecorded=True, is_alone=True)
            question = Question(text="\n\n".join(filter(None, said)), buttons=buttons)
            self.outbound.ask(target, question, posted=remember)
        approvers.ask(usage, approval, buttons)


def count_silent(recorded: Sequence[ToolUsage]) -> int:
    """How many steps have said what they had to say in messages of their own: those before which a person was asked."""
    return max((_step(each) + 1 for each in recorded if each.approval and each.approval.message_ids), default=0)


def find_messages(conversation: Conversation, task: Task, *, is_parked: bool) -> tuple[tuple[str, ...], frozenset[str]]:
    """The platform's messages in which a task's answer was begun, and those that hold something else.

    What a task said before it waited for a person is not the beginning of its answer.
    """
    is_ours = conversation.streaming_task_id == task.id
    known = conversation.outgoing_ids if is_ours else () if is_parked else task.outgoing_ids
    return known, frozenset((*conversation.outgoing_ids, *task.outgoing_ids)) - frozenset(known)


def say_before(recorded: Sequence[ToolUsage]) -> str:
    """What was said since a person was last asked, up to what waits now."""
    waits = [_step(each) for each in recorded if each.approval and each.approval.status is ApprovalStatus.WAITING]
    asked = [_step(each) for each in recorded if each.approval and each.approval.status is not ApprovalStatus.WAITING]
    said = [each for each in recorded if each.said and not each.under]
    wanted = range(max((step for step in asked if step not in waits), default=-1) + 1, max(waits, default=-1) + 1)
    return "\n\n".join(each.said for each in said if each.step in wanted)


def _step(usage: ToolUsage) -> int:
    """The step of the question's own task that a use is of, or below."""
    return int(usage.place_of_use[:3])


def refer_to(usage: ToolUsage) -> str:
    """What the buttons of a call's question carry."""
    return keys.use_reference(usage.message_id, usage.place_of_use)


def find_place(store: Store, company_id: str, company: Company | None, message: MessageReceived) -> str | None:
    """The conversation of a message: the one at its address, or, for one that waited, the one in which it did.

    None where there is none: not yet, not any more, or the message is not what waited there.
    """
    if message.resumed:
        return store.waiting.find_conversation_id(company_id, message)
    days = company.retention_days if company else None
    return store.find_conversation_id(company_id, message.address, retention_days=days)
