"""The control side of the fake Slack, under /_fake/: look at it, script it and play its people from outside."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import asdict
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from local.fake_slack.faults import Failure
from local.fake_slack.state import App, Channel, File, User

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.fake_slack.server import FakeSlack

_LONGEST_WATCH = 30.0  # seconds one call may wait for a change

_NEW_USER = TypeAdapter(User)
_NEW_APP = TypeAdapter(App)
_NEW_CHANNEL = TypeAdapter(Channel)
_NEW_FAILURE = TypeAdapter(Failure)


def control(
    slack: FakeSlack, verb: str, name: str, query: Mapping[str, str], body: bytes
) -> tuple[int, dict[str, object]]:
    """The status and the JSON answer of one control call."""
    try:
        if verb == "GET":
            return _look(slack, name, query)
        return _change(slack, name, body)
    except (KeyError, ValueError, ValidationError) as error:
        return 400, {"ok": False, "error": f"{type(error).__name__}: {error}"}


def _look(slack: FakeSlack, name: str, query: Mapping[str, str]) -> tuple[int, dict[str, object]]:
    match name:
        case "health":
            return 200, {"ok": True, "service": "fake-slack"}
        case "messages":
            found = slack.messages(query["channel"], query.get("thread_ts"))
            return 200, {"ok": True, "messages": [message.as_json() for message in found]}
        case "watch":
            return 200, _watch(slack, query)
        case "calls":
            wanted = query.get("method")
            calls = [asdict(call) for call in list(slack.calls) if wanted in {None, call.method}]
            return 200, {"ok": True, "calls": calls}
        case "users":
            return 200, {"ok": True, "users": [asdict(user) for user in list(slack.state.users.values())]}
    return 404, {"ok": False, "error": "no such place to look at"}


def _watch(slack: FakeSlack, query: Mapping[str, str]) -> dict[str, object]:
    """What changed in a thread after the change numbered `after`: at once, or as soon as something does."""
    channel, thread_ts = query["channel"], query["thread_ts"]
    seconds = min(float(query.get("timeout", "25")), _LONGEST_WATCH)
    change, messages = slack.wait_for_change(channel, thread_ts, after=int(query.get("after", "0")), seconds=seconds)
    return {
        "ok": True,
        "after": change,
        "status": slack.status(channel, thread_ts),
        "messages": [message.as_json() for message in messages],
    }


def _change(slack: FakeSlack, name: str, body: bytes) -> tuple[int, dict[str, object]]:
    match name:
        case "users":
            return 200, {"ok": True, "user": asdict(slack.add_user(_NEW_USER.validate_json(body)))}
        case "teams":
            app = slack.add_app(_NEW_APP.validate_json(body))
            return 200, {"ok": True, "team_id": app.team_id}
        case "oauth":  # where the next installation takes place
            slack.oauth.team = _NEW_APP.validate_json(body)
            return 200, {"ok": True, "team_id": slack.oauth.team.team_id}
        case "channels":
            channel = slack.add_channel(_NEW_CHANNEL.validate_json(body))
            return 200, {"ok": True, "channel_id": channel.id}
        case "messages":
            said = json.loads(body)
            message = slack.post_as(
                str(said["user"]), str(said["text"]), channel=str(said["channel"]), thread_ts=said.get("thread_ts")
            )
            return 200, {"ok": True, "message": message.as_json() | {"client_msg_id": f"cmid-{message.ts}"}}
        case "files":
            given = json.loads(body)
            content = b64decode(str(given.pop("content")))
            return 200, {"ok": True, "file": slack.add_file(File(**given, content=content))}
        case "fail":
            slack.fail(_NEW_FAILURE.validate_json(body))
            return 200, {"ok": True}
        case "disable":
            slack.disable(*(str(method) for method in json.loads(body)["methods"]))
            return 200, {"ok": True}
    return 404, {"ok": False, "error": "nothing to change under this name"}
