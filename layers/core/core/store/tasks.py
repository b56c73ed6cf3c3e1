"""Tasks in the table: started, tried again, ended. One that is COMPLETED or CANCELED stays so."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from core.models import Message, Task, TaskStatus, to_iso
from core.store import keys
from core.store.contents import Contents
from core.store.expiry import Expiry
from core.store.faults import ConditionFailedError
from core.store.items import MessageItem, TaskItem
from core.store.table import Change, Put, Table

_ENDED = (TaskStatus.COMPLETED.value, TaskStatus.CANCELED.value)
_KEYS = frozenset({"pk", "sk"})
_FAILURE = frozenset({"error_class", "error_message", "updated_at", "gsi1pk", "gsi1sk"})
_KEPT = frozenset({"attempt", "created_at", "outgoing_ids", "status"})  # a redelivery does not overwrite these


class Tasks:
    """The tasks of every conversation. Safe to share between threads."""

    def __init__(self, table: Table, contents: Contents) -> None:
        self._table = table
        self._contents = contents

    def start(self, company_id: str, task: Task, expiry: Expiry | None) -> Task:
        """Store a task as running, made now or tried once more, and return the task that stands."""
        item = self._contents.pack_task(company_id, task, expiry=expiry)
        actions = [
            *_set_all(item, _names(item) - _KEPT),
            TaskItem.status.set(TaskStatus.IN_PROGRESS.value),
            TaskItem.attempt.add(1),
            TaskItem.created_at.set(TaskItem.created_at | task.created_at),
            *(getattr(TaskItem, name).remove() for name in sorted(_FAILURE - {"updated_at"})),
            *([] if item.overflow else [TaskItem.overflow.remove()]),
        ]
        return self._change(company_id, item, actions)

    def complete(self, company_id: str, task: Task, reply: Message | None, expiry: Expiry | None) -> Put:
        """The write that stores a task with what its run gave."""
        return Put(self._contents.pack_task(company_id, task, reply, expiry=expiry), _has_not_ended())

    def fail(self, company_id: str, task: Task, now: datetime, expiry: Expiry | None) -> Put:
        """The write that stores a task as FAILED, where ops look for those."""
        return Put(self._pack_failed(company_id, task, now, expiry), _has_not_ended())

    def end(self, company_id: str, task: Task, expiry: Expiry | None) -> None:
        """Store how a task ended that has no reply of its own; one that ended before stays as it is."""
        failed = self.fail(company_id, task, task.updated_at, expiry) if task.status is TaskStatus.FAILED else None
        with suppress(ConditionFailedError):
            self._table.transact([failed or self.complete(company_id, task, None, expiry)])

    def hand_on(self, company_id: str, task: Task, now: datetime) -> Change:
        """The write that notes on a running task that it was handed on, and what it took so far."""
        noted = [TaskItem.hand_overs.set(task.hand_overs or 0), TaskItem.duration_ms.set(task.duration_ms or 0)]
        return Change(keys.task_key(company_id, task.id), [*noted, TaskItem.updated_at.set(now)], _has_not_ended())

    def save_outgoing_ids(self, company_id: str, task: Task, outgoing_ids: Sequence[str]) -> None:
        """Remember in which messages of the platform a task's failure was told."""
        ids = TaskItem.outgoing_ids.set(list(outgoing_ids))
        self._table.change_known(TaskItem, keys.task_key(company_id, task.id), [ids])

    def record_failure(self, company_id: str, task: Task, now: datetime, ttl: int | None) -> Task:
        """Store a task as FAILED, keeping what it has of its run, and return the task that stands."""
        item = self._pack_failed(company_id, task, now, None)
        item.ttl = ttl
        rest = _names(item) - _FAILURE - {"status"}
        actions = [
            *_set_all(item, _names(item) & _FAILURE),
            *(attribute.set(attribute | getattr(item, name)) for name, attribute in _attributes(rest)),
            TaskItem.status.set(TaskStatus.FAILED.value),
            TaskItem.hand_overs.remove(),
        ]
        return self._change(company_id, item, actions)

    def _pack_failed(self, company_id: str, task: Task, now: datetime, expiry: Expiry | None) -> TaskItem:
        item = self._contents.pack_task(company_id, task, expiry=expiry)
        item.status = TaskStatus.FAILED.value
        item.gsi1pk, item.gsi1sk = keys.failed_tasks_partition(company_id), to_iso(now)
        return item

    def _change(self, company_id: str, item: TaskItem, actions: Sequence[Action]) -> Task:
        key = item.pk, item.sk
        try:
            standing = self._table.change(TaskItem, key, actions, _has_not_ended())
        except ConditionFailedError as exc:
            standing = exc.find(TaskItem) or self._table.get(TaskItem, key, consistent=True) or item
        return self._unpack(company_id, [standing])[0]

    def find(self, company_id: str, task_id: str) -> Task | None:
        """The task with this id."""
        item = self._table.get(TaskItem, keys.task_key(company_id, task_id), consistent=True)
        return self._contents.unpack_task(item) if item else None

    def list_of(self, company_id: str, conversation_id: str) -> tuple[Task, ...]:
        """A conversation's tasks, in the order of their questions."""
        partition = keys.conversation_partition(company_id, conversation_id)
        items = self._table.query(TaskItem, partition, TaskItem.sk.startswith(keys.TASKS), consistent=True)
        return tuple(self._unpack(company_id, items))

    def list_failed(self, company_id: str, limit: int) -> tuple[Task, ...]:
        """A company's failed tasks, the last one first."""
        partition = keys.failed_tasks_partition(company_id)
        found = self._table.query_index("GSI1", partition, limit=limit, newest_first=True)
        return tuple(self._unpack(company_id, self._table.get_many(TaskItem, found)))

    def _unpack(self, company_id: str, items: Sequence[TaskItem]) -> list[Task]:
        leaning = {item.id: _reply_key(company_id, item.id) for item in items if item.same_as_reply}
        replies = {
            (item.pk, item.sk): self._contents.unpack_message(item)
            for item in self._table.get_many(MessageItem, leaning.values())
        }
        return [self._contents.unpack_task(item, replies.get(leaning.get(item.id, ("", "")))) for item in items]


def _reply_key(company_id: str, task_id: str) -> keys.Key:
    conversation_id, question_ulid = keys.split_task_id(task_id)
    return keys.message_key(company_id, keys.message_id(conversation_id, keys.reply_ulid(question_ulid)))


def _has_not_ended() -> Condition:
    running: Condition = TaskItem.status.does_not_exist() | ~TaskItem.status.is_in(*_ENDED)
    return running


def _names(item: TaskItem) -> frozenset[str]:
    """The attributes that an item has, but for its key."""
    return frozenset(name for name in item.attribute_values if getattr(item, name) is not None) - _KEYS


def _set_all(item: TaskItem, names: frozenset[str]) -> list[Action]:
    return [attribute.set(getattr(item, name)) for name, attribute in _attributes(names)]


def _attributes(names: Iterable[str]) -> list[tuple[str, Attribute[Any]]]:  # of as many types as there are
    return [(name, getattr(TaskItem, name)) for name in sorted(names)]
