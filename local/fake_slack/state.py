"""What the fake Slack knows: workspaces, people, channels and messages, and who may see them."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace

from local.fake_slack.arguments import SlackError

ALL_SCOPES = frozenset(
    {"assistant:write", "channels:history", "channels:read", "chat:write", "commands", "files:read", "files:write"}
    | {"im:write"}
    | {"users:read", "users:read.email"}
)


@dataclass(frozen=True, slots=True)
class App:
    """One installation of an app: what its bot token may do, in which workspace."""

    team_id: str
    team_name: str
    bot_token: str
    bot_user_id: str
    bot_id: str
    app_id: str
    scopes: frozenset[str] = ALL_SCOPES
    refused_with: str | None = None
    is_agent: bool = True


@dataclass(frozen=True, slots=True)
class User:
    """A member of a workspace, person or bot."""

    id: str
    team: str
    email: str | None
    name: str
    tz: str = "Europe/Berlin"
    locale: str = "en-US"
    is_bot: bool = False
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Channel:
    """A conversation of Slack: a channel, or a direct message where `user` is set."""

    id: str
    teams: frozenset[str]
    name: str
    user: str | None = None
    is_archived: bool = False
    is_member: bool = True


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file, behind `url_private`."""

    id: str
    team: str
    name: str
    mimetype: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Status:
    """What an app says it is doing, and the number of the change that said so."""

    text: str
    change: int


@dataclass(slots=True)
class Stream:
    """The streaming state of a message."""

    started_at: float
    touched_at: float
    state: str = "in_progress"
    mode: str | None = None


@dataclass(slots=True)
class Message:
    """A message as stored; `change` is the number of its last visible change."""

    ts: str
    channel: str
    thread_ts: str | None
    team: str
    user: str
    text: str
    is_markdown: bool = False
    app_id: str | None = None
    bot_id: str | None = None
    client_msg_id: str | None = None
    only_for: str | None = None
    blocks: list[dict[str, object]] = field(default_factory=list)
    tasks: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, object] | None = None
    stream: Stream | None = None
    edits: int = 0
    is_deleted: bool = False
    change: int = 0

    @property
    def root(self) -> str:
        """The timestamp its thread is known by."""
        return self.thread_ts or self.ts


@dataclass(frozen=True, slots=True)
class SeenButton:
    """A button under a message."""

    action_id: str
    text: str
    value: str


