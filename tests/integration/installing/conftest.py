"""The installer's doors on moto, and a browser that goes through an installation against the fake Slack."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
import urllib3

from core.installing.links import make_link_token
from core.models import Company, Installation
from core.store import Store
from local.fake_slack.oauth import CLIENT_ID, CLIENT_SECRET
from local.fake_slack.server import FakeSlack
from tests.integration.turns.stack import load_door

KEY = "the key of the tests"
_DOMAIN = "api-id.execute-api.eu-central-1.amazonaws.com"


@dataclass
class Browser:
    """A browser with its cookies, and the two addresses that it calls."""

    door: ModuleType
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, query: dict[str, str], *, host: str = _DOMAIN) -> dict[str, Any]:
        """Open one of our pages; what it says."""
        event = {
            "requestContext": {"http": {"method": "GET", "path": path}, "domainName": _DOMAIN},
            "queryStringParameters": query,
            "headers": {"host": host, "x-forwarded-host": host},
            "cookies": [f"{name}={value}" for name, value in self.cookies.items()],
        }
        page: dict[str, Any] = self.door.handler(event, None)
        for cookie in page["cookies"]:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return page

    def begin(self, link: str) -> str:
        """Open an install link; where it leads."""
        page = self.get("/slack/install", {"link": link})
        assert page["statusCode"] == 302, page["body"]
        location: str = page["headers"]["location"]
        return location

    def allow(self, location: str) -> dict[str, str]:
        """Say yes at Slack; what Slack hands back."""
        answer = urllib3.request("GET", location, redirect=False)
        assert answer.status == 302
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def finish(self, given: dict[str, str]) -> dict[str, Any]:
        """Come back from Slack."""
        return self.get("/slack/oauth/callback", given)

    def install(self, link: str) -> dict[str, Any]:
        """Everything at once."""
        return self.finish(self.allow(self.begin(link)))


@dataclass
class Setting:
    """What an installation test plays with."""

    slack: FakeSlack
    store: Store
    install: ModuleType
    tokens: ModuleType

    def browser(self) -> Browser:
        """A browser without cookies."""
        return Browser(self.install)

    def link(self, company_id: str = "acme", *, days_old: float = 0.0) -> str:
        """What the install link of a company carries."""
        return make_link_token(KEY, company_id, now=datetime.now(UTC) - timedelta(days=days_old))

    def installation(self, workspace_id: str) -> Installation | None:
        """Who has a workspace."""
        return self.store.directory.find_installation("slack", workspace_id)

    def secret(self, workspace_id: str) -> dict[str, str]:
        """What is kept for a workspace."""
        name = f"parley/test/slack/{workspace_id}"
        answer = boto3.client("secretsmanager").get_secret_value(SecretId=name)
        kept: dict[str, str] = json.loads(answer["SecretString"])
        return kept


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch, table_name: str, bucket_name: str) -> Iterator[Setting]:
    secrets = boto3.client("secretsmanager")
    secrets.create_secret(Name="parley/client-secret", SecretString=CLIENT_SECRET)
    secrets.create_secret(Name="parley/install-key", SecretString=KEY)
    with FakeSlack() as slack:
        environment = {
            "STAGE": "test",
            "POWERTOOLS_METRICS_NAMESPACE": "Parley",
            "POWERTOOLS_SERVICE_NAME": "test",
            "TABLE_NAME": table_name,
            "BUCKET_NAME": bucket_name,
            "SLACK_CLIENT_ID": CLIENT_ID,
            "SLACK_CLIENT_SECRET_NAME": "parley/client-secret",
            "INSTALL_KEY_NAME": "parley/install-key",
            "SLACK_API_BASE_URL": slack.base_url,
            "SLACK_AUTHORIZE_URL": f"{slack.url}/oauth/v2/authorize",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        store = Store(table_name, bucket_name=bucket_name)
        for company_id in ("acme", "other"):
            store.directory.add_company(Company(id=company_id, name=company_id.title(), created_at=datetime.now(UTC)))
        slack.oauth.redirect_uris.add(f"https://{_DOMAIN}/slack/oauth/callback")
        yield Setting(slack, store, load_door("slack_install"), load_door("slack_tokens"))
