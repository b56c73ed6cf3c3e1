"""A turn in Teams, from the signed activity to what its reader sees."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import ModuleType

import boto3
import pytest

from core.models import ConversationStatus, Installation, TaskStatus
from local.fake_teams import DEMO, FakeTeams, payloads, signing
from local.standin_model import Behaviour
from tests.integration.turns.stack import COMPANY, Context, Stack, load_webhook

_SECRET = "parley/test/teams/app"


@pytest.fixture
def teams(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTeams]:
    """The fake Teams, of which the doors are told."""
    with FakeTeams() as fake:
        told = {
            "TEAMS_APP_ID": DEMO.app_id,
            "TEAMS_SERVICE_HOSTS": fake.host,
            "TEAMS_LOGIN_URL": fake.url,
            "TEAMS_OPENID_URL": fake.openid_url,
            "TEAMS_TOKEN_ISSUER": signing.ISSUER,
        }
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def webhook(teams: FakeTeams, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The door of Teams, told of the fake as the others are; the demo tenant is the company's."""
    boto3.client("secretsmanager").create_secret(Name=_SECRET, SecretString=DEMO.app_secret)
    now = datetime.now(UTC)
    stack.store.directory.add_installation(
        Installation(
            id="ins_teams",
            company_id=COMPANY,
            platform="teams",
            workspace_id=DEMO.tenant_id,
            secret_name=_SECRET,
            created_at=now,
            updated_at=now,
        )
    )
    return load_webhook("teams_webhook", stack.aws_url, monkeypatch)


def ask(webhook: ModuleType, teams: FakeTeams, text: str) -> None:
    asked = payloads.message(text, payloads.personal(), activity_id=payloads.new_id(), serviceUrl=teams.service_url)
    token = signing.sign(signing.claims(DEMO.app_id, teams.service_url))
    http = {"method": "POST", "path": "/teams/messages"}
    event = {
        "requestContext": {"http": http, "requestId": "r"},
        "headers": {"authorization": f"Bearer {token}"},
        "body": payloads.body_of(asked).decode(),
    }
    assert webhook.handler(event, Context())["statusCode"] == 200


def test_teams_own_stop_button_ends_the_turn_and_keeps_what_was_said(
    teams: FakeTeams, webhook: ModuleType, stack: Stack
) -> None:
    gate = threading.Event()
    deltas = ["The plan ", *["goes on and on. "] * 40]
    stack.model.script(Behaviour(deltas=deltas, gate=gate, hold_at=1, delay_ms=100))
    ask(webhook, teams, "What is the plan?")
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, stack.receive())
        assert teams.wait_for(lambda: bool(teams.answers(DEMO.personal_id)), seconds=20)
        (begun,) = teams.answers(DEMO.personal_id)
        teams.connector.cancelled.add(begun.id)
        gate.set()
        assert done.result(timeout=30) == []
    (conversation,) = stack.conversations()
    assert conversation.status is ConversationStatus.CANCELED
    (task,) = stack.store.list_tasks(COMPANY, conversation.id)
    assert task.status is TaskStatus.CANCELED
    (seen,) = teams.answers(DEMO.personal_id)
    assert (seen.text, seen.edits) == (begun.text, 0)
    reply = stack.store.list_messages(COMPANY, conversation.id)[-1]
    assert "The plan" in reply.text
    assert reply.finish_reason == "canceled"
