"""What is said to a turn from outside while it runs: flags on its conversation, which it looks at."""

from core.store import conversations, keys
from core.store.claims import Claim, ClaimLostError
from core.store.items import ConversationItem
from core.store.table import Table


class Interruptions:
    """The flags of running turns. Safe to share between threads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def request_cancel(self, company_id: str, conversation_id: str, task_id: str | None = None) -> bool:
        """Ask the turn that runs in a conversation to stop, or only this one; False where it does not run."""
        running = conversations.is_running(keys.ulid_of(task_id) if task_id else None)
        key = keys.conversation_key(company_id, conversation_id)
        return self._table.change_known(ConversationItem, key, conversations.request_cancel(), running)

    def is_cancel_requested(self, claim: Claim) -> bool:
        """Whether somebody asked this turn to stop; half a read unit, behind by some milliseconds.

        Raises:
            ClaimLostError: A later processor holds the conversation.
        """
        key = keys.conversation_key(claim.conversation.user_company_id, claim.conversation.id)
        item = self._table.get(ConversationItem, key)
        if item is None:
            return False
        if int(item.fencing_token) > claim.fencing_token:
            raise ClaimLostError
        return conversations.is_to_stop(item, keys.ulid_of(claim.task_id))
