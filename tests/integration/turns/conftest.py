"""The whole in one process, for each test anew."""

from collections.abc import Iterator

import pytest

from local.fake_tools.server import FakeTools
from tests.integration.turns.border import Border, watch_border
from tests.integration.turns.stack import Stack, running_stack


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, table_name: str, bucket_name: str) -> Iterator[Stack]:
    """The real doors on moto, the fake Slack and the stand-in model."""
    with running_stack(monkeypatch, table_name=table_name, bucket_name=bucket_name) as running:
        yield running


@pytest.fixture
def border(monkeypatch: pytest.MonkeyPatch) -> Border:
    """Where the process dies, if the test says so."""
    return watch_border(monkeypatch)


@pytest.fixture
def book() -> Iterator[FakeTools]:
    """The company's order service."""
    with FakeTools() as running:
        yield running
