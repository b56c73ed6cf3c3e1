"""One deployment of the template for all end-to-end tests."""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from local.stack import PROJECT, Stack
from tests.e2e.deployed import Deployed

_SET_BY_TESTS = {"OPENAI_API_KEY", "OPENAI_BASE_URL", "SLACK_API_BASE_URL", "SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that share the deployment in one worker."""
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("deployment"))


def _free_ports() -> int:
    """The first of three free ports in a row."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 60_000:
            return port


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The real template on the local cloud, IAM enforced, seeded with the demo."""
    state_dir = tmp_path_factory.mktemp("stack")
    port = _free_ports()
    environment = {name: value for name, value in os.environ.items() if name not in _SET_BY_TESTS}
    environment |= {"PORT": str(port), "STATE_DIR": str(state_dir), "AUTH": "true", "DETACH": "1"}
    started = subprocess.run(
        ["make", "run"], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        stack = Stack.read(state_dir / "stack.json")
        assert stack is not None
        yield Deployed(stack=stack, state_dir=state_dir)
    finally:
        subprocess.run(["make", "stop"], cwd=PROJECT, env=environment, capture_output=True, check=True, timeout=120)
