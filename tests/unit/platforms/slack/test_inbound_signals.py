"""What is no question in Slack's calls: edits, stops, buttons, forms, the home tab, an app removed; and commands."""

from typing import Any
from urllib.parse import urlencode

import pytest

from core.errors import RequestRejectedError
from core.events import MessageReceived, SignalKind, SignalReceived
from core.platforms import WebhookResult
from core.platforms.slack.inbound import build
from local.fake_slack import DEMO, happenings, payloads
from tests.unit.platforms.slack.requests import NOW, SECRET, from_file, posted, signed

_inbound = build(lambda: SECRET)
_ULID = "01KDWDQG00000000000000000Z"
_ASKED, _ANSWERED = "1767225600.000100", "1767225600.000200"
_MESSAGE = f"cnv_00000000000000000000000001.m.{_ULID}"


def _signal(result: WebhookResult) -> SignalReceived:
    (signal,) = result.signals
    assert (result.messages, result.ignored) == ((), None)
    return signal


def _message(result: WebhookResult) -> MessageReceived:
    (message,) = result.messages
    assert result.signals == ()
    return message


def _read(name: str) -> SignalReceived:
    return _signal(_inbound.parse(from_file(name), NOW))


def _interaction(payload: dict[str, Any]) -> WebhookResult:
    return _inbound.parse(signed(happenings.form_of(payload), path="/slack/interactions"), NOW)


def _command(text: str, **more: str) -> WebhookResult:
    body = urlencode(happenings.command_form(text) | more).encode()
    return _inbound.parse(signed(body, path="/slack/commands"), NOW)


@pytest.mark.parametrize(
    ("name", "kind", "channel", "thread", "about", "reference", "value"),
    [
        ("message_changed", "edit", "C0GENERAL1", "1767225600.000100", "1767225600.000100", "", ""),
        ("message_deleted", "delete", "C0GENERAL1", "1767225600.000100", "1767225600.000100", "", ""),
        ("message_stop", "stop", "C0GENERAL1", "1767225600.000100", "1767225600.000500", "", ""),
        ("agent_session_stopped", "stop", "C0GENERAL1", "1767225600.000100", "", "", ""),
        (
            "block_actions_stop",
            "stop",
            "C0GENERAL1",
            "1767225600.000100",
            "1767225600.000200",
            _MESSAGE.replace(".m.", ".t."),
            "",
        ),
        (
            "block_actions_feedback",
            "feedback",
            "C0GENERAL1",
            "1767225600.000100",
            "1767225600.000200",
            _MESSAGE,
            "down",
        ),
        ("view_submission_comment", "feedback", "", "", "", _MESSAGE, "down"),
        (
            "block_actions_approve",
            "approval",
            "C0GENERAL1",
            "1767225600.000100",
            "1767225600.000200",
            "cnv_00000000000000000000000001.u.1",
            "approve",
        ),
        (
            "block_actions_deny",
            "approval",
            "C0GENERAL1",
            "1767225600.000100",
            "1767225600.000200",
            "cnv_00000000000000000000000001.u.1",
            "deny",
        ),
        ("assistant_thread_started", "welcome", "D0ALICE001", "1767225700.000050", "1767225700.000050", "", ""),
        ("assistant_thread_context_changed", "welcome", "D0ALICE001", "1767225700.000050", "1767225700.000050", "", ""),
        ("app_home_opened", "home", "D0ALICE001", "", "", "", ""),
        ("app_home_messages_opened", "welcome", "D0ALICE001", "", "", "", ""),
        ("app_uninstalled", "uninstall", "", "", "", "", ""),
        ("tokens_revoked", "uninstall", "", "", "", "", ""),
    ],
)
def test_signal_says_what_happened_and_where(
    name: str, kind: str, channel: str, thread: str, about: str, reference: str, value: str
) -> None:
    signal = _read(name)
    place = (signal.address.workspace_id, signal.address.channel_id, signal.address.thread_id)
    assert (signal.kind, *place) == (SignalKind(kind), DEMO.team_id, channel, thread)
    assert (signal.external_message_id, signal.reference, signal.value) == (about, reference, value)
    assert signal.external_user_id == ("" if kind == "uninstall" else DEMO.user_id)
    assert signal.external_user_workspace_id == ("" if kind == "uninstall" else DEMO.team_id)


