"""An answer on its way into Teams: streamed, posted, edited, cut, and never lost or said twice."""

import pytest

from core.errors import PermanentError, RetryableError
from core.platforms import ReplyStoppedError
from core.platforms.teams.format import to_teams
from local.fake_slack.faults import FailureMode
from local.fake_teams import DEMO, FakeTeams, SeenActivity
from tests.unit.platforms.slack.stage import DiedError
from tests.unit.platforms.teams.stage import CHANNEL, Stage, channel, personal

_WORDS = ["The plan ", "is to **ship** ", "on Friday.\n\n", "Then we ", "rest."]
_WHOLE = "".join(_WORDS)


def _only(stage: Stage, conversation: str = DEMO.personal_id) -> SeenActivity:
    (answer,) = stage.answers(conversation)
    assert not answer.is_streaming
    return answer


def test_a_personal_chat_sees_the_answer_grow_and_then_stand(stage: Stage) -> None:
    reply = stage.reply()
    reply.append("The plan ")
    (begun,) = stage.answers()
    assert begun.is_streaming
    assert stage.recorded == [(begun.id,)], "noted before anything more is sent"
    stage.clock.pass_by(2)
    stage.speak(reply, _WORDS[1:])
    assert stage.answers()[0].text.startswith("The plan is to **ship** on Friday.")
    assert reply.finish(_WHOLE) == (begun.id,)
    answer = _only(stage)
    assert (answer.text, answer.is_streamed, answer.edits) == (_WHOLE, True, 0)
    assert stage.recorded == [(begun.id,)]


def test_pieces_are_sent_no_more_often_than_teams_allows(stage: Stage) -> None:
    reply = stage.reply()
    stage.speak(reply, ["word "] * 100, every=0.1)
    reply.finish("word " * 100)
    posts = stage.teams.calls_to("post")
    assert 5 <= len(posts) <= 9
    assert {call.status for call in posts} <= {201, 202}
    assert _only(stage).text == ("word " * 100).strip()


def test_sequence_numbers_count_up_and_the_end_has_none(stage: Stage) -> None:
    reply = stage.reply()
    stage.speak(reply, _WORDS)
    reply.finish(_WHOLE)
    infos = [call.fields["entities"][0] for call in stage.teams.calls_to("post")]  # type: ignore[index]
    assert [info.get("streamSequence") for info in infos] == [1, 2, 3, 4, 5, None]
    assert infos[-1]["streamType"] == "final"


def test_a_channel_sees_typing_and_then_one_whole_answer(stage: Stage) -> None:
    reply = stage.reply(channel())
    stage.speak(reply, _WORDS)
    assert not stage.answers(CHANNEL)
    assert stage.teams.state.typing == [CHANNEL] * 3
    assert reply.finish(_WHOLE) == (_only(stage, CHANNEL).id,)
    assert _only(stage, CHANNEL).text == _WHOLE
    assert stage.recorded == [(_only(stage, CHANNEL).id,)]


def test_an_answer_says_that_a_model_wrote_it_and_has_thumbs_where_wanted(stage: Stage) -> None:
    stage.reply(channel(), feedback_reference="reply-1").finish("Yes.")
    answer = _only(stage, CHANNEL)
    assert answer.fields["channelData"] == {"feedbackLoop": {"type": "default"}}
    assert "AIGeneratedContent" in str(answer.fields["entities"])
    stage.reply(personal()).finish("Yes.")
    assert "channelData" not in _only(stage).fields


def test_only_the_last_part_of_a_long_answer_has_thumbs(stage: Stage) -> None:
    text = "\n\n".join(f"Paragraph {number} " + "word " * 200 for number in range(40))
    ids = stage.reply(feedback_reference="reply-1").finish(text)
    answers = stage.answers()
    assert tuple(answer.id for answer in answers) == ids
    assert ["channelData" in answer.fields for answer in answers] == [False] * (len(ids) - 1) + [True]


def test_where_streams_are_not_allowed_the_answer_is_a_message(stage: Stage) -> None:
    stage.teams.connector.is_streaming_allowed = False
    reply = stage.reply()
    stage.speak(reply, _WORDS)
    reply.finish(_WHOLE)
    assert _only(stage).text == _WHOLE
    assert len([call for call in stage.teams.calls_to("post") if call.status == 403]) == 1


