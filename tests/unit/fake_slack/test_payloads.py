"""What the fake Slack sends: the signature, the envelopes, and the stored events."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from local.fake_slack import DEMO, payloads
from tests.unit.fake_slack.caller import TS

EVENTS = sorted((Path(__file__).parents[3] / "events" / "slack").glob("*.json"))


def test_signature_is_the_one_of_slacks_published_example() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = payloads.sign("8f742231b10e8888abcd99yyyzzz85a5", body, 1531420618.9)
    assert headers["X-Slack-Request-Timestamp"] == "1531420618"
    assert headers["X-Slack-Signature"] == "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def test_twin_differs_from_its_mention_in_type_and_event_id_alone() -> None:
    mention = payloads.mention("hello", thread_ts=TS)
    twin = payloads.twin(mention)
    assert twin["event"]["type"] == "message"
    assert twin["event_id"] != mention["event_id"]
    for key in ("ts", "client_msg_id", "text", "thread_ts", "user", "channel"):
        assert twin["event"].get(key) == mention["event"].get(key)
    assert "channel_type" not in mention["event"]
    assert mention["authorizations"][0]["user_id"] == DEMO.bot_user_id


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_every_stored_event_is_a_gateway_request_that_is_not_signed_yet(path: Path) -> None:
    event = json.loads(path.read_text())
    assert (event["version"], event["routeKey"]) == ("2.0", f"POST {event['rawPath']}")
    assert event["headers"]["x-slack-signature"] == "v0=to-be-signed"
    body = base64.b64decode(event["body"]) if event["isBase64Encoded"] else event["body"].encode()
    assert event["headers"]["content-length"] == str(len(body))
    if event["rawPath"] != "/slack/events":
        form = dict(parse_qsl(body.decode()))
        payload = json.loads(form["payload"]) if event["rawPath"] == "/slack/interactions" else form
    else:
        payload = json.loads(body)
    assert payload["token"] == "redacted"
    if "channel" in payload.get("event", {}):
        assert payload["event"]["channel"] in {DEMO.channel_id, DEMO.dm_channel_id}


def test_stored_events_are_all_there() -> None:
    assert len(EVENTS) == 36
    readme = (EVENTS[0].parent / "README.md").read_text()
    assert [path.stem for path in EVENTS if not re.search(rf"^\|.*\b{path.stem}\b.*?\|", readme, re.MULTILINE)] == []
