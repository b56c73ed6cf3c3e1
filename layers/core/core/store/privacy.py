"""What ops do with what people said: delete it, forget a person, keep it for a time. Everything can be run again."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from core.imports import NOTICE
from core.models import Address, Company, Role, User
from core.store import conversations, keys
from core.store.claims import ConversationBusyError
from core.store.directory import Directory
from core.store.expiry import Expiry, expiry_after
from core.store.faults import ConditionFailedError
from core.store.import_items import ConversationImportItem
from core.store.imports import Imports
from core.store.items import (
    ConversationItem,
    FeedbackItem,
    Item,
    MessageItem,
    SummaryItem,
    TaskItem,
    ThreadItem,
    ToolUsageItem,
    UsageItem,
)
from core.store.keys import Key
from core.store.overflow import Overflow
from core.store.table import Delete, Table

_SEAL = timedelta(minutes=2)  # for how long a deletion that died keeps turns, but not its successor, out


class Privacy:
    """The rights of people over what they said.

    A deletion that ends early is run again and goes on: what leads to the rest is deleted last. Usage counters hold no
    content: those of a conversation stay; those of a person's days go with the person, and the company's months, which
    name nobody, stay. Inputs are the company's own configuration and stay, too.
    """

    def __init__(
        self,
        table: Table,
        overflow: Overflow,
        directory: Directory,
        imports: Imports,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._table = table
        self._overflow = overflow
        self._directory = directory
        self._imports = imports
        self._clock = clock

    # A conversation

    def delete_conversation(self, company_id: str, conversation_id: str) -> bool:
        """Delete a conversation with its messages, tasks, tool usages, imports, pictures, long texts, and its thread.

        Returns:
            True where there was something to delete.

        Raises:
            ConversationBusyError: A turn runs in it: ask that to stop, and try again.
        """
        partition = keys.conversation_partition(company_id, conversation_id)
        meta = self._seal(company_id, conversation_id)
        messages = self._table.query(
            MessageItem, partition, MessageItem.sk.startswith(keys.MESSAGES), consistent=True, with_expired=True
        )
        self._overflow.delete_images(_image_urls(messages))
        self._overflow.delete_place(keys.text_place(company_id, conversation_id))
        self._imports.begun.forget(company_id, conversation_id)
        found = self._table.query_keys(partition)
        self._table.write_batch([key for key in found if key[1] != keys.META])
        if meta:
            self._delete_thread(company_id, meta)
            self._table.delete(Delete(keys.conversation_key(company_id, conversation_id)))
        return bool(found)

    def _seal(self, company_id: str, conversation_id: str) -> ConversationItem | None:
        """Keep turns out; the conversation, None where there is none (any more)."""
        now = self._clock()
        sealed = conversations.seal(company_id, conversation_id, until=now + _SEAL, now=now)
        try:
            return self._table.change(ConversationItem, sealed.key, sealed.actions, sealed.condition)
        except ConditionFailedError as exc:
            standing = exc.find(ConversationItem)
            if standing is None:
                return None
            rest = standing.lease_until - now if standing.lease_until else _SEAL
            raise ConversationBusyError(rest) from exc

    def _delete_thread(self, company_id: str, meta: ConversationItem) -> None:
        address = Address.model_validate({"platform": meta.conversation_source, **meta.address})
        points_there = ThreadItem.conversation_id == meta.id
        self._table.delete(Delete(keys.thread_key(company_id, address), points_there))

    # A person

    def forget_user(self, company_id: str, user_id: str) -> int:
        """Delete a person: conversations, turns in others' conversations, imports, identities, counters, the user.

        The person is disabled first. Running functions know a person for a minute more, so that a second run after
        that finds what was said meanwhile.

        Returns:
            How many conversations were deleted, and those of others that the person took part in.

        Raises:
            ConversationBusyError: A turn runs in a conversation; it was asked to stop. Try again.
        """
        user = self._directory.get_user(company_id, user_id)
        if user and user.enabled:
            self._directory.put_user(user.model_copy(update={"enabled": False}))
        count = 0
        for conversation_id in self._conversations_of(company_id, user_id):
            self._stop(company_id, conversation_id)
            count += self.delete_conversation(company_id, conversation_id)
        for other in self._directory.list_users(company_id):
            if other.id != user_id:
                for conversation_id in self._conversations_of(company_id, other.id):
                    count += self._delete_turns(company_id, conversation_id, user_id)
        self._imports.forget_person(company_id, user_id)
        self._delete_identities(company_id, user_id, user)
        self._delete_counters(company_id, user_id)
        if user:
            self._directory.delete_user(user)
        return count

    def _stop(self, company_id: str, conversation_id: str) -> None:
        key = keys.conversation_key(company_id, conversation_id)
        self._table.change_known(ConversationItem, key, conversations.request_cancel(), conversations.is_running(None))

    def _delete_turns(self, company_id: str, conversation_id: str, user_id: str) -> bool:
        """Delete a person's questions with all that came of them from a conversation that is somebody else's."""
        partition = keys.conversation_partition(company_id, conversation_id)
        places = MessageItem.sk.startswith(keys.MESSAGES)
        messages = self._table.query(MessageItem, partition, places, consistent=True, with_expired=True)
        theirs = [item for item in messages if item.user_id == user_id and item.role == Role.USER]
        for question in theirs:
            ulid = keys.ulid_of(question.id)
            reply_ulid = keys.reply_ulid(ulid)
            self._overflow.delete_images(_image_urls([question]))
            self._overflow.delete_place(keys.text_place(company_id, conversation_id, ulid))
            self._overflow.delete_place(keys.text_place(company_id, conversation_id, reply_ulid))
            used = self._table.query_keys(partition, ToolUsageItem.sk.startswith(keys.tool_usages_of(ulid)))
            tasks = self._table.query_keys(partition, TaskItem.sk.startswith(keys.TASKS + ulid))
            tasks += self._table.query_keys(partition, FeedbackItem.sk.startswith(keys.FEEDBACK + reply_ulid))
            rest = [keys.MESSAGES + reply_ulid, keys.MESSAGES + ulid]
            self._table.write_batch([*used, *tasks, *((partition, place) for place in rest)])
        told = [item for item in messages if item.user_id == user_id and item.finish_reason == NOTICE]
        for notice in told:
            self._overflow.delete_place(keys.text_place(company_id, conversation_id, keys.ulid_of(notice.id)))
        self._table.write_batch([(partition, notice.sk) for notice in told])
        judged = self._table.query_keys(partition, FeedbackItem.sk.startswith(keys.FEEDBACK))
        self._table.write_batch([key for key in judged if keys.unescape(key[1].rpartition("#")[2]) == user_id])
        if theirs:  # what is left of the summary would be theirs, too
            self._table.write_batch(self._table.query_keys(partition, SummaryItem.sk.startswith(keys.SUMMARIES)))
        return bool(theirs)

    def _delete_identities(self, company_id: str, user_id: str, user: User | None) -> None:
        email = keys.normalise_email(user.email) if user else None
        for identity in self._directory.list_identities(company_id):
            is_same_email = email is not None and keys.normalise_email(identity.email or "") == email
            if identity.user_id == user_id or is_same_email:
                self._directory.delete_identity(identity)

    def _delete_counters(self, company_id: str, user_id: str) -> None:
        company = self._directory.get_company(company_id)
        today = self._clock().date()
        first = company.created_at.date() if company else today - timedelta(days=366)
        wanted = (keys.day_counter_key(company_id, day, user_id) for day in _days(first, today))
        self._table.write_batch([(item.pk, item.sk) for item in self._table.get_many(UsageItem, wanted)])

    # A company

    def apply_retention(self, company: Company) -> int:
        """Give everything that a company's people said so far the expiry that its retention asks for.

        New turns write theirs themselves. Returns the number of conversations.
        """
        count = 0
        for user in self._directory.list_users(company.id):
            for conversation_id in self._conversations_of(company.id, user.id):
                self._expire_conversation(company, conversation_id)
                count += 1
        return count

    def _expire_conversation(self, company: Company, conversation_id: str) -> None:
        meta = self._table.get(ConversationItem, keys.conversation_key(company.id, conversation_id), consistent=True)
        if meta is None:
            return
        days = company.retention_days
        address = Address.model_validate({"platform": meta.conversation_source, **meta.address})
        latest = expiry_after(days, meta.updated_at)
        points_there = ThreadItem.conversation_id == conversation_id
        self._expire(ThreadItem, keys.thread_key(company.id, address), latest, points_there)
        self._expire(ConversationItem, (meta.pk, meta.sk), latest)
        for message in self._table.query(MessageItem, meta.pk, MessageItem.sk.startswith(keys.MESSAGES)):
            self._expire(MessageItem, (message.pk, message.sk), expiry_after(days, message.created_at))
        for task in self._table.query(TaskItem, meta.pk, TaskItem.sk.startswith(keys.TASKS)):
            self._expire(TaskItem, (task.pk, task.sk), expiry_after(days, task.created_at))
        for usage in self._table.query(ToolUsageItem, meta.pk, ToolUsageItem.sk.startswith(keys.TOOL_USAGES)):
            self._expire(ToolUsageItem, (usage.pk, usage.sk), expiry_after(days, usage.started_at))
        for feedback in self._table.query(FeedbackItem, meta.pk, FeedbackItem.sk.startswith(keys.FEEDBACK)):
            self._expire(FeedbackItem, (feedback.pk, feedback.sk), latest)
        for summary in self._table.query(SummaryItem, meta.pk, SummaryItem.sk.startswith(keys.SUMMARIES)):
            self._expire(SummaryItem, (summary.pk, summary.sk), expiry_after(days, summary.since))
        marks = ConversationImportItem.sk.startswith(keys.IMPORTS)
        for mark in self._table.query(ConversationImportItem, meta.pk, marks):
            self._expire(ConversationImportItem, (mark.pk, mark.sk), latest)
        self._overflow.set_expiry(keys.text_place(company.id, conversation_id), latest)

    def _expire(self, kind: type[Item], key: Key, expiry: Expiry | None, condition: Any = None) -> None:
        self._table.change_known(kind, key, conversations.expire(expiry), condition)

    def _conversations_of(self, company_id: str, user_id: str) -> list[str]:
        partition = keys.user_conversations_partition(company_id, user_id)
        prefix = keys.conversation_partition(company_id, "")
        found = self._table.query_index("GSI1", partition, newest_first=True)
        return [keys.unescape(key[0].removeprefix(prefix)) for key in found]


def _image_urls(messages: list[MessageItem]) -> list[str]:
    parts = [part for message in messages for part in message.content or ()]
    return [part["image"]["url"] for part in parts if "image" in part]


def _days(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += timedelta(days=1)
