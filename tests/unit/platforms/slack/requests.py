"""Requests as Slack makes them, for the inbound tests."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from core.platforms import WebhookRequest
from local.fake_slack import payloads

SECRET = "signing-secret-of-the-tests"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
_EVENTS = Path(__file__).parents[4] / "events" / "slack"
EVENT_FILES = sorted(path.stem for path in _EVENTS.glob("*.json"))


def request_of(body: bytes, headers: Mapping[str, str] | None = None, *, path: str = "/slack/events") -> WebhookRequest:
    """A request with that body, as the webhook hands it on."""
    return WebhookRequest(
        method="POST",
        path=path,
        query={},
        headers={name.lower(): value for name, value in (headers or {}).items()},
        body=body,
        request_id="request-1",
    )


def signed(
    body: bytes, *, secret: str = SECRET, at: float | None = None, path: str = "/slack/events"
) -> WebhookRequest:
    """The same with Slack's signature."""
    return request_of(body, payloads.sign(secret, body, NOW.timestamp() if at is None else at), path=path)


def posted(payload: Mapping[str, object] | payloads.Envelope) -> WebhookRequest:
    """A signed request that carries `payload`."""
    return signed(payloads.body_of(payload))


def from_file(name: str) -> WebhookRequest:
    """A signed request with the body of `events/slack/<name>.json`."""
    event = json.loads((_EVENTS / f"{name}.json").read_text())
    body = event["body"].encode()
    return signed(base64.b64decode(body) if event["isBase64Encoded"] else body, path=event["rawPath"])
