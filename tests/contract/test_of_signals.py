"""What happened that is no question: said once, about the right message, with what our button carried."""

import pytest

from core.events import SignalKind
from core.platforms import Button, Question
from tests.contract.platform import Place
from tests.contract.stage import Stage

_PLACES = pytest.mark.parametrize("place", ["channel", "direct"])
_QUESTION = Question(
    text="Shall I cancel order 7?",
    buttons=(
        Button(label="Yes", value="approve", reference="usage-1", style="primary"),
        Button(label="No", value="deny", reference="usage-1", style="danger"),
    ),
)


@_PLACES
@pytest.mark.parametrize("word", ["stop", "Stop.", "STOPP"])
def test_a_stop_word_becomes_a_signal(stage: Stage, place: Place, word: str) -> None:
    signal = stage.signal(stage.platform.question(word, place))
    assert (signal.kind, signal.external_user_id) == (SignalKind.STOP, stage.platform.person[0])


@_PLACES
def test_an_edit_becomes_a_signal_about_the_same_message(stage: Stage, place: Place) -> None:
    call = stage.platform.question("What is the plan?", place)
    stage.take(call)
    (message,) = stage.messages()
    signal = stage.signal(stage.platform.edited(call, "What is plan B?"))
    assert (signal.kind, signal.external_message_id) == (SignalKind.EDIT, message.external_message_id)
    assert "What is plan B?" in signal.text
    assert signal.group_id == message.group_id


@_PLACES
def test_a_deletion_becomes_a_signal_about_the_same_message(stage: Stage, place: Place) -> None:
    call = stage.platform.question("What is the plan?", place)
    stage.take(call)
    (message,) = stage.messages()
    signal = stage.signal(stage.platform.deleted(call))
    assert (signal.kind, signal.external_message_id) == (SignalKind.DELETE, message.external_message_id)
    assert signal.group_id == message.group_id


@_PLACES
@pytest.mark.parametrize("value", ["up", "down"])
def test_feedback_becomes_a_signal_about_the_answer(stage: Stage, place: Place, value: str) -> None:
    message = stage.ask(place=place)
    (answer_id,) = stage.reply(message, feedback_reference="answer-1").finish("Ship it.")
    (answer,) = stage.shown(message)
    signal = stage.signal(stage.platform.judged(message, answer, "up" if value == "up" else "down"))
    assert (signal.kind, signal.value) == (SignalKind.FEEDBACK, value)
    assert signal.external_message_id == answer_id
    assert signal.reference in ("answer-1", ""), "where the platform has thumbs of its own the message is all it names"
    assert signal.external_user_id == stage.platform.person[0]


@_PLACES
@pytest.mark.parametrize(("label", "value"), [("Yes", "approve"), ("No", "deny")])
def test_a_decision_becomes_a_signal(stage: Stage, place: Place, label: str, value: str) -> None:
    message = stage.ask(place=place)
    stage.outbound().ask(stage.target(message), _QUESTION, posted=stage.recorded.append)
    (asked,) = stage.shown(message)
    assert list(asked.buttons) == ["Yes", "No"]
    signal = stage.signal(stage.platform.pressed(message, asked, label))
    assert (signal.kind, signal.value, signal.reference) == (SignalKind.APPROVAL, value, "usage-1")
    assert signal.external_message_id == asked.id
    assert signal.external_user_id == stage.platform.person[0]
    assert signal.group_id == message.group_id


def test_the_stop_button_becomes_a_signal(stage: Stage) -> None:
    message = stage.ask()
    stage.reply(message, stop_reference="task-1").append("The plan is ")
    (arriving,) = stage.platform.shown(message)
    (label,) = arriving.buttons
    signal = stage.signal(stage.platform.pressed(message, arriving, label))
    assert (signal.kind, signal.reference) == (SignalKind.STOP, "task-1")


def test_a_signal_that_comes_twice_is_one(stage: Stage) -> None:
    call = stage.platform.question("What is the plan?", "channel")
    edit, deletion = stage.platform.edited(call, "What is plan B?"), stage.platform.deleted(call)
    for each in (edit, edit, deletion, stage.platform.sent_again(deletion)):
        stage.take(each)
    assert [signal.kind for signal in stage.signals()] == [SignalKind.EDIT, SignalKind.DELETE]


def test_the_app_s_arrival_becomes_a_signal(stage: Stage) -> None:
    signal = stage.signal(stage.platform.installed())
    assert (signal.kind, signal.address.workspace_id) == (SignalKind.INSTALL, stage.platform.workspace_id)


def test_the_app_s_removal_becomes_a_signal(stage: Stage) -> None:
    signal = stage.signal(stage.platform.uninstalled())
    assert (signal.kind, signal.address.workspace_id) == (SignalKind.UNINSTALL, stage.platform.workspace_id)


def test_a_forged_removal_is_refused(stage: Stage) -> None:
    assert stage.deliver(stage.signed(stage.platform.uninstalled(), is_forged=True))[0] == 401
    assert stage.is_quiet()
