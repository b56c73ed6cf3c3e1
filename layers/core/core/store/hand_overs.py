"""Turns that go on with the next delivery of their message: noted on their task as the conversation is given up."""

from datetime import datetime

from core.models import Task
from core.store import conversations
from core.store.claims import Claim
from core.store.leases import Leases
from core.store.tasks import Tasks


class HandOvers:
    """Notes what was handed on. Safe to share between threads."""

    def __init__(self, tasks: Tasks, leases: Leases) -> None:
        self._tasks = tasks
        self._leases = leases

    def note(self, claim: Claim, task: Task, *, now: datetime) -> None:
        """Store how often `task` was handed on and what it took so far, and give the conversation up, in one.

        Raises:
            ClaimLostError: A later processor holds the conversation, or the turn is over.
        """
        company_id = claim.conversation.user_company_id
        given_back = self._leases.changing(claim, conversations.give_back(now))
        self._leases.transact([self._tasks.hand_on(company_id, task, now), given_back])
