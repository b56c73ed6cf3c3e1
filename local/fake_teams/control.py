"""The control side of the fake Teams, under /_fake/: look at it, and play its person from outside."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from local.fake_teams.signing import claims, sign
from local.fake_teams.state import Member
from local.fake_teams.wire import Answer

if TYPE_CHECKING:
    from local.fake_teams.server import FakeTeams
    from local.fake_teams.wire import Request

_NEW_MEMBER = TypeAdapter(Member)
_LONGEST_WATCH = 30.0  # seconds one call may wait for a change


def control(teams: FakeTeams, request: Request) -> Answer:
    """The answer to one control call."""
    match request.verb, "/".join(request.parts[1:]):
        case "GET", "health":
            return Answer.of({"ok": True, "service": "fake-teams"})
        case "GET", "watch":
            return _watch(teams, request)
        case "POST", "members":
            member = _NEW_MEMBER.validate_json(request.body)
            teams.state.members[member.id] = member
            return Answer.of({"ok": True})
        case "POST", "messages":
            said = request.json()
            made = teams.say(str(said["conversation"]), str(said["text"]), str(said.get("id") or "") or None)
            return Answer.of(asdict(made))
        case "POST", "files":
            given = request.json()
            teams.state.files[str(given["id"])] = b64decode(str(given["content"]))
            return Answer.of({"url": f"{teams.url}/files/{given['id']}"})
        case "POST", "sign":
            return Answer.of({"token": sign(claims(teams.demo.app_id, teams.service_url))})
    return Answer(404)


def _watch(teams: FakeTeams, request: Request) -> Answer:
    """The assistant's messages in a conversation, as soon as one changed after the change numbered `after`."""
    conversation, after = request.query["conversation"], int(request.query.get("after", "0"))
    seconds = min(float(request.query.get("timeout", "25")), _LONGEST_WATCH)
    teams.wait_for(lambda: any(each.change > after for each in teams.answers(conversation)), seconds=seconds)
    found = [asdict(each) for each in teams.answers(conversation)]
    return Answer.of({"change": teams.state.change, "messages": found})
