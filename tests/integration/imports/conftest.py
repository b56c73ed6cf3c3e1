"""The import processor for the tests of imports."""

from collections.abc import Iterator

import pytest

from tests.integration.imports.stack import Imports, running_imports


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch, table_name: str, bucket_name: str) -> Iterator[Imports]:
    """The real door on moto."""
    with running_imports(monkeypatch, table_name=table_name, bucket_name=bucket_name) as running:
        yield running
