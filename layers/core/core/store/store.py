"""Conversations and what happens in one turn: claim, question, task, history, commit.

Every write of a turn is a condition on keys or on the fencing token, so that whatever dies or is delivered twice, a
question is stored once, has one task and gets one reply.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from core.errors import PermanentError
from core.models import (
    Address,
    Conversation,
    ConversationStatus,
    Input,
    Message,
    Task,
    TaskStatus,
    UsageCounter,
    to_iso,
)
from core.store import conversations, keys
from core.store.claims import Claim, ClaimLostError, ConversationBusyError, Opening
from core.store.contents import Contents
from core.store.counters import count_turn, read_month
from core.store.directory import Directory
from core.store.items import (
    ConversationItem,
    InputItem,
    Item,
    MessageItem,
    TaskItem,
    ThreadItem,
    UsageItem,
)
from core.store.overflow import Overflow
from core.store.table import Change, ConditionFailedError, Delete, Put, Table

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_INPUTS_KEPT = 256  # in memory; they never change
_ENDED = (TaskStatus.COMPLETED.value, TaskStatus.CANCELED.value)  # a task does not come back from these


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
        self._inputs: dict[tuple[str, str], Input] = {}
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
        try:
            self._table.put(item, ThreadItem.pk.does_not_exist())
        except ConditionFailedError:
            return self.find_conversation_id(company_id, address) or conversation_id
        return conversation_id

    def save_input(self, company_id: str, input_: Input) -> str:
        """Store an input once, and return the hash of its content, by which it is found again."""
        content = json.dumps(input_.model_dump(mode="json", by_alias=True), sort_keys=True)
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        if (company_id, sha256) in self._inputs:
            return sha256
        limits = input_.limits.model_dump(by_alias=True)
        item = InputItem.from_value(input_, keys.input_key(company_id, sha256), limits=limits)
        self._put_new(item)
        self._keep_input(company_id, sha256, input_)
        return sha256

    def get_input(self, company_id: str, sha256: str) -> Input:
        """The input with this content hash.

        Raises:
            PermanentError: There is none.
        """
        kept = self._inputs.get((company_id, sha256))
        if kept:
            return kept
        item = self._table.get(InputItem, keys.input_key(company_id, sha256))
        if item is None:
            raise PermanentError("input-missing", "the configuration that this conversation started with is gone")
        input_ = Input.model_validate({**item.fields(), "limits": item.limits})
        self._keep_input(company_id, sha256, input_)
        return input_

    def _keep_input(self, company_id: str, sha256: str, input_: Input) -> None:
        if len(self._inputs) >= _INPUTS_KEPT:
            self._inputs.clear()
        self._inputs[company_id, sha256] = input_

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
            ConversationBusyError: Another worker's lease is not over.
        """
        wanted = conversations.claim(
            company_id,
            conversation_id,
            opening,
            task_ulid=keys.ulid_of(task_id),
            lease_id=uuid4().hex[:8],
            until=now + lease,
            now=now,
        )
        try:
            item = self._table.change(ConversationItem, wanted.key, wanted.actions, wanted.condition)
        except ConditionFailedError as exc:
            standing = ConversationItem.from_raw(exc.standing) if exc.standing else None
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
            self._put_new(self._contents.pack_message(company_id, opening_message))
        return self._put_new(self._contents.pack_message(company_id, question))

    def _put_new(self, item: Item) -> bool:
        try:
            self._table.put(item, Item.pk.does_not_exist())
        except ConditionFailedError:
            return False
        return True

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
        company_id = claim.conversation.user_company_id
        item = self._contents.pack_task(company_id, task)
        actions = _set_all(item, but={"status", "attempt", "created_at", "outgoing_ids"})
        actions += [
            TaskItem.status.set(TaskStatus.IN_PROGRESS.value),
            TaskItem.attempt.add(1),
            TaskItem.created_at.set(TaskItem.created_at | task.created_at),
            *(attribute.remove() for attribute in (TaskItem.gsi1pk, TaskItem.gsi1sk)),
            *(attribute.remove() for attribute in (TaskItem.error_class, TaskItem.error_message)),
        ]
        return self._change_task(company_id, item, actions)

    def _change_task(self, company_id: str, item: TaskItem, actions: Sequence[Action]) -> Task:
        """Change a task that has not ended, and return the task that stands."""
        try:
            standing = self._table.change(TaskItem, (item.pk, item.sk), actions, _has_not_ended())
        except ConditionFailedError as exc:
            found = TaskItem.from_raw(exc.standing) if exc.standing else None
            standing = found or self._table.get(TaskItem, (item.pk, item.sk), consistent=True) or item
        return self._unpack_tasks(company_id, [standing])[0]

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
            Put(self._contents.pack_task(company_id, task, reply), _has_not_ended()),
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
        self._change_known(MessageItem, key, [MessageItem.outgoing_ids.set(list(outgoing_ids))])

    def fail_turn(self, claim: Claim, task: Task, *, now: datetime) -> None:
        """Record the task and the conversation as FAILED.

        Raises:
            ClaimLostError: A later worker holds the conversation, or the turn is over.
        """
        company_id = claim.conversation.user_company_id
        item = self._contents.pack_task(company_id, task)
        item.status = TaskStatus.FAILED.value
        item.gsi1pk, item.gsi1sk = keys.failed_tasks_partition(company_id), to_iso(now)
        try:
            self._table.transact(
                [Put(item, _has_not_ended()), self._held(claim, conversations.end(ConversationStatus.FAILED, now))]
            )
        except ConditionFailedError as exc:
            raise ClaimLostError from exc

    def record_dead_letter(self, company_id: str, conversation_id: str, task: Task, *, now: datetime) -> Task:
        """Record a task as FAILED although nobody holds its conversation.

        The conversation fails with it where it waits for this very task and no worker is alive.

        Returns:
            The task that stands. One that is COMPLETED or CANCELED stays so.
        """
        item = self._contents.pack_task(company_id, task)
        item.gsi1pk, item.gsi1sk = keys.failed_tasks_partition(company_id), to_iso(now)
        news = {"error_class", "error_message", "updated_at", "gsi1pk", "gsi1sk"}
        actions = [*_set_all(item, but=news | {"status"}, unless_there=True), *_set_all(item, only=news)]
        standing = self._change_task(company_id, item, [*actions, TaskItem.status.set(TaskStatus.FAILED.value)])
        if standing.status is TaskStatus.FAILED:
            key = keys.conversation_key(company_id, conversation_id)
            ended = conversations.end(ConversationStatus.FAILED, now)
            self._change_known(ConversationItem, key, ended, conversations.is_abandoned(keys.ulid_of(task.id), now))
        return standing

    def save_task_outgoing_ids(self, company_id: str, task: Task, outgoing_ids: Sequence[str]) -> None:
        """Remember in which messages of the platform a task's failure was told, so that a redrive edits them."""
        key = keys.task_key(company_id, task.id)
        self._change_known(TaskItem, key, [TaskItem.outgoing_ids.set(list(outgoing_ids))])

    def _change_known[I: Item](
        self, kind: type[I], key: keys.Key, actions: Sequence[Action], condition: Condition | None = None
    ) -> None:
        """Change an item that is there; leave it where it is not, or where `condition` does not hold."""
        exists = kind.pk.exists()
        try:
            self._table.change(kind, key, actions, exists if condition is None else exists & condition)
        except ConditionFailedError:
            return

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
        partition = keys.conversation_partition(company_id, conversation_id)
        items = self._table.query(TaskItem, partition, TaskItem.sk.startswith(keys.TASKS), consistent=True)
        return tuple(self._unpack_tasks(company_id, items))

    def list_failed_tasks(self, company_id: str, limit: int = 50) -> tuple[Task, ...]:
        """A company's failed tasks, the last one first."""
        partition = keys.failed_tasks_partition(company_id)
        found = self._table.query_index("GSI1", partition, limit=limit, newest_first=True)
        return tuple(self._unpack_tasks(company_id, self._table.get_many(TaskItem, found)))

    def _unpack_tasks(self, company_id: str, items: Sequence[TaskItem]) -> list[Task]:
        leaning = {item.id: _reply_key(company_id, item.id) for item in items if item.same_as_reply}
        replies = {
            (item.pk, item.sk): self._contents.unpack_message(item)
            for item in self._table.get_many(MessageItem, leaning.values())
        }
        return [self._contents.unpack_task(item, replies.get(leaning.get(item.id, ("", "")))) for item in items]

    def month_usage(self, company_id: str, month: str) -> tuple[UsageCounter, ...]:
        """What a company used in a month such as `2026-11`: the sum first, then every person's days."""
        first = date.fromisoformat(f"{month}-01")
        items = self._table.query(UsageItem, keys.usage_partition(company_id, first))
        return read_month(company_id, first, items)


def _reply_key(company_id: str, task_id: str) -> keys.Key:
    conversation_id, question_ulid = keys.split_task_id(task_id)
    return keys.message_key(company_id, keys.message_id(conversation_id, keys.reply_ulid(question_ulid)))


def _has_not_ended() -> Condition:
    running: Condition = TaskItem.status.does_not_exist() | ~TaskItem.status.is_in(*_ENDED)
    return running


def _set_all(
    item: TaskItem,
    *,
    only: set[str] | None = None,
    but: frozenset[str] | set[str] = frozenset(),
    unless_there: bool = False,
) -> list[Action]:
    """The actions that write an item's attributes, but for its key."""
    actions: list[Action] = []
    for name, attribute in TaskItem.get_attributes().items():
        value = getattr(item, name)
        if name in ("pk", "sk") or value is None or name in but or (only is not None and name not in only):
            continue
        actions.append(attribute.set(attribute | value if unless_there else value))
    return actions
