"""Named approvers: told where they see it, in their own chat with the assistant, since the thread may not be theirs.

They learn who asks and what is to be called, and nothing else of the conversation. Where the platform lets nobody be
written to (a right that an earlier installation lacks, a person who never met the assistant), the question in the
thread names them, and the person who asked can tell them.
"""

from dataclasses import dataclass
from functools import partial

from core.call_texts import describe_call
from core.errors import PermanentError
from core.events import MessageReceived
from core.models import Approval, Message, ToolUsage, User
from core.platforms import Button, Outbound, Question, reply_to
from core.store import Store
from core.telemetry import logger
from core.texts import say

_MOST_ASKED = 5  # of one call; the others may decide in the thread


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who else may decide on the calls of one turn.

    Attributes:
        message: What the turn answers.
        question: The same as it is stored.
    """

    store: Store
    outbound: Outbound
    company_id: str
    message: MessageReceived
    question: Message

    def name(self, approval: Approval) -> str:
        """Who may decide beside the person, in words; empty where nobody is known."""
        people = ", ".join(user.name for user in self._find(approval))
        return say("approval-others", self.question.language).replace("{people}", people) if people else ""

    def ask(self, usage: ToolUsage, approval: Approval, buttons: tuple[Button, ...]) -> None:
        """Ask each of them alone, once however often the turn is tried.

        Raises:
            RetryableError: The platform cannot take it now.
        """
        asked = dict(approval.asked_alone)
        for user in self._find(approval):
            for external_user_id in self._identities(user):
                try:
                    self._ask_one(external_user_id, usage, asked, buttons)
                except PermanentError as exc:
                    about = {"correlation_id": self.message.correlation_id, "code": exc.code}
                    logger.warning("approver not asked", extra=about)

    def _ask_one(
        self, external_user_id: str, usage: ToolUsage, asked: dict[str, tuple[str, ...]], buttons: tuple[Button, ...]
    ) -> None:
        place = self.outbound.open_chat(external_user_id, self.message)
        if asked.get(place.channel_id):
            return
        note = partial(self.store.waiting.note_asked_alone, self.company_id, usage)
        if not note(asked | {place.channel_id: ()}):  # noted first: a button that is pressed at once has to be known
            return

        def remember(ids: tuple[str, ...]) -> None:
            asked[place.channel_id] = ids
            note(asked)

        there = self.message.model_copy(
            update={"address": place, "external_user_id": external_user_id, "is_private": False}
        )
        wanted = say("approval-asked", self.question.language).replace("{person}", self._name_asker())
        text = f"{wanted}\n\n{describe_call(usage.name, usage.request)}"
        target = reply_to(there, is_unrecorded=True, is_alone=True)
        ids = self.outbound.ask(target, Question(text=text, buttons=buttons), posted=remember)
        if not note(asked | {place.channel_id: ids}):  # decided meanwhile: whoever decided did not know of this one
            self.outbound.close_question(target, ids, describe_call(usage.name, usage.request))

    def _name_asker(self) -> str:
        asker = self.store.directory.get_user(self.company_id, self.question.user_id)
        return asker.name if asker else "?"

    def _find(self, approval: Approval) -> list[User]:
        """The people, as far as the company's directory knows them."""
        found = {user.id: user for each in approval.approvers if (user := self._find_one(each)) and user.enabled}
        return [user for user in found.values() if user.id != approval.user_id][:_MOST_ASKED]

    def _find_one(self, named: str) -> User | None:
        directory = self.store.directory
        find = directory.find_user_by_email if "@" in named else directory.get_user
        return find(self.company_id, named)

    def _identities(self, user: User) -> tuple[str, ...]:
        address = self.message.address
        return self.store.directory.find_external_ids(
            self.company_id, user.id, platform=address.platform, workspace_id=address.workspace_id
        )
