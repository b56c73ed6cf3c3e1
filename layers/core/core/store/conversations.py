"""Conversations as items and back, and the changes that a turn makes to one."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from core.models import Conversation, ConversationStatus, Task, to_iso
from core.store import keys
from core.store.claims import Entity, Opening, Spent
from core.store.expiry import Expiry
from core.store.items import ConversationItem as Item
from core.store.table import Change

_TITLE_BYTES = 80
_DELETION = "deletion"  # what a conversation that is being deleted works on
_RUNNING = (ConversationStatus.IN_PROGRESS, ConversationStatus.STREAMING)


def unpack_conversation(item: Item) -> Conversation:
    """The conversation in an item."""
    stored = item.fields()
    stored["address"] = {"platform": item.conversation_source, **item.address}
    stored["cancel_requested"] = is_to_stop(item, item.current_task_id)
    stored["last_turn_at"] = item.gsi1sk
    for name in ("current_task_id", "streaming_task_id"):
        if name in stored:
            stored[name] = keys.task_id(item.id, stored[name])
    return Conversation.model_validate(stored)


def is_to_stop(item: Item, task_ulid: str | None) -> bool:
    """Whether somebody asked this task to stop."""
    return item.cancel_requested is not None and item.cancel_requested == task_ulid


def is_changed(item: Item, task_ulid: str, edition: datetime | None) -> bool:
    """Whether the question of this task was changed since it was read in the form of `edition`."""
    ulid, _, announced = (item.question_changed or "").partition("@")
    return ulid == task_ulid and (edition is None or announced > to_iso(edition))


def claim(
    company_id: str,
    conversation_id: str,
    opening: Opening,
    *,
    task_ulid: str,
    until: datetime,
    expiry: Expiry | None,
    now: datetime,
) -> Change:
    """Make the conversation where there is none, and take its lease where that is free or over.

    The same task may take its lease over: its message was delivered again, so its processor is dead or late. For one
    processor, that makes a repeated request succeed. A conversation that is there keeps everything it was opened with,
    its places in the indexes included.
    """
    return Change(
        keys.conversation_key(company_id, conversation_id),
        [
            *_opening_actions(company_id, conversation_id, opening, now),
            Item.status.set(ConversationStatus.IN_PROGRESS.value),
            Item.current_task_id.set(task_ulid),
            Item.fencing_token.add(1),
            Item.lease_until.set(until),
            Item.updated_at.set(now),
            *expire(expiry),
        ],
        Item.lease_until.does_not_exist() | (Item.lease_until <= now) | (Item.current_task_id == task_ulid),
    )


def create(company_id: str, conversation_id: str, opening: Opening, *, expiry: Expiry | None, now: datetime) -> Change:
    """Make the conversation where there is none: nobody has asked anything in it yet."""
    actions = [
        *_opening_actions(company_id, conversation_id, opening, now),
        Item.status.set(ConversationStatus.CREATED.value),
        Item.updated_at.set(now),
        *expire(expiry),
    ]
    return Change(keys.conversation_key(company_id, conversation_id), actions, Item.pk.does_not_exist())


def _opening_actions(company_id: str, conversation_id: str, opening: Opening, now: datetime) -> list[Action]:
    address = opening.address
    place = address.model_dump(by_alias=True, exclude_defaults=True, exclude={"platform"})
    texts = [
        (Item.id, conversation_id),
        (Item.user_id, opening.user_id),
        (Item.user_company_id, company_id),
        *([(Item.title, _shorten(opening.title))] if opening.title else []),
        (Item.entity_type, opening.entity_type),
        (Item.session_id, opening.session_id),
        (Item.conversation_source, address.platform),
        (Item.input, opening.input),
        (Item.gsi1pk, keys.user_conversations_partition(company_id, opening.user_id)),
        (Item.gsi1sk, to_iso(now)),
    ]
    if opening.entity_id:
        texts += [
            (Item.entity_id, opening.entity_id),
            (Item.gsi2pk, keys.entity_partition(company_id, opening.entity_type, opening.entity_id)),
            (Item.gsi2sk, to_iso(now)),
        ]
    return [
        *(attribute.set(attribute | text) for attribute, text in texts),
        Item.address.set(Item.address | place),
        Item.created_at.set(Item.created_at | now),
    ]


def _shorten(title: str) -> str:
    """As much of a title as every turn can afford to write again, whole characters."""
    return title.encode("utf-8", "replace")[:_TITLE_BYTES].decode("utf-8", "ignore")


def expire(expiry: Expiry | None) -> Sequence[Action]:
    """Gone at `expiry`; kept for good where there is none."""
    return [Item.ttl.set(expiry.ttl) if expiry else Item.ttl.remove()]


def rename(title: str | None, session_id: str | None) -> Sequence[Action]:
    """Another title and another session, where they are given."""
    return [
        *([Item.title.set(_shorten(title))] if title else []),
        *([Item.session_id.set(session_id)] if session_id else []),
    ]


def set_entity(company_id: str, entity: Entity | None, now: datetime) -> Sequence[Action]:
    """About another entity from now on, where one is given: among those of the entity, too."""
    if entity is None:
        return []
    return [
        Item.entity_type.set(entity.type),
        Item.entity_id.set(entity.id),
        Item.gsi2pk.set(keys.entity_partition(company_id, entity.type, entity.id)),
        Item.gsi2sk.set(to_iso(now)),
    ]


def request_cancel() -> Sequence[Action]:
    """Whatever runs just now is to stop."""
    return [Item.cancel_requested.set(Item.current_task_id)]


def announce_change(task_ulid: str, edition: datetime) -> Sequence[Action]:
    """The question of this task was changed then."""
    return [Item.question_changed.set(_change(task_ulid, edition))]


def _change(task_ulid: str, edition: datetime) -> str:
    return f"{task_ulid}@{to_iso(edition)}"


def seal(company_id: str, conversation_id: str, *, until: datetime, now: datetime) -> Change:
    """Keep every turn out until then, so that the conversation can be deleted; a deletion may go on with another's."""
    return Change(
        keys.conversation_key(company_id, conversation_id),
        [
            Item.status.set(ConversationStatus.CANCELED.value),
            Item.current_task_id.set(_DELETION),
            Item.fencing_token.add(1),
            Item.lease_until.set(until),
        ],
        Item.pk.exists()
        & (Item.lease_until.does_not_exist() | (Item.lease_until <= now) | (Item.current_task_id == _DELETION)),
    )


