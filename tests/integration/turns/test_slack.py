"""A day in Slack, from the signed call to what a person sees: commands, feedback, the home tab, the end of it all."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from core.models import Feedback, Installation
from local.fake_slack import happenings, payloads
from local.fake_slack.demo import DEMO
from local.fake_slack.state import Channel
from tests.integration.turns.stack import COMPANY, SIGNING_SECRET, Context, Stack, _as_record

_SECRET = f"parley/test/slack/{DEMO.team_id}"


def _call(stack: Stack, body: bytes, path: str) -> None:
    headers = payloads.sign(SIGNING_SECRET, body, time.time(), content_type=happenings.FORM)
    event = payloads.gateway_event(body, headers, path=path, base64_body=True)
    assert stack.webhook.handler(event, Context())["statusCode"] == 200


def _interact(stack: Stack, payload: Mapping[str, Any]) -> None:
    _call(stack, happenings.form_of(payload), "/slack/interactions")
    _handle_signals(stack)


def _handle_signals(stack: Stack) -> None:
    answer = stack.sqs.receive_message(
        QueueUrl=stack.queue_urls["signals"], MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
    )
    messages = answer.get("Messages", [])
    for message in messages:
        stack.sqs.delete_message(QueueUrl=stack.queue_urls["signals"], ReceiptHandle=message["ReceiptHandle"])
    records = [_as_record(message) for message in messages]
    assert not records or stack.signals.handler({"Records": records}, Context()) == {"batchItemFailures": []}


def _command(stack: Stack, text: str) -> None:
    _call(stack, happenings.command_of(text), "/slack/commands")
    assert stack.settle() == []


def _own_secret(stack: Stack, *, days_old: int) -> None:
    """The demo's token in a secret of its own, put there so many days ago."""
    boto3.client("secretsmanager").create_secret(Name=_SECRET, SecretString=DEMO.bot_token)
    at = datetime.now(UTC) - timedelta(days=days_old)
    stack.store.directory.put_installation(
        Installation(
            id="ins_demo",
            company_id=COMPANY,
            platform="slack",
            workspace_id=DEMO.team_id,
            secret_name=_SECRET,
            created_at=at,
            updated_at=at,
        )
    )


def _is_installed(stack: Stack) -> bool:
    installation = stack.store.directory.find_installation("slack", DEMO.team_id)
    return installation is not None and installation.enabled


def _feedback(stack: Stack, ts: str) -> list[tuple[str, str | None]]:
    found: tuple[Feedback, ...] = stack.store.feedback.list_of(COMPANY, stack.conversation(ts).id)
    return [(each.value, each.comment) for each in found]


def test_feedback_is_kept_changed_and_explained(stack: Stack) -> None:
    ts = stack.ask("hello")
    assert stack.settle() == []
    (answer,) = stack.thread(ts)
    up, down = (button.value for button in answer.buttons)
    press = partial(happenings.pressed, "parley_feedback", message_ts=answer.ts, thread_ts=ts)
    _interact(stack, press(up))
    assert _feedback(stack, ts) == [("up", None)]
    trigger = stack.slack.new_trigger()
    _interact(stack, press(down, trigger=trigger))
    assert _feedback(stack, ts) == [("down", None)]
    view = stack.slack.state.forms[trigger]
    _interact(stack, happenings.submitted(view, "Wrong quarter."))
    assert _feedback(stack, ts) == [("down", "Wrong quarter.")]
    _interact(stack, press(up, action_ts="1000000000.000000"))
    assert _feedback(stack, ts) == [("down", "Wrong quarter.")]


def test_who_pressed_too_long_ago_is_told_how_to_comment(stack: Stack) -> None:
    ts = stack.ask("hello")
    stack.settle()
    (answer,) = stack.thread(ts)
    payload = happenings.pressed("parley_feedback", answer.buttons[1].value, message_ts=answer.ts, thread_ts=ts)
    payload["response_url"] = f"{stack.slack.url}/commands/1"
    _interact(stack, payload)
    assert [each["response_type"] for each in stack.slack.state.responses] == ["ephemeral"]
    assert len(stack.thread(ts)) == 1


