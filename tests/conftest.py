"""Properties: the same examples in every run, so that a change fails and not the day. `make explore` looks further."""

import io
import os
from collections.abc import Callable
from logging import StreamHandler

import pytest
from hypothesis import settings

from core.telemetry import logger

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=3_000)
settings.load_profile("explore" if os.environ.get("EXPLORE") else "same")


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """What the Logger has written since the test began."""
    stream = io.StringIO()
    for handler in logger.handlers:
        assert isinstance(handler, StreamHandler)
        monkeypatch.setattr(handler, "stream", stream)
    return stream.getvalue