def test_edit_carries_the_new_text_and_its_time() -> None:
    signal = _read("message_changed")
    assert "customer contracts" in signal.text
    assert signal.message_sent_at is not None
    assert signal.sent_at > signal.message_sent_at
    assert signal.is_addressed


def test_comment_comes_along() -> None:
    assert _read("view_submission_comment").text == "It names the wrong quarter."


def test_form_needs_the_trigger_of_the_button() -> None:
    assert _read("block_actions_feedback").trigger_id


def test_own_edit_and_edit_of_another_bot_are_no_signals() -> None:
    for bot in (payloads.bot_message("a"), payloads.bot_message("a", bot_id="B1", bot_user="U1")):
        changed = payloads.message_changed(bot, "b")
        changed["event"]["message"]["bot_id"] = bot["event"]["bot_id"]
        assert _inbound.parse(posted(changed), NOW).signals == ()


def test_edit_by_somebody_else_and_edit_without_a_change_are_no_signals() -> None:
    said = payloads.mention("hello")
    by_another = payloads.message_changed(said, "other")
    by_another["event"]["message"]["edited"] = {"user": "U0ADMIN001", "ts": payloads.new_ts()}
    same = payloads.message_changed(said, said["event"]["text"])
    assert [_inbound.parse(posted(each), NOW).ignored for each in (by_another, same)] == ["not-edited"] * 2


def test_deleted_message_that_others_replied_to_leaves_a_tombstone_and_is_a_deletion() -> None:
    said = payloads.mention("hello")
    changed = payloads.message_changed(said, "This message was deleted.")
    changed["event"]["message"] |= {"subtype": "tombstone", "user": "USLACKBOT"}
    signal = _signal(_inbound.parse(posted(changed), NOW))
    assert (signal.kind, signal.external_message_id) == (SignalKind.DELETE, said["event"]["ts"])


@pytest.mark.parametrize("text", ["stop", "Stopp!", "<@U0PARLEY01> stop", "<@U0PARLEY01|parley> arrête"])
def test_stop_is_a_signal_in_a_thread_and_in_a_direct_message(text: str) -> None:
    for said in (payloads.thread_reply(text, "1767225600.000100"), payloads.direct_message(text)):
        assert _signal(_inbound.parse(posted(said), NOW)).kind is SignalKind.STOP


def test_twins_of_a_stop_are_one_signal() -> None:
    said = payloads.mention("stop", thread_ts="1767225600.000100")
    signals = [_signal(_inbound.parse(posted(each), NOW)) for each in (said, payloads.twin(said))]
    assert signals[0].deduplication_id == signals[1].deduplication_id


def test_stop_with_a_file_or_among_colleagues_is_none() -> None:
    shared = payloads.file_share("stop", [{"id": "F1", "name": "a", "mimetype": "a/b", "size": 1, "url_private": "x"}])
    assert _message(_inbound.parse(posted(shared), NOW)).text == "stop"
    said = payloads.direct_message("stop", channel=DEMO.channel_id)
    said["event"]["channel_type"] = "channel"
    assert _inbound.parse(posted(said), NOW).ignored == "not-addressed"


def test_buttons_that_are_not_ours_are_ignored() -> None:
    for action, value in (("info", "1"), ("parley_stop", ""), ("parley_feedback", "sideways:x"), ("parley_deny", "")):
        payload = happenings.pressed(action, value, message_ts="1767225600.000200")
        assert _interaction(payload).ignored == "action"


def test_button_in_a_direct_message_is_about_the_whole_of_it() -> None:
    for thread_ts in (None, "1767225600.000200"):
        payload = happenings.pressed(
            "parley_stop", "t", message_ts="1767225600.000200", thread_ts=thread_ts, channel=DEMO.dm_channel_id
        )
        address = _signal(_interaction(payload)).address
        assert (address.thread_id, address.is_direct) == ("", True)


