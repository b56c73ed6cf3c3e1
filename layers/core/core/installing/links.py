"""Signed words that a browser carries: the install link of a company, and the state of one installation.

A link says which company a workspace will belong to, so only who holds the key makes one: ops. A state is bound to the
browser that began, by a cookie, and ends after ten minutes.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from core.errors import RequestRejectedError

LINK_DAYS = 7
STATE_MINUTES = 10
_LINK, _STATE = "link", "state"
_LONGEST = 2_000  # characters
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class State:
    """What is known of an installation that a browser began. `nonce` is used once."""

    company_id: str
    nonce: str
    ends_at: datetime


def new_key() -> str:
    """A key to sign with."""
    return secrets.token_urlsafe(_KEY_BYTES)


def make_link_token(key: str, company_id: str, *, now: datetime) -> str:
    """What an install link carries: the company, for a week."""
    return _sign(key, _LINK, company_id, secrets.token_urlsafe(12), now + timedelta(days=LINK_DAYS), "")


def read_link_token(key: str, token: str, *, now: datetime) -> str:
    """The company that an install link is for.

    Raises:
        RequestRejectedError: 403 where nobody of ours signed it, or its time is up.
    """
    return _verify(key, _LINK, token, now).company_id


def begin_state(key: str, company_id: str, *, now: datetime) -> tuple[str, str]:
    """A state for Slack to hand back, and the secret that the browser keeps in its cookie."""
    browser = secrets.token_urlsafe(_KEY_BYTES)
    ends_at = now + timedelta(minutes=STATE_MINUTES)
    return _sign(key, _STATE, company_id, secrets.token_urlsafe(18), ends_at, _digest(browser)), browser


def read_state(key: str, token: str, browser: str, *, now: datetime) -> State:
    """The installation that a callback belongs to.

    Raises:
        RequestRejectedError: 403 where it is forged or late, or another browser began it.
    """
    return _verify(key, _STATE, token, now, browser=browser)


def _digest(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()


def _sign(key: str, kind: str, company_id: str, nonce: str, ends_at: datetime, browser: str) -> str:
    payload = json.dumps([kind, company_id, nonce, int(ends_at.timestamp()), browser], separators=(",", ":")).encode()
    body = base64.urlsafe_b64encode(payload).rstrip(b"=")
    mac = base64.urlsafe_b64encode(hmac.digest(key.encode(), body, "sha256")).rstrip(b"=")
    return f"{body.decode()}.{mac.decode()}"


def _verify(key: str, kind: str, token: str, now: datetime, *, browser: str = "") -> State:
    refused = RequestRejectedError(f"{kind}-refused", f"the {kind} is not ours or its time is up", status=403)
    body, _, mac = token.partition(".")
    expected = base64.urlsafe_b64encode(hmac.digest(key.encode(), body.encode(), "sha256")).rstrip(b"=")
    if len(token) > _LONGEST or not key or not hmac.compare_digest(expected, mac.encode("utf-8", "surrogatepass")):
        raise refused
    try:
        given = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        given_kind, company_id, nonce, seconds, digest = given
        ends_at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, TypeError, binascii.Error, OverflowError):
        raise refused from None
    if given_kind != kind or now >= ends_at:
        raise refused
    if kind == _STATE and not hmac.compare_digest(digest.encode(), _digest(browser).encode()):
        raise RequestRejectedError("state-stolen", "another browser began this installation", status=403)
    return State(company_id, nonce, ends_at)
