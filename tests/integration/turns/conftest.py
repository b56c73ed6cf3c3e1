"""The whole in one process, for each test anew."""

from collections.abc import Iterator

import pytest

from tests.integration.turns.stack import Stack, running_stack


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, table_name: str, bucket_name: str) -> Iterator[Stack]:
    """The real doors on moto, the fake Slack and the stand-in model."""
    with running_stack(monkeypatch, table_name=table_name, bucket_name=bucket_name) as running:
        yield running
