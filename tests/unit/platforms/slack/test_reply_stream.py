"""An answer that Slack streams."""

import pytest

from core.errors import PermanentError, RetryableError
from local.fake_slack import DEMO, FailureMode
from tests.unit.platforms.slack.stage import Stage

_SENTENCES = [f"Sentence number {number} of the answer. " for number in range(20)]


def test_answer_streams_into_one_message_that_ends_up_whole(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    text = stage.speak(reply, _SENTENCES)
    ids = reply.finish(text)
    (message,) = stage.answers(question)
    assert message.text == text.strip()
    assert not message.is_streaming
    assert message.edits == 0
    assert ids == (message.ts,) == reply.outgoing_ids
    assert stage.methods() == ["chat.startStream", "chat.appendStream", "chat.stopStream"]


def test_first_piece_is_shown_at_once_and_recorded_before_anything_else(stage: Stage) -> None:
    question = stage.ask()
    calls_when_recorded: list[int] = []
    reply = stage.reply(question, posted=lambda _: calls_when_recorded.append(len(stage.slack.calls)))
    reply.append("Hello")
    assert stage.answers(question)[0].text == "Hello"
    assert stage.answers(question)[0].is_streaming
    assert calls_when_recorded == [1]


def test_pieces_are_gathered_to_about_one_call_a_second(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    stage.speak(reply, ["word "] * 500, every=0.02)  # ten seconds of a fast model
    assert 9 <= len(stage.slack.calls) <= 12


def test_stream_in_a_channel_names_the_person_and_the_workspace(stage: Stage) -> None:
    stage.reply(stage.ask()).append("Hello")
    (call,) = stage.slack.calls_to("chat.startStream")
    assert call.arguments["recipient_user_id"] == DEMO.user_id
    assert call.arguments["recipient_team_id"] == DEMO.team_id


def test_leading_empty_pieces_start_nothing(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    stage.speak(reply, ["", "\n", "  \n"])
    assert stage.slack.calls == []
    reply.append("\nHello")
    assert stage.answers(question)[0].text == "Hello"


def test_mention_cut_across_pieces_never_rings(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    pieces = [
        "Attention <",
        "!chan",
        "nel> and @he",
        "re and <@U0",
        "ALICE001> and ",
        "<!subteam",
        "^S1> and [x](",
        "!here)",
    ]
    reply.finish(stage.speak(reply, pieces))
    shown = stage.answers(question)[0].text
    assert "".join(str(call.arguments.get("markdown_text", "")) for call in stage.slack.calls) == shown
    assert len(stage.slack.calls) > 3
    for alarm in ("<!", "@here", "<@U", "](!"):
        assert alarm not in shown
    assert shown.replace("\u200b", "") == "".join(pieces)


def test_rate_limit_while_streaming_only_delays(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("One ")
    stage.slack.fail_next("chat.appendStream", error="ratelimited", retry_after=30)
    stage.clock.pass_by(2)
    stage.speak(reply, ["two ", "three ", "four "], every=5)
    assert len(stage.slack.calls_to("chat.appendStream")) == 1
    assert stage.answers(question)[0].text == "One"
    stage.clock.pass_by(20)
    reply.append("five ")
    assert stage.answers(question)[0].text == "One two three four five"
    reply.finish("One two three four five six")
    (message,) = stage.answers(question)
    assert message.text == "One two three four five six"
    assert stage.clock.naps == []


def test_short_rate_limit_at_the_end_is_waited_for(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("One ")
    stage.slack.fail_next("chat.stopStream", error="ratelimited", retry_after=2)
    reply.finish("One two")
    assert stage.clock.naps == [2]
    assert [message.text for message in stage.answers(question)] == ["One two"]


def test_long_rate_limit_at_the_end_is_given_back_with_its_time(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("One ")
    stage.slack.fail_next("chat.stopStream", error="ratelimited", retry_after=45)
    with pytest.raises(RetryableError) as caught:
        reply.finish("One two")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 45
    assert reply.finish("One two") == reply.outgoing_ids
    assert [message.text for message in stage.answers(question)] == ["One two"]


def test_stream_that_died_is_repaired_and_continued_by_edits(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("Before the long tool call. ")
    stage.clock.pass_by(400)  # Slack ends streams after five minutes
    assert stage.answers(question)[0].is_expired
    reply.append("After it. ")
    (message,) = stage.answers(question)
    assert message.text == "Before the long tool call. After it. "
    assert not message.is_expired
    reply.finish("Before the long tool call. After it. Done.")
    (message,) = stage.answers(question)
    assert message.text == "Before the long tool call. After it. Done."


def test_stream_that_died_just_before_the_end_loses_nothing(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("First. ")
    stage.clock.pass_by(400)
    reply.finish("First. Second.")
    assert [(message.text, message.is_expired) for message in stage.answers(question)] == [("First. Second.", False)]


def test_stream_goes_on_in_a_new_message_before_it_dies(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    text = stage.speak(reply, [f"Line {number} of a slow answer.\n" for number in range(100)], every=5)
    ids = reply.finish(text)
    messages = stage.answers(question)
    assert len(messages) == 3  # 500 seconds, at most 280 for each
    assert ids == tuple(message.ts for message in messages)
    assert "\n".join(message.text.strip("\n") for message in messages) == text.strip()
    assert stage.recorded == [ids[:1], ids[:2], ids]
    assert not any(message.is_streaming or message.is_expired or message.edits for message in messages)


def test_long_answer_goes_on_in_new_messages_between_lines(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    text = stage.speak(
        reply,
        [f"{number}. A line that is neither short nor long, as lines are.\n" for number in range(700)],
        every=0.3,
    )
    reply.finish(text)
    messages = stage.answers(question)
    assert len(messages) == 5
    assert all(len(message.text) <= 12_000 for message in messages)
    assert "\n".join(message.text.strip("\n") for message in messages) == text.strip()


@pytest.mark.parametrize(("words", "every"), [(100, 5.0), (3_000, 0.1)], ids=["slow", "long"])
def test_answer_without_a_line_break_goes_on_in_a_new_message_all_the_same(
    stage: Stage, words: int, every: float
) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    text = stage.speak(reply, [f"word{number} " for number in range(words)], every=every)
    reply.finish(text)
    messages = stage.answers(question)
    assert len(messages) > 1
    assert " ".join(message.text.strip() for message in messages) == text.strip()
    assert not any(message.is_expired or message.edits for message in messages)


def test_code_that_goes_on_in_a_new_message_is_closed_and_opened_again(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    text = "Here it is:\n```python\n" + "".join(f"value_{number} = {number}\n" for number in range(1500)) + "```\nDone."
    stage.speak(reply, [text[at : at + 300] for at in range(0, len(text), 300)])
    reply.finish(text)
    messages = stage.answers(question)
    assert len(messages) == 3
    for message in messages:
        assert message.text.count("```") % 2 == 0
    assert all(message.text.startswith("```python\n") for message in messages[1:])
    lines = [line for message in messages for line in message.text.split("\n") if line.startswith("value_")]
    assert lines == [f"value_{number} = {number}" for number in range(1500)]


def test_huge_single_piece_is_split(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    text = " ".join(f"word{number}" for number in range(5000))
    reply.append(text)
    reply.finish(text)
    messages = stage.answers(question)
    assert len(messages) > 2
    assert " ".join(message.text for message in messages) == text


def test_answer_that_differs_from_what_was_streamed_replaces_it(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    stage.speak(reply, ["I will now ", "think aloud. "])
    reply.finish("The answer.")
    assert [message.text for message in stage.answers(question)] == ["The answer."]


def test_shorter_answer_than_was_streamed_removes_the_messages_behind_it(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    stage.speak(reply, [f"Line {number} of a long draft that nobody wants.\n" for number in range(500)])
    assert len(stage.answers(question)) > 1
    ids = reply.finish("Short.")
    (message,) = stage.answers(question)
    assert message.text == "Short."
    assert ids == (message.ts,)
    assert stage.recorded[-1] == ids


@pytest.mark.parametrize("mode", [FailureMode.DROP, FailureMode.HTML])
def test_append_of_unknown_outcome_doubles_nothing(stage: Stage, mode: FailureMode) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("One ")
    stage.slack.fail_next("chat.appendStream", mode=mode, effect_first=True)
    stage.clock.pass_by(2)
    stage.speak(reply, ["two ", "three ", "four"], every=3)
    reply.finish("One two three four")
    assert [message.text for message in stage.answers(question)] == ["One two three four"]


@pytest.mark.parametrize("mode", [FailureMode.DROP, FailureMode.HTML, FailureMode.ANSWER])
def test_start_of_unknown_outcome_is_looked_for_and_not_repeated(stage: Stage, mode: FailureMode) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    stage.slack.fail_next("chat.startStream", mode=mode, effect_first=True)
    reply.append("One ")
    stage.clock.pass_by(5)
    reply.append("two ")
    reply.finish("One two three")
    (message,) = stage.answers(question)
    assert message.text == "One two three"
    assert stage.recorded == [(message.ts,)]


def test_stop_of_unknown_outcome_doubles_nothing(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("One ")
    stage.slack.fail_next("chat.stopStream", mode=FailureMode.DROP, effect_first=True)
    reply.finish("One two three")
    assert [message.text for message in stage.answers(question)] == ["One two three"]


def test_token_revoked_while_streaming_is_said_at_the_end_and_not_asked_about_again(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("One ")
    stage.slack.refuse_token(DEMO.bot_token)
    stage.clock.pass_by(5)
    text = "One " + stage.speak(reply, ["two ", "three ", "four ", "five "], every=5)
    assert len(stage.slack.calls) == 2
    with pytest.raises(PermanentError) as caught:
        reply.finish(text)
    assert caught.value.code == "installation-revoked"


def test_finishing_twice_changes_nothing(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("One ")
    ids = reply.finish("One two")
    assert reply.finish("One two") == ids
    assert reply.finish("One two, corrected") == ids
    assert [message.text for message in stage.answers(question)] == ["One two, corrected"]


def test_half_a_character_from_the_model_is_no_accident(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("Smile \ud83d")
    reply.finish("Smile \ud83d")
    assert stage.answers(question)[0].text == "Smile ?"
