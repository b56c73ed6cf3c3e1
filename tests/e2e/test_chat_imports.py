"""A file in a chat, "import this as contacts", and the thread is told how it went: on the deployed template."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import urllib3

from local.fake_slack import payloads as slack_payloads
from local.fake_teams import DEMO as TEAMS
from local.fake_teams import payloads as teams_payloads
from tests.e2e.deployed import Deployed, wait_for
from tests.e2e.test_imports import _TEMPLATE
from tests.e2e.test_teams import _answers, _fake, _post

pytestmark = pytest.mark.timeout(300)
_HTTP = urllib3.PoolManager(retries=False)
_CONTENT = (
    b"Name;E-Mail;Since\nAda;ada@example.com;13.11.2024\nNobody;no address;14.11.2024\nCyd;c@example.com;15.11.2024\n"
)


def _asked(template: str) -> str:
    """What a person writes, with what the stand-in model is to do about it."""
    arguments = json.dumps({"file": "people.csv", "template": template, "output_format": "jsonl", "again": True})
    return f"import this as {template}\ncall import_file {arguments}"


def _add_template(deployed: Deployed, tmp_path: Path, name: str) -> None:
    template = tmp_path / f"{name}.json"
    template.write_text(json.dumps(_TEMPLATE))
    deployed.run_ops("templates", "set", name, str(template))


def test_a_file_in_slack_is_imported_and_comes_back(deployed: Deployed, tmp_path: Path) -> None:
    _add_template(deployed, tmp_path, "slack-contacts")
    file = {"id": "F0PEOPLE01", "team": deployed.stack.demo.team_id, "name": "people.csv", "mimetype": "text/csv"}
    shown = deployed._fake("POST", "/_fake/files", {**file, "content": b64encode(_CONTENT).decode()})["file"]
    envelope = slack_payloads.mention(_asked("slack-contacts"))
    event: dict[str, Any] = {**envelope["event"], "files": [shown]}
    said = {"user": event["user"], "text": event["text"], "channel": event["channel"], "ts": event["ts"]}
    deployed._fake("POST", "/_fake/messages", said)
    assert deployed.post({**envelope, "event": event}) == 200

    begun, told, output = deployed.wait_for_answers(event["ts"], 3, seconds=120)

    assert "has begun" in begun["text"]
    assert "2 rows are good, 1 are not." in told["text"]
    assert "Row 2, `E-Mail`" in told["text"]
    assert output["text"] == "[people.jsonl]"
    assert _records(told["text"]) == [
        {"name": "Ada", "email": "ada@example.com", "since": "2024-11-13"},
        {"name": "Cyd", "email": "c@example.com", "since": "2024-11-15"},
    ]
    stored = deployed.conversation(event["ts"])["messages"]
    assert [each.get("finishReason") for each in stored] == [None, None, "stop", "notice"]
    deployed.wait_for_conversation(event["ts"], "COMPLETED")


def test_a_file_in_teams_is_imported_and_linked(deployed: Deployed, tmp_path: Path) -> None:
    _add_template(deployed, tmp_path, "teams-contacts")
    content = {"id": "people", "content": b64encode(_CONTENT).decode()}
    url = _fake(deployed, "POST", "files", json=content)["url"]
    attachment = {
        "contentType": "application/vnd.microsoft.teams.file.download.info",
        "name": "people.csv",
        "content": {"downloadUrl": url, "uniqueId": "people", "fileType": "csv"},
    }
    before = len(_answers(deployed, TEAMS.personal_id))  # the chat is one for all tests of this stack
    asked = teams_payloads.message(
        _asked("teams-contacts"),
        teams_payloads.personal(),
        activity_id=teams_payloads.new_id(),
        attachments=[attachment],
    )
    assert _post(deployed, asked) == 200

    def texts() -> list[str]:
        return [each["text"] for each in _answers(deployed, TEAMS.personal_id)[before:]]

    wait_for(lambda: any("2 rows are good" in text for text in texts()), seconds=120, what="the notice in Teams")
    begun, told = texts()
    assert "has begun" in begun
    assert len(_records(told)) == 2


def _records(told: str) -> list[dict[str, Any]]:
    """What the link to the result gives to somebody who knows nothing but the link."""
    link = told.partition("[Result](")[2].partition(")")[0] or told.partition("<")[2].partition("|Result>")[0]
    answer = _HTTP.request("GET", link.replace("&amp;", "&"))
    assert answer.status == 200, answer.data
    return [json.loads(line) for line in answer.data.splitlines()]
