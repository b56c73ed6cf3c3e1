"""What the README tells a newcomer to type, typed as printed."""

import os
import re
import shlex
import subprocess

import pytest

from local.stack import PROJECT
from tests.e2e.deployed import Deployed

_THREAD = "1700000000.000100"  # stands in the README for the id that `make ask` printed
_COMMAND = re.compile(r"^make (?:ask|ops) .*$", re.MULTILINE)


def _commands() -> list[str]:
    section = (PROJECT / "README.md").read_text(encoding="utf-8").split("## Try it")[1].split("\n## ")[0]
    return _COMMAND.findall(section)


@pytest.mark.timeout(300)
def test_everything_to_try_works_as_printed(deployed: Deployed) -> None:
    environment = os.environ | {"STATE_DIR": str(deployed.state_dir)}
    thread = ""
    commands = _commands()
    assert len(commands) >= 8
    for command in commands:
        words = shlex.split(command.replace(_THREAD, thread or _THREAD), comments=True)
        done = subprocess.run(
            words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        if found := re.search(r"^thread (\S+)$", done.stdout, re.MULTILINE):
            thread = thread or found[1]
