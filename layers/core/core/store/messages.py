"""Messages in the table: written once, read in order."""

from collections.abc import Sequence

from core.models import Message, Role
from core.store import keys
from core.store.contents import Contents
from core.store.expiry import Expiry
from core.store.items import MessageItem
from core.store.table import Put, Table

_LATEST = 6  # messages, among which the last one of a person is


class Messages:
    """The messages of every conversation. Safe to share between threads."""

    def __init__(self, table: Table, contents: Contents) -> None:
        self._table = table
        self._contents = contents

    def add(self, company_id: str, message: Message, expiry: Expiry | None) -> bool:
        """Store a message unless it is there; True where it is stored now."""
        return self._table.put_new(self._contents.pack_message(company_id, message, expiry))

    def adding(self, company_id: str, message: Message, expiry: Expiry | None) -> Put:
        """The write that stores a message unless it is there."""
        return Put(self._contents.pack_message(company_id, message, expiry), MessageItem.pk.does_not_exist())

    def find(self, company_id: str, message_id: str) -> Message | None:
        """The message with this id."""
        item = self._table.get(MessageItem, keys.message_key(company_id, message_id), consistent=True)
        return self._contents.unpack_message(item) if item else None

    def list_last(
        self, company_id: str, conversation_id: str, *, limit: int, before: str, after: str | None
    ) -> tuple[Message, ...]:
        """The last `limit` messages before the message `before` and after a ULID, in order; one request."""
        first = keys.MESSAGES + (keys.following(after) if after else "")
        items = self._table.query(
            MessageItem,
            keys.conversation_partition(company_id, conversation_id),
            MessageItem.sk.between(first, keys.MESSAGES + keys.preceding(keys.ulid_of(before))),
            limit=limit,
            newest_first=True,
            consistent=True,
        )
        return tuple(self._contents.unpack_message(item) for item in reversed(items))

    def find_language(self, company_id: str, conversation_id: str) -> str | None:
        """The language of the last thing that a person said; one request."""
        partition, places = keys.conversation_partition(company_id, conversation_id), keys.MESSAGES
        last = self._table.query(
            MessageItem, partition, MessageItem.sk.startswith(places), limit=_LATEST, newest_first=True
        )
        return next((item.language for item in last if item.role == Role.USER and item.language), None)

    def list_between(
        self, company_id: str, conversation_id: str, *, after: str | None, until: str, limit: int
    ) -> tuple[Message, ...]:
        """The first `limit` messages after one ULID, up to and with another, in order; one request."""
        first = keys.MESSAGES + (keys.following(after) if after else "")
        partition = keys.conversation_partition(company_id, conversation_id)
        places = MessageItem.sk.between(first, keys.MESSAGES + until)
        return tuple(map(self._contents.unpack_message, self._table.query(MessageItem, partition, places, limit=limit)))

    def list_of(self, company_id: str, conversation_id: str) -> tuple[Message, ...]:
        """A conversation's messages, in order."""
        partition = keys.conversation_partition(company_id, conversation_id)
        items = self._table.query(MessageItem, partition, MessageItem.sk.startswith(keys.MESSAGES), consistent=True)
        return tuple(self._contents.unpack_message(item) for item in items)

    def save_outgoing_ids(self, company_id: str, message: Message, outgoing_ids: Sequence[str]) -> None:
        """Remember where a stored message was delivered; one that is not stored stays so."""
        key = keys.message_key(company_id, message.id)
        self._table.change_known(MessageItem, key, [MessageItem.outgoing_ids.set(list(outgoing_ids))])
