"""Uses of tools in the table: beside the messages of their conversation, all of one step in one request."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.errors import PermanentError
from core.models import Approval, ApprovalStatus, ToolStatus, ToolUsage, Usage, to_iso
from core.store import keys
from core.store.claims import Claim
from core.store.expiry import Expiry
from core.store.items import ToolUsageItem
from core.store.overflow import Overflow, Pointer
from core.store.table import Table

_PARKED = "parkedMessage"  # as it is stored
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
        if len({(usage.message_id, usage.place_of_use) for usage in usages}) < len(usages):
            raise PermanentError("tool-usage-place", "two uses of tools have the same step and place")
        self._table.write_batch([self._pack(company_id, usage, claim.expiry) for usage in usages])

    def list_of_question(self, company_id: str, question_id: str) -> tuple[ToolUsage, ...]:
        """What was used for one question, in order."""
        conversation_id, ulid = keys.split_message_id(question_id)
        return self._list(company_id, conversation_id, keys.tool_usages_of(ulid))

    def find(self, company_id: str, question_id: str, place: str) -> ToolUsage | None:
        """One use, by its question and its place."""
        item = self._table.get(ToolUsageItem, keys.tool_usage_key(company_id, question_id, place), consistent=True)
        return self._unpack(item) if item else None

    def forget_message(self, company_id: str, usage: ToolUsage) -> None:
        """Remove the message that a call was to be delivered again with, for good; what was decided on it stays."""
        key = keys.tool_usage_key(company_id, usage.message_id, usage.place_of_use)
        item = self._table.get(ToolUsageItem, key, consistent=True)
        notes = dict((item.overflow if item else None) or {})
        pointer = notes.pop(_PARKED, None)
        if pointer:
            self._overflow.delete_objects([Pointer.model_validate(pointer).key])
        rest = ToolUsageItem.overflow.set(notes) if notes else ToolUsageItem.overflow.remove()
        self._table.change_known(ToolUsageItem, key, [ToolUsageItem.parked_message.remove(), rest])

    def list_of_conversation(self, company_id: str, conversation_id: str) -> tuple[ToolUsage, ...]:
        """What was used in a conversation, in order."""
        return self._list(company_id, conversation_id, keys.TOOL_USAGES)

    def list_overdue(self, company_id: str, now: datetime, limit: int) -> tuple[ToolUsage, ...]:
        """The calls of a company that wait for an approval and may no longer get one, the first `limit` of them."""
        is_over = ToolUsageItem.gsi1sk <= to_iso(now)
        partition = keys.waiting_partition(company_id)
        found = self._table.query_index("GSI1", partition, is_over, limit=limit, newest_first=False)
        return tuple(map(self._unpack, self._table.get_many(ToolUsageItem, found)))

    def _list(self, company_id: str, conversation_id: str, beginning: str) -> tuple[ToolUsage, ...]:
        partition = keys.conversation_partition(company_id, conversation_id)
        places = ToolUsageItem.sk.startswith(beginning)
        return tuple(map(self._unpack, self._table.query(ToolUsageItem, partition, places, consistent=True)))

    def _pack(self, company_id: str, usage: ToolUsage, expiry: Expiry | None) -> ToolUsageItem:
        conversation_id, ulid = keys.split_message_id(usage.message_id)
        key = keys.tool_usage_key(company_id, usage.message_id, usage.place_of_use)
        texts = {name: getattr(usage, name) or None for name in _TEXTS}
        if usage.approval:
            texts["parked_message"] = usage.approval.message or None
        place = keys.text_place(company_id, conversation_id, ulid, usage.place_of_use.replace("#", "-"))
        packed = self._overflow.pack(place, texts, expiry)
        counts = {name: _pack_tokens(getattr(usage, name)) for name in ("step_usage", "spent")}
        approval = _pack_approval(company_id, usage, usage.approval) if usage.approval else {}
        return ToolUsageItem.from_value(usage, key, ttl=expiry and expiry.ttl, **counts, **packed, **approval)

    def _unpack(self, item: ToolUsageItem) -> ToolUsage:
        stored = {"request": "", **item.fields(), **self._overflow.unpack(item.overflow)}
        return ToolUsage.model_validate({**stored, "approval": _unpack_approval(item, stored)})


def _pack_approval(company_id: str, usage: ToolUsage, approval: Approval) -> dict[str, object]:
    is_waiting = approval.status is ApprovalStatus.WAITING and usage.status is ToolStatus.STARTED
    listed = {"gsi1pk": keys.waiting_partition(company_id), "gsi1sk": to_iso(approval.until)}
    return {
        **(listed if is_waiting else {}),
        "approval": approval.status.value,
        "approval_by": [approval.user_id, *approval.approvers],
        "approval_until": approval.until,
        "approval_message_ids": list(approval.message_ids) or None,
        "approval_asked_alone": pack_places(approval.asked_alone) or None,
        "decided_by": approval.decided_by,
        "decided_at": approval.decided_at,
    }


def _unpack_approval(item: ToolUsageItem, stored: Mapping[str, Any]) -> Approval | None:
    if not stored.get("approval"):
        return None
    return Approval(
        status=ApprovalStatus(item.approval),
        user_id=item.approval_by[0],
        approvers=tuple(item.approval_by[1:]),
        until=item.approval_until,
        message=stored.get("parked_message") or stored.get(_PARKED) or "",
        message_ids=tuple(item.approval_message_ids or ()),
        asked_alone={place: tuple(ids.split()) for place, ids in (item.approval_asked_alone or {}).items()},
        decided_by=item.decided_by,
        decided_at=item.decided_at,
    )


def pack_places(asked_alone: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The messages in each place, as one text each: no platform's id has a blank in it."""
    return {place: " ".join(ids) for place, ids in asked_alone.items()}


def _pack_tokens(tokens: Usage | None) -> dict[str, int] | None:
    return None if tokens is None else tokens.model_dump(by_alias=True, exclude_defaults=True)