def test_feedback_of_a_stranger_and_on_nothing_is_not_kept(stack: Stack) -> None:
    ts = stack.ask("hello")
    stack.settle()
    (answer,) = stack.thread(ts)
    press = partial(happenings.pressed, "parley_feedback", message_ts=answer.ts, thread_ts=ts)
    _interact(stack, press(answer.buttons[0].value, user="U0MALLORY1"))
    for reference in ("nonsense", "cnv_x.m.01ARZ3NDEKTSV4RRFFQ69G5FAV"):
        _interact(stack, press(f"up:{reference}"))
    assert _feedback(stack, ts) == []


def test_feedback_goes_with_its_person(stack: Stack) -> None:
    ts = stack.ask("hello")
    stack.settle()
    (answer,) = stack.thread(ts)
    payload = happenings.pressed("parley_feedback", answer.buttons[0].value, message_ts=answer.ts, thread_ts=ts)
    _interact(stack, payload)
    conversation_id = stack.conversation(ts).id
    stack.store.privacy.forget_user(COMPANY, "usr_alice")
    assert stack.store.feedback.list_of(COMPANY, conversation_id) == ()


def test_command_is_answered_in_a_thread_of_its_own_which_goes_on(stack: Stack) -> None:
    _command(stack, "hello from a command")
    (root,) = [each for each in stack.slack.messages(DEMO.channel_id) if each.thread_ts is None]
    assert "hello from a command" in root.text
    assert len(stack.thread(root.ts)) == 2
    envelope = payloads.thread_reply("and then?", root.ts)
    event = envelope["event"]
    stack.slack.post_as(DEMO.user_id, "and then?", channel=DEMO.channel_id, ts=event["ts"], thread_ts=root.ts)
    stack.post(envelope)
    stack.settle()
    assert len(stack.thread(root.ts)) == 3
    assert stack.conversation(root.ts).message_count > 2


def test_shortcut_asks_the_model_about_the_message_in_its_thread(stack: Stack) -> None:
    ts = stack.slack.post_as(DEMO.user_id, "The delivery to Lyon is late.", channel=DEMO.channel_id).ts
    payload = happenings.asked_about("The delivery to Lyon is late.", ts=ts)
    _call(stack, happenings.form_of(payload), "/slack/interactions")
    assert stack.settle() == []
    assert len(stack.thread(ts)) == 1
    assert "> The delivery to Lyon is late." in stack.messages(ts)[1].text


def test_shortcut_where_the_assistant_is_no_member_is_answered_to_its_asker_alone(stack: Stack) -> None:
    stack.slack.add_channel(Channel(DEMO.channel_id, frozenset({DEMO.team_id}), "general", is_member=False))
    payload = happenings.asked_about("The delivery to Lyon is late.", ts=payloads.new_ts())
    payload["response_url"] = f"{stack.slack.url}/commands/1"
    _call(stack, happenings.form_of(payload), "/slack/interactions")
    assert stack.settle() == []
    (said,) = stack.slack.state.responses
    assert (said["response_type"], said["replace_original"]) == ("ephemeral", False)
    assert "Lyon" in str(said["text"])
    assert stack.slack.messages(DEMO.channel_id) == []


def test_private_command_is_answered_to_its_asker_alone(stack: Stack) -> None:
    body = happenings.command_form("private hello") | {"response_url": f"{stack.slack.url}/commands/1"}
    _call(stack, "&".join(f"{name}={value}" for name, value in body.items()).encode(), "/slack/commands")
    stack.settle()
    assert [each["response_type"] for each in stack.slack.state.responses] == ["ephemeral"]
    assert stack.slack.messages(DEMO.channel_id) == []


