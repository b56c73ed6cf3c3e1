"""Buttons around an answer: Stop while it arrives, feedback when it is done, in a stream and with edits."""

from dataclasses import replace

import pytest

from core.platforms import Connection, Reply, ReplyTarget
from core.platforms.slack import adapter
from core.platforms.slack.adapter import Slack
from local.fake_slack import DEMO, FakeSlack
from local.fake_slack.state import App, SeenMessage
from tests.unit.platforms.slack.stage import Clock, Stage, address_of


def _target(question: str, **more: object) -> ReplyTarget:
    target = ReplyTarget(
        address=address_of(question),
        in_reply_to=question,
        external_user_id=DEMO.user_id,
        external_user_workspace_id=DEMO.team_id,
        is_alone=True,
        stop_reference="task-1",
        feedback_reference="message-1",
    )
    return replace(target, **more)  # type: ignore[arg-type] # a test's own names


def _no_agent(slack: FakeSlack) -> None:
    slack.add_app(App(DEMO.team_id, "Demo", DEMO.bot_token, DEMO.bot_user_id, DEMO.bot_id, DEMO.app_id, is_agent=False))


def _actions(message: SeenMessage) -> list[tuple[str, str]]:
    return [(button.action_id, button.value) for button in message.buttons]


_STOP = [("parley_stop", "task-1")]
_FEEDBACK = [("parley_feedback", "up:message-1"), ("parley_feedback", "down:message-1")]


def _open(stage: Stage, target: ReplyTarget) -> Reply:
    stage.outbound.show_working(target)
    return stage.outbound.open_reply(target, posted=stage.recorded.append)


def test_an_agent_streams_under_slacks_own_stop_button_and_ends_with_feedback(stage: Stage) -> None:
    question = stage.ask()
    reply = _open(stage, _target(question))
    assert stage.slack.session(DEMO.channel_id, question) == "processing"
    text = stage.speak(reply, ["One ", "two."])
    assert [_actions(each) for each in stage.answers(question)] == [[]]
    reply.finish(text)
    (answer,) = stage.answers(question)
    assert (answer.text, answer.edits, _actions(answer)) == ("One two.", 0, _FEEDBACK)
    assert stage.slack.session(DEMO.channel_id, question) == "active"


def test_an_app_that_is_no_agent_has_its_stop_button_in_the_stream(stage: Stage) -> None:
    _no_agent(stage.slack)
    question = stage.ask()
    reply = _open(stage, _target(question))
    assert stage.slack.status(DEMO.channel_id, question) == "is thinking…"
    text = stage.speak(reply, ["One ", "two ", "three."])
    (answer,) = stage.answers(question)
    assert (answer.text, answer.is_streaming, _actions(answer)) == ("One two three.", True, _STOP)
    reply.finish(text)
    (answer,) = stage.answers(question)
    assert (answer.text, answer.is_streaming, _actions(answer)) == ("One two three.", False, _FEEDBACK)


def test_the_status_of_an_app_that_is_no_agent_is_asked_for_once(stage: Stage) -> None:
    _no_agent(stage.slack)
    for _ in range(3):
        stage.outbound.show_working(_target(stage.ask()))
    assert len(stage.slack.calls_to("agents.sessions.setStatus")) == 1
    assert len(stage.slack.calls_to("assistant.threads.setStatus")) == 3


@pytest.mark.parametrize("is_thread", [True, False])
def test_edited_answer_carries_stop_and_then_feedback_on_its_last_message(stage: Stage, is_thread: bool) -> None:
    _no_agent(stage.slack)
    stage.slack.disable("chat.startStream")
    question = stage.ask()
    target = _target(question) if is_thread else _target(question, address=address_of("", is_direct=True))
    reply = _open(stage, target)
    text = stage.speak(reply, ["word " * 1_500, "word " * 1_500, "the end."])
    shown = stage.answers(question) if is_thread else stage.direct_answers()
    assert len(shown) > 1
    assert [_actions(each) for each in shown] == [[]] * (len(shown) - 1) + [_STOP]
    reply.finish(text)
    shown = stage.answers(question) if is_thread else stage.direct_answers()
    assert [_actions(each) for each in shown] == [[]] * (len(shown) - 1) + [_FEEDBACK]
    assert " ".join(each.text for each in shown).split() == text.split()


def test_long_streamed_answer_has_buttons_on_its_last_message_alone(stage: Stage) -> None:
    _no_agent(stage.slack)
    question = stage.ask()
    reply = _open(stage, _target(question))
    text = stage.speak(reply, ["A line of words.\n" * 200] * 8)
    reply.finish(text)
    shown = stage.answers(question)
    assert len(shown) > 2
    assert [_actions(each) for each in shown] == [[]] * (len(shown) - 1) + [_FEEDBACK]
    assert " ".join(each.text for each in shown).split() == text.split()


def test_slack_that_knows_no_feedback_buttons_gets_the_answer_without_them(stage: Stage) -> None:
    stage.slack.fail_next("chat.stopStream", error="invalid_blocks")
    stage.slack.fail_next("chat.update", error="invalid_blocks")
    question = stage.ask()
    reply = _open(stage, _target(question))
    reply.finish(stage.speak(reply, ["One ", "two."]))
    (answer,) = stage.answers(question)
    assert (answer.text, answer.is_streaming, _actions(answer)) == ("One two.", False, [])


def test_process_that_died_is_resumed_with_the_right_buttons(stage: Stage, connection: Connection) -> None:
    question = stage.ask()
    stage.speak(_open(stage, _target(question)), ["One "])
    successor = adapter.connect(connection)
    successor.open_reply(_target(question, outgoing_ids=stage.recorded[-1]), posted=stage.recorded.append).finish(
        "Two."
    )
    (answer,) = stage.answers(question)
    assert (answer.text, _actions(answer)) == ("Two.", _FEEDBACK)


def test_status_is_a_courtesy_whatever_slack_answers(stage: Stage, clock: Clock) -> None:
    for error in ("internal_error", "invalid_auth", "channel_not_found", "ratelimited"):
        stage.slack.fail_next("agents.sessions.setStatus", error=error)
        stage.slack.fail_next("assistant.threads.setStatus", error=error)
        stage.outbound.show_working(_target(stage.ask()))
    assert isinstance(stage.outbound, Slack)
