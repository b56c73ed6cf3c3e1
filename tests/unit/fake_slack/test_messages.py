"""Posting, editing and deleting messages: Slack's limits and errors."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.fake_slack import DEMO, FakeSlack
from local.fake_slack.state import Channel, User
from tests.unit.fake_slack.caller import IN_THREAD, TS, Caller, at, each


def text_of(slack: FakeSlack, ts: str) -> str:
    return next(message.text for message in slack.messages(DEMO.channel_id) if message.ts == ts)


def test_a_message_is_posted_by_json_and_by_form(api: Caller, slack: FakeSlack) -> None:
    first = api.ts("chat.postMessage", channel=DEMO.channel_id, text="one")
    blocks = json.dumps([{"type": "section", "text": {"type": "mrkdwn", "text": "two, in a block"}}])
    second = str(at(api.form("chat.postMessage", channel=DEMO.channel_id, text="fallback", blocks=blocks), "ts"))
    assert first < second
    assert [message.text for message in slack.messages(DEMO.channel_id)] == ["one", "two, in a block"]
    assert slack.messages(DEMO.channel_id)[0].bot_id == DEMO.bot_id


def test_timestamps_stay_unique_while_the_clock_stands_still(api: Caller) -> None:
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda n: api.ts("chat.postMessage", channel=DEMO.channel_id, text=str(n)), range(200)))
    assert len(set(found)) == 200


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"markdown_text": "a", "text": "b"}, "markdown_text_conflict"),
        ({}, "no_text"),
        ({"text": "a", "thread_ts": "soon"}, "invalid_thread_ts"),
        ({"text": "a", "thread_ts": 1767225600.0001}, "invalid_thread_ts"),
        ({"text": "a", "channel": "C0NOWHERE"}, "channel_not_found"),
        ({"text": "a", "blocks": "not json"}, "invalid_blocks_format"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_001}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "markdown", "text": "x" * 6_001}] * 2}, "msg_blocks_too_long"),
        ({"text": "a", "metadata": {"event_type": "t"}}, "invalid_metadata_schema"),
    ],
)
def test_a_message_slack_would_refuse_is_refused(api: Caller, arguments: dict[str, object], error: str) -> None:
    assert api.error("chat.postMessage", **({"channel": DEMO.channel_id} | arguments)) == error


def test_text_is_cut_at_40_000_when_posted_and_refused_above_4_000_when_edited(api: Caller, slack: FakeSlack) -> None:
    ts = api.ts("chat.postMessage", channel=DEMO.channel_id, text="x" * 40_001)
    assert len(text_of(slack, ts)) == 40_000
    assert api.error("chat.update", channel=DEMO.channel_id, ts=ts, text="x" * 4_001) == "msg_too_long"
    api.ts("chat.update", channel=DEMO.channel_id, ts=ts, markdown_text="x" * 12_000)
    assert slack.messages(DEMO.channel_id)[0].edits == 1


def test_only_the_apps_own_messages_can_be_edited_and_deleted(api: Caller, slack: FakeSlack) -> None:
    question = slack.post_as(DEMO.user_id, "hello", channel=DEMO.channel_id)
    spot = {"channel": DEMO.channel_id, "ts": question.ts}
    assert api.error("chat.update", **spot, text="x") == "cant_update_message"
    assert api.error("chat.delete", **spot) == "cant_delete_message"
    own = {"channel": DEMO.channel_id, "ts": api.ts("chat.postMessage", channel=DEMO.channel_id, text="a")}
    api.ts("chat.delete", **own)
    assert api.error("chat.update", **own, text="b") == "message_not_found"
    assert api.error("chat.delete", **own) == "message_not_found"
    assert [message.text for message in slack.messages(DEMO.channel_id)] == ["hello"]


def test_status_is_shown_until_the_app_speaks(api: Caller, slack: FakeSlack) -> None:
    assert api("assistant.threads.setStatus", channel_id=DEMO.channel_id, thread_ts=TS, status="is thinking")
    assert slack.status(DEMO.channel_id, TS) == "is thinking"
    api.ts("chat.postMessage", **IN_THREAD, text="done")
    assert slack.status(DEMO.channel_id, TS) == ""


def test_an_ephemeral_message_is_seen_by_one_person_and_part_of_no_history(api: Caller, slack: FakeSlack) -> None:
    root = slack.post_as(DEMO.user_id, "q", channel=DEMO.channel_id)
    spot = {"channel": DEMO.channel_id, "thread_ts": root.ts}
    assert api.error("chat.postEphemeral", **spot, user="U0NOBODY", text="a") == "user_not_in_channel"
    assert api("chat.postEphemeral", **spot, user=DEMO.user_id, text="psst")
    assert [message.only_for for message in slack.messages(DEMO.channel_id, root.ts)] == [None, DEMO.user_id]
    assert each(api.form("conversations.replies", channel=DEMO.channel_id, ts=root.ts), "messages", key="text") == ["q"]


def test_a_direct_message_is_opened_once_and_can_be_written_to_by_user_id(api: Caller, slack: FakeSlack) -> None:
    slack.add_user(User("U0BOB", DEMO.team_id, "bob@demo.example", "bob"))
    opened = str(at(api("conversations.open", users="U0BOB"), "channel", "id"))
    assert at(api("chat.postMessage", channel="U0BOB", text="hello"), "channel") == opened
    assert at(api.form("conversations.info", channel=opened), "channel", "is_im") is True
    assert api.error("conversations.open", users="U0NOBODY") == "user_not_found"


def test_channels_the_app_may_not_write_to(api: Caller, slack: FakeSlack) -> None:
    team = frozenset({DEMO.team_id})
    slack.add_channel(Channel("C0OLD", team, "old", is_archived=True))
    slack.add_channel(Channel("C0SECRET", team, "secret", is_member=False))
    slack.add_channel(Channel("C0THEIRS", frozenset({"T0FAR"}), "theirs"))
    errors = [api.error("chat.postMessage", channel=channel, text="a") for channel in ("C0OLD", "C0SECRET", "C0THEIRS")]
    assert errors == ["is_archived", "not_in_channel", "channel_not_found"]
