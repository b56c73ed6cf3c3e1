"""What each activity of Teams becomes: a question, a signal, or nothing."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RequestRejectedError
from core.events import MessageReceived, SignalKind, SignalReceived
from core.http import Http
from core.platforms import WebhookResult
from core.platforms.teams.inbound import build
from local.fake_teams import DEMO, payloads, signing
from tests.unit.platforms.teams.requests import EVENT_FILES, NOW, body_from_file, from_file, posted, request_of

_ROOT = "1767225600000"


def _inbound(tenants: str = "") -> Any:
    return build(
        app_id=DEMO.app_id,
        tenant_ids=tenants,
        service_hosts="smba.trafficmanager.net",
        openid_url="https://login.botframework.com/never-asked",
        token_issuer=signing.ISSUER,
        http=Http(),
    )


def _parse(payload: dict[str, object]) -> WebhookResult:
    result: WebhookResult = _inbound().parse(request_of(payloads.body_of(payload), None), NOW)
    return result


def _question(name: str) -> MessageReceived:
    result = _parse(body_from_file(name))
    assert not result.signals
    (message,) = result.messages
    assert message.reply_url == payloads.SERVICE_URL
    assert message.bot_user_id == DEMO.bot_id
    return message


def _signal(name: str) -> SignalReceived:
    result = _parse(body_from_file(name))
    assert not result.messages
    (signal,) = result.signals
    assert signal.address.workspace_id == DEMO.tenant_id
    assert signal.reply_url == payloads.SERVICE_URL
    return signal


@pytest.mark.parametrize("name", EVENT_FILES)
def test_every_activity_is_understood(name: str) -> None:
    result = _inbound().parse(from_file(name), NOW)
    assert len(result.messages) + len(result.signals) + (result.ignored is not None) == 1


def test_a_personal_chat_is_one_conversation() -> None:
    message = _question("message_personal")
    assert message.address.model_dump() == {
        "platform": "teams",
        "workspace_id": DEMO.tenant_id,
        "channel_id": DEMO.personal_id,
        "thread_id": "",
        "is_direct": True,
    }
    assert message.external_message_id == "1767225600100"
    assert message.external_user_id == DEMO.user_object_id
    assert message.external_user_workspace_id == DEMO.tenant_id
    assert message.text == "Remind me what we agreed on Friday"
    assert message.sent_at.isoformat() == "2026-01-01T00:00:00.100000+00:00"
    assert message.is_addressed


def test_a_mention_in_a_channel_starts_a_thread_and_a_reply_goes_on_in_it() -> None:
    first, second = _question("mention_channel"), _question("mention_channel_reply")
    assert (first.address.channel_id, first.address.thread_id) == (DEMO.channel_id, _ROOT)
    assert first.address == second.address
    assert first.external_message_id != second.external_message_id
    assert first.is_addressed
    assert not first.address.is_direct


def test_a_group_chat_has_no_threads() -> None:
    message = _question("mention_group")
    assert (message.address.channel_id, message.address.thread_id) == (DEMO.group_id, "")
    assert not message.address.is_direct


def test_each_mention_says_whom_it_means() -> None:
    text = _question("mention_of_others").text
    assert text == (
        f'<at id="{DEMO.bot_id}">Parley</at> please tell <at id="29:1demo-grace">Grace Demo</at>'
        f' &amp; <at id="{DEMO.bot_id}">Parley</at>'
    )


def test_what_nobody_addressed_to_the_assistant_counts_only_in_threads() -> None:
    assert not _question("message_channel_unaddressed").is_addressed
    assert _parse(body_from_file("message_channel_root_unaddressed")).ignored == "not-addressed"
    assert _parse(body_from_file("message_group_unaddressed")).ignored == "not-addressed"


def test_bots_are_not_listened_to() -> None:
    assert _parse(body_from_file("message_other_bot")).ignored == "bot-message"
    own = {**body_from_file("message_personal"), "from": {"id": DEMO.bot_id}}
    assert _parse(own).ignored == "bot-message"


def test_a_formatted_message_says_what_its_text_says() -> None:
    message = _question("message_personal_html")
    assert message.text == "Please check\r\nthis code"
    assert not message.files


def test_the_message_that_is_answered_is_quoted() -> None:
    message = _question("message_quoting")
    assert message.text == "Is that still right?"
    assert "The office closes at six" in message.quoted_text


@pytest.mark.parametrize("name", ["message_stop", "mention_stop"])
def test_stop_stops(name: str) -> None:
    signal = _signal(name)
    assert signal.kind is SignalKind.STOP
    assert signal.external_message_id == body_from_file(name)["id"]
    assert signal.external_user_id == DEMO.user_object_id


def test_a_file_is_a_reference_to_its_bytes() -> None:
    (file,) = _question("message_file").files
    assert file.name == "plan.pdf"
    assert file.url.startswith("https://demo.sharepoint.com/personal/alice/_layouts/")
    assert file.id == "00000000-0000-4000-8000-0000000000f1"


def test_a_picture_alone_is_a_question() -> None:
    (file,) = _question("message_image").files
    assert (file.media_type, file.url) == (
        "image/png",
        "https://smba.trafficmanager.net/emea/v3/attachments/0-demo/views/original",
    )


def test_an_edit_and_a_restoration_tell_the_new_text() -> None:
    edit, restored = _signal("message_edited"), _signal("message_undeleted")
    assert edit.kind is restored.kind is SignalKind.EDIT
    assert edit.text == "Remind me what we agreed on Monday"
    assert edit.external_message_id == "1767225600100"
    assert restored.address.thread_id == _ROOT
    assert restored.is_addressed
    assert f'<at id="{DEMO.bot_id}">' in restored.text


def test_a_deletion_names_the_message() -> None:
    signal = _signal("message_deleted")
    assert signal.kind is SignalKind.DELETE
    assert (signal.external_message_id, signal.address.thread_id) == (_ROOT, _ROOT)


def test_reactions_are_feedback_on_the_message_they_stand_under() -> None:
    liked, disliked = _signal("reaction_like"), _signal("reaction_angry")
    assert liked.kind is disliked.kind is SignalKind.FEEDBACK
    assert (liked.value, disliked.value) == ("up", "down")
    assert liked.external_message_id == disliked.external_message_id == "1767225601000"
    assert liked.message_sent_at == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), "by when the answer was there"
    assert _parse(body_from_file("reaction_removed")).ignored == "reaction"


def test_an_id_that_a_message_its_edits_and_reactions_share_is_told_apart() -> None:
    base = body_from_file("message_deleted")
    kinds: list[dict[str, object]] = [
        base,
        {
            **base,
            "type": "messageUpdate",
            "channelData": {"tenant": {"id": DEMO.tenant_id}, "eventType": "editMessage"},
        },
        {**base, "type": "messageReaction", "reactionsAdded": [{"type": "like"}]},
        {**base, "type": "messageReaction", "reactionsAdded": [{"type": "sad"}]},
        {**base, "conversation": payloads.channel("1767225600001")},
    ]
    ids = {_parse(kind).signals[0].external_id for kind in kinds}
    assert len(ids) == len(kinds)


@pytest.mark.parametrize("name", EVENT_FILES)
def test_what_is_sent_again_has_the_same_ids(name: str) -> None:
    once, again = _parse(body_from_file(name)), _parse(body_from_file(name))
    found: list[MessageReceived | SignalReceived] = [*once.messages, *once.signals]
    repeated: list[MessageReceived | SignalReceived] = [*again.messages, *again.signals]
    for one, other in zip(found, repeated, strict=True):
        assert one.deduplication_id == other.deduplication_id
        assert one.group_id == other.group_id


def test_the_same_id_in_another_tenant_or_chat_is_another_message() -> None:
    here = _parse(body_from_file("message_personal")).messages[0]
    body = body_from_file("message_personal")
    elsewhere = {**body, "conversation": {**payloads.personal(), "id": "a:another-chat"}}
    other = "00000000-0000-4000-8000-00000000a002"
    abroad = {
        **body,
        "conversation": {**payloads.personal(), "tenantId": other},
        "channelData": {"tenant": {"id": other}},
    }
    found = {each.deduplication_id for each in (here, *_parse(elsewhere).messages, *_parse(abroad).messages)}
    assert len(found) == 3


def test_coming_and_going() -> None:
    assert _signal("installation_added").kind is SignalKind.INSTALL
    assert _signal("members_added").kind is SignalKind.WELCOME
    assert _parse(body_from_file("members_added_others")).ignored == "members"


@pytest.mark.parametrize("name", ["installation_removed", "members_removed"])
def test_removing_the_app_from_one_place_names_the_place(name: str) -> None:
    """The tenant keeps the app: only without a channel would it be the whole workspace that removed it."""
    signal = _signal(name)
    assert signal.kind is SignalKind.UNINSTALL
    assert signal.address.channel_id


@pytest.mark.parametrize(
    ("name", "value"), [("invoke_approve", "approve"), ("invoke_deny", "deny"), ("submit_approve", "approve")]
)
def test_our_buttons_decide(name: str, value: str) -> None:
    signal = _signal(name)
    assert (signal.kind, signal.value) == (SignalKind.APPROVAL, value)
    assert signal.reference == "approval-1"
    assert signal.external_message_id == "1767225601500"
    assert signal.address.thread_id == _ROOT


def test_our_stop_button_stops() -> None:
    signal = _signal("invoke_stop")
    assert (signal.kind, signal.reference) == (SignalKind.STOP, "stop-1")
    assert signal.external_message_id == "1767225601500"


@pytest.mark.parametrize("name", ["invoke_approve", "invoke_deny", "invoke_stop", "invoke_foreign_card"])
def test_a_pressed_button_is_answered_at_once(name: str) -> None:
    answer = _parse(body_from_file(name)).answer
    assert answer == {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "✓"}


def test_buttons_of_others_are_not_ours() -> None:
    assert _parse(body_from_file("invoke_foreign_card")).ignored == "foreign-button"
    assert _parse(body_from_file("invoke_unknown")).ignored == "invoke-name"
    assert _parse(body_from_file("typing")).ignored == "activity-type"


def test_feedback_comes_with_its_comment() -> None:
    signal = _signal("invoke_feedback")
    assert (signal.kind, signal.value, signal.text) == (SignalKind.FEEDBACK, "down", "That was last year")
    assert signal.external_message_id == "1767225601600"


@pytest.mark.parametrize("feedback", [None, "", "{", "[]", 5, {"feedbackText": 5}, "x" * 100_000])
def test_a_comment_of_another_shape_is_left_out(feedback: object) -> None:
    body = body_from_file("invoke_feedback")
    body["value"] = {"actionName": "feedback", "actionValue": {"reaction": "like", "feedback": feedback}}
    (signal,) = _parse(body).signals
    assert (signal.value, signal.text) == ("up", "")


def test_only_the_tenants_that_are_named_are_served() -> None:
    inbound = _inbound(f"00000000-0000-4000-8000-00000000a009,{DEMO.tenant_id.upper()}")
    assert inbound.parse(from_file("message_personal"), NOW).messages
    with pytest.raises(RequestRejectedError) as caught:
        _inbound("00000000-0000-4000-8000-00000000a009").parse(from_file("message_personal"), NOW)
    assert (caught.value.status, caught.value.code) == (403, "tenant-unknown")


def test_two_tenants_in_one_activity_are_none() -> None:
    body = {**body_from_file("message_personal"), "channelData": {"tenant": {"id": "another"}}}
    with pytest.raises(RequestRejectedError, match="tenant"):
        _parse(body)


def test_a_message_without_an_id_cannot_be_told_from_its_repetition() -> None:
    body = body_from_file("message_personal")
    del body["id"]
    assert _parse(body).ignored == "no-id"


def test_a_missing_kind_is_read_off_the_conversation() -> None:
    body = body_from_file("mention_channel")
    conversation = {"isGroup": True, "tenantId": DEMO.tenant_id, "id": f"{DEMO.channel_id};messageid={_ROOT}"}
    assert _parse({**body, "conversation": conversation}).messages[0].address.thread_id == _ROOT
    conversation["id"] = DEMO.group_id
    assert _parse({**body, "conversation": conversation}).messages[0].address.thread_id == ""
    direct = {"tenantId": DEMO.tenant_id, "id": DEMO.personal_id}
    assert _parse({**body, "conversation": direct}).messages[0].address.is_direct


def test_a_post_whose_conversation_names_no_thread_starts_one() -> None:
    body = body_from_file("mention_channel")
    conversation = {"conversationType": "channel", "tenantId": DEMO.tenant_id, "id": DEMO.channel_id}
    assert _parse({**body, "conversation": conversation}).messages[0].address.thread_id == _ROOT


def test_a_missing_time_is_read_off_the_id() -> None:
    body = body_from_file("message_personal")
    del body["timestamp"]
    assert _parse(body).messages[0].sent_at.timestamp() == 1_767_225_600.1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from", None),
        ("from", {"id": ""}),
        ("from", {"id": "with space"}),
        ("recipient", {}),
        ("conversation", {}),
        ("conversation", {"id": "x" * 500, "tenantId": "t"}),
        ("id", "é"),
        ("id", "x" * 1_000),
        ("text", ["a list"]),
    ],
)
def test_what_teams_does_not_send_is_refused(field: str, value: object) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        _parse({**body_from_file("message_personal"), field: value})
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"type":"message","type":"invoke"}', b'{"a":NaN}', b"\xff", b"[" * 9_999]
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        _inbound().parse(request_of(body, None), NOW)
    assert (caught.value.status, caught.value.code) == (400, "malformed")


def test_calls_are_bounded() -> None:
    for body in (b" " * 500_001, payloads.body_of({**body_from_file("message_personal"), "text": "x" * 41_000})):
        with pytest.raises(RequestRejectedError) as caught:
            _inbound().parse(request_of(body, None), NOW)
        assert caught.value.status == 413


@pytest.mark.parametrize(("path", "method", "status"), [("/teams", "POST", 404), ("/teams/messages", "GET", 405)])
def test_other_calls_are_for_somebody_else(path: str, method: str, status: int) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        _inbound().parse(request_of(b"{}", None, path=path, method=method), NOW)
    assert caught.value.status == status


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(EVENT_FILES), st.data())
def test_no_shape_of_a_field_breaks_the_parser(name: str, data: st.DataObject) -> None:
    body = body_from_file(name)
    field = data.draw(st.sampled_from(sorted(body)))
    body[field] = data.draw(_json)
    with suppress(RequestRejectedError):  # anything else fails the test
        _inbound().parse(request_of(json.dumps(body).encode(), None), NOW)


def test_a_question_that_is_signed_and_sent_twice_is_one_message() -> None:
    first = _inbound().parse(posted(body_from_file("mention_channel")), NOW).messages[0]
    again = _inbound().parse(posted(body_from_file("mention_channel")), NOW).messages[0]
    assert first.deduplication_id == again.deduplication_id
    assert first.external_message_id == again.external_message_id
