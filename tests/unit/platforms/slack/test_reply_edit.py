"""An answer where Slack does not stream: posted, then edited; and what a first try left behind."""

import pytest

from core.errors import PermanentError, RetryableError
from core.models import Address
from local.fake_slack import DEMO, FailureMode
from local.fake_slack.state import User
from tests.unit.platforms.slack.stage import DiedError, Stage

_NOT_OFFERED = [
    "unknown_method",
    "missing_scope",
    "not_allowed_token_type",
    "invalid_thread_ts",
    "method_not_supported_for_channel_type",
    "channel_type_not_supported",
    "missing_recipient_user_id",
    "missing_recipient_team_id",
    "enterprise_is_restricted",
]


def _die(ids: tuple[str, ...]) -> None:
    raise DiedError(ids)


@pytest.mark.parametrize("error", _NOT_OFFERED)
def test_answer_is_posted_and_edited_where_streams_are_not_offered(stage: Stage, error: str) -> None:
    question = stage.ask()
    stage.slack.fail_next("chat.startStream", error=error)
    reply = stage.reply(question)
    reply.append("It is **done**")
    assert [message.text for message in stage.answers(question)] == ["It is *done*"]
    text = "It is **done** " + stage.speak(reply, [" and", " so", " on"])
    reply.finish(text)
    (message,) = stage.answers(question)
    assert message.text == "It is *done*  and so on"
    assert not message.is_markdown
    assert len(stage.slack.calls_to("chat.startStream")) == 1
    assert len(stage.slack.calls_to("chat.postMessage")) == 1


def test_edits_come_no_faster_than_about_one_a_second(stage: Stage) -> None:
    stage.slack.disable("chat.startStream")
    reply = stage.reply(stage.ask())
    stage.speak(reply, ["word "] * 600, every=0.02)  # twelve seconds
    assert 8 <= len(stage.slack.calls_to("chat.update")) <= 11


def test_long_answer_takes_several_messages_and_edits_only_the_last(stage: Stage) -> None:
    stage.slack.disable("chat.startStream")
    question = stage.ask()
    reply = stage.reply(question)
    text = stage.speak(reply, ["Line <of> a long & winding answer.\n" * 8] * 45)
    ids = reply.finish(text)
    messages = stage.answers(question)
    assert ids == tuple(message.ts for message in messages)
    assert len(messages) == 5
    shown = "\n".join(message.text.strip("\n") for message in messages)
    assert shown == text.strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    edited = [str(call.arguments["ts"]) for call in stage.slack.calls_to("chat.update")]
    assert edited == sorted(edited)


def test_direct_message_outside_of_threads_is_answered_at_top_level(stage: Stage) -> None:
    question = stage.slack.post_as(DEMO.user_id, "Hello", channel=DEMO.dm_channel_id).ts
    reply = stage.reply_direct(question)
    stage.speak(reply, ["Hello, ", "**Alice**"])
    reply.finish("Hello, **Alice**")
    (message,) = stage.direct_answers()
    assert message.text == "Hello, *Alice*"
    assert message.thread_ts is None
    assert stage.slack.calls_to("chat.startStream") == []


def test_thread_in_a_direct_message_is_streamed_without_naming_anybody(stage: Stage) -> None:
    question = stage.slack.post_as(DEMO.user_id, "Hello", channel=DEMO.dm_channel_id).ts
    address = Address(
        platform="slack",
        workspace_id=DEMO.team_id,
        channel_id=DEMO.dm_channel_id,
        thread_id=question,
        is_direct=True,
    )
    stage.reply_at(address, question).append("Hello")
    (call,) = stage.slack.calls_to("chat.startStream")
    assert "recipient_user_id" not in call.arguments
    assert stage.direct_answers()[0].text == "Hello"


def test_answer_that_comes_all_at_once_is_posted_whole(stage: Stage) -> None:
    question = stage.ask()
    text = "\n\n".join(f"Paragraph {number}. " + "And more words. " * 40 for number in range(150))  # 100 kB
    ids = stage.reply(question).finish(text)
    messages = stage.answers(question)
    assert ids == tuple(message.ts for message in messages)
    assert len(messages) == 9
    assert "".join("".join(message.text.split()) for message in messages) == "".join(text.split())
    assert stage.recorded == [ids[: number + 1] for number in range(len(ids))]


def test_empty_answer_still_says_something(stage: Stage) -> None:
    question = stage.ask()
    stage.reply(question).finish("")
    assert [message.text for message in stage.answers(question)] == ["…"]


