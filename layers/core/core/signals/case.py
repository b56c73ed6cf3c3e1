"""One signal in its company: what every handler works with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from core.errors import PermanentError
from core.events import ImportQueued, MessageReceived, SignalReceived
from core.models import Identity, Installation, User
from core.platforms import Outbound, reply_to
from core.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A signal, the company that it belongs to, and the ways to the table and to the platform.

    Attributes:
        attempt: 1 for the first delivery, more for redeliveries.
        is_last: No further delivery follows: what cannot be done now goes to the dead-letter queue.
        forget_secret: Deletes the secret of that name for good; one that is gone is fine.
        installation: Of the workspace that the signal came from: it decides the company, whatever the signal says.
        resume: Puts a message on its queue again whose turn waited for this.
        go_on: Puts an import on its queue again that waited for this.
    """

    signal: SignalReceived
    attempt: int
    is_last: bool
    installation: Installation
    store: Store
    connect: Callable[[Installation], Outbound]
    resume: Callable[[MessageReceived], None]
    go_on: Callable[[ImportQueued], None]
    clock: Callable[[], datetime]
    forget_secret: Callable[[str], None]

    @property
    def company_id(self) -> str:
        """The company; nothing of another one is read or written."""
        return self.installation.company_id

    def open_platform(self) -> Outbound:
        """The platform's half that answers; reads the installation's token."""
        return self.connect(self.installation)

    def find_user(self) -> User | None:
        """The person of the company whose signal this is: linked by an identity, and enabled."""
        address, directory = self.signal.address, self.store.directory
        identity = directory.get_identity(
            self.company_id, address.platform, address.workspace_id, self.signal.external_user_id
        )
        if identity is None or identity.user_id is None:
            return None
        user = directory.get_user(self.company_id, identity.user_id)
        return user if user and user.enabled else None

    def recognise_user(self) -> User | None:
        """The same, and by the platform's e-mail address a colleague who never wrote to the assistant: remembered then.

        Raises:
            RetryableError: The platform cannot say now.
        """
        signal, directory = self.signal, self.store.directory
        place = signal.address.platform, signal.address.workspace_id, signal.external_user_id
        if user := self.find_user():
            return user
        known = directory.get_identity(self.company_id, *place) if signal.external_user_id else None
        is_of_workspace = signal.external_user_workspace_id in ("", signal.address.workspace_id)
        if not signal.external_user_id or not is_of_workspace or (known and known.user_id):
            return None
        try:
            person = self.open_platform().identify(signal.external_user_id, signal)
        except PermanentError:
            return None
        if not person.email or person.is_bot or person.workspace_id not in ("", signal.address.workspace_id):
            return None
        found = directory.find_user_by_email(self.company_id, person.email)
        if found is None or not found.enabled:
            return None
        identity = Identity(
            company_id=self.company_id,
            platform=signal.address.platform,
            workspace_id=signal.address.workspace_id,
            external_user_id=signal.external_user_id,
            user_id=found.id,
            email=person.email,
            created_at=self.clock(),
        )
        directory.put_identity(identity)
        return found

    def find_conversation_id(self) -> str | None:
        """The conversation at the signal's place; None where there is none."""
        return self.store.find_conversation_id(self.company_id, self.signal.address)

    def as_message(self) -> MessageReceived:
        """The message that the signal is about, with the signal's text."""
        signal = self.signal
        return MessageReceived(
            address=signal.address,
            external_message_id=signal.external_message_id or signal.external_id,
            external_user_id=signal.external_user_id or "-",
            external_user_workspace_id=signal.external_user_workspace_id,
            bot_user_id=signal.bot_user_id,
            text=signal.text,
            is_addressed=signal.is_addressed,
            reply_url=signal.reply_url,
            sent_at=signal.message_sent_at or signal.sent_at,
            received_at=signal.received_at,
            correlation_id=signal.correlation_id,
        )

    def say(self, text: str) -> None:
        """Answer the signal's message with a text of ours; delivered again, it is still said once.

        Raises:
            RetryableError: The platform cannot take it now.
            PermanentError: The platform will never take it.
        """
        target = reply_to(self.as_message(), is_unrecorded=True)
        self.open_platform().open_reply(target, posted=lambda _: None).finish(text)
