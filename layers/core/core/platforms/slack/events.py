"""Slack's Events API: which messages are questions, and what else happened.

https://docs.slack.dev/apis/events-api.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from core.events import FileReference, MessageReceived, SignalKind, SignalReceived
from core.platforms import WebhookResult
from core.platforms.slack.fields import (
    checked,
    installed_in,
    is_ts,
    object_in,
    optional_id,
    optional_ts,
    read_address,
    read_text,
    read_time,
    reject,
    required_id,
    required_ts,
    text_of,
)
from core.stop_words import says_stop
from core.strict_json import Json
from core.values import Address

_MAX_FILES = 20
# Tuples and not sets: what a signed body holds in these places may be a list, which no set can be asked about.
_ANSWERED_SUBTYPES = (None, "", "file_share", "thread_broadcast")
_UNREADABLE_FILE_MODES = ("external", "tombstone", "hidden_by_limit")
_SLACKBOT = "USLACKBOT"
_MENTION = re.compile(r"<@([A-Za-z0-9]{1,64})(?:\|[^<>]{0,80})?>")


@dataclass(frozen=True, slots=True)
class _Happened:
    """One event and what is known of its envelope.

    Attributes:
        workspace_id: Of the installation that the event was delivered to.
        organisation: Ids that are all one company's where the whole organisation installed the app; else empty.
        bots: The assistant's own users.
        at: When it happened, by Slack's clock: an event that is delivered again is as old as it was.
    """

    event: Json
    workspace_id: str
    organisation: tuple[str, ...]
    bots: tuple[str, ...]
    event_id: str
    correlation_id: str
    at: datetime
    now: datetime

    @property
    def bot_user_id(self) -> str:
        return self.bots[0] if self.bots else ""

    def home_of(self, author: Mapping[str, object]) -> str:
        """The workspace a person belongs to: `user_team` is given where it is not the channel's."""
        home = optional_id(author, "user_team") or optional_id(author, "team") or self.workspace_id
        return self.workspace_id if home in self.organisation else home

    def signal(self, kind: SignalKind, address: Address, external_id: str, **more: object) -> WebhookResult:
        given = {
            "kind": kind,
            "external_id": external_id,
            "address": address,
            "bot_user_id": self.bot_user_id,
            "sent_at": self.at,
            "received_at": self.now,
            "correlation_id": self.correlation_id,
            **more,
        }
        return WebhookResult(signals=(checked(lambda: SignalReceived.model_validate(given), "event"),))


def read_event(envelope: Json, request_id: str, now: datetime) -> WebhookResult:
    """The question or the signal in an event, or why there is none.

    Raises:
        RequestRejectedError: 400 where the event is malformed, 413 where it is longer than anything Slack sends.
    """
    event = envelope.get("event")
    if not isinstance(event, dict):
        reject("event")
    kind = event.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        return WebhookResult(ignored="event-type")
    workspace_id, organisation, bots = _read_authorizations(envelope)
    correlation_id = request_id[:128]
    event_id = text_of(envelope, "event_id", 64) or correlation_id or "event"
    at = _read_moment(envelope, event, now)
    return read(_Happened(event, workspace_id, organisation, bots, event_id, correlation_id, at, now))


def _read_moment(envelope: Json, event: Json, now: datetime) -> datetime:
    """When an event happened: its own time where it has one, the envelope's whole seconds else; never in the future."""
    ts, seconds = event.get("event_ts"), envelope.get("event_time")
    if isinstance(ts, str) and is_ts(ts):
        return min(read_time(ts), now)
    if isinstance(seconds, int) and 0 < seconds < now.timestamp():
        return datetime.fromtimestamp(seconds, UTC)
    return now