def test_slack_without_markdown_text_gets_text(stage: Stage) -> None:
    question = stage.ask()
    stage.slack.fail_next("chat.postMessage", error="no_text")
    stage.reply(question).finish("It is **done**")
    assert [message.text for message in stage.answers(question)] == ["It is *done*"]


def test_what_is_too_long_for_slack_is_split_smaller(stage: Stage) -> None:
    question = stage.ask()
    stage.slack.fail_next("chat.postMessage", error="msg_too_long", times=2)
    text = " ".join(f"word{number}" for number in range(1000))
    stage.reply(question).finish(text)
    messages = stage.answers(question)
    assert len(messages) == 3
    assert " ".join(message.text for message in messages) == text


def test_deleted_message_is_replaced_by_a_new_one(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("One ")
    (first,) = stage.answers(question)
    stage.slack.state.message(DEMO.channel_id, first.ts).is_deleted = True
    stage.clock.pass_by(2)
    reply.append("two ")
    ids = reply.finish("One two three")
    (message,) = stage.answers(question)
    assert message.text == "One two three"
    assert ids == (message.ts,)


def test_revoked_token_is_permanent(stage: Stage) -> None:
    stage.slack.refuse_token(DEMO.bot_token, "account_inactive")
    with pytest.raises(PermanentError) as caught:
        stage.reply("1767225600.000100").finish("Hello")
    assert caught.value.code == "installation-revoked"


def test_archived_channel_is_permanent(stage: Stage) -> None:
    question = stage.ask()
    stage.slack.fail_next("chat.postMessage", error="is_archived")
    with pytest.raises(PermanentError) as caught:
        stage.reply(question).finish("Hello")
    assert caught.value.code == "channel-unavailable"


def test_slack_down_at_the_end_is_retryable_and_the_next_try_completes(stage: Stage) -> None:
    question = stage.ask()
    reply = stage.reply(question)
    reply.append("One ")
    for method in ("chat.stopStream", "chat.update", "chat.postMessage"):
        stage.slack.fail_next(method, http_status=503, times=2)
    with pytest.raises(RetryableError):
        reply.finish("One two")
    reply.finish("One two")
    assert [message.text for message in stage.answers(question)] == ["One two"]


@pytest.mark.parametrize("mode", [FailureMode.DROP, FailureMode.HTML, FailureMode.ANSWER])
def test_post_of_unknown_outcome_is_looked_for_and_not_repeated(stage: Stage, mode: FailureMode) -> None:
    question = stage.ask()
    stage.slack.fail_next("chat.postMessage", mode=mode, effect_first=True)
    ids = stage.reply(question).finish("The answer")
    (message,) = stage.answers(question)
    assert message.text == "The answer"
    assert stage.recorded == [ids]


def test_post_that_never_arrived_is_posted_after_looking(stage: Stage) -> None:
    question = stage.ask()
    stage.slack.fail_next("chat.postMessage", mode=FailureMode.DROP)
    stage.reply(question).finish("The answer")
    assert [message.text for message in stage.answers(question)] == ["The answer"]


def test_process_that_died_before_recording_leaves_one_answer(stage: Stage) -> None:
    question = stage.ask()
    dying = stage.reply(question, posted=_die)
    with pytest.raises(DiedError):
        dying.append("The ans")
    second = stage.reply(question, search_from=question)
    second.append("The answer ")
    ids = second.finish("The answer is 42.")
    (message,) = stage.answers(question)
    assert message.text == "The answer is 42."
    assert not message.is_streaming
    assert ids == (message.ts,)
    assert stage.recorded == [ids]


def test_process_that_died_before_recording_a_post_leaves_one_answer(stage: Stage) -> None:
    question = stage.ask()
    with pytest.raises(DiedError):
        stage.reply(question, posted=_die).finish("The answer is 42.")
    stage.reply(question, search_from=question).finish("The answer is 42.")
    assert [message.text for message in stage.answers(question)] == ["The answer is 42."]


def test_reply_survives_a_recording_that_failed(stage: Stage) -> None:
    question = stage.ask()
    failures = [RetryableError("store", "the table is slow", is_outcome_unknown=True)]

    def fail_once(ids: tuple[str, ...]) -> None:
        if failures:
            raise failures.pop()

    reply = stage.reply(question, posted=fail_once)
    with pytest.raises(RetryableError, match="the table is slow"):
        reply.append("One ")
    reply.finish("One two")
    assert [message.text for message in stage.answers(question)] == ["One two"]


def test_process_that_died_in_the_stream_is_resumed_into_the_same_message(stage: Stage) -> None:
    question = stage.ask()
    first = stage.reply(question)
    stage.speak(first, ["One ", "two "])
    second = stage.reply(question, ids=first.outgoing_ids)
    stage.speak(second, ["Another ", "beginning "])
    assert [message.text for message in stage.answers(question)] == ["Another beginning "]
    assert second.finish("Another beginning and an end") == first.outgoing_ids
    (message,) = stage.answers(question)
    assert (message.text, message.is_streaming) == ("Another beginning and an end", False)


def test_resumed_answer_that_is_shorter_leaves_no_old_part_behind(stage: Stage) -> None:
    question = stage.ask()
    first = stage.reply(question)
    stage.speak(first, [f"Line {number} of a long first try, one of many lines.\n" for number in range(500)])
    assert len(first.outgoing_ids) > 2
    ids = stage.reply(question, ids=first.outgoing_ids).finish("Short.")
    assert [(message.text, message.ts) for message in stage.answers(question)] == [("Short.", ids[0])]
    assert len(ids) == 1


def test_process_that_died_before_recording_its_second_part_leaves_no_orphan(stage: Stage) -> None:
    question = stage.ask()
    recorded: list[tuple[str, ...]] = []

    def die_at_second(ids: tuple[str, ...]) -> None:
        if len(ids) > 1:
            raise DiedError
        recorded.append(ids)

    text = "\n".join(f"Line {number} of an answer that takes two messages." for number in range(300))
    first = stage.reply(question, posted=die_at_second)
    with pytest.raises(DiedError):
        stage.speak(first, text.splitlines(keepends=True), every=0.3)
    assert len(stage.answers(question)) == 2
    stage.reply(question, ids=recorded[-1]).finish(text)
    messages = stage.answers(question)
    assert len(messages) == 2
    assert "\n".join(message.text.strip("\n") for message in messages) == text


def test_finish_of_a_resumed_answer_repeats_without_change(stage: Stage) -> None:
    question = stage.ask()
    ids = stage.reply(question).finish("The answer")
    assert stage.reply(question, ids=ids).finish("The answer") == ids
    assert [message.text for message in stage.answers(question)] == ["The answer"]


def test_search_takes_no_other_answer_and_no_other_bot(stage: Stage) -> None:
    stage.slack.add_user(User("U0OTHERBOT", DEMO.team_id, None, "other", is_bot=True))
    root = stage.ask()
    earlier = stage.reply(root).finish("Answer to the first question")
    question = stage.ask("And then?", thread_ts=root)
    later_question = stage.ask("And more?", thread_ts=root)
    stage.reply(later_question, thread=root).finish("Answer to the third question")
    unfinished = stage.reply(stage.ask("And last?", thread_ts=root), thread=root)
    unfinished.append("Answer to the fourth question")  # a stream does not say which question it answers
    stage.slack.post_as("U0OTHERBOT", "Another bot", channel=DEMO.channel_id, thread_ts=root)
    answered = [*earlier, *unfinished.outgoing_ids]
    reply = stage.reply(question, thread=root, search_from=question, answered=answered)
    reply.finish("Answer to the second question")
    assert stage.slack.calls_to("chat.update") == []
    assert [message.text for message in stage.answers(root)] == [
        "Answer to the first question",
        "Answer to the third question",
        "Answer to the fourth question",
        "Answer to the second question",
    ]


def test_search_that_slack_does_not_allow_does_not_stop_the_answer(stage: Stage) -> None:
    question = stage.ask()
    stage.slack.fail_next("conversations.replies", error="missing_scope")
    stage.reply(question, search_from=question).finish("The answer")
    assert [message.text for message in stage.answers(question)] == ["The answer"]


def test_search_that_slack_delays_is_given_back(stage: Stage) -> None:
    question = stage.ask()
    stage.slack.fail_next("conversations.replies", error="ratelimited", retry_after=60)
    with pytest.raises(RetryableError) as caught:
        stage.reply(question, search_from=question).finish("The answer")
    assert caught.value.retry_after is not None
    assert stage.answers(question) == []


def test_process_that_died_in_a_direct_message_leaves_one_answer(stage: Stage) -> None:
    question = stage.slack.post_as(DEMO.user_id, "Hello", channel=DEMO.dm_channel_id).ts
    stage.slack.fail_next("chat.postMessage", mode=FailureMode.DROP, effect_first=True)
    stage.reply_direct(question).append("Hel")
    stage.reply_direct(question, search_from=question).finish("Hello, Alice")
    assert [message.text for message in stage.direct_answers()] == ["Hello, Alice"]
