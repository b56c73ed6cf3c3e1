"""Questions to people, and the courtesies around an answer."""

import pytest

from core.errors import PermanentError
from core.platforms import (
    Button,
    CommentForm,
    HomePage,
    HomeSection,
    Prompt,
    Question,
    SharedFile,
    Welcome,
)
from tests.contract.platform import Place, What
from tests.contract.stage import Stage, die
from tests.unit.platforms.slack.stage import DiedError

_PLACES = pytest.mark.parametrize("place", ["channel", "direct"])
_QUESTION = Question(
    text="Shall I cancel order 7?",
    buttons=(
        Button(label="Yes", value="approve", reference="usage-1", style="primary"),
        Button(label="No", value="deny", reference="usage-1"),
    ),
)


@_PLACES
def test_a_question_is_asked_with_its_buttons_and_closed_without(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    outbound = stage.outbound()
    ids = outbound.ask(stage.target(message), _QUESTION, posted=stage.recorded.append)
    (asked,) = stage.shown(message)
    assert stage.recorded == [ids] == [(asked.id,)]
    assert (asked.text, list(asked.buttons)) == ("Shall I cancel order 7?", ["Yes", "No"])
    for _ in range(2):
        outbound.close_question(stage.target(message), ids, "Approved by Alice.")
    (closed,) = stage.shown(message)
    assert (closed.id, closed.text, list(closed.buttons)) == (asked.id, "Approved by Alice.", [])


@_PLACES
def test_a_question_that_was_recorded_is_not_asked_again(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    ids = stage.outbound().ask(stage.target(message), _QUESTION, posted=stage.recorded.append)
    again = stage.target(message, outgoing_ids=ids)
    assert stage.outbound().ask(again, _QUESTION, posted=stage.recorded.append) == ids
    (asked,) = stage.shown(message)
    assert list(asked.buttons) == ["Yes", "No"]


@_PLACES
def test_a_question_that_was_asked_and_not_recorded_is_found_by_the_next_delivery(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    with pytest.raises(DiedError):
        stage.outbound().ask(stage.target(message), _QUESTION, posted=die)
    again = stage.target(message, search_from=message.external_message_id)
    ids = stage.outbound().ask(again, _QUESTION, posted=stage.recorded.append)
    assert ids == tuple(each.id for each in stage.shown(message))
    assert len(ids) == 1


@_PLACES
def test_a_question_is_closed_by_another_process(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    ids = stage.outbound().ask(stage.target(message), _QUESTION, posted=stage.recorded.append)
    stage.outbound().close_question(stage.target(message), ids, "Expired.")
    (closed,) = stage.shown(message)
    assert (closed.text, list(closed.buttons)) == ("Expired.", [])


def test_somebody_else_is_asked_alone(stage: Stage) -> None:
    message = stage.ask(place="channel")
    outbound = stage.outbound()
    alone, again = (outbound.open_chat(stage.platform.person[0], message) for _ in range(2))
    assert alone == again
    assert alone.is_direct
    assert alone.workspace_id == message.address.workspace_id
    there = message.model_copy(update={"address": alone})
    ids = outbound.ask(stage.target(there), _QUESTION, posted=stage.recorded.append)
    assert stage.texts(message) == []
    (asked,) = stage.shown(there)
    assert (asked.text, list(asked.buttons)) == ("Shall I cancel order 7?", ["Yes", "No"])
    stage.outbound().close_question(stage.target(there), ids, "Approved by Alice.")
    (closed,) = stage.shown(there)
    assert (closed.text, list(closed.buttons)) == ("Approved by Alice.", [])


def test_a_person_whom_the_platform_does_not_know_cannot_be_asked_alone(stage: Stage) -> None:
    message = stage.ask(place="channel")
    with pytest.raises(PermanentError):
        stage.outbound().open_chat(stage.platform.unknown_user, message)


@_PLACES
def test_a_question_rings_nobody(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    question = Question(text=" and ".join(stage.platform.broadcasts), buttons=_QUESTION.buttons)
    stage.outbound().ask(stage.target(message), question, posted=stage.recorded.append)
    shown = "".join(stage.texts(message))
    assert not [each for each in stage.platform.broadcasts if each in shown]


@_PLACES
@pytest.mark.parametrize("status", [200, 403, 429, 500])
def test_showing_that_work_goes_on_raises_nothing(stage: Stage, place: Place, status: int) -> None:
    message = stage.ask(place=place)
    if status != 200:
        stage.platform.fail(What.SAY, status, retry_after=60, times=5)
    stage.outbound().show_working(stage.target(message))
    assert stage.texts(message) == []


@_PLACES
def test_showing_that_work_goes_on_raises_nothing_where_the_token_is_revoked(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    stage.platform.revoke()
    stage.outbound().show_working(stage.target(message))


@_PLACES
def test_a_greeting_is_given(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    prompts = (Prompt(title="Holidays", message="How do I book a day off?"),) * 12
    stage.outbound().welcome(stage.target(message), Welcome(greeting="Hello!", prompts=prompts))
    stage.outbound().welcome(stage.target(message), Welcome(greeting="Hello!"))


def test_a_person_s_page_is_shown_where_there_is_one(stage: Stage) -> None:
    sections = (HomeSection(title="Lately", lines=("*a* <b> & c", "x" * 9_000, "")),) * 80
    home = HomePage(title="Hello " * 100, introduction="Welcome.", sections=sections)
    stage.outbound().show_home(stage.platform.person[0], home)


def test_a_form_does_not_open_without_a_person_who_waits_for_it(stage: Stage) -> None:
    form = CommentForm(title="Why?", label="Tell us", submit="Send", cancel="Cancel", value="down", reference="answer")
    assert stage.outbound().ask_for_comment("", form) is False
    assert stage.outbound().ask_for_comment("long-ago", form) is False


@_PLACES
@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"", None])
def test_a_file_of_ours_is_shared_or_linked(stage: Stage, place: Place, content: bytes | None) -> None:
    message = stage.ask(place=place)
    file = SharedFile(name="out.csv", media_type="text/csv", content=content, fallback="See https://x.example/out.csv")
    ids = stage.outbound().share_file(stage.target(message), file, posted=stage.recorded.append)
    assert stage.recorded == [ids]
    (shown,) = stage.texts(message)
    assert "out.csv" in shown


@_PLACES
def test_a_file_that_is_linked_already_is_shared_or_nothing_is_said(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    large = SharedFile(name="out.csv", media_type="text/csv", content=None, fallback="")
    assert stage.outbound().share_file(stage.target(message), large, posted=stage.recorded.append) == ()
    small = SharedFile(name="out.csv", media_type="text/csv", content=b"a,b", fallback="")
    ids = stage.outbound().share_file(stage.target(message), small, posted=stage.recorded.append)
    assert stage.recorded == [each for each in [ids] if each]
    assert len(stage.texts(message)) == len(ids)


@_PLACES
def test_a_message_is_placed_once_however_often(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    assert stage.outbound().place(message) == message
    assert stage.outbound().place(message) == message
    assert stage.texts(message) == []