def test_a_stream_is_ended_before_its_two_minutes_and_the_rest_is_an_edit(stage: Stage) -> None:
    reply = stage.reply()
    said = stage.speak(reply, [f"Line {number}.\n" for number in range(100)])
    assert not stage.answers()[0].is_streaming
    reply.finish(said)
    answer = _only(stage)
    assert (answer.text, answer.edits) == (said.strip(), 1)
    assert all(call.status < 300 for call in stage.teams.calls)


def test_a_stream_that_expired_in_silence_is_edited(stage: Stage) -> None:
    reply = stage.reply()
    reply.append("The plan ")
    stage.clock.pass_by(130)
    reply.finish(_WHOLE)
    assert _only(stage).text == _WHOLE


def _stop(stage: Stage) -> None:
    """The reader presses Teams's own button."""
    stage.teams.connector.cancelled.add(stage.answers()[0].id)
    stage.clock.pass_by(2)


def test_a_stream_that_its_reader_stopped_ends_the_answer_and_stays_as_it_is(stage: Stage) -> None:
    reply = stage.reply()
    reply.append("The plan ")
    _stop(stage)
    with pytest.raises(ReplyStoppedError):
        stage.speak(reply, _WORDS[1:])
    calls = len(stage.teams.calls)
    assert reply.finish(_WHOLE) == stage.recorded[0]
    assert len(stage.teams.calls) == calls, "nothing is changed behind the reader's back"
    assert stage.texts() == ["The plan "]


def test_a_stream_that_its_reader_stopped_at_the_very_end_stays_as_it_is(stage: Stage) -> None:
    reply = stage.reply()
    reply.append("The plan ")
    _stop(stage)
    assert reply.finish(_WHOLE) == stage.recorded[0]
    assert reply.finish(_WHOLE) == stage.recorded[0]
    assert stage.texts() == ["The plan "]


def test_a_stream_that_its_reader_stopped_is_left_alone_by_a_later_delivery(stage: Stage) -> None:
    stage.reply().append("The plan ")
    _stop(stage)
    assert stage.reply(outgoing_ids=stage.recorded[0]).finish(_WHOLE) == stage.recorded[0]
    assert stage.texts() == ["The plan "]


def test_what_else_ends_a_stream_does_not_stop_the_answer(stage: Stage) -> None:
    reply = stage.reply()
    reply.append("The plan ")
    stage.clock.pass_by(2)
    stage.teams.fail_next("post", 403, code="ContentStreamNotAllowed")
    stage.speak(reply, _WORDS[1:])
    reply.finish(_WHOLE)
    assert stage.texts() == [_WHOLE]


def test_an_answer_that_turns_out_otherwise_replaces_what_was_streamed(stage: Stage) -> None:
    reply = stage.reply()
    stage.speak(reply, _WORDS)
    reply.finish("Sorry, something went wrong.")
    assert _only(stage).text == "Sorry, something went wrong."


def test_a_table_is_shown_once_it_is_whole(stage: Stage) -> None:
    lines = ["Look:\n\n", "| a | b |\n", "|---|---|\n", "| 1 | 2 |\n", "\nDone."]
    reply = stage.reply()
    for line in lines:
        reply.append(line)
        stage.clock.pass_by(2)
        assert "|---" not in stage.texts()[0]
    reply.finish("".join(lines))
    answer = _only(stage)
    assert answer.text == to_teams("".join(lines))
    assert answer.edits == 0, "what was streamed stayed the beginning of the answer"


def test_a_long_answer_is_streamed_as_far_as_one_message_goes(stage: Stage) -> None:
    text = "".join(f"Sentence number {number} of many.\n\n" for number in range(1_200))
    reply = stage.reply()
    stage.speak(reply, [text[at : at + 2_000] for at in range(0, len(text), 2_000)])
    ids = reply.finish(text)
    assert len(ids) > 2
    assert "".join("".join(stage.texts()).split()) == "".join(text.split())
    assert stage.recorded[-1] == ids


