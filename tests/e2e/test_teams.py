"""A signed activity of Teams goes in, an answer comes out where it was asked, on the deployed template."""

import os
import subprocess
from typing import Any

import pytest
import urllib3

from local.fake_teams import DEMO, payloads
from local.stack import PROJECT
from tests.e2e.deployed import Deployed, wait_for

pytestmark = pytest.mark.timeout(600)
_HTTP = urllib3.PoolManager(retries=False)


def _fake(deployed: Deployed, method: str, path: str, **given: Any) -> dict[str, Any]:  # urllib3's own arguments
    answer = _HTTP.request(method, f"{deployed.stack.fake_teams_url}/_fake/{path}", **given)
    assert answer.status == 200, answer.data
    found: dict[str, Any] = answer.json()
    return found


def _post(deployed: Deployed, payload: dict[str, object], token: str | None = None) -> int:
    """Post an activity as the Bot Framework does; the HTTP status."""
    token = token or _fake(deployed, "POST", "sign", json={})["token"]
    url = f"{deployed.stack.api_url}/teams/messages"
    body = payloads.body_of({**payload, "serviceUrl": f"{deployed.stack.fake_teams_url}/emea/"})
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return _HTTP.request("POST", url, body=body, headers=headers).status


def _answers(deployed: Deployed, conversation: str) -> list[dict[str, Any]]:
    fields = {"conversation": conversation, "timeout": "0.1"}
    found: list[dict[str, Any]] = _fake(deployed, "GET", "watch", fields=fields)["messages"]
    return [each for each in found if not each["is_streaming"]]


def test_a_personal_question_is_answered_by_a_stream(deployed: Deployed) -> None:
    asked = payloads.message("What is the **first** thing?", payloads.personal(), activity_id=payloads.new_id())
    before = len(_answers(deployed, DEMO.personal_id))  # the chat is one for all tests of this stack
    assert _post(deployed, asked) == 200
    wait_for(lambda: len(_answers(deployed, DEMO.personal_id)) > before, seconds=60, what="an answer in Teams")
    (answer,) = _answers(deployed, DEMO.personal_id)[before:]
    assert answer["is_streamed"]
    assert "What is the **first** thing?" in answer["text"]
    assert _post(deployed, asked) == 200, "sent again"
    wait_for(lambda: deployed.queue_length(deployed.stack.queue_urls.messages) == 0, what="the queue to be empty")
    assert len(_answers(deployed, DEMO.personal_id)) == before + 1


def test_a_mention_in_a_channel_is_answered_in_its_thread(deployed: Deployed) -> None:
    root = payloads.new_id()
    assert _post(deployed, payloads.mention("In a thread?", payloads.channel(root), activity_id=root)) == 200
    thread = f"{DEMO.channel_id};messageid={root}"
    wait_for(lambda: bool(_answers(deployed, thread)), seconds=60, what="an answer in the thread")
    (answer,) = _answers(deployed, thread)
    assert "In a thread?" in answer["text"]
    assert "<at" not in answer["text"]


def test_a_forged_token_is_refused(deployed: Deployed) -> None:
    asked = payloads.message("let me in", payloads.personal(), activity_id=payloads.new_id())
    good = _fake(deployed, "POST", "sign", json={})["token"]
    head, said, signature = good.split(".")
    assert _post(deployed, asked, f"{head}.{said}.{signature[::-1]}") == 401
    assert _post(deployed, asked, "none") == 401


def test_make_ask_asks_in_teams(deployed: Deployed) -> None:
    environment = {**os.environ, "STATE_DIR": str(deployed.state_dir), "PLATFORM": "teams", "TEXT": "And who are you?"}
    asked = subprocess.run(
        ["make", "ask"], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=150
    )
    assert asked.returncode == 0, asked.stderr
    assert "And who are you?" in asked.stdout