@dataclass(frozen=True, slots=True)
class SeenMessage:
    """A message as a person sees it at this moment."""

    ts: str
    thread_ts: str | None
    channel: str
    team: str
    user: str
    bot_id: str | None
    text: str
    is_markdown: bool
    is_streamed: bool
    is_streaming: bool
    is_expired: bool
    is_deleted: bool
    edits: int
    tasks: tuple[str, ...]
    only_for: str | None
    metadata: dict[str, object] | None
    change: int
    buttons: tuple[SeenButton, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return asdict(self)


def block_texts(blocks: list[dict[str, object]]) -> Iterator[tuple[str, str]]:
    """The type and the text of every block that shows text."""
    for block in blocks:
        text = block.get("text")
        if isinstance(text, dict):
            text = text.get("text")
        if isinstance(text, str):
            yield str(block.get("type")), text
        elements = block.get("elements") if block.get("type") == "context" else None
        for element in elements if isinstance(elements, list) else []:
            yield "context", str(element.get("text", ""))


def seen(message: Message) -> SeenMessage:
    """The message as a person sees it: blocks stand in front of the fallback text, and follow streamed text."""
    shown = [text for _, text in block_texts(message.blocks)]
    if message.stream or not shown:
        shown.insert(0, message.text)
    stream_state = message.stream.state if message.stream else None
    return SeenMessage(
        ts=message.ts,
        thread_ts=message.thread_ts,
        channel=message.channel,
        team=message.team,
        user=message.user,
        bot_id=message.bot_id,
        text="\n".join(part for part in shown if part),
        is_markdown=message.is_markdown,
        is_streamed=stream_state is not None,
        is_streaming=stream_state == "in_progress",
        is_expired=stream_state == "expired",
        is_deleted=message.is_deleted,
        edits=message.edits,
        tasks=tuple(message.tasks.values()),
        only_for=message.only_for,
        metadata=message.metadata,
        change=message.change,
        buttons=tuple(_buttons(message.blocks)),
    )


def _buttons(blocks: list[dict[str, object]]) -> Iterator[SeenButton]:
    for block in blocks:
        elements = block.get("elements")
        for element in elements if isinstance(elements, list) else []:
            match element:
                case {"type": "button", "action_id": str(action), "text": {"text": str(text)}, "value": str(value)}:
                    yield SeenButton(action, text, value)
                case {
                    "type": "feedback_buttons",
                    "action_id": str(action),
                    "positive_button": up,
                    "negative_button": down,
                }:
                    yield SeenButton(action, up["text"]["text"], up["value"])
                    yield SeenButton(action, down["text"]["text"], down["value"])


class TsClock:
    """Slack's message timestamps: the time in microseconds, unique and increasing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> str:
        """A timestamp later than every one given before."""
        with self._lock:
            self._last = max(self._last + 1, int(self._clock() * 1_000_000))
            return f"{self._last // 1_000_000:010d}.{self._last % 1_000_000:06d}"


class SlackState:
    """Everything one fake Slack holds. `changed` guards all of it and wakes who watches."""

    def __init__(self, *, clock: Callable[[], float], stream_lifetime: float, stream_idle: float | None) -> None:
        self.clock = clock
        self.ts_clock = TsClock(clock)
        self.changed = threading.Condition(threading.RLock())
        self.apps: dict[str, App] = {}
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.change = 0
        self.url = ""  # of the server, once it listens
        self.sessions: dict[tuple[str, str], str] = {}
        self.prompts: dict[tuple[str, str], list[dict[str, object]]] = {}
        self.homes: dict[tuple[str, str], dict[str, object]] = {}
        self.triggers: dict[str, float] = {}
        self.forms: dict[str, dict[str, object]] = {}
        self.uploads: dict[str, File] = {}
        self.upload_lengths: dict[str, int] = {}
        self.responses: list[dict[str, object]] = []
        self._statuses: dict[tuple[str, str], Status] = {}
        self._messages: dict[str, dict[str, Message]] = {}  # by channel, then by ts
        self._stream_lifetime = stream_lifetime
        self._stream_idle = stream_idle

    def app_of(self, token: str) -> App:
        """The installation a bot token belongs to."""
        app = self.apps.get(token)
        if app is None:
            raise SlackError("invalid_auth")
        if app.refused_with:
            raise SlackError(app.refused_with)
        return app

    def refuse_token(self, token: str, error: str) -> None:
        """Answer `error` to every later call with this token."""
        with self.changed:
            self.apps[token] = replace(self.apps[token], refused_with=error)

    def channel(self, app: App, channel_id: str) -> Channel:
        """The conversation, where the app's workspace can see it."""
        channel = self.channels.get(channel_id)
        if channel is None or app.team_id not in channel.teams:
            raise SlackError("channel_not_found")
        return channel

    def user(self, app: App, user_id: str) -> User:
        """The member, or a stranger the workspace shares a channel with."""
        user = self.users.get(user_id)
        if user is None:
            raise SlackError("user_not_found")
        shared = any({app.team_id, user.team} <= channel.teams for channel in self.channels.values())
        if user.team != app.team_id and not shared:
            raise SlackError("user_not_found")
        return user

    def open_direct_message(self, app: App, user_id: str) -> Channel:
        """The direct message between the app and this person, made on first use."""
        user = self.user(app, user_id)
        for channel in self.channels.values():
            if channel.user == user_id and app.team_id in channel.teams:
                return channel
        channel = Channel(f"D{user.id[1:]}", frozenset({app.team_id}), "", user=user_id)
        self.channels[channel.id] = channel
        return channel

    def add_message(self, message: Message) -> Message:
        """Show a message; the app's own words end its status in that thread."""
        with self.changed:
            self._messages.setdefault(message.channel, {})[message.ts] = message
            if message.app_id and (message.channel, message.root) in self._statuses:
                self.set_status(message.channel, message.root, "")
            self.touch(message)
            return message

    def message(self, channel_id: str, ts: str) -> Message:
        """The message of that timestamp, unless it was deleted."""
        message = self._messages.get(channel_id, {}).get(ts)
        if message is None or message.is_deleted:
            raise SlackError("message_not_found")
        self._expire(message)
        return message

    def messages(self, channel_id: str, thread_ts: str | None = None) -> list[Message]:
        """All messages of a channel or of one of its threads, deleted ones too, oldest first."""
        with self.changed:
            found = [
                message for message in self._messages.get(channel_id, {}).values() if thread_ts in {None, message.root}
            ]
            for message in found:
                self._expire(message)
            return sorted(found, key=lambda message: message.ts)

    def set_status(self, channel_id: str, thread_ts: str, status: str) -> None:
        """Show, or with an empty text end, what the app is doing in a thread."""
        with self.changed:
            self.touch(None)
            self._statuses[channel_id, thread_ts] = Status(status, self.change)

    def status(self, channel_id: str, thread_ts: str) -> Status:
        """What the app does in a thread by its own account."""
        return self._statuses.get((channel_id, thread_ts), Status("", 0))

    def touch(self, message: Message | None) -> None:
        """Number a visible change and wake who watches."""
        self.change += 1
        if message is not None:
            message.change = self.change
        self.changed.notify_all()

    def _expire(self, message: Message) -> None:
        stream = message.stream
        if stream is None or stream.state != "in_progress":
            return
        now = self.clock()
        too_old = now - stream.started_at >= self._stream_lifetime
        too_quiet = self._stream_idle is not None and now - stream.touched_at >= self._stream_idle
        if too_old or too_quiet:
            stream.state = "expired"
            self.touch(message)


def is_user_id(text: str) -> bool:
    """Whether this is the id of a person and not of a channel."""
    return re.fullmatch(r"[UW][A-Z0-9]{2,}", text) is not None
