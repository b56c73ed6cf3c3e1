"""Slack's Events API: who sent it, and which messages are questions.

https://docs.slack.dev/authentication/verifying-requests-from-slack and https://docs.slack.dev/apis/events-api. Only
what the webhook needs is imported here: its cold start pays for every import.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NoReturn

from pydantic import ValidationError

from core.errors import PermanentError, RequestRejectedError
from core.events import FileReference, MessageReceived
from core.models import Address
from core.platforms import Inbound, WebhookRequest, WebhookResult

_EVENTS_PATH = "/slack/events"
_MAX_CLOCK_SKEW = 300  # seconds; Slack's own replay window
_MAX_BODY_BYTES = 1_000_000  # far above the largest event: 40,000 characters of text, its blocks and its files
_MAX_CHALLENGE = 512  # characters; Slack's are about 50
_MAX_TEXT = 40_000  # characters; Slack's longest message
_MAX_FILES = 20
_DIGITS = re.compile(r"[0-9]{1,12}")
_TS = re.compile(r"[0-9]{10}\.[0-9]{6}")  # seconds and microseconds, at once a time and an id
_ID = re.compile(r"[A-Za-z0-9]{1,64}")  # no id of Slack's has another character; keys are made of ids
# Tuples and not sets: what a signed body holds in these places may be a list, which no set can be asked about.
_ANSWERED_EVENTS = ("app_mention", "message")
_ANSWERED_SUBTYPES = (None, "", "file_share", "thread_broadcast")
_UNREADABLE_FILE_MODES = ("external", "tombstone", "hidden_by_limit")
_SLACKBOT = "USLACKBOT"

type _Json = dict[str, object]


def build(signing_secret: Callable[[], str]) -> Inbound:
    """Slack's inbound half; `signing_secret` is asked at every verification and does the caching."""
    return SlackInbound(signing_secret)


class SlackInbound:
    """Verifies and reads what Slack posts to `/slack/events`."""

    def __init__(self, signing_secret: Callable[[], str]) -> None:
        self._signing_secret = signing_secret

    def verify(self, request: WebhookRequest, now: datetime) -> None:
        """Return if Slack signed `request` within the last five minutes.

        Raises:
            RequestRejectedError: 401 where the signature is missing, wrong or stale.
            PermanentError: There is no signing secret to check with.
        """
        signature = request.headers.get("x-slack-signature", "")
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        if not signature or not timestamp:
            raise RequestRejectedError("signature-missing", "the request is not signed", status=401)
        if not _DIGITS.fullmatch(timestamp):
            raise RequestRejectedError("signature-malformed", "the signature's time is not a time", status=401)
        if abs(now.timestamp() - int(timestamp)) > _MAX_CLOCK_SKEW:
            raise RequestRejectedError("signature-stale", "the signature is too old or from the future", status=401)
        secret = self._signing_secret().encode()
        if not secret:  # an empty key would let anybody sign
            raise PermanentError("signing-secret-missing", "the Slack signing secret is empty")
        signed = b"v0:" + timestamp.encode() + b":" + request.body
        expected = b"v0=" + hmac.digest(secret, signed, "sha256").hex().encode()
        # Bytes, because compare_digest raises on a text that is not ASCII.
        if not hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass")):
            raise RequestRejectedError("signature-wrong", "the signature does not match", status=401)

    def parse(self, request: WebhookRequest, now: datetime) -> WebhookResult:
        """The question that the verified `request` carries, or why it carries none.

        Raises:
            RequestRejectedError: 400 where it is malformed, 404 and 405 where it is for somebody else, 413 where it is
                longer than anything Slack sends.
        """
        if request.path != _EVENTS_PATH:
            raise RequestRejectedError("unknown-path", f"Slack's events go to {_EVENTS_PATH}", status=404)
        if request.method != "POST":
            raise RequestRejectedError("method-not-allowed", "Slack's events are posted", status=405)
        envelope = _read_json(request.body)
        kind = envelope.get("type")
        if kind == "url_verification":
            challenge = envelope.get("challenge")
            if not isinstance(challenge, str) or not 0 < len(challenge) <= _MAX_CHALLENGE:
                _reject_malformed("challenge")
            return WebhookResult(answer={"challenge": challenge})
        if kind != "event_callback":
            return WebhookResult(ignored="envelope-type")
        event = envelope.get("event")
        if not isinstance(event, dict):
            _reject_malformed("event")
        return _read_event(envelope, event, request.request_id, now)


def _reject_malformed(what: str) -> NoReturn:
    raise RequestRejectedError("malformed", f"the request's {what} is not what Slack sends", status=400)