def _read_authorizations(envelope: Json) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The installation's workspace, the ids of its organisation, and its bot users.

    In a channel shared with Slack Connect `team_id` may be the other company's; the authorization is always ours. It
    names no workspace where the app is installed for a whole organisation.
    """
    authorizations = envelope.get("authorizations")
    known = [each for each in authorizations if isinstance(each, dict)] if isinstance(authorizations, list) else []
    bots = tuple(user_id for each in known if each.get("is_bot") is True and (user_id := optional_id(each, "user_id")))
    ours = known[0] if known else {}
    source = ours if ours.get("team_id") else envelope
    team = required_id(source, "team_id") if source.get("team_id") else ""
    enterprise = optional_id(ours, "enterprise_id") or optional_id(envelope, "enterprise_id")
    workspace_id = installed_in(ours or envelope, team=team, enterprise=enterprise)
    if workspace_id != enterprise:
        return workspace_id, (), bots
    own_teams = (team, optional_id(envelope, "context_team_id"), enterprise)
    is_shared = envelope.get("is_ext_shared_channel") is True
    return workspace_id, tuple(filter(None, own_teams[2:] if is_shared else own_teams)), bots


def _read_message(happened: _Happened) -> WebhookResult:
    event = happened.event
    match event.get("subtype"):
        case "message_changed":
            return _read_change(happened)
        case "message_deleted":
            return _read_deletion(happened, object_in(event, "previous_message"), event.get("deleted_ts"))
    reason = _reason_to_ignore(event, happened.bots)
    if reason:
        return WebhookResult(ignored=reason)
    user_id = required_id(event, "user")
    text = read_text(event.get("text"))
    ts, thread_ts = required_ts(event, "ts"), optional_ts(event, "thread_ts")
    address = _address_of(happened, ts=ts, thread_ts=thread_ts)
    is_addressed = event["type"] == "app_mention" or _is_addressed(address, text, happened.bots)
    if not is_addressed and not thread_ts:
        return WebhookResult(ignored="not-addressed")
    files = _read_files(event.get("files"))
    if not files and not text.strip():
        return WebhookResult(ignored="empty")
    about = {"external_user_id": user_id, "external_user_workspace_id": happened.home_of(event)}
    if not files and says_stop(_without_mentions(text, happened.bots)):
        about |= {"external_message_id": ts}
        times = {"message_sent_at": read_time(ts), "sent_at": read_time(ts)}
        return happened.signal(SignalKind.STOP, address, ts, is_addressed=is_addressed, **about, **times)
    message = {
        "address": address,
        "external_message_id": ts,
        "bot_user_id": happened.bot_user_id,
        "text": text,
        "files": files,
        "is_addressed": is_addressed,
        "sent_at": read_time(ts),
        "received_at": happened.now,
        "correlation_id": happened.correlation_id,
        **about,
    }
    return WebhookResult(messages=(checked(lambda: MessageReceived.model_validate(message), "message"),))


def _read_change(happened: _Happened) -> WebhookResult:
    """An edit by the author. Slack sends the same for links that were unfurled and for our own edits."""
    message, before = object_in(happened.event, "message"), object_in(happened.event, "previous_message")
    if message.get("subtype") == "tombstone":  # a deleted message that others replied to
        return _read_deletion(happened, before, message.get("ts"))
    reason = _reason_to_ignore(message, happened.bots)
    if reason:
        return WebhookResult(ignored=reason)
    edited, text = object_in(message, "edited"), read_text(message.get("text"))
    if not edited or edited.get("user") != message.get("user") or text == before.get("text"):
        return WebhookResult(ignored="not-edited")
    ts, edited_ts = required_ts(message, "ts"), required_ts(edited, "ts")
    address = _address_of(happened, ts=ts, thread_ts=optional_ts(message, "thread_ts"))
    return happened.signal(
        SignalKind.EDIT,
        address,
        f"{ts}-{edited_ts}",
        external_message_id=ts,
        message_sent_at=read_time(ts),
        external_user_id=required_id(message, "user"),
        external_user_workspace_id=happened.home_of(message),
        text=text,
        is_addressed=_is_addressed(address, text, happened.bots),
        sent_at=read_time(edited_ts),
    )


def _read_deletion(happened: _Happened, before: Json, deleted: object) -> WebhookResult:
    reason = _reason_to_ignore(before, happened.bots)
    if reason:
        return WebhookResult(ignored=reason)
    ts = required_ts({"deleted_ts": deleted}, "deleted_ts")
    return happened.signal(
        SignalKind.DELETE,
        _address_of(happened, ts=ts, thread_ts=optional_ts(before, "thread_ts")),
        f"deleted-{ts}",
        external_message_id=ts,
        message_sent_at=read_time(ts),
        external_user_id=optional_id(before, "user"),
        external_user_workspace_id=happened.home_of(before),
    )


def _read_stopped(happened: _Happened) -> WebhookResult:
    """Slack's own Stop button: https://docs.slack.dev/reference/events/agent_session_stopped."""
    event = happened.event
    thread_ts = required_ts(event, "thread_ts")
    address = _address_of(happened, ts=thread_ts, thread_ts=thread_ts)
    who = {"external_user_id": required_id(event, "user"), "external_user_workspace_id": happened.home_of(event)}
    return happened.signal(SignalKind.STOP, address, f"stopped-{thread_ts}-{text_of(event, 'event_ts', 32)}", **who)


