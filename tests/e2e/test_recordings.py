"""Calls that others recorded, from a folder that `RECORDINGS` names: every one of them is taken without an error.

Below `slack/` and `teams/` lie JSON files; each is one call, or an object that holds some, each with a name of its own.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from local.fake_slack import happenings, payloads
from tests.e2e.deployed import Deployed, wait_for
from tests.e2e.test_teams import _post

_FOLDER = os.environ.get("RECORDINGS", "")
pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not _FOLDER, reason="RECORDINGS names no folder of recorded calls"),
]


def _recorded(platform: str, mark: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each call with where it is from; `mark` is a field that all calls of the platform have one of."""
    for path in sorted(Path(_FOLDER, platform).glob("*.json")):
        content = json.loads(path.read_text())
        for name, call in {"": content, **content}.items():
            if isinstance(call, dict) and any(field in call for field in mark.split()):
                yield f"{path.name} {name}", call


def _in_slack(deployed: Deployed, call: dict[str, Any]) -> int:
    """Sign a call as Slack does and post it where Slack would; the HTTP status."""
    path, body, kind = "/slack/events", json.dumps(call).encode(), "application/json"
    if "event" not in call:
        is_command = "command" in call
        path = f"/slack/{'commands' if is_command else 'interactions'}"
        body, kind = urlencode(call).encode() if is_command else happenings.form_of(call), happenings.FORM
    headers = payloads.sign(deployed.stack.slack_signing_secret, body, time.time(), content_type=kind)
    return deployed.send(body, headers, path=path)[0]


def _errors(deployed: Deployed) -> list[str]:
    lines = [line for log in deployed.state_dir.rglob("*.log") for line in log.read_text(errors="replace").splitlines()]
    return [line for line in lines if '"level":"ERROR"' in line or "Traceback" in line]


def test_recorded_calls_are_taken_without_an_error(deployed: Deployed) -> None:
    before = len(_errors(deployed))
    taken = {
        f"slack/{name}": _in_slack(deployed, call) for name, call in _recorded("slack", "event command actions view")
    }
    taken |= {f"teams/{name}": _post(deployed, call) for name, call in _recorded("teams", "channelId")}
    assert {name: status for name, status in taken.items() if status != 200} == {}
    assert len(taken) > 1
    queues = deployed.stack.queue_urls
    for url in (queues.messages, queues.signals):
        wait_for(lambda url=url: deployed.queue_length(url) == 0, seconds=120, what="the queue to be empty")  # type: ignore[misc]
    time.sleep(5)  # logs are copied every two seconds
    assert _errors(deployed)[before:] == []
    print(f"{len(taken)} recorded calls were taken")
