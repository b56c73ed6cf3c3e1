"""What is said to a turn from outside while it runs: flags on its conversation, which it looks at."""

from datetime import datetime
from enum import Enum

from core.store import conversations, keys
from core.store.claims import Claim, ClaimLostError
from core.store.items import ConversationItem
from core.store.table import Table


class Interruption(Enum):
    """What a running turn is to do."""

    STOP = "stop"
    READ_AGAIN = "read-again"  # its question was edited or deleted


class Interruptions:
    """The flags of running turns. Safe to share between threads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def request_cancel(self, company_id: str, conversation_id: str, task_id: str | None = None) -> bool:
        """Ask the turn that runs in a conversation to stop, or only this one; False where it does not run."""
        running = conversations.is_running(keys.ulid_of(task_id) if task_id else None)
        key = keys.conversation_key(company_id, conversation_id)
        return self._table.change_known(ConversationItem, key, conversations.request_cancel(), running)

    def stop_waiting(self, company_id: str, conversation_id: str, *, before: datetime) -> bool:
        """Let no question be answered that was sent before then and still waits; False where a turn runs already."""
        key = keys.conversation_key(company_id, conversation_id)
        actions = [ConversationItem.stop_before.set(before)]
        return self._table.change_known(ConversationItem, key, actions, ~conversations.is_running(None))

    def announce_change(self, company_id: str, task_id: str, edition: datetime) -> bool:
        """Tell the turn of this task that its question was edited or deleted; False where it does not run."""
        conversation_id, ulid = keys.split_task_id(task_id)
        key = keys.conversation_key(company_id, conversation_id)
        actions = conversations.announce_change(ulid, edition)
        return self._table.change_known(ConversationItem, key, actions, conversations.is_running(ulid))

    def look(self, claim: Claim, edition: datetime | None, *, consistent: bool = False) -> Interruption | None:
        """What this turn is to do, whose question it read in the form of `edition`; None: to go on.

        Half a read unit, behind by some milliseconds; with `consistent` a whole one, and not behind.

        Raises:
            ClaimLostError: A later processor holds the conversation.
        """
        key = keys.conversation_key(claim.conversation.user_company_id, claim.conversation.id)
        item = self._table.get(ConversationItem, key, consistent=consistent)
        if item is None:
            return None
        if int(item.fencing_token) > claim.fencing_token:
            raise ClaimLostError
        ulid = keys.ulid_of(claim.task_id)
        if conversations.is_to_stop(item, ulid):
            return Interruption.STOP
        return Interruption.READ_AGAIN if conversations.is_changed(item, ulid, edition) else None

    def is_cancel_requested(self, claim: Claim) -> bool:
        """Whether somebody asked this turn to stop.

        Raises:
            ClaimLostError: A later processor holds the conversation.
        """
        return self.look(claim, None) is Interruption.STOP
