"""Which conversation takes place in a platform's thread."""

from collections.abc import Callable
from datetime import datetime

from core.models import Address
from core.store import keys
from core.store.expiry import expiry_after
from core.store.faults import ConditionFailedError
from core.store.items import ThreadItem
from core.store.table import Put, Table

_MOST_EARLIER = 20  # conversations of a thread, in which a question that is edited or deleted is looked for


class Threads:
    """The threads of every company."""

    def __init__(self, table: Table, clock: Callable[[], datetime]) -> None:
        self._table = table
        self._clock = clock

    def find(self, company_id: str, address: Address, days: int | None) -> str | None:
        """The thread's conversation; with `days`, the thread is kept for so long from now on."""
        thread = self._table.get(ThreadItem, keys.thread_key(company_id, address), consistent=True)
        if thread is None:
            return None
        expiry = expiry_after(days, self._clock())
        if expiry and thread.ttl != expiry.ttl:
            is_same = ThreadItem.conversation_id == thread.conversation_id
            actions = [ThreadItem.ttl.set(expiry.ttl)]
            self._table.change_known(ThreadItem, (thread.pk, thread.sk), actions, is_same)
        return thread.conversation_id

    def open(self, company_id: str, address: Address, conversation_id: str, days: int | None) -> str:
        """Give a thread a conversation unless it has one, and return the id that stands."""
        is_free = ThreadItem.pk.does_not_exist() | (ThreadItem.ttl <= int(self._clock().timestamp()))
        try:
            self._table.put(self._item(company_id, address, conversation_id, days), is_free)
        except ConditionFailedError:
            return self.find(company_id, address, days) or conversation_id
        return conversation_id

    def list_all(self, company_id: str, address: Address) -> tuple[str, ...]:
        """The thread's conversation and those that it had before, the last one first; of these some."""
        thread = self._table.get(ThreadItem, keys.thread_key(company_id, address), consistent=True)
        return (thread.conversation_id, *(thread.earlier or ())) if thread else ()

    def replacing(self, company_id: str, address: Address, conversation_id: str, days: int | None) -> Put:
        """The write that gives a thread this conversation; those that it had are remembered."""
        item = self._item(company_id, address, conversation_id, days)
        item.earlier = list(self.list_all(company_id, address)[:_MOST_EARLIER]) or None
        return Put(item)

    def _item(self, company_id: str, address: Address, conversation_id: str, days: int | None) -> ThreadItem:
        expiry = expiry_after(days, self._clock())
        key = keys.thread_key(company_id, address)
        return ThreadItem(*key, conversation_id=conversation_id, ttl=expiry and expiry.ttl)
