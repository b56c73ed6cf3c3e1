"""Installing in Slack: the link that ops gave opens here, Slack asks, and the tokens go where turns look for them.

The workspace is claimed before its token is stored, so that nobody's token is ever replaced by a stranger's. Whatever
dies on the way is done again by opening the link again.
"""

import json
import secrets as randomness
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol

from core.errors import PermanentError, RequestRejectedError, RetryableError, ServiceError
from core.http import Http
from core.installing import links, pages
from core.models import Installation
from core.platforms.slack.install import Grant, SlackApp, authorize_url, exchange_code
from core.store import Store
from core.telemetry import logger, metrics, place_of

_COOKIE = "parley_install"
_COOKIE_RULES = "Path=/slack; HttpOnly; Secure; SameSite=Lax"
_CALLBACK = "/slack/oauth/callback"
_LONGEST_CODE = 1_000


class SecretStore(Protocol):
    """Where tokens are kept: Secrets Manager, as the settings know it."""

    def read(self, name: str) -> str:
        """The secret's text."""

    def read_fresh(self, name: str) -> str:
        """The secret's whole text as it is now, not as it was kept."""

    def write(self, name: str, text: str) -> None:
        """Store a secret, in the place of an earlier one."""


class Told(Protocol):
    """What the stack says of the app and of itself: the settings of the functions that install."""

    @property
    def slack_client_id(self) -> str:
        """The app's id; empty before the app is set up."""

    @property
    def slack_client_secret_name(self) -> str:
        """Where the app's secret is."""

    @property
    def install_key_name(self) -> str:
        """Where the key is that links are signed with."""

    @property
    def secret_prefix(self) -> str:
        """How the names of tokens begin."""

    @property
    def slack_api_base_url(self) -> object:
        """Slack's Web API; its text is the URL."""

    @property
    def slack_authorize_url(self) -> object:
        """Where Slack asks a person; its text is the URL."""

    @property
    def public_url(self) -> str:
        """Where browsers reach us; empty: the API's own domain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installer:
    """What an installation works with; built once per cold start."""

    told: Told
    store: Store
    secrets: SecretStore
    http: Http
    clock: Callable[[], datetime]

    @property
    def app(self) -> SlackApp:
        """The app with its secret."""
        if not self.told.slack_client_id:
            raise RequestRejectedError("not-configured", "the Slack app has no client id", status=503)
        return SlackApp(
            client_id=self.told.slack_client_id,
            client_secret=self.secrets.read(self.told.slack_client_secret_name),
            api_base_url=str(self.told.slack_api_base_url),
            authorize_url=str(self.told.slack_authorize_url),
        )


def serve(event: dict[str, Any], *, installer: Installer) -> pages.Page:  # JSON of API Gateway
    """Answer a browser: `GET /slack/install?link=…` begins, `GET /slack/oauth/callback` ends an installation."""
    path = (event.get("requestContext") or {}).get("http", {}).get("path", "")
    code, status = "", 500
    try:
        page = _finish(event, installer) if path == _CALLBACK else _begin(event, installer)
    except RequestRejectedError as exc:
        code, status = exc.code, exc.status
    except PermanentError as exc:
        code, status = exc.code, 409 if exc.code == "workspace-taken" else 502
    except RetryableError as exc:
        code, status = exc.code, 503
    except Exception as exc:  # noqa: BLE001 - what the runtime would log may show a code or a token
        code = exc.code if isinstance(exc, ServiceError) else "internal-error"
        logger.error("installation failed", extra={"type": type(exc).__name__, "where": place_of(exc)})
    if code:
        logger.warning("installation refused", extra={"code": code, "status": status})
        metrics.count("InstallationsRefused", code=code)
        page = pages.explain(code, status)
    metrics.flush()
    return page


def _begin(event: dict[str, Any], installer: Installer) -> pages.Page:
    now = installer.clock()
    query = event.get("queryStringParameters") or {}
    key = installer.secrets.read(installer.told.install_key_name)
    company_id = links.read_link_token(key, query.get("link", ""), now=now)
    state, browser = links.begin_state(key, company_id, now=now)
    url = authorize_url(installer.app, redirect_uri=_redirect_uri(event, installer), state=state)
    return pages.redirect(url, cookie=f"{_COOKIE}={browser}; Max-Age={links.STATE_MINUTES * 60}; {_COOKIE_RULES}")


def _finish(event: dict[str, Any], installer: Installer) -> pages.Page:
    now = installer.clock()
    query = event.get("queryStringParameters") or {}
    key = installer.secrets.read(installer.told.install_key_name)
    state = links.read_state(key, query.get("state", ""), _read_cookie(event), now=now)
    if not installer.store.directory.use_once(state.nonce, until=state.ends_at):
        raise RequestRejectedError("state-used", "this state was used before", status=403)
    code = query.get("code", "")
    if query.get("error") or not code or len(code) > _LONGEST_CODE:
        raise RequestRejectedError("denied", "the installation was not allowed", status=403)
    company = installer.store.directory.get_company(state.company_id)
    if company is None:
        raise RequestRejectedError("company-unknown", "there is no such company", status=404)
    redirect_uri = _redirect_uri(event, installer)
    grant = exchange_code(installer.app, installer.http, code, redirect_uri=redirect_uri, now=now)
    _store(grant, company.id, installer, now)
    logger.info("installed", extra={"platform": "slack", "company_id": company.id})
    metrics.count("Installations", platform="slack")
    return pages.installed(grant.workspace_name, company.name, cookie=f"{_COOKIE}=; Max-Age=0; {_COOKIE_RULES}")


def _store(grant: Grant, company_id: str, installer: Installer, now: datetime) -> None:
    """Claim the workspace, store the token, switch the installation on."""
    directory = installer.store.directory
    there = directory.find_installation("slack", grant.workspace_id)
    if there and there.company_id != company_id:
        raise PermanentError("workspace-taken", "the workspace belongs to another company")
    installation = Installation(
        id=there.id if there else f"ins_{randomness.token_hex(13)}",
        company_id=company_id,
        platform="slack",
        workspace_id=grant.workspace_id,
        settings={"botUserId": grant.bot_user_id, "scopes": list(grant.scopes), "enterpriseId": grant.enterprise_id},
        secret_name=f"{installer.told.secret_prefix}{grant.workspace_id}",
        token_expires_at=grant.expires_at,
        created_at=there.created_at if there else now,
        updated_at=now,
    )
    if there is None:
        directory.add_installation(installation.model_copy(update={"enabled": False, "status": "INSTALLING"}))
    installer.secrets.write(installation.secret_name, token_secret(grant))
    directory.put_installation(installation)


def token_secret(grant: Grant) -> str:
    """A workspace's tokens as their secret holds them: who reads a secret's `value` reads the access token."""
    kept = {"value": grant.access_token}
    if grant.refresh_token:
        kept["refreshToken"] = grant.refresh_token
    return json.dumps(kept)


def _redirect_uri(event: dict[str, Any], installer: Installer) -> str:
    """Our callback at the domain that API Gateway says it is, never at one that the request names."""
    domain = (event.get("requestContext") or {}).get("domainName", "")
    return f"{installer.told.public_url.rstrip('/') or f'https://{domain}'}{_CALLBACK}"


def _read_cookie(event: dict[str, Any]) -> str:
    # API Gateway parts them into a list of their own; the local cloud leaves them in the header.
    cookies = event.get("cookies") or [(event.get("headers") or {}).get("cookie", "")]
    try:
        jar = SimpleCookie("; ".join(str(each) for each in cookies[:50])[:8_000])
    except CookieError:
        return ""
    return jar[_COOKIE].value if _COOKIE in jar else ""
