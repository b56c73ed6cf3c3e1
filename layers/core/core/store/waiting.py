"""What waits for a person: calls of tools that need an approval, and questions back."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pynamodb.expressions.update import Action

from core.events import MessageReceived
from core.models import ApprovalStatus, Role, ToolStatus, ToolUsage
from core.store import keys
from core.store.items import ConversationItem, MessageItem, ToolUsageItem
from core.store.table import Table
from core.store.tool_usages import ToolUsages, pack_places

ASKED = "question"  # the finish reason of a reply that asks the person back
_WITHDRAWN = "question-withdrawn"


class Waiting:
    """Approvals and questions back. The first decision on a call stands. Safe to share between threads."""

    def __init__(self, table: Table, usages: ToolUsages) -> None:
        self._table = table
        self._usages = usages

    def find(self, company_id: str, question_id: str, place: str) -> ToolUsage | None:
        """A call by its question and its place among the uses for that; None where it is not, or not any more."""
        return self._usages.find(company_id, question_id, place)

    def find_conversation_id(self, company_id: str, message: MessageReceived) -> str | None:
        """The conversation in which a message waited that is delivered again; None where it is not what waited there.

        It need not be the one at the message's address any more: another may have begun there.
        """
        place = keys.split_use_reference(message.resumed)
        ulid = keys.question_ulid(message.address, message.external_message_id, message.sent_at)
        if place is None or keys.ulid_of(place[0]) != ulid or self.find(company_id, *place) is None:
            return None
        conversation_id, _ = keys.split_message_id(place[0])
        standing = self._table.get(ConversationItem, keys.conversation_key(company_id, conversation_id))
        return conversation_id if standing else None

    def list_waiting(
        self,
        company_id: str,
        conversation_id: str,
        question_id: str | None = None,
        *,
        statuses: Sequence[ApprovalStatus] = (ApprovalStatus.WAITING,),
    ) -> tuple[ToolUsage, ...]:
        """The calls of a conversation, or for one question, that have these statuses and no result."""
        if question_id is None:
            found = self._usages.list_of_conversation(company_id, conversation_id)
        else:
            found = self._usages.list_of_question(company_id, question_id)
        started = (each for each in found if each.status is ToolStatus.STARTED)
        return tuple(each for each in started if each.approval and each.approval.status in statuses)

    def list_overdue(self, company_id: str, now: datetime, *, limit: int) -> tuple[ToolUsage, ...]:
        """The calls of a company that wait for an approval and may no longer get one, the longest waiting first."""
        return self._usages.list_overdue(company_id, now, limit)

    def forget_messages(self, company_id: str, question_id: str) -> None:
        """Forget the message that the calls for a question were to be delivered again with."""
        for usage in self._usages.list_of_question(company_id, question_id):
            if usage.approval and usage.approval.message:
                self._usages.forget_message(company_id, usage)

    def note_shown(self, company_id: str, usage: ToolUsage, message_ids: Sequence[str]) -> None:
        """Remember in which messages of the platform an approval is asked for."""
        self._change(company_id, usage, [ToolUsageItem.approval_message_ids.set(list(message_ids))])

    def note_asked_alone(self, company_id: str, usage: ToolUsage, asked: Mapping[str, Sequence[str]]) -> bool:
        """Remember in which other places an approver is asked, and in which messages; False once it is decided."""
        key = keys.tool_usage_key(company_id, usage.message_id, usage.place_of_use)
        actions = [ToolUsageItem.approval_asked_alone.set(pack_places(asked))]
        is_waiting = ToolUsageItem.approval == ApprovalStatus.WAITING.value
        return self._table.change_known(ToolUsageItem, key, actions, is_waiting)

    def decide(
        self, company_id: str, usage: ToolUsage, status: ApprovalStatus, *, decided_by: str | None, now: datetime
    ) -> ToolUsage | None:
        """Record a decision unless there is one.

        Returns:
            The call with the decision that stands; None where the call is gone.
        """
        actions = [
            *(ToolUsageItem.approval.set(status.value), ToolUsageItem.decided_at.set(now)),
            *(ToolUsageItem.gsi1pk.remove(), ToolUsageItem.gsi1sk.remove()),
        ]
        if decided_by:
            actions.append(ToolUsageItem.decided_by.set(decided_by))
        waiting = (ToolUsageItem.approval == ApprovalStatus.WAITING.value) & (
            ToolUsageItem.status == ToolStatus.STARTED.value
        )
        key = keys.tool_usage_key(company_id, usage.message_id, usage.place_of_use)
        self._table.change_known(ToolUsageItem, key, actions, waiting)
        return self.find(company_id, usage.message_id, usage.place_of_use)

    def withdraw_question(self, company_id: str, conversation_id: str) -> bool:
        """Wait no longer for the answer to a question back, if that is what was said last; True where it was."""
        partition = keys.conversation_partition(company_id, conversation_id)
        messages = MessageItem.sk.startswith(keys.MESSAGES)
        last = self._table.query(MessageItem, partition, messages, limit=1, newest_first=True, consistent=True)
        if not last or last[0].role != Role.ASSISTANT.value or last[0].finish_reason != ASKED:
            return False
        withdrawn = [MessageItem.finish_reason.set(_WITHDRAWN)]
        self._table.change_known(MessageItem, (last[0].pk, last[0].sk), withdrawn, MessageItem.finish_reason == ASKED)
        return True

    def _change(self, company_id: str, usage: ToolUsage, actions: Sequence[Action]) -> None:
        key = keys.tool_usage_key(company_id, usage.message_id, usage.place_of_use)
        self._table.change_known(ToolUsageItem, key, actions)
