"""Taking a conversation and writing into it while it is held: each write is a condition on the fencing token."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pynamodb.expressions.update import Action

from core.models import ConversationStatus
from core.store import conversations, keys
from core.store.claims import Claim, ClaimLostError, ConversationBusyError
from core.store.expiry import Expiry
from core.store.faults import ConditionFailedError
from core.store.items import ConversationItem
from core.store.table import Change, Delete, Put, Table


class Leases:
    """The leases of every conversation. Safe to share between threads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take(self, wanted: Change, *, task_id: str, lease: timedelta, expiry: Expiry | None, now: datetime) -> Claim:
        """The claim that `wanted` makes.

        Raises:
            ConversationBusyError: Another turn's lease is not over.
        """
        try:
            item = self._table.change(ConversationItem, wanted.key, wanted.actions, wanted.condition)
        except ConditionFailedError as exc:
            standing = exc.find(ConversationItem)
            rest = standing.lease_until - now if standing and standing.lease_until else lease
            raise ConversationBusyError(rest) from exc
        conversation = conversations.unpack_conversation(item)
        token = conversation.fencing_token
        return Claim(conversation=conversation, fencing_token=token, task_id=task_id, expiry=expiry)

    def change(self, claim: Claim, actions: Sequence[Action], *also: ConversationStatus) -> None:
        """Change the conversation that is held.

        Raises:
            ClaimLostError: It is not, and its turn did not end as `also` says.
        """
        held = self.changing(claim, actions, *also)
        try:
            self._table.change(ConversationItem, held.key, held.actions, held.condition)
        except ConditionFailedError as exc:
            raise ClaimLostError from exc

    def transact(self, writes: Sequence[Put | Change | Delete]) -> None:
        """Make all of `writes`, the conversation's among them, or none.

        Raises:
            ClaimLostError: The conversation is not held, or what is to be new is there.
        """
        try:
            self._table.transact(writes)
        except ConditionFailedError as exc:
            raise ClaimLostError from exc

    def changing(self, claim: Claim, actions: Sequence[Action], *also: ConversationStatus) -> Change:
        """The write that changes the conversation while it is held."""
        conversation = claim.conversation
        key = keys.conversation_key(conversation.user_company_id, conversation.id)
        return Change(key, actions, conversations.is_held(claim.fencing_token, *also))
