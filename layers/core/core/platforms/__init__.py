"""Platforms: the contract that every platform fulfils, and how an adapter is found by its folder's name.

Adding one is adding a folder `<name>/` with `inbound.py` (`build(...) -> Inbound`) and `adapter.py` (`connect(...) ->
Outbound`): the folder is the registration. The contract is small and total: every platform has every method.
"""

import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

from core.errors import PermanentError
from core.events import FileReference, MessageReceived, SignalReceived
from core.http import Http
from core.kept import Kept
from core.values import Address

if TYPE_CHECKING:
    from core.models import Installation

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
    """The webhook's half of a platform. No clock: `now` is passed in; no network but for the keys to verify with."""

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
        is_private: Only the person who asked is to see the answer, though others share the channel.
        reply_url: Where the platform takes answers, for a platform that says so with each message; verified.
        stop_reference: What the Stop button of the arriving answer carries; empty: there is no such button.
        feedback_reference: What the buttons under the finished answer carry; empty: there are none.
        language: In which the adapter labels its own buttons, a BCP 47 tag.
    """

    address: Address
    in_reply_to: str
    external_user_id: str
    external_user_workspace_id: str
    outgoing_ids: tuple[str, ...] = ()
    search_from: str | None = None
    answered_ids: frozenset[str] = frozenset()
    is_alone: bool = False
    is_private: bool = False
    reply_url: str = ""
    stop_reference: str = ""
    feedback_reference: str = ""
    language: str | None = None


def reply_to(
    message: MessageReceived,
    *,
    outgoing_ids: tuple[str, ...] = (),
    is_unrecorded: bool = False,
    answered_ids: frozenset[str] = frozenset(),
    is_alone: bool = False,
    stop_reference: str = "",
    feedback_reference: str = "",
    language: str | None = None,
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
        is_private=message.is_private,
        reply_url=message.reply_url,
        stop_reference=stop_reference,
        feedback_reference=feedback_reference,
        language=language,
    )


def respond_to(signal: SignalReceived, *, outgoing_ids: tuple[str, ...] = (), is_private: bool = False) -> ReplyTarget:
    """Where a word about `signal` goes; an earlier try may have posted it, unless `outgoing_ids` are known."""
    return ReplyTarget(
        address=signal.address,
        in_reply_to=signal.external_id,
        external_user_id=signal.external_user_id,
        external_user_workspace_id=signal.external_user_workspace_id or signal.address.workspace_id,
        outgoing_ids=outgoing_ids,
        search_from=None if outgoing_ids else signal.external_message_id or None,
        is_private=is_private,
        reply_url=signal.reply_url,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button of ours. Pressed, it comes back as a signal with the same `value` and `reference`."""

    label: str
    value: Literal["approve", "deny"]
    reference: str
    style: Literal["", "primary", "danger"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is to decide: Markdown, which may hold the model's words, and one to five buttons."""

    text: str
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Something a person could ask: a short title, and what is asked when it is chosen."""

    title: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """What a person reads who opened a place to talk and has said nothing yet."""

    greeting: str
    prompts: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSection:
    """A heading and its lines, in Markdown; the lines may hold what people wrote."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePage:
    """The assistant's page for one person."""

    title: str
    introduction: str
    sections: tuple[HomeSection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentForm:
    """A form of one text field. What is written there comes back as a signal with `value` and `reference`."""

    title: str
    label: str
    submit: str
    cancel: str
    value: Literal["up", "down"]
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFile:
    """A file of ours for a person: its bytes, and a message in Markdown with a link for where they cannot go."""

    name: str
    media_type: str
    content: bytes | None  # None: it is too large to be held in memory, and the link is all that is shared
    fallback: str  # empty where the link is said already


class ReplyStoppedError(PermanentError):
    """The person ended the answer with a button of the platform's own: what is shown stays as it is."""


class Reply(Protocol):
    """An answer that is being delivered. Text is Markdown; the adapter makes its platform's dialect of it."""

    def append(self, text: str) -> None:
        """Show more of the answer, as often as the platform allows; a failure to show is not an error yet.

        Raises:
            RetryableError: Nothing at all can be shown and nothing was posted.
            ReplyStoppedError: The person ended the answer there; `finish` then changes nothing.
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

    def identify(self, external_user_id: str, at: MessageReceived | SignalReceived) -> Person:
        """Who the platform says this user is, who was met in the conversation of `at`.

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

    def stream_file(self, file: FileReference, *, max_bytes: int, seconds: float) -> Generator[bytes]:
        """The same piece by piece. Raises what `fetch_file` raises, also in the middle: then it was not the file."""

    def place(self, message: MessageReceived) -> MessageReceived:
        """`message` at the place where its conversation goes on, before anything is looked up there; mostly as it came.

        A command stands in no thread: where the platform has commands, it gets a message of its own, once however often
        this is called, and the conversation is that message's thread. Raises as `Reply.finish` does.
        """

    def open_reply(self, target: ReplyTarget, *, posted: Posted) -> Reply:
        """Start an answer. `posted` is called with all ids as soon as a platform message was made, before any more."""

    def show_working(self, target: ReplyTarget) -> None:
        """Show that the assistant is at work, until it says something. A courtesy: raises nothing of the platform's."""

    def open_chat(self, external_user_id: str, at: MessageReceived) -> Address:
        """Where the assistant talks to this person alone; the same at every call. Raises as `finish` does."""

    def ask(self, target: ReplyTarget, question: Question, *, posted: Posted) -> tuple[str, ...]:
        """Show `question` with its buttons, once, and return the ids of the platform messages that hold it.

        With `target.outgoing_ids` those messages are edited; with `target.search_from` they are looked for first.
        Raises as `Reply.finish` does.
        """

    def close_question(self, target: ReplyTarget, ids: tuple[str, ...], text: str) -> None:
        """Let the messages `ids` of a question say `text`, without buttons. Twice is once. Raises as `finish` does."""

    def welcome(self, target: ReplyTarget, welcome: Welcome) -> None:
        """Greet, and offer what could be asked, in words if need be; once for `target.in_reply_to`. Raises as above."""

    def show_home(self, external_user_id: str, home: HomePage) -> None:
        """Show the person's page. Does nothing where the platform has no such page. Raises as `Reply.finish` does."""

    def ask_for_comment(self, trigger_id: str, form: CommentForm) -> bool:
        """Open a form for the person who pressed a button; False where there is none or the moment has passed."""

    def share_file(self, target: ReplyTarget, file: SharedFile, *, posted: Posted) -> tuple[str, ...]:
        """Put a file, or `file.fallback`, where the answer is; the ids of what holds it. Raises as `finish` does.

        After a crash, with `target.search_from`, the file may be there a second time: not every platform can be asked.
        """

    def read_text(self, message: MessageReceived) -> str:
        """What the person wrote, as Markdown for the model: mentions of the assistant removed, others made readable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What an adapter is handed.

    Attributes:
        installation: The workspace that it speaks to.
        token: The installation's secret.
        options: What the stack says of the platform: the URLs of its APIs, ids of the app, each by name.
        http: The way out.
        kept: What was fetched with a time limit, access tokens above all; shared by all connections of the process.
        monotonic: A clock of seconds.
        sleep: Waits.
        revoked: Is told of the installation when the platform says that its token is no longer good.
    """

    installation: "Installation"
    token: str = field(repr=False)
    options: Mapping[str, str]
    http: Http
    kept: Kept
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    revoked: "Callable[[Installation], None]" = field(default=lambda _: None)


def connect(
    installation: "Installation",
    *,
    read_secret: Callable[[str], str],
    options: Mapping[str, Mapping[str, str]],
    http: Http,
    kept: Kept,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    revoked: "Callable[[Installation], None]" = lambda _: None,
) -> Outbound:
    """The adapter of the installation's platform, found by the folder's name and bound to the installation.

    Args:
        installation: The workspace to speak to.
        read_secret: Reads a secret by its name.
        options: By platform, what the stack says of it; a platform that is missing here is unknown to the function.
        http: The way out.
        kept: What adapters keep between connections; a door makes one per cold start.
        monotonic: A clock of seconds.
        sleep: Waits.
        revoked: Is told when a platform says that an installation's token is no longer good.

    Raises:
        PermanentError: There is no such platform, or the installation's secret cannot be read.
        RetryableError: The secret cannot be read now.
    """
    name = installation.platform
    if not _NAME.fullmatch(name) or name not in options:
        raise PermanentError("unknown-platform", f"this function is told of no platform {name!r}")
    adapter = import_module(f"core.platforms.{name}.adapter")
    outbound: Outbound = adapter.connect(
        Connection(
            installation=installation,
            token=read_secret(installation.secret_name),
            options=options[name],
            http=http,
            kept=kept,
            monotonic=monotonic,
            sleep=sleep,
            revoked=revoked,
        )
    )
    return outbound