def _read_assistant_thread(happened: _Happened) -> WebhookResult:
    """A thread with the assistant was opened, or goes along to another channel: greeted once."""
    thread = object_in(happened.event, "assistant_thread")
    ts = required_ts(thread, "thread_ts")
    channel_id = required_id(thread, "channel_id")
    address = read_address(happened.workspace_id, channel_id, ts=ts, thread_ts=ts, is_direct=True)
    return happened.signal(
        SignalKind.WELCOME,
        address,
        ts,
        external_message_id=ts,
        external_user_id=required_id(thread, "user_id"),
        external_user_workspace_id=happened.workspace_id,
        sent_at=read_time(ts),
    )


def _read_home(happened: _Happened) -> WebhookResult:
    event = happened.event
    kinds = {"home": SignalKind.HOME, "messages": SignalKind.WELCOME}
    tab = event.get("tab")
    kind = kinds.get(tab) if isinstance(tab, str) else None
    if kind is None:
        return WebhookResult(ignored="tab")
    channel_id = required_id(event, "channel")
    address = read_address(happened.workspace_id, channel_id, ts="", thread_ts="", is_direct=True)
    user_id = required_id(event, "user")
    return happened.signal(
        kind,
        address,
        happened.event_id,
        external_user_id=user_id,
        external_user_workspace_id=happened.home_of(event),
    )


def _read_removal(happened: _Happened) -> WebhookResult:
    event = happened.event
    if event["type"] == "tokens_revoked" and not object_in(event, "tokens").get("bot"):
        return WebhookResult(ignored="tokens-of-people")
    address = Address(platform="slack", workspace_id=happened.workspace_id, channel_id="")
    return happened.signal(SignalKind.UNINSTALL, address, happened.event_id)


def _reason_to_ignore(message: Json, bots: tuple[str, ...]) -> str | None:
    """Why this message is not a person's, if it is not."""
    if message.get("user") in bots:
        return "own-message"
    if message.get("bot_id") or message.get("bot_profile") or message.get("user") == _SLACKBOT:
        return "bot-message"
    if message.get("subtype") not in _ANSWERED_SUBTYPES:
        return "subtype"
    return None


def _address_of(happened: _Happened, *, ts: str, thread_ts: str) -> Address:
    channel_id = required_id(happened.event, "channel")
    channel_type = happened.event.get("channel_type")
    # A mention says no channel type; Slack's ids of direct messages begin with D.
    is_direct = channel_type == "im" if channel_type else channel_id.startswith("D")
    return read_address(happened.workspace_id, channel_id, ts=ts, thread_ts=thread_ts, is_direct=is_direct)


def _is_addressed(address: Address, text: str, bots: tuple[str, ...]) -> bool:
    """Whether the assistant is spoken to. A mention comes as `app_mention` and as `message`: both say yes."""
    return address.is_direct or any(match[1] in bots for match in _MENTION.finditer(text))


def _without_mentions(text: str, bots: tuple[str, ...]) -> str:
    return _MENTION.sub(lambda match: "" if match[1] in bots else match[0], text)


def _read_files(value: object) -> tuple[FileReference, ...]:
    """The files that are kept at Slack. A file of an unknown shape is left out: the words beside it still count."""
    if not isinstance(value, list):
        return ()
    files = (_read_file(each) for each in value[:_MAX_FILES] if isinstance(each, dict))
    return tuple(file for file in files if file)


def _read_file(file: Mapping[str, object]) -> FileReference | None:
    if file.get("mode") in _UNREADABLE_FILE_MODES:
        return None
    name, media_type, size = file.get("name"), file.get("mimetype"), file.get("size")
    try:
        return FileReference.model_validate(
            {
                "id": file.get("id"),
                "name": name[:512] if isinstance(name, str) else "",
                "media_type": media_type[:255] if isinstance(media_type, str) else "",
                "size": size if isinstance(size, int) and size >= 0 else 0,
                "url": file.get("url_private") or "",
            }
        )
    except (ValidationError, TypeError):
        return None


_READERS: Mapping[str, Callable[[_Happened], WebhookResult]] = {
    "app_mention": _read_message,
    "message": _read_message,
    "agent_session_stopped": _read_stopped,
    "assistant_thread_started": _read_assistant_thread,
    "assistant_thread_context_changed": _read_assistant_thread,
    "app_home_opened": _read_home,
    "app_uninstalled": _read_removal,
    "tokens_revoked": _read_removal,
}