def _unique(pairs: list[tuple[str, object]]) -> _Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are not JSON


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _read_json(body: bytes) -> _Json:
    if len(body) > _MAX_BODY_BYTES:
        raise RequestRejectedError("too-large", "the request is longer than any event of Slack's", status=413)
    try:
        value = _DECODER.decode(body.decode())
    except (ValueError, RecursionError):
        value = None  # the decoder's error would quote the body
    if not isinstance(value, dict):
        _reject_malformed("body")
    return value


def _read_event(envelope: _Json, event: _Json, request_id: str, now: datetime) -> WebhookResult:
    if event.get("type") not in _ANSWERED_EVENTS:
        return WebhookResult(ignored="event-type")
    workspace_id, bot_user_ids = _read_authorizations(envelope)
    reason = _reason_to_ignore(event, bot_user_ids)
    if reason:
        return WebhookResult(ignored=reason)
    user_id = _required_id(event, "user")
    text = event.get("text") or ""
    if not isinstance(text, str):
        _reject_malformed("text")
    if len(text) > _MAX_TEXT:
        raise RequestRejectedError("too-large", f"the message is longer than {_MAX_TEXT} characters", status=413)
    address = _read_address(event, workspace_id)
    is_addressed = _is_addressed(event, address, text, bot_user_ids)
    if not is_addressed and not event.get("thread_ts"):
        return WebhookResult(ignored="not-addressed")
    files = _read_files(event.get("files"))
    if not files and not text.strip():
        return WebhookResult(ignored="empty")
    ts = _required_ts(event, "ts")
    try:
        message = MessageReceived(
            address=address,
            external_message_id=ts,
            external_user_id=user_id,
            external_user_workspace_id=_read_home(event, workspace_id),
            bot_user_id=bot_user_ids[0] if bot_user_ids else "",
            text=text,
            files=files,
            is_addressed=is_addressed,
            sent_at=_read_time(ts),
            received_at=now,
            correlation_id=request_id[:128],
        )
    except ValidationError:
        _reject_malformed("message")  # half a surrogate pair, for one; pydantic's error would quote it
    return WebhookResult(messages=(message,))


def _reason_to_ignore(event: _Json, bot_user_ids: tuple[str, ...]) -> str | None:
    """Why this message is not a person's, if it is not."""
    if event.get("user") in bot_user_ids:
        return "own-message"
    if event.get("bot_id") or event.get("bot_profile") or event.get("user") == _SLACKBOT:
        return "bot-message"
    if event.get("subtype") not in _ANSWERED_SUBTYPES:
        return "subtype"
    return None


def _read_authorizations(envelope: _Json) -> tuple[str, tuple[str, ...]]:
    """The installation's workspace and its bot users.

    In a channel shared with Slack Connect `team_id` may be the other company's; the authorization is always ours. It
    names no workspace where the app is installed for a whole organisation.
    """
    authorizations = envelope.get("authorizations")
    known = [each for each in authorizations if isinstance(each, dict)] if isinstance(authorizations, list) else []
    bots = tuple(
        user_id
        for each in known
        if each.get("is_bot") is True and isinstance(user_id := each.get("user_id"), str) and _ID.fullmatch(user_id)
    )
    if known and known[0].get("team_id"):
        return _required_id(known[0], "team_id"), bots
    return _required_id(envelope, "team_id"), bots


def _read_address(event: _Json, workspace_id: str) -> Address:
    channel_id = _required_id(event, "channel")
    channel_type = event.get("channel_type")
    # A mention says no channel type; Slack's ids of direct messages begin with D.
    is_direct = channel_type == "im" if channel_type else channel_id.startswith("D")
    thread_ts = _required_ts(event, "thread_ts") if event.get("thread_ts") else ""
    return Address(
        platform="slack",
        workspace_id=workspace_id,
        channel_id=channel_id,
        thread_id=thread_ts if thread_ts or is_direct else _required_ts(event, "ts"),
        is_direct=is_direct,
    )


def _is_addressed(event: _Json, address: Address, text: str, bot_user_ids: tuple[str, ...]) -> bool:
    """Whether the assistant is spoken to. A mention comes as `app_mention` and as `message`: both say yes."""
    if event["type"] == "app_mention" or address.is_direct:
        return True
    return any(f"<@{bot}>" in text or f"<@{bot}|" in text for bot in bot_user_ids)


def _read_home(event: _Json, workspace_id: str) -> str:
    """The workspace the person belongs to: `user_team` is given where it is not the channel's."""
    for name in ("user_team", "team"):
        value = event.get(name)
        if isinstance(value, str) and _ID.fullmatch(value):
            return value
    return workspace_id


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


def _required_id(source: Mapping[str, object], name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        _reject_malformed(name)
    return value


def _required_ts(source: Mapping[str, object], name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not _TS.fullmatch(value):
        _reject_malformed(name)
    return value


def _read_time(ts: str) -> datetime:
    """The time of a message, to the microsecond; a float would round it."""
    seconds, microseconds = ts.split(".")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(microseconds))
