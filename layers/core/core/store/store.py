"""Conversations and what happens in one turn: claim, question, task, history, commit.

Every write of a turn is a condition on keys or on the fencing token, so that whatever dies or is delivered twice, a
question is stored once, has one task and gets one reply.
"""

import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from pynamodb.expressions.update import Action

from core.models import (
    Address,
    Conversation,
    ConversationStatus,
    Input,
    Message,
    Task,
    TaskStatus,
    UsageCounter,
)
from core.store import conversations, keys
from core.store.claims import Claim, ClaimLostError, ConversationBusyError, Opening
from core.store.contents import Contents
from core.store.counters import count_turn, read_month
from core.store.directory import Directory
from core.store.faults import ConditionFailedError
from core.store.inputs import Inputs
from core.store.items import (
    ConversationItem,
    MessageItem,
    TaskItem,
    ThreadItem,
    UsageItem,
)
from core.store.overflow import Overflow
from core.store.table import Change, Delete, Put, Table
from core.store.tasks import Tasks

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Store:
    """The table and the bucket. Safe to share between threads.

    Attributes:
        directory: Companies, users, identities, installations and settings.
    """

    def __init__(
        self,
        table_name: str,
        *,
        bucket_name: str,
        region: str | None = None,
        endpoint_url: str | None = None,
        s3: "S3Client | None" = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = Table(table_name, region=region, endpoint_url=endpoint_url, pause=pause)
        self._contents = Contents(Overflow(bucket_name, s3, region=region, endpoint_url=endpoint_url))
        self._tasks = Tasks(self._table, self._contents)
        self._inputs = Inputs(self._table)
        self.directory = Directory(self._table)

    # Conversations

    def find_conversation_id(self, company_id: str, address: Address) -> str | None:
        """The conversation that takes place at `address`; None where there is none yet."""
        thread = self._table.get(ThreadItem, keys.thread_key(company_id, address), consistent=True)
        return thread.conversation_id if thread else None

    def open_conversation(self, company_id: str, address: Address, conversation_id: str) -> str:
        """Give `address` a conversation unless it has one.

        Returns:
            The id that stands: `conversation_id`, or the one that came first.
        """
        item = ThreadItem(*keys.thread_key(company_id, address), conversation_id=conversation_id)
        if self._table.put_new(item):
            return conversation_id
        return self.find_conversation_id(company_id, address) or conversation_id

    def save_input(self, company_id: str, input_: Input) -> str:
        """Store an input once, and return the hash of its content, by which it is found again."""
        return self._inputs.save(company_id, input_)

    def get_input(self, company_id: str, sha256: str) -> Input:
        """The input with this content hash.

        Raises:
            PermanentError: There is none.
        """
        return self._inputs.get(company_id, sha256)

    def claim_conversation(
        self,
        company_id: str,
        conversation_id: str,
        *,
        opening: Opening,
        task_id: str,
        lease: timedelta,
        now: datetime,
    ) -> Claim:
        """Take a conversation for one turn; it is made, as `opening` says, where there is none.

        Raises:
            ConversationBusyError: Another turn's lease is not over. A later delivery of the same task does not wait: it
                takes the conversation over, and the earlier worker is refused from then on.
        """
        wanted = conversations.claim(
            company_id,
            conversation_id,
            opening,
            task_ulid=keys.ulid_of(task_id),
            until=now + lease,
            now=now,
        )
        try:
            item = self._table.change(ConversationItem, wanted.key, wanted.actions, wanted.condition)
        except ConditionFailedError as exc:
            standing = exc.find(ConversationItem)
            rest = standing.lease_until - now if standing and standing.lease_until else lease
            raise ConversationBusyError(rest) from exc
        conversation = conversations.unpack_conversation(item)
        return Claim(conversation=conversation, fencing_token=conversation.fencing_token, task_id=task_id)

    def renew_claim(self, claim: Claim, *, lease: timedelta, now: datetime) -> None:
        """Hold the conversation for another `lease` from `now`.

        Raises:
            ClaimLostError: A later worker holds it, or the turn is over.
        """
        self._change_held(claim, conversations.renew(lease, now))

    def release_claim(self, claim: Claim, *, status: ConversationStatus, now: datetime) -> None:
        """Give the conversation up: as IN_PROGRESS for the turn to be tried again at once, else as it ended.

        Raises:
            ClaimLostError: A later worker holds it, or the turn ended differently.
        """
        is_over = status is not ConversationStatus.IN_PROGRESS
        actions = conversations.end(status, now) if is_over else conversations.give_back(now)
        self._change_held(claim, actions, status)

    def _change_held(self, claim: Claim, actions: Sequence[Action], *also: ConversationStatus) -> None:
        held = self._held(claim, actions, *also)
        try:
            self._table.change(ConversationItem, held.key, held.actions, held.condition)
        except ConditionFailedError as exc:
            raise ClaimLostError from exc

    def _held(self, claim: Claim, actions: Sequence[Action], *also: ConversationStatus) -> Change:
        conversation = claim.conversation
        key = keys.conversation_key(conversation.user_company_id, conversation.id)
        return Change(key, actions, conversations.is_held(claim.fencing_token, *also))

    # One turn

    def save_question(self, claim: Claim, question: Message, *, opening_message: Message | None) -> bool:
        """Store what a person wrote, before the model is asked; `opening_message` begins a new conversation.

        Returns:
            True where it is stored now, False where an earlier delivery had stored it.
        """
        company_id = claim.conversation.user_company_id
        if opening_message:
            self._table.put_new(self._contents.pack_message(company_id, opening_message))
        return self._table.put_new(self._contents.pack_message(company_id, question))

    def find_reply(self, company_id: str, question_id: str) -> Message | None:
        """The one reply to a question; None while there is none."""
        conversation_id, ulid = keys.split_message_id(question_id)
        reply_id = keys.message_id(conversation_id, keys.reply_ulid(ulid))
        item = self._table.get(MessageItem, keys.message_key(company_id, reply_id), consistent=True)
        return self._contents.unpack_message(item) if item else None

    def start_task(self, claim: Claim, task: Task) -> Task:
        """Store a task as running: made now, or, after a redelivery, tried once more.

        Returns:
            The task that stands. One that is COMPLETED or CANCELED stays so.
        """
        return self._tasks.start(claim.conversation.user_company_id, task)

    def history(self, claim: Claim, *, limit: int, before: str) -> tuple[Message, ...]:
        """The last `limit` messages before the message `before`, in order; one request, however many there are."""
        conversation = claim.conversation
        partition = keys.conversation_partition(conversation.user_company_id, conversation.id)
        last = keys.MESSAGES + keys.preceding(keys.ulid_of(before))
        items = self._table.query(
            MessageItem,
            partition,
            MessageItem.sk.between(keys.MESSAGES, last),
            limit=limit,
            newest_first=True,
            consistent=True,
        )
        return tuple(self._contents.unpack_message(item) for item in reversed(items))

    def mark_streaming(self, claim: Claim, *, outgoing_ids: Sequence[str], now: datetime) -> None:
        """Note that the answer arrives in these messages of the platform, so that a successor goes on in them.

        Raises:
            ClaimLostError: A later worker holds the conversation, or the turn is over.
        """
        self._change_held(claim, conversations.stream(keys.ulid_of(claim.task_id), outgoing_ids, now))

    def commit_reply(self, claim: Claim, reply: Message, task: Task, *, now: datetime) -> None:
        """Store the reply, its task, the conversation and the usage counters: all of it, once.

        Raises:
            ClaimLostError: A later worker holds the conversation, or the question has its reply.
        """
        conversation = claim.conversation
        company_id = conversation.user_company_id
        ended = [*conversations.end(ConversationStatus.COMPLETED, now), *conversations.count(task)]
        writes: list[Put | Change | Delete] = [
            Put(self._contents.pack_message(company_id, reply), MessageItem.pk.does_not_exist()),
            self._tasks.complete(company_id, task, reply),
            self._held(claim, ended),
            *count_turn(company_id, conversation.id, reply.user_id, task, now),
        ]
        try:
            self._table.transact(writes)
        except ConditionFailedError as exc:
            raise ClaimLostError from exc

    def save_outgoing_ids(self, company_id: str, message: Message, outgoing_ids: Sequence[str]) -> None:
        """Remember in which messages of the platform a stored message was delivered."""
        key = keys.message_key(company_id, message.id)
        self._table.change_known(MessageItem, key, [MessageItem.outgoing_ids.set(list(outgoing_ids))])

    def fail_turn(self, claim: Claim, task: Task, *, now: datetime) -> None:
        """Record the task and the conversation as FAILED.

        Raises:
            ClaimLostError: A later worker holds the conversation, or the turn is over.
        """
        company_id = claim.conversation.user_company_id
        failed = self._held(claim, conversations.end(ConversationStatus.FAILED, now))
        try:
            self._table.transact([self._tasks.fail(company_id, task, now), failed])
        except ConditionFailedError as exc:
            raise ClaimLostError from exc

    def record_dead_letter(self, company_id: str, conversation_id: str, task: Task, *, now: datetime) -> Task:
        """Record a task as FAILED although nobody holds its conversation.

        The conversation fails with it where it waits for this very task and no worker is alive.

        Returns:
            The task that stands. One that is COMPLETED or CANCELED stays so.
        """
        standing = self._tasks.record_failure(company_id, task, now)
        if standing.status is TaskStatus.FAILED:
            key = keys.conversation_key(company_id, conversation_id)
            ended = conversations.end(ConversationStatus.FAILED, now)
            self._table.change_known(
                ConversationItem, key, ended, conversations.is_abandoned(keys.ulid_of(task.id), now)
            )
        return standing

    def save_task_outgoing_ids(self, company_id: str, task: Task, outgoing_ids: Sequence[str]) -> None:
        """Remember in which messages of the platform a task's failure was told, so that a redrive edits them."""
        self._table.change_known(
            TaskItem, keys.task_key(company_id, task.id), [TaskItem.outgoing_ids.set(list(outgoing_ids))]
        )

    # Reading, for ops

    def get_conversation(self, company_id: str, conversation_id: str) -> Conversation | None:
        """A conversation as it stands."""
        key = keys.conversation_key(company_id, conversation_id)
        item = self._table.get(ConversationItem, key, consistent=True)
        return conversations.unpack_conversation(item) if item else None

    def list_conversations(self, company_id: str, user_id: str, limit: int = 50) -> tuple[Conversation, ...]:
        """A person's conversations, the last one used first."""
        partition = keys.user_conversations_partition(company_id, user_id)
        found = self._table.query_index("GSI1", partition, limit=limit, newest_first=True)
        items = self._table.get_many(ConversationItem, found)
        return tuple(conversations.unpack_conversation(item) for item in items)

    def list_messages(self, company_id: str, conversation_id: str) -> tuple[Message, ...]:
        """A conversation's messages, in order."""
        partition = keys.conversation_partition(company_id, conversation_id)
        items = self._table.query(MessageItem, partition, MessageItem.sk.startswith(keys.MESSAGES), consistent=True)
        return tuple(self._contents.unpack_message(item) for item in items)

    def list_tasks(self, company_id: str, conversation_id: str) -> tuple[Task, ...]:
        """A conversation's tasks, in the order of their questions."""
        return self._tasks.list_of(company_id, conversation_id)

    def list_failed_tasks(self, company_id: str, limit: int = 50) -> tuple[Task, ...]:
        """A company's failed tasks, the last one first."""
        return self._tasks.list_failed(company_id, limit)

    def month_usage(self, company_id: str, month: str) -> tuple[UsageCounter, ...]:
        """What a company used in a month such as `2026-11`: the sum first, then every person's days."""
        first = date.fromisoformat(f"{month}-01")
        items = self._table.query(UsageItem, keys.usage_partition(company_id, first))
        return read_month(company_id, first, items)
