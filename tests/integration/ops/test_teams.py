"""Installing the assistant in a tenant of Microsoft Teams: one app, one secret, many tenants."""

import json
from pathlib import Path

import boto3
import pytest

from core.store import Store
from tests.integration.cloud import REGION
from tests.integration.ops.conftest import CommandLine

_APP_ID = "00000000-0000-4000-8000-00000000b001"
_TENANT = "00000000-0000-4000-8000-00000000A001"
_SECRET = "parley/teams-app-secret"
_INSTALL = ["installations", "add", "--company", "acme", "--platform", "teams", "--workspace", _TENANT]


@pytest.fixture
def with_app(acme: CommandLine, stack_file: Path, description: dict[str, object]) -> CommandLine:
    told = {**description, "teams_app_id": _APP_ID, "teams_app_secret_name": _SECRET}
    stack_file.write_text(json.dumps(told))
    return acme


def test_a_tenant_is_installed_with_the_apps_secret(with_app: CommandLine, store: Store) -> None:
    with_app.done(*_INSTALL)
    (installed,) = store.directory.list_installations("acme")
    assert (installed.platform, installed.workspace_id) == ("teams", _TENANT.lower())
    assert installed.secret_name == _SECRET
    assert installed.settings == {"botUserId": f"28:{_APP_ID}"}
    assert not boto3.client("secretsmanager", region_name=REGION).list_secrets()["SecretList"], "nothing was asked for"
    with_app.done(*_INSTALL)


def test_the_apps_secret_is_stored_where_it_is_given(
    with_app: CommandLine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_SECRET", "very secret")
    with_app.done(*_INSTALL, "--token-env", "APP_SECRET")
    stored = boto3.client("secretsmanager", region_name=REGION).get_secret_value(SecretId=_SECRET)
    assert stored["SecretString"] == "very secret"
    assert store.directory.find_installation("teams", _TENANT.lower())


def test_a_stack_without_an_app_says_so(acme: CommandLine) -> None:
    ran = acme(*_INSTALL)
    assert ran.code == 1
    assert "TeamsAppId" in ran.err


def test_slack_still_asks_for_the_bot(acme: CommandLine) -> None:
    ran = acme("installations", "add", "--company", "acme", "--platform", "slack", "--workspace", "T1")
    assert ran.code == 2
    assert "--bot-user-id" in ran.err
