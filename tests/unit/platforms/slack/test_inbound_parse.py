"""Which of Slack's events are questions, and what they say."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RequestRejectedError
from core.events import MessageReceived
from core.platforms import WebhookResult
from core.platforms.slack.inbound import build
from local.fake_slack import DEMO, payloads
from tests.unit.platforms.slack.requests import NOW, SECRET, from_file, posted, request_of, signed

_inbound = build(lambda: SECRET)
_ROOT = "1767225600.000100"

type _Changes = dict[str, Any]  # pieces of JSON, right and wrong ones


def _parse(payload: Any) -> WebhookResult:  # JSON of any shape
    return _inbound.parse(posted(payload), NOW)


def _only(result: WebhookResult) -> MessageReceived:
    (message,) = result.messages
    assert result.ignored is None
    return message


def _changed(event: _Changes, **envelope: Any) -> _Changes:  # pieces of JSON, right and wrong ones
    """A mention with changes; None removes a key."""
    whole: _Changes = json.loads(json.dumps(payloads.mention("Hello", ts=_ROOT)))
    whole["event"] = {key: value for key, value in {**whole["event"], **event}.items() if value is not None}
    return {key: value for key, value in {**whole, **envelope}.items() if value is not None}


def _refusal(body: bytes) -> RequestRejectedError:
    with pytest.raises(RequestRejectedError) as caught:
        _inbound.parse(signed(body), NOW)
    return caught.value


def test_mention_in_a_channel_starts_a_thread() -> None:
    message = _only(_inbound.parse(from_file("app_mention"), NOW))
    assert message.address.model_dump() == {
        "platform": "slack",
        "workspace_id": DEMO.team_id,
        "channel_id": DEMO.channel_id,
        "thread_id": _ROOT,
        "is_direct": False,
    }
    assert message.external_message_id == _ROOT
    assert message.external_user_id == DEMO.user_id
    assert message.external_user_workspace_id == DEMO.team_id
    assert message.bot_user_id == DEMO.bot_user_id
    assert message.text.startswith(f"<@{DEMO.bot_user_id}> What is the notice period")
    assert message.is_addressed
    assert message.sent_at == datetime(2026, 1, 1, 0, 0, 0, 100, tzinfo=UTC)
    assert message.received_at == NOW
    assert message.correlation_id == "request-1"


@pytest.mark.parametrize("other", ["app_mention_twin_message", "retry", "base64_body"])
def test_twin_and_retry_are_the_same_message(other: str) -> None:
    first = _only(_inbound.parse(from_file("app_mention"), NOW))
    assert _only(_inbound.parse(from_file(other), NOW)) == first


def test_direct_message_is_addressed_and_belongs_to_the_whole_channel() -> None:
    message = _only(_inbound.parse(from_file("message_im"), NOW))
    assert message.is_addressed
    assert message.address.is_direct
    assert message.address.thread_id == ""
    assert message.address.channel_id == DEMO.dm_channel_id


def test_mention_in_a_direct_message_has_the_address_of_its_twin() -> None:
    direct = payloads.direct_message(f"<@{DEMO.bot_user_id}> hello", ts=_ROOT)
    mention = payloads.mention("hello", channel=DEMO.dm_channel_id, ts=_ROOT)
    assert _only(_parse(direct)) == _only(_parse(mention))


def test_thread_in_a_direct_message_is_a_conversation_of_its_own() -> None:
    message = _only(_parse(payloads.direct_message("And?", thread_ts=_ROOT)))
    assert message.address.thread_id == _ROOT
    assert message.address.is_direct


def test_reply_in_a_thread_without_a_mention_is_not_addressed() -> None:
    message = _only(_inbound.parse(from_file("thread_reply"), NOW))
    assert not message.is_addressed
    assert message.address.thread_id != message.external_message_id


def test_reply_in_a_thread_with_a_mention_is_addressed_in_both_forms() -> None:
    message = _only(_inbound.parse(from_file("thread_reply_with_mention"), NOW))
    assert message.is_addressed
    mention = payloads.mention("And?", thread_ts=_ROOT)
    assert _only(_parse(payloads.twin(mention))) == _only(_parse(mention))


def test_message_at_top_level_without_a_mention_is_none_of_ours() -> None:
    assert _parse(_changed({"type": "message", "channel_type": "channel", "text": "Lunch?"})).ignored == "not-addressed"


def test_mention_of_somebody_else_is_none_of_ours() -> None:
    event = {"type": "message", "channel_type": "channel", "text": "<@U0SOMEBODY> lunch?"}
    assert _parse(_changed(event)).ignored == "not-addressed"


def test_mention_with_a_label_counts() -> None:
    event = {"type": "message", "channel_type": "mpim", "text": f"<@{DEMO.bot_user_id}|parley> lunch?"}
    assert _only(_parse(_changed(event))).is_addressed


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bot_message_own", "own-message"),
        ("bot_message_other", "bot-message"),
        ("channel_join", "subtype"),
        ("message_unfurled", "not-edited"),
        ("tokens_of_people_revoked", "tokens-of-people"),
        ("ssl_check", "ssl-check"),
    ],
)
def test_what_no_person_asked_is_ignored(name: str, reason: str) -> None:
    result = _inbound.parse(from_file(name), NOW)
    assert (result.messages, result.ignored, result.answer) == ((), reason, None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"user": DEMO.bot_user_id}, "own-message"),
        ({"bot_id": "B0OTHER"}, "bot-message"),
        ({"bot_profile": {"id": "B0OTHER"}}, "bot-message"),
        ({"user": "USLACKBOT"}, "bot-message"),
        ({"subtype": "bot_message"}, "subtype"),
        ({"subtype": "me_message"}, "subtype"),
        ({"subtype": ["file_share"]}, "subtype"),
        ({"text": " \n "}, "empty"),
        ({"text": ""}, "empty"),
        ({"type": "reaction_added"}, "event-type"),
        ({"type": ["message"]}, "event-type"),
    ],
)
def test_other_events_are_ignored(changes: _Changes, reason: str) -> None:
    assert _parse(_changed(changes)).ignored == reason


def test_broadcast_reply_is_a_message() -> None:
    event = {
        "type": "message",
        "subtype": "thread_broadcast",
        "thread_ts": "1767225500.000000",
        "channel_type": "channel",
    }
    assert _only(_parse(_changed(event))).address.thread_id == "1767225500.000000"


@pytest.mark.parametrize("kind", ["app_rate_limited", "", None, 5, ["event_callback"]])
def test_other_envelopes_are_ignored(kind: object) -> None:
    assert _parse({"type": kind}).ignored == "envelope-type"


def test_handshake_is_answered_with_its_challenge() -> None:
    result = _inbound.parse(from_file("url_verification"), NOW)
    assert result.answer is not None
    assert list(result.answer) == ["challenge"]
    assert result.messages == ()


@pytest.mark.parametrize("challenge", [None, 5, "", "x" * 600, ["x"]])
def test_handshake_without_a_proper_challenge_is_refused(challenge: object) -> None:
    body = json.dumps({"type": "url_verification", "challenge": challenge}).encode()
    assert _refusal(body).status == 400


def test_person_of_another_workspace_is_told_apart() -> None:
    message = _only(_inbound.parse(from_file("slack_connect_foreign_person"), NOW))
    assert message.address.workspace_id == DEMO.team_id
    assert message.external_user_workspace_id == "T0FOREIGN1"


def test_workspace_of_the_authorization_is_ours_in_a_shared_channel() -> None:
    message = _only(_parse(_changed({}, team_id="T0OTHER")))
    assert message.address.workspace_id == DEMO.team_id


def test_workspace_of_the_envelope_counts_where_the_authorization_names_none() -> None:
    authorization = {"team_id": None, "user_id": DEMO.bot_user_id, "is_bot": True}
    assert _only(_parse(_changed({}, team_id="T0ORG", authorizations=[authorization]))).address.workspace_id == "T0ORG"
    assert _only(_parse(_changed({}, team_id="T0ORG", authorizations=None))).address.workspace_id == "T0ORG"


def test_files_come_along_where_slack_keeps_them() -> None:
    message = _only(_inbound.parse(from_file("file_share"), NOW))
    (file,) = message.files
    assert (file.id, file.name, file.media_type, file.size) == ("F0SUPPLIER", "suppliers.csv", "text/csv", 2048)
    assert file.url.startswith("https://files.slack.com/")


def test_file_without_words_is_a_message() -> None:
    file: _Changes = {"id": "F1", "name": "a.csv", "url_private": "https://files.slack.com/a"}
    assert len(_only(_parse(payloads.file_share("", [file]))).files) == 1


def test_files_of_wrong_shapes_are_left_out_and_the_others_counted() -> None:
    good: _Changes = {"id": "F1", "name": "a" * 900, "mimetype": 5, "size": -3, "url_private": None}
    wrong: list[Any] = [5, None, {}, {"id": 5}, {"id": "F2", "mode": "external"}, {"id": "F3", "url_private": [1]}]
    message = _only(_parse(_changed({"files": [*wrong, good, {"id": "F4", "mode": ["x"], "name": "\ud800"}]})))
    (file,) = message.files
    assert (file.id, len(file.name), file.media_type, file.size, file.url) == ("F1", 512, "", 0, "")
    assert len(_only(_parse(_changed({"files": [good] * 50}))).files) == 20


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b"payload=%7B%7D", 400),
        (b"\xff\xfe{}", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"type": "event_callback", "event": NaN}', 400),
        (b'{"type": "event_callback", "type": "url_verification", "challenge": "c"}', 400),
        (b'{"type": "event_callback"} {}', 400),
        (b'{"a":' * 200_000, 400),
        (b"[" * 100_000, 400),
        (b'{"n":' + b"9" * 5000 + b"}", 400),
        (b'{"type":"event_callback"}', 400),
        (b'{"type":"event_callback","event":[]}', 400),
        (b'{"pad":"' + b"x" * 1_000_001 + b'"}', 413),
    ],
)
def test_malformed_body_is_refused(body: bytes, status: int) -> None:
    refusal = _refusal(body)
    assert refusal.status == status
    assert len(str(refusal)) < 100


@pytest.mark.parametrize(
    "changes",
    [
        {"user": None},
        {"user": 5},
        {"user": "U 1"},
        {"user": "U" * 100},
        {"channel": None},
        {"channel": "C1#2"},
        {"channel": ["C1"]},
        {"ts": None},
        {"ts": 1767225600.0001},
        {"ts": "1767225600"},
        {"ts": "1e9"},
        {"ts": "\u0661767225600.000100"},
        {"thread_ts": "../x"},
        {"thread_ts": 5},
        {"text": 5},
        {"text": ["x"]},
        {"text": "half \ud83d"},
    ],
)
def test_used_fields_of_wrong_shapes_are_refused(changes: _Changes) -> None:
    assert _refusal(payloads.body_of(_changed(changes))).status == 400


@pytest.mark.parametrize("envelope", [{"team_id": 5, "authorizations": []}, {"authorizations": [{"team_id": "a b"}]}])
def test_workspace_of_a_wrong_shape_is_refused(envelope: _Changes) -> None:
    assert _refusal(payloads.body_of(_changed({}, **envelope))).status == 400


def test_longest_message_passes_and_a_longer_one_is_refused_whole() -> None:
    assert len(_only(_parse(_changed({"text": "x" * 40_000}))).text) == 40_000
    assert _refusal(payloads.body_of(_changed({"text": "x" * 40_001}))).status == 413


def test_long_request_id_is_bounded() -> None:
    request = posted(payloads.mention("Hello"))
    assert len(_only(_inbound.parse(request, NOW)).correlation_id) <= 128


@pytest.mark.parametrize(("path", "status"), [("/slack/install", 404), ("/", 404)])
def test_other_paths_are_refused(path: str, status: int) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        _inbound.parse(request_of(b"{}", path=path), NOW)
    assert caught.value.status == status


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["U1", "C1", "T1", _ROOT]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "team_id", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["type", "user", "text", "ts", "thread_ts", "channel", "channel_type", "subtype", "files", "bot_id", "team"]
        ),
        _JSON,
    ),
    st.dictionaries(st.sampled_from(["type", "team_id", "authorizations", "event", "challenge"]), _JSON),
)
def test_no_shape_is_an_accident(event: _Changes, envelope: _Changes) -> None:
    whole = _changed(event) | envelope
    try:
        result = _parse(whole)
    except RequestRejectedError as refusal:
        result = WebhookResult(ignored=str(refusal.status))
    assert result.messages or result.answer or result.ignored not in {None, "401", "500"}
