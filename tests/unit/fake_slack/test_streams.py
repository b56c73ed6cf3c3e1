"""Text streams: who may write them, how they grow, when they die."""

import pytest
import urllib3

from local.fake_slack import DEMO, FakeSlack
from local.fake_slack.state import App
from tests.unit.fake_slack.caller import STREAM, TS, Caller, Clock


def test_a_stream_grows_piece_by_piece_and_ends(api: Caller, slack: FakeSlack) -> None:
    ts = api.ts("chat.startStream", **STREAM, markdown_text="Three ")
    spot = {"channel": DEMO.channel_id, "ts": ts}
    assert api.error("chat.update", **spot, text="x") == "streaming_state_conflict"
    api.ts("chat.appendStream", **spot, markdown_text="months")
    [message] = slack.threads(DEMO.channel_id)[TS]
    assert (message.text, message.is_streaming) == ("Three months", True)
    api.ts("chat.stopStream", **spot, markdown_text=".", blocks=[{"type": "section", "text": {"text": "Sources"}}])
    [message] = slack.messages(DEMO.channel_id, TS)
    assert (message.text, message.is_streaming, message.edits) == ("Three months.\nSources", False, 0)
    assert api.error("chat.appendStream", **spot, markdown_text="x") == "message_not_in_streaming_state"
    assert api.error("chat.stopStream", **spot) == "message_not_in_streaming_state"


@pytest.mark.parametrize(
    ("left_out", "error"),
    [
        ("thread_ts", "invalid_arguments"),
        ("recipient_team_id", "missing_recipient_team_id"),
        ("recipient_user_id", "missing_recipient_user_id"),
    ],
)
def test_a_stream_in_a_channel_needs_a_thread_and_a_recipient(api: Caller, left_out: str, error: str) -> None:
    assert api.error("chat.startStream", **{key: value for key, value in STREAM.items() if key != left_out}) == error


def test_a_stream_in_a_direct_message_needs_no_recipient(api: Caller) -> None:
    api.ts("chat.startStream", channel=DEMO.dm_channel_id, thread_ts=TS)


def test_a_stream_takes_chunks_or_text_and_never_both(api: Caller, slack: FakeSlack) -> None:
    task = {"type": "task_update", "id": "1", "title": "Looking it up", "status": "in_progress"}
    spot = {"channel": DEMO.channel_id, "ts": api.ts("chat.startStream", **STREAM, chunks=[task])}
    chunks = [task | {"status": "complete"}, {"type": "markdown_text", "text": "Found"}]
    api.ts("chat.appendStream", **spot, chunks=chunks)
    [message] = slack.messages(DEMO.channel_id, TS)
    assert (message.text, message.tasks) == ("Found", ("Looking it up (complete)",))
    both = {"markdown_text": "a", "chunks": chunks}
    assert api.error("chat.appendStream", **spot, **both) == "cannot_provide_both_markdown_text_and_chunks"
    assert api.error("chat.appendStream", **spot, markdown_text="a") == "streaming_mode_mismatch"
    assert api.error("chat.appendStream", **spot, chunks=[{"type": "song"}]) == "invalid_chunks"
    assert api.error("chat.appendStream", **spot) == "no_text"


def test_a_stream_is_full_at_12_000_characters_and_loses_nothing_of_them(api: Caller, slack: FakeSlack) -> None:
    spot = {"channel": DEMO.channel_id, "ts": api.ts("chat.startStream", **STREAM, markdown_text="x" * 11_000)}
    assert api.error("chat.appendStream", **spot, markdown_text="y" * 1_001) == "msg_too_long"
    api.ts("chat.stopStream", **spot, markdown_text="y" * 1_000)
    assert len(slack.messages(DEMO.channel_id, TS)[0].text) == 12_000


def test_a_stream_dies_of_age_however_busy_it_is_and_can_be_edited_then(
    api: Caller, slack: FakeSlack, clock: Clock
) -> None:
    spot = {"channel": DEMO.channel_id, "ts": api.ts("chat.startStream", **STREAM, markdown_text="a")}
    clock.now += 299
    api.ts("chat.appendStream", **spot, markdown_text="b")
    clock.now += 1
    assert api.error("chat.appendStream", **spot, markdown_text="c") == "message_not_in_streaming_state"
    [message] = slack.messages(DEMO.channel_id, TS)
    assert (message.text, message.is_streaming, message.is_expired) == ("ab", False, True)
    assert api.error("chat.stopStream", **spot) == "message_not_in_streaming_state"
    api.ts("chat.update", **spot, markdown_text="abc")
    assert slack.messages(DEMO.channel_id, TS)[0].is_expired is False


def test_only_the_app_that_started_a_stream_goes_on_with_it(
    api: Caller, slack: FakeSlack, http: urllib3.PoolManager
) -> None:
    slack.add_app(App(DEMO.team_id, "Demo", "xoxb-other", "U0OTHER", "B0OTHER", "A0OTHER"))
    spot = {"channel": DEMO.channel_id, "ts": api.ts("chat.startStream", **STREAM)}
    other = Caller(slack, http, "xoxb-other")
    assert other.error("chat.appendStream", **spot, markdown_text="x") == "message_not_owned_by_app"


def test_a_slack_without_streaming_does_not_know_the_methods(api: Caller, slack: FakeSlack) -> None:
    slack.disable("chat.startStream", "chat.appendStream", "chat.stopStream")
    assert api.error("chat.startStream", **STREAM) == "unknown_method"
    assert api.error("chat.bogus") == "unknown_method"