def test_home_tab_shows_the_persons_conversations(stack: Stack) -> None:
    stack.ask("How many holidays do I have?")
    stack.settle()
    stack.post(happenings.home_opened())
    _handle_signals(stack)
    page = str(stack.slack.state.homes[DEMO.team_id, DEMO.user_id])
    assert "How many holidays do I have?" in page
    assert "1 questions" in page


def test_thread_with_the_assistant_is_greeted_once(stack: Stack) -> None:
    thread_ts = payloads.new_ts()
    for has_moved in (False, True):
        stack.post(happenings.assistant_thread(thread_ts, has_moved=has_moved))
        _handle_signals(stack)
    assert len(stack.thread(thread_ts, DEMO.dm_channel_id)) == 1
    assert stack.slack.state.prompts[DEMO.dm_channel_id, thread_ts]


@pytest.mark.parametrize("event", [happenings.uninstalled(), happenings.tokens_revoked(bots=(DEMO.bot_user_id,))])
def test_removed_app_is_switched_off_and_its_token_forgotten(stack: Stack, event: Mapping[str, Any]) -> None:
    _own_secret(stack, days_old=1)
    for _ in range(2):
        stack.post(event)
        _handle_signals(stack)
    assert not _is_installed(stack)
    with pytest.raises(ClientError):
        boto3.client("secretsmanager").get_secret_value(SecretId=_SECRET)
    stack.ask("hello?")
    assert stack.settle() == []
    assert not any(each.user == DEMO.bot_user_id for each in stack.slack.messages(DEMO.channel_id))


@pytest.mark.parametrize("error", ["account_inactive", "invalid_auth", "token_revoked"])
def test_refused_token_ends_the_installation_too(stack: Stack, error: str) -> None:
    _own_secret(stack, days_old=1)
    stack.slack.refuse_token(DEMO.bot_token, error)
    stack.ask("hello?")
    stack.settle()
    _handle_signals(stack)
    assert not _is_installed(stack)


def test_removal_counts_however_young_the_installation_is(stack: Stack) -> None:
    _own_secret(stack, days_old=0)
    stack.post(happenings.uninstalled())
    _handle_signals(stack)
    assert not _is_installed(stack)


@pytest.mark.parametrize("has_own_time", [True, False])
def test_installation_made_anew_outlives_a_removal_that_is_told_late(stack: Stack, *, has_own_time: bool) -> None:
    envelope = happenings.uninstalled()
    happened_at = time.time() - 3600
    envelope["event_time"] = int(happened_at)
    if has_own_time:
        envelope["event"]["event_ts"] = f"{happened_at:.6f}"
    else:
        del envelope["event"]["event_ts"]
    _own_secret(stack, days_old=0)
    stack.post(envelope)
    _handle_signals(stack)
    assert _is_installed(stack)


def test_installation_made_anew_outlives_the_refusal_of_the_token_before(stack: Stack) -> None:
    _own_secret(stack, days_old=0)
    stack.slack.refuse_token(DEMO.bot_token, "token_revoked")
    stack.ask("hello?")
    stack.settle()
    _handle_signals(stack)
    assert _is_installed(stack)


def test_refused_token_ends_the_installation_where_a_failure_is_told(stack: Stack) -> None:
    _own_secret(stack, days_old=1)
    stack.ask("hello?")
    stack.slack.refuse_token(DEMO.bot_token, "token_revoked")
    assert stack.bury(stack.receive()) == []
    _handle_signals(stack)
    assert not _is_installed(stack)


def test_refused_token_ends_the_installation_where_a_signal_is_handled(stack: Stack) -> None:
    _own_secret(stack, days_old=1)
    stack.slack.refuse_token(DEMO.bot_token, "token_revoked")
    stack.post(happenings.home_opened())
    for _ in range(2):
        _handle_signals(stack)
    assert not _is_installed(stack)