def test_a_message_that_teams_finds_too_big_is_cut_again(stage: Stage) -> None:
    stage.teams.fail_next("post", 413, code="MessageSizeTooBig")
    text = "word " * 2_000
    stage.reply(channel()).finish(text)
    assert len(stage.answers(CHANNEL)) == 2
    assert " ".join(stage.texts(CHANNEL)).split() == text.split()


def test_a_message_that_is_too_big_however_short_is_refused_in_the_end(stage: Stage) -> None:
    stage.teams.fail_next("post", 413, times=50)
    with pytest.raises(PermanentError):
        stage.reply(channel()).finish("word " * 2_000)


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_answer_is_not_no_message(stage: Stage, text: str) -> None:
    stage.reply(channel()).finish(text)
    assert stage.texts(CHANNEL) == ["…"]


def test_half_a_character_cannot_stop_an_answer(stage: Stage) -> None:
    reply = stage.reply()
    reply.append("a\ud83d")
    reply.finish("a\ud83d b")
    assert _only(stage).text.startswith("a")


def test_finishing_twice_changes_nothing(stage: Stage) -> None:
    reply = stage.reply()
    ids = reply.finish(_WHOLE)
    calls = len(stage.teams.calls)
    assert reply.finish(_WHOLE) == ids
    assert len(stage.teams.calls) == calls


# Crashes: what a later delivery finds.


@pytest.mark.parametrize("address", [personal(), channel()])
def test_a_recorded_answer_is_edited_and_not_posted_again(stage: Stage, address: object) -> None:
    conversation = DEMO.personal_id if address == personal() else CHANNEL
    ids = stage.reply(address).finish(_WHOLE)  # type: ignore[arg-type]
    assert stage.reply(address, outgoing_ids=ids).finish(_WHOLE) == ids  # type: ignore[arg-type]
    assert stage.texts(conversation) == [_WHOLE]


def test_a_stream_of_a_process_that_died_is_ended_by_the_next(stage: Stage) -> None:
    stage.speak(stage.reply(), _WORDS[:2])
    (begun,) = stage.recorded
    assert stage.answers()[0].is_streaming
    assert stage.reply(outgoing_ids=begun).finish(_WHOLE) == begun
    assert _only(stage).text == _WHOLE


def test_a_stream_of_a_process_that_died_gives_way_to_another_answer(stage: Stage) -> None:
    stage.speak(stage.reply(), _WORDS[:2])
    ids = stage.reply(outgoing_ids=stage.recorded[0]).finish("Quite another answer.")
    assert stage.texts() == ["Quite another answer."]
    assert ids == (_only(stage).id,)


def test_a_process_that_dies_between_two_parts_goes_on_with_the_second(stage: Stage) -> None:
    text = "\n\n".join("word " * 300 for _ in range(20))

    def die(ids: tuple[str, ...]) -> None:
        stage.recorded.append(ids)
        if len(ids) == 2:
            raise DiedError

    with pytest.raises(DiedError):
        stage.reply(channel(), posted=die).finish(text)
    ids = stage.reply(channel(), outgoing_ids=stage.recorded[-1]).finish(text)
    assert len(ids) == 3
    assert len(stage.answers(CHANNEL)) == 3
    assert " ".join(stage.texts(CHANNEL)).split() == text.split()


def test_parts_that_are_not_needed_any_more_go_away(stage: Stage) -> None:
    text = "\n\n".join("word " * 300 for _ in range(20))
    ids = stage.reply(channel()).finish(text)
    assert stage.reply(channel(), outgoing_ids=ids).finish("Short.") == ids[:1]
    assert stage.texts(CHANNEL) == ["Short."]


def test_a_message_that_somebody_deleted_is_posted_anew(stage: Stage) -> None:
    (first,) = stage.reply(channel()).finish(_WHOLE)
    stage.teams.connector.delete(CHANNEL, first)
    (second,) = stage.reply(channel(), outgoing_ids=(first,)).finish(_WHOLE)
    assert second != first
    assert stage.texts(CHANNEL) == [_WHOLE]


def test_a_message_that_could_not_be_noted_is_taken_back(stage: Stage) -> None:
    def fail(_ids: tuple[str, ...]) -> None:
        raise RetryableError("table-busy", "later")

    reply = stage.reply(posted=fail)
    with pytest.raises(RetryableError):
        reply.append("The plan ")
    assert not stage.answers()