def test_button_pressed_by_somebody_of_another_workspace_says_so() -> None:
    payload = happenings.pressed("parley_approve", "u", message_ts="1767225600.000200")
    payload["user"] = {"id": "U0MALLORY1", "team_id": "T0EVIL0001"}
    assert _signal(_interaction(payload)).external_user_workspace_id == "T0EVIL0001"


def test_shortcut_asks_about_the_message_in_its_thread() -> None:
    message = _message(_inbound.parse(from_file("message_action_ask"), NOW))
    assert message.quoted_text == "The delivery to Lyon is late again."
    assert (message.address.thread_id, message.is_private) == ("1767225600.000700", False)
    assert message.external_message_id > "1767225600.000700"


def test_command_is_a_question_for_the_channel_or_for_its_asker_alone() -> None:
    names = ("slash_command", "slash_command_private")
    open_, private = (_message(_inbound.parse(from_file(name), NOW)) for name in names)
    assert (open_.text, open_.is_private) == ("Which orders are late?", False)
    assert (private.text, private.is_private) == ("Which orders are late?", True)
    assert private.reply_url.startswith("https://hooks.slack.com/")
    assert _message(_command("PRIVAT: Hallo")).is_private
    assert not _message(_command("privatise the railways?")).is_private


def test_empty_command_is_told_how_to_ask() -> None:
    for name in ("slash_command_empty",):
        result = _inbound.parse(from_file(name), NOW)
        assert result.messages == ()
        assert result.answer is not None
        assert result.answer["response_type"] == "ephemeral"
    assert _command("private").messages == ()


def test_organisation_is_the_workspace_where_it_installed_the_app_as_a_whole() -> None:
    message = _message(_inbound.parse(from_file("enterprise_mention"), NOW))
    assert (message.address.workspace_id, message.external_user_workspace_id) == ("E0DEMO0001", "E0DEMO0001")
    shared = payloads.from_another_workspace(payloads.mention("hi"), "T0OTHER001")
    foreign = _message(_inbound.parse(posted(happenings.of_organisation(shared)), NOW))
    assert (foreign.address.workspace_id, foreign.external_user_workspace_id) == ("E0DEMO0001", "T0OTHER001")
    pressed = happenings.pressed("parley_stop", "t", message_ts="1767225600.000200")
    pressed |= {"enterprise": {"id": "E0DEMO0001"}, "is_enterprise_install": True}
    signal = _signal(_interaction(pressed))
    assert (signal.address.workspace_id, signal.external_user_workspace_id) == ("E0DEMO0001", "E0DEMO0001")
    command = _message(_command("hello", enterprise_id="E0DEMO0001", is_enterprise_install="true"))
    assert command.address.workspace_id == "E0DEMO0001"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/slack/interactions", b"", 400),
        ("/slack/interactions", b"payload=nonsense", 400),
        ("/slack/interactions", b"payload=%5B%5D", 400),
        ("/slack/interactions", happenings.form_of({"type": "block_actions"}), 400),
        ("/slack/interactions", b"payload=" + b"x" * 1_000_001, 413),
        ("/slack/commands", b"text=hello", 400),
        ("/slack/commands", b"text=\xff", 400),
        ("/slack/commands", b"&".join(b"a%d=1" % number for number in range(99)), 400),
        ("/slack/commands", happenings.command_of("x" * 40_001), 413),
        ("/slack/commands", happenings.command_of("hi", trigger_id="a b"), 400),
    ],
)
def test_malformed_form_is_refused(path: str, body: bytes, status: int) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        _inbound.parse(signed(body, path=path), NOW)
    assert caught.value.status == status


def test_forged_form_is_refused() -> None:
    with pytest.raises(RequestRejectedError) as caught:
        _inbound.verify(signed(happenings.command_of("hi"), secret="another", path="/slack/commands"), NOW)
    assert caught.value.status == 401
