"""What a conversation remembers beside its messages, and its title: written after a turn, whenever that may be.

No lease is needed: each write is one transaction on condition that nobody else has written the same thing since.
"""

from collections.abc import Sequence
from datetime import datetime

from core.models import Conversation, Message
from core.store import conversations, keys
from core.store.claims import Spent, Summary
from core.store.counters import count_turn
from core.store.expiry import expiry_after
from core.store.faults import ConditionFailedError
from core.store.items import ConversationItem, SummaryItem
from core.store.messages import Messages
from core.store.table import Change, Put, Table


class Recollections:
    """Summaries and titles of every conversation. Safe to share between threads."""

    def __init__(self, table: Table, messages: Messages) -> None:
        self._table = table
        self._messages = messages

    def find_summary(self, conversation: Conversation, until: str | None = None) -> Summary | None:
        """The conversation's latest summary, or the one up to a ULID; None where there is none (any more).

        One request, and none where the conversation has no summary.
        """
        until = until or conversation.summary_until
        if until is None:
            return None
        key = keys.summary_key(conversation.user_company_id, conversation.id, until)
        item = self._table.get(SummaryItem, key, consistent=True)
        return Summary.model_validate({"until": until, **item.fields()}) if item else None

    def list_messages(
        self, conversation: Conversation, *, after: str | None, until: str, limit: int
    ) -> tuple[Message, ...]:
        """The first `limit` messages after one ULID, up to and with another, in order; one request."""
        return self._messages.list_between(
            conversation.user_company_id, conversation.id, after=after, until=until, limit=limit
        )

    def save_summary(
        self,
        conversation: Conversation,
        summary: Summary,
        spent: Spent,
        *,
        user_id: str,
        now: datetime,
        retention_days: int | None = None,
    ) -> bool:
        """Let the conversation remember `summary` from its next turn on, and count what it took.

        Returns:
            False where another summary came first, the conversation is gone, or what it tells may have been changed
            or deleted meanwhile: nothing is written.
        """
        company_id = conversation.user_company_id
        expiry = expiry_after(retention_days, summary.since)
        key = keys.summary_key(company_id, conversation.id, summary.until)
        item = SummaryItem.from_value(summary, key, ttl=expiry and expiry.ttl)
        known, rewritten_at = conversation.summary_until, conversation.rewritten_at
        standing, rewritten = ConversationItem.summary_until, ConversationItem.rewritten_at
        unchanged = rewritten.does_not_exist() if rewritten_at is None else rewritten == rewritten_at
        change = Change(
            keys.conversation_key(company_id, conversation.id),
            [standing.set(summary.until), *conversations.count(spent, messages=0)],
            ConversationItem.id.exists()
            & (standing.does_not_exist() if known is None else standing == known)
            & unchanged,
        )
        return self._write([Put(item), change], self._count(conversation, spent, user_id, now))

    def drop_summaries(self, company_id: str, conversation_id: str, *, of: str, at: datetime) -> None:
        """Forget every summary that tells of the message with this ULID, because that was changed or deleted then.

        The next ones start over from what is there. One that is being made meanwhile is not stored.
        """
        key = keys.conversation_key(company_id, conversation_id)
        rewritten = ConversationItem.rewritten_at.set(at)
        dropped = [rewritten, ConversationItem.summary_until.remove()]
        if not self._table.change_known(ConversationItem, key, dropped, ConversationItem.summary_until >= of):
            self._table.change_known(ConversationItem, key, [rewritten])
        partition, first = keys.summary_key(company_id, conversation_id, of)
        found = self._table.query_keys(partition, SummaryItem.sk.startswith(keys.SUMMARIES))
        self._table.write_batch([each for each in found if each[1] >= first])

    def forget_title(self, company_id: str, conversation_id: str) -> None:
        """Leave the conversation without a title until its next question."""
        key = keys.conversation_key(company_id, conversation_id)
        self._table.change_known(ConversationItem, key, [ConversationItem.title.remove()])

    def save_title(self, conversation: Conversation, title: str, spent: Spent, *, user_id: str, now: datetime) -> bool:
        """Give the conversation another title unless it got one meanwhile, and count what that took."""
        key = keys.conversation_key(conversation.user_company_id, conversation.id)
        actions = [*conversations.rename(title, None), *conversations.count(spent, messages=0)]
        change = Change(key, actions, ConversationItem.title == conversation.title)
        return self._write([change], self._count(conversation, spent, user_id, now))

    def _count(self, conversation: Conversation, spent: Spent, user_id: str, now: datetime) -> list[Change]:
        if not spent.total_tokens:
            return []
        return count_turn(conversation.user_company_id, conversation.id, user_id, spent, now, messages=0)

    def _write(self, writes: Sequence[Put | Change], counts: Sequence[Change]) -> bool:
        try:
            self._table.transact([*writes, *counts])
        except ConditionFailedError:
            if counts:  # what came of it is not wanted any more, and was paid for all the same
                self._table.transact(counts)
            return False
        return True
