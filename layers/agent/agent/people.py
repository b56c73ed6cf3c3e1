"""Who is asking: a workspace's installation, a platform user's identity, and the person in the company's directory."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime

from agent.language import detect_language
from core.configuration import Settings
from core.errors import PermanentError
from core.events import MessageReceived
from core.models import Company, Identity, Installation, User
from core.platforms import Outbound, reply_to
from core.store import Directory
from core.texts import say

_KEPT_SECONDS = 60.0  # a disabled person or installation is out a minute later
_MOST_KEPT = 10_000
_NOBODY = frozenset({"person-unknown", "person-deactivated"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A person who is not in the directory. `is_to_be_said` is True for the one message that is answered with it."""

    is_to_be_said: bool


class People:
    """The directory as a turn needs it, each entry kept in memory for a minute. Safe to share between threads."""

    def __init__(
        self, directory: Directory, *, clock: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._kept = _Kept(monotonic)

    def find_installation(self, message: MessageReceived) -> Installation | None:
        """The enabled installation that the message's workspace belongs to; None where nobody installed it."""
        address = message.address
        installation = self._kept.get(
            ("installation", address.platform, address.workspace_id),
            lambda: self._directory.find_installation(address.platform, address.workspace_id),
        )
        return installation if installation and installation.enabled else None

    def find_company(self, company_id: str) -> Company | None:
        """The company, for its name."""
        return self._kept.get(("company", company_id), lambda: self._directory.get_company(company_id))

    def find_settings(self, company_id: str, default: Settings) -> Settings:
        """The company's current AI configuration; `default` where it has none of its own."""
        found = self._kept.get(
            ("settings", company_id), lambda: self._directory.current_settings(company_id) or default
        )
        return found or default

    def find_sub_settings(self, company_id: str, settings_id: str, version: int | None) -> Settings | None:
        """Settings that others name as a sub-agent; a version of None is the current one."""
        return self._kept.get(
            ("settings", company_id, settings_id, version),
            lambda: self._directory.find_settings(company_id, settings_id, version),
        )

    def validate(self, message: MessageReceived, installation: Installation, outbound: Outbound) -> User | Refusal:
        """The person in the directory who wrote `message`, by identity link, else by the platform's e-mail address.

        A match by e-mail is remembered as an identity. A person of another workspace is not a colleague, whatever the
        e-mail says: shared channels bring strangers.
        """
        company_id = installation.company_id
        key = (company_id, message.address.platform, message.address.workspace_id, message.external_user_id)
        known = self._kept.get(("user", *key), lambda: self._find_linked(key))
        if known:
            return known
        identity = self._directory.get_identity(*key)
        user, email = None, None
        if _is_colleague(message):
            user, email = self._find_by_email(company_id, message, outbound)
        if user:
            self._directory.put_identity(self._identity(key, user_id=user.id, email=email))
            self._kept.put(("user", *key), user)
            return user
        if not message.is_addressed:
            return Refusal(is_to_be_said=False)
        refused = self._refuse(identity, self._identity(key, email=email, refused_for=message.external_message_id))
        return Refusal(is_to_be_said=refused.refused_for == message.external_message_id)

    def _refuse(self, known: Identity | None, refusal: Identity) -> Identity:
        """Remember that this message is the one to be answered with the refusal, unless one was before."""
        if known is None:
            return self._directory.record_refusal(refusal)
        if known.refused_for is None:  # was a colleague once, is disabled or gone now
            self._directory.put_identity(refusal.model_copy(update={"user_id": known.user_id}))
            return refusal
        return known

    def _find_linked(self, key: tuple[str, str, str, str]) -> User | None:
        identity = self._directory.get_identity(*key)
        if not identity or not identity.user_id:
            return None
        user = self._directory.get_user(identity.company_id, identity.user_id)
        return user if user and user.enabled else None

    def _find_by_email(
        self, company_id: str, message: MessageReceived, outbound: Outbound
    ) -> tuple[User | None, str | None]:
        try:
            person = outbound.identify(message.external_user_id, message)
        except PermanentError as exc:
            if exc.code not in _NOBODY:
                raise  # a revoked token or a missing right is the installation's fault, not the person's
            return None, None
        if not person.email or person.is_bot:
            return None, None
        if person.workspace_id and person.workspace_id != message.address.workspace_id:
            return None, person.email
        user = self._directory.find_user_by_email(company_id, person.email)
        return (user if user and user.enabled else None), person.email

    def _identity(
        self,
        key: tuple[str, str, str, str],
        *,
        user_id: str | None = None,
        email: str | None = None,
        refused_for: str | None = None,
    ) -> Identity:
        company_id, platform, workspace_id, external_user_id = key
        return Identity(
            company_id=company_id,
            platform=platform,
            workspace_id=workspace_id,
            external_user_id=external_user_id,
            user_id=user_id,
            email=email,
            refused_for=refused_for,
            created_at=self._clock(),
        )


def say_refusal(message: MessageReceived, outbound: Outbound) -> None:
    """Tell a person who is not in the directory, in the language of the message."""
    notice = say("refusal", detect_language(outbound.read_text(message)))
    outbound.open_reply(reply_to(message, is_unrecorded=True), posted=lambda _: None).finish(notice)


def _is_colleague(message: MessageReceived) -> bool:
    own = message.external_user_workspace_id
    return not own or own == message.address.workspace_id


class _Kept:
    """Values found lately. What was not found is looked up again: people are added while others wait."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._values: dict[Hashable, tuple[float, object]] = {}

    def get[T](self, key: Hashable, find: Callable[[], T | None]) -> T | None:
        now = self._monotonic()
        with self._lock:
            kept = self._values.get(key)
        if kept and now - kept[0] < _KEPT_SECONDS:
            return kept[1]  # type: ignore[return-value] # the key's first element fixes the type
        value = find()
        if value is not None:
            self.put(key, value)
        return value

    def put(self, key: Hashable, value: object) -> None:
        with self._lock:
            if len(self._values) >= _MOST_KEPT:
                self._values.clear()
            self._values[key] = (self._monotonic(), value)
