"""Slack's OAuth: what a browser is sent to, and codes and refresh tokens exchanged for tokens.

https://docs.slack.dev/authentication/installing-with-oauth and https://docs.slack.dev/authentication/using-token-rotation
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from core.errors import PermanentError, RetryableError
from core.http import Http

SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "im:history",
    "im:write",
    "mpim:history",
    "users:read",
    "users:read.email",
)
_SECONDS = 10.0
_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_WORD = re.compile(r"[a-z0-9_]{1,64}")
_TEMPORARY = frozenset({"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackApp:
    """Our app, as Slack knows it."""

    client_id: str
    client_secret: str = field(repr=False)
    api_base_url: str
    authorize_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a workspace, or a whole organisation, allowed.

    Attributes:
        workspace_id: The team; the organisation where it took the app in as a whole.
        refresh_token: Good for one exchange; None where the app does not rotate its tokens.
        expires_at: When the access token ends; None where it does not.
    """

    workspace_id: str
    workspace_name: str
    bot_user_id: str
    enterprise_id: str
    scopes: tuple[str, ...]
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime | None


def authorize_url(app: SlackApp, *, redirect_uri: str, state: str) -> str:
    """Where a browser asks its person to allow the app."""
    wanted = {"client_id": app.client_id, "scope": ",".join(SCOPES), "redirect_uri": redirect_uri, "state": state}
    return f"{app.authorize_url}?{urlencode(wanted)}"


def exchange_code(app: SlackApp, http: Http, code: str, *, redirect_uri: str, now: datetime) -> Grant:
    """What a code from the callback is worth; Slack takes it once.

    Raises:
        PermanentError: `oauth-refused`, Slack does not take the code or the app's credentials.
        RetryableError: Slack cannot say now; the code may be used up.
    """
    return _read_grant(_call(app, http, {"code": code, "redirect_uri": redirect_uri}), now)


def refresh(app: SlackApp, http: Http, refresh_token: str, *, now: datetime) -> Grant:
    """New tokens for a refresh token; Slack takes it once. Raises as `exchange_code` does."""
    return _read_grant(_call(app, http, {"grant_type": "refresh_token", "refresh_token": refresh_token}), now)


def _call(app: SlackApp, http: Http, arguments: Mapping[str, str]) -> Mapping[str, object]:
    credentials = base64.b64encode(f"{app.client_id}:{app.client_secret}".encode()).decode()
    headers = {"authorization": f"Basic {credentials}", "content-type": "application/x-www-form-urlencoded"}
    url = f"{app.api_base_url.rstrip('/')}/oauth.v2.access"
    answer = http.request("POST", url, headers=headers, body=urlencode(arguments).encode(), seconds=_SECONDS).json()
    if answer.get("ok") is True:
        return answer
    error = answer.get("error")
    word = error if isinstance(error, str) and _WORD.fullmatch(error) else "unknown_error"
    if word in _TEMPORARY:
        raise RetryableError("slack-unavailable", f"Slack failed at oauth.v2.access: {word}")
    raise PermanentError("oauth-refused", f"Slack refuses oauth.v2.access: {word}")


def _read_grant(answer: Mapping[str, object], now: datetime) -> Grant:
    team, enterprise = _object(answer, "team"), _object(answer, "enterprise")
    enterprise_id = str(enterprise.get("id") or "")
    owner = enterprise if answer.get("is_enterprise_install") is True else team
    workspace_id, token, bot_user_id = owner.get("id"), answer.get("access_token"), answer.get("bot_user_id")
    if not isinstance(workspace_id, str) or not _ID.fullmatch(workspace_id) or not isinstance(token, str) or not token:
        raise PermanentError("oauth-malformed", "Slack's answer names no workspace or no token")
    seconds, refresh_token = answer.get("expires_in"), answer.get("refresh_token")
    scopes = answer.get("scope")
    return Grant(
        workspace_id=workspace_id,
        workspace_name=str(owner.get("name") or workspace_id)[:200],
        bot_user_id=bot_user_id if isinstance(bot_user_id, str) and _ID.fullmatch(bot_user_id) else "",
        enterprise_id=enterprise_id if _ID.fullmatch(enterprise_id) else "",
        scopes=tuple(scopes.split(",")) if isinstance(scopes, str) else (),
        access_token=token,
        refresh_token=refresh_token if isinstance(refresh_token, str) and refresh_token else None,
        expires_at=now + timedelta(seconds=seconds) if isinstance(seconds, int) else None,
    )


def _object(source: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = source.get(name)
    return value if isinstance(value, dict) else {}
