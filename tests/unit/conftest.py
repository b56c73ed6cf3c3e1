"""What every unit test may use: the log that a function writes, as CloudWatch would get it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from core.telemetry import logger


class WrittenLog:
    """The lines that the Logger wrote since the test began, as CloudWatch would get them."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log() -> Iterator[WrittenLog]:
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    before = handler.setStream(stream)
    yield WrittenLog(stream)
    handler.setStream(before)
