"""Platforms: the contract that every platform fulfils, and how an adapter is found by its folder's name.

Adding one is adding a folder `<name>/` with `inbound.py` (`build(...) -> Inbound`) and `adapter.py`
(`connect(...) -> Outbound`). The folder is the registration; where the platform's API is, is a setting. The contract is
small and total: every platform has every method.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol

from core.errors import PermanentError
from core.events import FileReference, MessageReceived, SignalReceived
from core.http import Http
from core.models import Address, Installation

_NAME = re.compile(r"[a-z][a-z0-9_]{1,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """A platform's HTTP call, as it came: header names in lower case, the body as raw bytes."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookResult:
    """What a verified call means: what to publish, then the JSON to acknowledge with (None: an empty 200)."""

    messages: tuple[MessageReceived, ...] = ()
    signals: tuple[SignalReceived, ...] = ()
    answer: Mapping[str, Any] | None = None
    ignored: str | None = None  # why nothing is published, a word for the metric


class Inbound(Protocol):
    """The webhook's half of a platform. No network, no clock: `now` is passed in."""

    def verify(self, request: WebhookRequest, now: datetime) -> None:
        """Return if the platform itself sent `request`, lately.

        Raises:
            RequestRejectedError: 401 where the proof is missing, wrong or stale; 403 where it is for somebody else.
        """

    def parse(self, request: WebhookRequest, now: datetime) -> WebhookResult:
        """What the verified `request` says.

        Raises:
            RequestRejectedError: 400 where it is malformed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who a platform says its user is. `email` is None where the platform keeps it to itself."""

    external_user_id: str
    workspace_id: str
    email: str | None
    name: str
    is_bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTarget:
    """Where an answer goes, and what is known of an earlier, interrupted try to put it there.

    Attributes:
        address: The conversation's place.
        in_reply_to: The platform's id of the question.
        external_user_id: The person who asked; `external_user_workspace_id` is the person's own workspace.
        outgoing_ids: Platform messages that an earlier try recorded, in order: they are edited, not posted again.
        search_from: Set on a later try of which nothing is recorded: look for a message of ours newer than this
            platform id before posting, because the earlier try may have died between posting and recording.
        answered_ids: Platform messages known to belong to other answers; a search never takes one of them.
        is_alone: True where nobody else can be answering in this conversation now: an unfinished message of ours that
            does not say what it answers is then this answer's. Else it may be somebody's, and is left alone.
    """

    address: Address
    in_reply_to: str
    external_user_id: str
    external_user_workspace_id: str
    outgoing_ids: tuple[str, ...] = ()
    search_from: str | None = None
    answered_ids: frozenset[str] = frozenset()
    is_alone: bool = False


def reply_to(
    message: MessageReceived,
    *,
    outgoing_ids: tuple[str, ...] = (),
    is_unrecorded: bool = False,
    answered_ids: frozenset[str] = frozenset(),
    is_alone: bool = False,
) -> ReplyTarget:
    """Where the answer to `message` goes; `is_unrecorded`: an earlier try may have posted something it never noted."""
    return ReplyTarget(
        address=message.address,
        in_reply_to=message.external_message_id,
        external_user_id=message.external_user_id,
        external_user_workspace_id=message.external_user_workspace_id or message.address.workspace_id,
        outgoing_ids=outgoing_ids,
        search_from=message.external_message_id if is_unrecorded and not outgoing_ids else None,
        answered_ids=answered_ids,
        is_alone=is_alone,
    )


class Reply(Protocol):
    """An answer that is being delivered. Text is Markdown; the adapter makes its platform's dialect of it."""

    def append(self, text: str) -> None:
        """Show more of the answer, as often as the platform allows; a failure to show is not an error yet.

        A RetryableError is raised only where nothing at all can be shown and nothing was posted.
        """

    def finish(self, text: str) -> tuple[str, ...]:
        """Make the platform show exactly `text`, whole, and return the ids of the platform messages that hold it.

        Raises:
            RetryableError: The platform cannot take it now; calling again with the recorded ids continues.
            PermanentError: The platform will never take it (the token is revoked, the channel is gone).
        """

    @property
    def outgoing_ids(self) -> tuple[str, ...]:
        """Ids of the platform messages posted so far, in order."""


type Posted = Callable[[tuple[str, ...]], None]


class Outbound(Protocol):
    """The processor's half of a platform, bound to one installation."""

    def identify(self, external_user_id: str) -> Person:
        """Who the platform says this user is.

        Raises:
            RetryableError: The platform cannot say now.
            PermanentError: The user is unknown there or the token is revoked.
        """

    def fetch_file(self, file: FileReference, *, max_bytes: int) -> bytes:
        """The bytes of an attached file.

        Raises:
            PermanentError: The host is not the platform's, the file is too large or not readable with this token.
            RetryableError: The platform cannot give it now.
        """

    def open_reply(self, target: ReplyTarget, *, posted: Posted) -> Reply:
        """Start an answer. `posted` is called with all ids as soon as a platform message was made, before any more."""

    def read_text(self, message: MessageReceived) -> str:
        """What the person wrote, as Markdown for the model: mentions of the assistant removed, others made readable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What an adapter is handed: the installation, its secret, the API's base URL, HTTP and a clock of seconds."""

    installation: Installation
    token: str
    base_url: str
    http: Http
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


def connect(
    installation: Installation,
    *,
    read_secret: Callable[[str], str],
    base_urls: Mapping[str, str],
    http: Http,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Outbound:
    """The adapter of the installation's platform, found by the folder's name and bound to the installation.

    Raises:
        PermanentError: There is no such platform, or the installation's secret cannot be read.
        RetryableError: The secret cannot be read now.
    """
    name = installation.platform
    if not _NAME.fullmatch(name) or name not in base_urls:
        raise PermanentError("unknown-platform", f"this function is told of no platform {name!r}")
    adapter = import_module(f"core.platforms.{name}.adapter")
    outbound: Outbound = adapter.connect(
        Connection(
            installation=installation,
            token=read_secret(installation.secret_name),
            base_url=base_urls[name],
            http=http,
            monotonic=monotonic,
            sleep=sleep,
        )
    )
    return outbound
