"""One deployment of the template for all end-to-end tests."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from local.options import Options
from local.processes import find_free_ports
from local.stack import PROJECT, Stack
from tests.e2e.deployed import Deployed

_PORTS = 4  # the local cloud, the stand-in model, the fake Slack, the fake Teams
_OPTIONS = {name.upper() for name in Options.model_fields}  # of the developer's own stack, which must not decide here


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that share the deployment in one worker."""
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.xdist_group("deployment"))


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The real template on the local cloud, IAM enforced, seeded with the demo."""
    state_dir = tmp_path_factory.mktemp("stack")
    port = find_free_ports(_PORTS)
    environment = {name: value for name, value in os.environ.items() if name not in _OPTIONS}
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
