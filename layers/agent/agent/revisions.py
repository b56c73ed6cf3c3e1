"""What becomes of a question that its person edits or deletes: what the model reads then, and what it is told."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from agent.delivering import Delivering
from agent.model_values import ModelMessage
from agent.tools import Tool
from core.errors import PermanentError
from core.models import ConversationStatus, Message, Role, Task, TaskStatus, ToolStatus, ToolUsage
from core.store import Claim, Store

_LONGEST_RESULT = 2_000  # characters of what a write gave
_DONE_BEFORE = (
    "The person edited this message while you were answering it; only its new text above counts. Before the edit you "
    "had called the tools below, which change things. What they did stands: do not do it a second time, and undo it "
    "only if the new text asks for that. Say in your answer what was done already.\n\n"
)
_UNKNOWN = "It is not known whether this took effect: look before you do it again."


class QuestionDeletedError(PermanentError):
    """The person took the question back: there is nothing to answer. Never leaves the turn."""

    def __init__(self) -> None:
        super().__init__("question-deleted", "the person deleted the question")


def leave_out_erased(history: Sequence[Message]) -> tuple[Message, ...]:
    """The history without questions that were deleted, and without their answers, which repeat what was asked."""
    erased = {message.id for message in history if message.deleted_at}
    return tuple(m for m in history if m.id not in erased and not _answers(m, erased))


def _answers(message: Message, erased: set[str]) -> bool:
    return message.role is Role.ASSISTANT and message.parent_message_id in erased


def tell_done(abandoned: Sequence[ToolUsage], tools: Mapping[str, Tool]) -> tuple[ModelMessage, ...]:
    """What the model must know of an answer that an edit ended: the writes that took effect, or may have."""
    writes = [usage for usage in abandoned if _is_write(usage, tools)]
    if not writes:
        return ()
    return (ModelMessage(Role.SYSTEM, _DONE_BEFORE + "\n".join(map(_describe, writes))),)


def _is_write(usage: ToolUsage, tools: Mapping[str, Tool]) -> bool:
    tool = tools.get(usage.name)
    return tool is not None and tool.is_write


def _describe(usage: ToolUsage) -> str:
    result = (usage.response or "")[:_LONGEST_RESULT] if usage.status is not ToolStatus.STARTED else _UNKNOWN
    return f"- {usage.name}({usage.request}): {result}"


def sort_out(usages: Sequence[ToolUsage], question: Message) -> tuple[tuple[ToolUsage, ...], tuple[ToolUsage, ...]]:
    """The uses of tools that were for the question as it stands, and those that an edit left behind."""
    current = tuple(usage for usage in usages if usage.edition == question.edited_at)
    return current, tuple(usage for usage in usages if usage.edition != question.edited_at)


def withdraw(
    store: Store, claim: Claim, task: Task | None, delivering: Delivering, *, user_id: str, now: datetime
) -> None:
    """End a turn whose question was deleted: nothing of it is kept, and what was begun on the platform says so."""
    conversation = claim.conversation
    if not conversation.message_count:  # the title is the beginning of this question
        store.recollections.forget_title(conversation.user_company_id, conversation.id)
    task = task or store.questions.find_task(conversation.user_company_id, claim.task_id)
    known = conversation.outgoing_ids if conversation.streaming_task_id == claim.task_id else ()
    shown = delivering.shown
    task = task and task.model_copy(
        update={"outgoing_ids": shown.outgoing_ids if shown else known or task.outgoing_ids}
    )
    if task is None or task.status is TaskStatus.CANCELED:
        store.release_claim(claim, status=ConversationStatus.CANCELED, now=now)
    else:
        store.cancel_turn(claim, None, task, now=now, user_id=user_id)
    if task and (task.outgoing_ids or shown is None):
        delivering.tell_withdrawn(task)
