"""A fake Slack and our Slack on one clock that the test moves."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from core.http import Http
from core.kept import Kept
from core.models import Installation
from core.platforms import Connection, Outbound
from core.platforms.slack import adapter
from local.fake_slack import DEMO, FakeSlack
from tests.unit.platforms.slack.stage import Clock, Stage

_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[FakeSlack]:
    with FakeSlack(clock=clock.wall) as fake:
        yield fake


@pytest.fixture
def connection(slack: FakeSlack, clock: Clock) -> Connection:
    installation = Installation(
        id="installation",
        company_id="company",
        platform="slack",
        workspace_id=DEMO.team_id,
        secret_name="secret",
        created_at=_MADE_AT,
        updated_at=_MADE_AT,
    )
    return Connection(
        installation=installation,
        token=DEMO.bot_token,
        options={"api_base_url": slack.base_url},
        kept=Kept(clock.monotonic),
        http=Http(),
        monotonic=clock.monotonic,
        sleep=clock.sleep,
    )


@pytest.fixture
def outbound(connection: Connection) -> Outbound:
    return adapter.connect(connection)


@pytest.fixture
def stage(slack: FakeSlack, outbound: Outbound, clock: Clock) -> Stage:
    return Stage(slack, outbound, clock)