def renew(lease: timedelta, now: datetime) -> Sequence[Action]:
    """A longer lease."""
    return [Item.lease_until.set(now + lease)]


def stream(task_ulid: str, outgoing_ids: Sequence[str], now: datetime) -> Sequence[Action]:
    """An answer is arriving, in these messages of the platform."""
    return [
        Item.status.set(ConversationStatus.STREAMING.value),
        Item.streaming_task_id.set(task_ulid),
        Item.outgoing_ids.set(list(outgoing_ids)),
        Item.updated_at.set(now),
    ]


def give_back(now: datetime) -> Sequence[Action]:
    """No lease: the same turn is to be tried again, and goes on where this one stopped."""
    return [
        Item.status.set(ConversationStatus.IN_PROGRESS.value),
        Item.updated_at.set(now),
        Item.lease_until.remove(),
    ]


def park(now: datetime) -> Sequence[Action]:
    """No lease: a person is to decide something first. A wish to stop stays."""
    return [*give_back(now), Item.streaming_task_id.remove(), Item.outgoing_ids.remove()]


def end(status: ConversationStatus, now: datetime) -> Sequence[Action]:
    """No turn runs any more; the person's list shows the conversation at `now`."""
    return [
        Item.status.set(status.value),
        Item.updated_at.set(now),
        Item.gsi1sk.set(to_iso(now)),
        Item.lease_until.remove(),
        Item.streaming_task_id.remove(),
        Item.outgoing_ids.remove(),
        Item.cancel_requested.remove(),
        Item.question_changed.remove(),
    ]


def count(task: Task | Spent, *, messages: int) -> Sequence[Action]:
    """So many messages more, and the tokens and cost of the task, or of another call, are in the totals."""
    tokens = (
        (Item.total_input_tokens, task.total_input_tokens),
        (Item.total_output_tokens, task.total_output_tokens),
        (Item.total_tokens, task.total_tokens),
    )
    counted = [Item.message_count.add(messages)] if messages else []
    additions = [*counted, *(total.add(number) for total, number in tokens if number)]
    if task.cost is not None:
        additions.append(Item.total_cost.add(task.cost))
    return additions


def is_held(fencing_token: int, *also: ConversationStatus) -> Condition:
    """No later processor has claimed the conversation, and its turn is not over (or ended as `also` says)."""
    statuses = [status.value for status in (*_RUNNING, *also)]
    held: Condition = (Item.fencing_token == fencing_token) & Item.status.is_in(*statuses)
    return held


def is_undisturbed(task_ulid: str, edition: datetime | None) -> Condition:
    """Nobody asked this task to stop, or changed the question that it read in the form of `edition`."""
    unchanged = ~Item.question_changed.startswith(f"{task_ulid}@")
    if edition is not None:
        unchanged |= Item.question_changed <= _change(task_ulid, edition)
    undisturbed: Condition = ~(Item.cancel_requested == task_ulid) & unchanged
    return undisturbed


def is_running(task_ulid: str | None) -> Condition:
    """A turn runs, or waits to be tried again; this very one, where it is named."""
    running: Condition = Item.status.is_in(*[status.value for status in _RUNNING])
    return running if task_ulid is None else running & (Item.current_task_id == task_ulid)


def is_abandoned(task_ulid: str, now: datetime) -> Condition:
    """The conversation waits for this task, and nobody works on it."""
    statuses = [status.value for status in (ConversationStatus.CREATED, *_RUNNING)]
    abandoned: Condition = (
        (Item.current_task_id == task_ulid)
        & Item.status.is_in(*statuses)
        & (Item.lease_until.does_not_exist() | (Item.lease_until <= now))
    )
    return abandoned
