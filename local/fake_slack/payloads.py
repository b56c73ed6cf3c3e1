"""What Slack sends to us: Events API envelopes as Slack builds them, and the signature on the request.

https://docs.slack.dev/apis/events-api and https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TypedDict

from local.fake_slack.demo import DEMO, Demo
from local.fake_slack.state import TsClock

_clock = TsClock(time.time)


class Event(TypedDict, total=False):
    """The inner event; which keys are there depends on its type and subtype."""

    type: str
    subtype: str
    user: str
    bot_id: str
    app_id: str
    text: str
    ts: str
    thread_ts: str
    parent_user_id: str
    client_msg_id: str
    team: str
    user_team: str
    source_team: str
    channel: str
    channel_type: str
    event_ts: str
    deleted_ts: str
    hidden: bool
    upload: bool
    blocks: list[dict[str, object]]
    files: list[dict[str, object]]
    message: dict[str, object]
    previous_message: dict[str, object]


class Authorization(TypedDict):
    """For whom an event was delivered."""

    enterprise_id: str | None
    team_id: str
    user_id: str
    is_bot: bool
    is_enterprise_install: bool


class Envelope(TypedDict):
    """The outer event."""

    token: str
    team_id: str
    context_team_id: str
    context_enterprise_id: str | None
    api_app_id: str
    event: Event
    type: str
    event_id: str
    event_time: int
    authorizations: list[Authorization]
    is_ext_shared_channel: bool
    event_context: str


def sign(secret: str, body: bytes, now: float, *, content_type: str = "application/json") -> dict[str, str]:
    """The headers of a request Slack signed at `now`."""
    timestamp = str(int(now))
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": content_type,
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": f"v0={digest}",
    }


def retry_headers(number: int, reason: str = "http_timeout") -> dict[str, str]:
    """What Slack adds to the headers when it delivers an event again."""
    return {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason}


def body_of(payload: Mapping[str, object] | Envelope) -> bytes:
    """The raw body Slack sends: compact JSON, beyond ASCII escaped, slashes escaped as PHP does."""
    return json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode()


def gateway_event(
    body: bytes, headers: Mapping[str, str], *, path: str = "/slack/events", base64_body: bool = False
) -> dict[str, object]:
    """The same request as API Gateway's HTTP API hands it to a function, payload format 2.0."""
    now = int(time.time())
    return {
        "version": "2.0",
        "routeKey": f"POST {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {name.lower(): value for name, value in headers.items()} | {"content-length": str(len(body))},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "domainName": "api-id.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "api-id",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            },
            "requestId": "request-id",
            "routeKey": f"POST {path}",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": now * 1000,
        },
        "body": base64.b64encode(body).decode() if base64_body else body.decode(),
        "isBase64Encoded": base64_body,
    }


def new_ts() -> str:
    """A message timestamp no other message has."""
    return _clock.next()


def new_event_id() -> str:
    """An event id no other event has."""
    return f"Ev{uuid.uuid4().hex[:10].upper()}"


def escaped(text: str) -> str:
    """What a person typed as it stands in an event's `text`: the three characters Slack's markup uses are entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def rich_text(text: str) -> list[dict[str, object]]:
    """The block Slack's composer makes of what a person typed, a mention in front told apart."""
    mention, closed, rest = text.partition(">")
    elements: list[dict[str, object]] = []
    if closed and mention.startswith("<@"):
        elements.append({"type": "user", "user_id": mention.removeprefix("<@")})
        text = rest
    if text:
        elements.append({"type": "text", "text": text})
    section = {"type": "rich_text_section", "elements": elements}
    return [{"type": "rich_text", "block_id": "b1", "elements": [section]}]


def envelope(event: Event, *, demo: Demo = DEMO, event_id: str | None = None, is_shared: bool = False) -> Envelope:
    """The outer event around `event`, delivered to the demo's app for its bot."""
    context = {"et": event["type"], "tid": demo.team_id, "aid": demo.app_id, "cid": event.get("channel", "")}
    return {
        "token": "redacted",
        "team_id": demo.team_id,
        "context_team_id": demo.team_id,
        "context_enterprise_id": None,
        "api_app_id": demo.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id or new_event_id(),
        "event_time": int(event.get("event_ts", "0").partition(".")[0]),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": demo.team_id,
                "user_id": demo.bot_user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": is_shared,
        "event_context": "4-" + base64.urlsafe_b64encode(json.dumps(context).encode()).decode().rstrip("="),
    }


def _said(
    kind: str,
    text: str,
    *,
    demo: Demo,
    user: str | None,
    channel: str,
    ts: str | None,
    thread_ts: str | None,
    client_msg_id: str | None,
) -> Event:
    ts = ts or new_ts()
    event: Event = {
        "type": kind,
        "user": user or demo.user_id,
        "ts": ts,
        "client_msg_id": client_msg_id or str(uuid.uuid4()),
        "text": text,
        "team": demo.team_id,
        "blocks": rich_text(text),
        "channel": channel,
        "event_ts": ts,
    }
    if thread_ts:
        event["thread_ts"] = thread_ts
    return event