# Faults of the connector.


def test_a_failure_to_show_is_no_failure(stage: Stage) -> None:
    reply = stage.reply()
    reply.append("The plan ")
    stage.teams.fail_next("post", 502, times=2)
    stage.clock.pass_by(2)
    stage.speak(reply, _WORDS[1:])
    reply.finish(_WHOLE)
    assert _only(stage).text == _WHOLE


@pytest.mark.parametrize("mode", [FailureMode.DROP, FailureMode.ANSWER, FailureMode.HTML])
def test_a_lost_posting_is_left_to_the_next_delivery(stage: Stage, mode: FailureMode) -> None:
    stage.teams.fail_next("post", 502 if mode is FailureMode.ANSWER else 200, mode=mode, effect_first=True)
    with pytest.raises(RetryableError) as caught:
        stage.reply(channel()).finish(_WHOLE)
    assert caught.value.is_outcome_unknown
    assert len(stage.teams.calls_to("post")) == 1, "not posted blindly again"
    stage.reply(channel(), search_from="1767225599000").finish(_WHOLE)
    assert 1 <= len(stage.answers(CHANNEL)) <= 2


def test_a_stream_whose_beginning_was_lost_is_not_begun_again(stage: Stage) -> None:
    stage.teams.fail_next("post", mode=FailureMode.DROP, effect_first=True)
    reply = stage.reply()
    stage.speak(reply, _WORDS, every=5)
    assert len(stage.answers()) == 1
    reply.finish(_WHOLE)
    assert [answer.text for answer in stage.answers() if not answer.is_streaming] == [_WHOLE]


@pytest.mark.parametrize("effect_first", [True, False])
def test_an_end_whose_answer_was_lost_is_edited_and_not_said_twice(stage: Stage, effect_first: bool) -> None:
    reply = stage.reply()
    stage.speak(reply, _WORDS)
    stage.teams.fail_next("post", 504, effect_first=effect_first)
    reply.finish(_WHOLE)
    assert _only(stage).text == _WHOLE


def test_a_short_rate_limit_is_waited_for_and_a_long_one_given_back(stage: Stage) -> None:
    stage.teams.fail_next("post", 429, retry_after=2)
    stage.reply(channel()).finish(_WHOLE)
    assert stage.clock.naps == [2.0]
    assert stage.texts(CHANNEL) == [_WHOLE]
    stage.teams.fail_next("post", 429, retry_after=60)
    with pytest.raises(RetryableError) as caught:
        stage.reply(channel()).finish("Another.")
    assert caught.value.retry_after
    assert caught.value.retry_after.total_seconds() == 60
    assert stage.texts(CHANNEL) == [_WHOLE]


def test_an_end_that_has_to_wait_is_ended_by_the_next_delivery(stage: Stage) -> None:
    reply = stage.reply()
    stage.speak(reply, _WORDS)
    stage.teams.fail_next("post", 429, retry_after=60)
    with pytest.raises(RetryableError):
        reply.finish(_WHOLE)
    assert reply.finish(_WHOLE) == stage.recorded[0], "the message that was begun"
    assert _only(stage).text == _WHOLE


@pytest.mark.parametrize("code", ["BotNotInConversationRoster", "ConversationBlockedByUser", "ConversationNotFound"])
def test_a_conversation_that_is_closed_to_the_assistant_is_told_as_such(stage: Stage, code: str) -> None:
    stage.teams.state.closed[CHANNEL] = code
    reply = stage.reply(channel())
    reply.append("The plan")
    with pytest.raises(PermanentError) as caught:
        reply.finish(_WHOLE)
    assert caught.value.code == "channel-unavailable"


def test_a_reply_goes_only_to_a_host_that_the_stack_names(stage: Stage, teams: FakeTeams) -> None:
    for url in (
        "https://evil.example/",
        f"{teams.url}@evil.example/",
        "",
        "http://127.0.0.1:1/",
        "https://smba.trafficmanager.net:444/",
    ):
        with pytest.raises(PermanentError) as caught:
            stage.reply(channel(), reply_url=url).finish(_WHOLE)
        assert caught.value.code == "service-host-unknown"
    assert not teams.calls, "no token was even asked for"
