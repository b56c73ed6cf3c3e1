"""Calls as the Bot Framework makes them, for the inbound tests."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from core.platforms import WebhookRequest
from local.fake_teams import DEMO, payloads, signing

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SERVICE_URL = payloads.SERVICE_URL
_EVENTS = Path(__file__).parents[4] / "events" / "teams"
EVENT_FILES = sorted(path.stem for path in _EVENTS.glob("*.json"))


def body_from_file(name: str) -> dict[str, object]:
    """The activity in `events/teams/<name>.json`."""
    body: dict[str, object] = json.loads(json.loads((_EVENTS / f"{name}.json").read_text())["body"])
    return body


def good_claims() -> dict[str, object]:
    """What a good token says at `NOW`."""
    return signing.claims(DEMO.app_id, SERVICE_URL, now=NOW.timestamp())


def request_of(
    body: bytes, token: str | None, *, path: str = "/teams/messages", method: str = "POST"
) -> WebhookRequest:
    """A call with that body and that bearer token."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return WebhookRequest(method=method, path=path, query={}, headers=headers, body=body, request_id="request-1")


def posted(payload: Mapping[str, object], said: Mapping[str, object] | None = None) -> WebhookRequest:
    """A call that carries `payload`, with a token that says what a good one says, and `said`."""
    return request_of(payloads.body_of(payload), signing.sign({**good_claims(), **(said or {})}))


def from_file(name: str) -> WebhookRequest:
    """A signed call with the activity of `events/teams/<name>.json`."""
    return posted(body_from_file(name))