def mention(
    text: str,
    *,
    demo: Demo = DEMO,
    user: str | None = None,
    channel: str | None = None,
    ts: str | None = None,
    thread_ts: str | None = None,
    client_msg_id: str | None = None,
    event_id: str | None = None,
) -> Envelope:
    """`app_mention`: somebody addresses the bot in a channel. The mention stands in front of `text`."""
    event = _said(
        "app_mention",
        f"<@{demo.bot_user_id}> {text}",
        demo=demo,
        user=user,
        channel=channel or demo.channel_id,
        ts=ts,
        thread_ts=thread_ts,
        client_msg_id=client_msg_id,
    )
    return envelope(event, demo=demo, event_id=event_id)


def twin(of: Envelope, *, demo: Demo = DEMO, event_id: str | None = None) -> Envelope:
    """The `message` event Slack sends for the same human message: same ts and client_msg_id, another event_id."""
    event = of["event"].copy()
    event["type"], event["channel_type"] = "message", "channel"
    return envelope(event, demo=demo, event_id=event_id, is_shared=of["is_ext_shared_channel"])


def direct_message(
    text: str,
    *,
    demo: Demo = DEMO,
    user: str | None = None,
    channel: str | None = None,
    ts: str | None = None,
    thread_ts: str | None = None,
    client_msg_id: str | None = None,
    event_id: str | None = None,
) -> Envelope:
    """`message` in a direct message with the bot."""
    event = _said(
        "message",
        text,
        demo=demo,
        user=user,
        channel=channel or demo.dm_channel_id,
        ts=ts,
        thread_ts=thread_ts,
        client_msg_id=client_msg_id,
    )
    event["channel_type"] = "im"
    return envelope(event, demo=demo, event_id=event_id)


def thread_reply(
    text: str,
    thread_ts: str,
    *,
    demo: Demo = DEMO,
    user: str | None = None,
    channel: str | None = None,
    ts: str | None = None,
    parent_user: str | None = None,
    client_msg_id: str | None = None,
    event_id: str | None = None,
) -> Envelope:
    """`message` in a thread of a channel; the bot is not mentioned."""
    event = _said(
        "message",
        text,
        demo=demo,
        user=user,
        channel=channel or demo.channel_id,
        ts=ts,
        thread_ts=thread_ts,
        client_msg_id=client_msg_id,
    )
    event["channel_type"], event["parent_user_id"] = "channel", parent_user or demo.user_id
    return envelope(event, demo=demo, event_id=event_id)


def _inner_message(of: Envelope) -> dict[str, object]:
    kept = ("user", "client_msg_id", "text", "team", "blocks", "ts", "thread_ts")
    return {"type": "message"} | {key: value for key, value in of["event"].items() if key in kept}


def message_changed(of: Envelope, text: str, *, demo: Demo = DEMO, channel_type: str = "channel") -> Envelope:
    """`message_changed`: the author edited the message of `of`."""
    ts = new_ts()
    edited = {"user": of["event"]["user"], "ts": ts}
    event: Event = {
        "type": "message",
        "subtype": "message_changed",
        "message": _inner_message(of) | {"text": text, "blocks": rich_text(text), "edited": edited},
        "previous_message": _inner_message(of),
        "channel": of["event"]["channel"],
        "hidden": True,
        "ts": ts,
        "event_ts": ts,
        "channel_type": channel_type,
    }
    return envelope(event, demo=demo)


def message_deleted(of: Envelope, *, demo: Demo = DEMO, channel_type: str = "channel") -> Envelope:
    """`message_deleted`: the message of `of` is gone."""
    ts = new_ts()
    event: Event = {
        "type": "message",
        "subtype": "message_deleted",
        "previous_message": _inner_message(of),
        "channel": of["event"]["channel"],
        "hidden": True,
        "deleted_ts": of["event"]["ts"],
        "ts": ts,
        "event_ts": ts,
        "channel_type": channel_type,
    }
    return envelope(event, demo=demo)


def bot_message(
    text: str, *, demo: Demo = DEMO, bot_id: str | None = None, bot_user: str | None = None, app_id: str | None = None
) -> Envelope:
    """`message` by a bot: the demo's own unless another is named."""
    event = _said(
        "message",
        text,
        demo=demo,
        user=bot_user or demo.bot_user_id,
        channel=demo.channel_id,
        ts=None,
        thread_ts=None,
        client_msg_id=None,
    )
    del event["client_msg_id"]
    event["bot_id"], event["app_id"] = bot_id or demo.bot_id, app_id or demo.app_id
    event["channel_type"] = "channel"
    return envelope(event, demo=demo)


def file_share(text: str, files: Sequence[dict[str, object]], *, demo: Demo = DEMO) -> Envelope:
    """`message` with files, in a direct message; `files` as `FakeSlack.add_file` gives them."""
    shared = direct_message(text, demo=demo)
    event = shared["event"]
    event["subtype"], event["files"], event["upload"] = "file_share", list(files), False
    return shared


def from_another_workspace(of: Envelope, foreign_team: str) -> Envelope:
    """The same event, said in a shared channel by somebody of another workspace (Slack Connect)."""
    event = of["event"].copy()
    event["team"] = event["user_team"] = event["source_team"] = foreign_team
    changed = of.copy()
    changed["event"], changed["is_ext_shared_channel"] = event, True
    return changed


def url_verification(challenge: str = "challenge-of-the-fake-slack") -> dict[str, str]:
    """The handshake Slack makes when the request URL is entered."""
    return {"token": "redacted", "challenge": challenge, "type": "url_verification"}
