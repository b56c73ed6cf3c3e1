"""Uses of tools in the table: beside the messages of their conversation, all of one step in one request."""

from collections.abc import Sequence

from core.errors import PermanentError
from core.models import ToolUsage
from core.store import keys
from core.store.claims import Claim
from core.store.expiry import Expiry
from core.store.items import ToolUsageItem
from core.store.overflow import Overflow
from core.store.table import Table

_TEXTS = ("said", "request", "response", "error")


class ToolUsages:
    """The tool usages of every conversation. Safe to share between threads."""

    def __init__(self, table: Table, overflow: Overflow) -> None:
        self._table = table
        self._overflow = overflow

    def put(self, claim: Claim, usages: Sequence[ToolUsage]) -> None:
        """Write usages, whole; one that is there is replaced.

        Raises:
            PermanentError: `tool-usage-place`, two of them would be one item.
        """
        company_id = claim.conversation.user_company_id
        if len({(usage.message_id, usage.step, usage.place) for usage in usages}) < len(usages):
            raise PermanentError("tool-usage-place", "two uses of tools have the same step and place")
        self._table.write_batch([self._pack(company_id, usage, claim.expiry) for usage in usages])

    def list_of_question(self, company_id: str, question_id: str) -> tuple[ToolUsage, ...]:
        """What was used for one question, in order."""
        conversation_id, ulid = keys.split_message_id(question_id)
        return self._list(company_id, conversation_id, keys.tool_usages_of(ulid))

    def list_of_conversation(self, company_id: str, conversation_id: str) -> tuple[ToolUsage, ...]:
        """What was used in a conversation, in order."""
        return self._list(company_id, conversation_id, keys.TOOL_USAGES)

    def _list(self, company_id: str, conversation_id: str, beginning: str) -> tuple[ToolUsage, ...]:
        partition = keys.conversation_partition(company_id, conversation_id)
        places = ToolUsageItem.sk.startswith(beginning)
        return tuple(map(self._unpack, self._table.query(ToolUsageItem, partition, places, consistent=True)))

    def _pack(self, company_id: str, usage: ToolUsage, expiry: Expiry | None) -> ToolUsageItem:
        conversation_id, ulid = keys.split_message_id(usage.message_id)
        key = keys.tool_usage_key(company_id, usage.message_id, usage.step, usage.place)
        texts = {name: getattr(usage, name) or None for name in _TEXTS}
        place = keys.text_place(company_id, conversation_id, ulid, key[1].rpartition("#")[2])
        packed = self._overflow.pack(place, texts, expiry)
        tokens = usage.step_usage and usage.step_usage.model_dump(by_alias=True, exclude_defaults=True)
        return ToolUsageItem.from_value(usage, key, ttl=expiry and expiry.ttl, step_usage=tokens, **packed)

    def _unpack(self, item: ToolUsageItem) -> ToolUsage:
        return ToolUsage.model_validate({"request": "", **item.fields(), **self._overflow.unpack(item.overflow)})
