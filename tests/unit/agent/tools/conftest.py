"""What the tests of the tools share: a company's own services on loopback, and for whom a tool runs."""

from collections.abc import Iterator

import pytest

from agent.tools import ToolContext
from core.outside import OutsideHttp
from local.fake_tools import FakeTools


@pytest.fixture
def services() -> Iterator[FakeTools]:
    with FakeTools() as started:
        yield started


@pytest.fixture
def http() -> OutsideHttp:
    """A door that may ask loopback, as the local stack's does."""
    return OutsideHttp(insecure_hosts=frozenset(("127.0.0.1",)))


@pytest.fixture
def context() -> ToolContext:
    return ToolContext(
        company_id="co", user_id="u", conversation_id="conv", idempotency_key="key-1", remaining=lambda: 60.0
    )
