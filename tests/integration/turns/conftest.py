"""The whole in one process, for each test anew."""

import io
from collections.abc import Callable, Iterator
from logging import StreamHandler

import pytest

from core.telemetry import logger
from tests.integration.turns.border import Border, watch_border
from tests.integration.turns.stack import Stack, running_stack


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, table_name: str, bucket_name: str) -> Iterator[Stack]:
    """The real doors on moto, the fake Slack and the stand-in model."""
    with running_stack(monkeypatch, table_name=table_name, bucket_name=bucket_name) as running:
        yield running


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """What the Logger has written since the test began."""
    stream = io.StringIO()
    for handler in logger.handlers:
        assert isinstance(handler, StreamHandler)
        monkeypatch.setattr(handler, "stream", stream)
    return stream.getvalue


@pytest.fixture
def border(monkeypatch: pytest.MonkeyPatch) -> Border:
    """Where the process dies, if the test says so."""
    return watch_border(monkeypatch)
