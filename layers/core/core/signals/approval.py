"""APPROVAL: somebody pressed a button under the question whether a tool may be called. OVERDUE: nobody did in time.

The decision is recorded on the call itself, where the first one stands; then the question's message says what was
decided and by whom, and the message whose turn waits is put on its queue again. Delivered twice, all of it is the same.
"""

from contextlib import suppress

from core.call_texts import describe_call
from core.errors import PermanentError
from core.events import MessageReceived
from core.models import Address, Approval, ApprovalStatus, ToolStatus, ToolUsage, User
from core.platforms import Outbound, respond_to
from core.signals.case import Case
from core.store import keys
from core.texts import Notice, say

_DECISIONS = {"approve": ApprovalStatus.APPROVED, "deny": ApprovalStatus.DENIED}


def decide(case: Case) -> str:
    """Record what was decided, if whoever pressed may decide it, there and now."""
    found = _find(case)
    if found is None:
        return "not-here"
    usage, approval = found
    user = case.recognise_user()
    if user is None:
        return "stranger"
    if not _may_decide(user, approval):
        _say_privately(case, say("not-yours", _language(case, usage)))
        return "not-allowed"
    status = _DECISIONS.get(case.signal.value)
    if status is None:
        return "no-decision"
    is_over = usage.status is not ToolStatus.STARTED or case.store.find_reply(case.company_id, usage.message_id)
    if approval.status is ApprovalStatus.WAITING and (is_over or case.clock() >= approval.until):
        status = ApprovalStatus.EXPIRED
    decided = case.store.waiting.decide(case.company_id, usage, status, decided_by=user.id, now=case.clock())
    if decided is None or decided.approval is None:
        return "not-here"
    _close(case, case.open_platform(), decided, decided.approval)
    _resume(case, decided, approval)
    return decided.approval.status.value.lower()


def expire(case: Case) -> str:
    """End what nobody decided in time: the buttons are closed, and the turn that waits comes to its end."""
    found = _find(case)
    if found is None:
        return "not-here"
    usage, approval = found
    if case.clock() < approval.until:
        return "not-due"
    expired = case.store.waiting.decide(
        case.company_id, usage, ApprovalStatus.EXPIRED, decided_by=None, now=case.clock()
    )
    if expired is None or expired.approval is None or expired.approval.status is not ApprovalStatus.EXPIRED:
        return "decided"
    _close(case, case.open_platform(), expired, expired.approval)
    _resume(case, expired, approval)
    return "expired"


def withdraw(case: Case, conversation_id: str, task_id: str | None) -> bool:
    """Wait no longer for anything in a conversation, or for one task's approvals; True where something waited."""
    company_id, store = case.company_id, case.store
    question_id = keys.message_id(conversation_id, keys.ulid_of(task_id)) if task_id else None
    waiting = store.waiting.list_waiting(company_id, conversation_id, question_id)
    if case.attempt > 1 and not waiting:  # an earlier try may have ended between the decision and what follows it
        canceled_before = (ApprovalStatus.CANCELED,)
        waiting = store.waiting.list_waiting(company_id, conversation_id, question_id, statuses=canceled_before)
    for usage in waiting:
        canceled = store.waiting.decide(company_id, usage, ApprovalStatus.CANCELED, decided_by=None, now=case.clock())
        if canceled and canceled.approval and usage.approval:
            _close(case, case.open_platform(), canceled, canceled.approval)
            _resume(case, canceled, usage.approval)
    is_question = task_id is None and store.waiting.withdraw_question(company_id, conversation_id)
    return bool(waiting) or is_question


def _find(case: Case) -> tuple[ToolUsage, Approval] | None:
    """The call that the button stands for, if it is of this company, and asked for in this very place."""
    place = keys.split_use_reference(case.signal.reference)
    if place is None:
        return None
    conversation_id, _ = keys.split_message_id(place[0])
    conversation = case.store.get_conversation(case.company_id, conversation_id)
    if conversation is None:
        return None
    usage = case.store.waiting.find(case.company_id, *place)
    if usage is None or usage.approval is None:
        return None
    here = case.signal.address
    is_alone = (here.platform, here.workspace_id) == _workspace_of(conversation.address) and (
        here.channel_id in usage.approval.asked_alone
    )
    return (usage, usage.approval) if is_alone or _is_at(conversation.address, here) else None


def _is_at(one: Address, other: Address) -> bool:
    return (*_workspace_of(one), one.channel_id) == (*_workspace_of(other), other.channel_id)


def _workspace_of(address: Address) -> tuple[str, str]:
    return address.platform, address.workspace_id


def _may_decide(user: User, approval: Approval) -> bool:
    email = keys.normalise_email(user.email)
    return user.id == approval.user_id or any(
        user.id == each or email == keys.normalise_email(each) for each in approval.approvers
    )


def _close(case: Case, outbound: Outbound, usage: ToolUsage, approval: Approval) -> None:
    """Let the question's messages say what stands, wherever it was asked."""
    by = case.store.directory.get_user(case.company_id, approval.decided_by) if approval.decided_by else None
    words: dict[ApprovalStatus, Notice] = {
        ApprovalStatus.APPROVED: "approved",
        ApprovalStatus.DENIED: "denied",
        ApprovalStatus.CANCELED: "approval-canceled",
        ApprovalStatus.EXPIRED: "approval-expired",
    }
    said = say(words[approval.status], _language(case, usage)).replace("{person}", by.name if by else "?")
    text = f"{said}\n\n{describe_call(usage.name, usage.request)}"
    conversation_id, _ = keys.split_message_id(usage.message_id)
    conversation = case.store.get_conversation(case.company_id, conversation_id)
    home = conversation.address if conversation else case.signal.address
    alone = {
        home.model_copy(update={"channel_id": channel_id, "thread_id": "", "is_direct": True}): ids
        for channel_id, ids in approval.asked_alone.items()
    }
    for place, ids in ({home: approval.message_ids} | alone).items():
        if not ids:
            continue
        target = respond_to(case.signal.model_copy(update={"address": place}), outgoing_ids=ids)
        with suppress(PermanentError):  # the message is gone; the decision counts all the same
            outbound.close_question(target, ids, text)


def _resume(case: Case, usage: ToolUsage, asked: Approval) -> None:
    """Deliver the message again whose turn waits; one whose turn has ended is delivered to no effect."""
    if usage.status is not ToolStatus.STARTED or not asked.message:
        return
    message = MessageReceived.model_validate_json(asked.message)
    reference = keys.use_reference(usage.message_id, usage.place_of_use)
    case.resume(message.model_copy(update={"resumed": reference}))


def _say_privately(case: Case, text: str) -> None:
    target = respond_to(case.signal, is_private=True)
    case.open_platform().open_reply(target, posted=lambda _: None).finish(text)


def _language(case: Case, usage: ToolUsage) -> str | None:
    conversation_id, _ = keys.split_message_id(usage.message_id)
    return case.store.questions.find_language(case.company_id, conversation_id)
