"""The import processor for the tests of imports."""

from collections.abc import Iterator

import pytest

from tests.integration.imports.chats import Chat, running_chat
from tests.integration.imports.stack import Imports, running_imports


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch, table_name: str, bucket_name: str) -> Iterator[Imports]:
    """The real door on moto."""
    with running_imports(monkeypatch, table_name=table_name, bucket_name=bucket_name) as running:
        yield running


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, table_name: str, bucket_name: str) -> Iterator[Chat]:
    """A chat whose files can be imported."""
    with running_chat(monkeypatch, table_name=table_name, bucket_name=bucket_name) as running:
        yield running
