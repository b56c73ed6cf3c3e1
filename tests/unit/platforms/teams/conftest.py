"""A fake Teams and our Teams on one clock that the test moves."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from core.http import Http
from core.kept import Kept
from core.models import Installation
from core.platforms import Connection, Outbound
from core.platforms.teams import adapter
from local.fake_teams import DEMO, FakeTeams
from tests.unit.platforms.slack.stage import Clock
from tests.unit.platforms.teams.stage import Stage

_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def teams(clock: Clock) -> Iterator[FakeTeams]:
    with FakeTeams(clock=clock.wall) as fake:
        yield fake


@pytest.fixture
def connection(teams: FakeTeams, clock: Clock) -> Connection:
    installation = Installation(
        id="installation",
        company_id="company",
        platform="teams",
        workspace_id=DEMO.tenant_id,
        secret_name="secret",
        created_at=_MADE_AT,
        updated_at=_MADE_AT,
    )
    return Connection(
        installation=installation,
        token=DEMO.app_secret,
        options={
            "app_id": DEMO.app_id,
            "app_tenant_id": "botframework.com",
            "login_url": f"{teams.url}/",
            "token_scope": "https://api.botframework.com/.default",
            "service_hosts": f"smba.trafficmanager.net,{teams.host}",
            "file_hosts": ".sharepoint.com",
        },
        http=Http(),
        kept=Kept(clock.monotonic),
        monotonic=clock.monotonic,
        sleep=clock.sleep,
    )


@pytest.fixture
def outbound(connection: Connection) -> Outbound:
    return adapter.connect(connection)


@pytest.fixture
def stage(teams: FakeTeams, outbound: Outbound, clock: Clock) -> Stage:
    return Stage(teams, outbound, clock)
