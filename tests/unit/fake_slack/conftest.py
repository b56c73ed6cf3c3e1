"""A fake Slack on a port of its own for every test, and a caller."""

from collections.abc import Iterator

import pytest
import urllib3

from local.fake_slack import FakeSlack
from tests.unit.fake_slack.caller import Caller, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[FakeSlack]:
    with FakeSlack(clock=clock) as slack:
        yield slack


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, maxsize=64) as http:
        yield http


@pytest.fixture
def api(slack: FakeSlack, http: urllib3.PoolManager) -> Caller:
    return Caller(slack, http)
