"""An answer stands once, whole, whatever happens on the way."""

from contextlib import suppress

import pytest

from core.errors import PermanentError, RetryableError
from core.platforms import ReplyStoppedError
from tests.contract.platform import Place, What
from tests.contract.stage import Stage, die
from tests.unit.platforms.slack.stage import DiedError

_PLACES = pytest.mark.parametrize("place", ["channel", "direct"])
_PIECES = ["The plan ", "is to ship ", "on Friday. ", "Then we ", "rest."]
_WHOLE = "".join(_PIECES)
_LONG = "\n\n".join(f"Paragraph {number} of many. " + "Some more words. " * 40 for number in range(60))


def _words(stage: Stage, texts: list[str]) -> str:
    return "".join("".join(texts).split())


@_PLACES
def test_an_answer_that_was_streamed_is_exactly_its_text(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    reply = stage.reply(message)
    ids = reply.finish(stage.speak(reply, _PIECES))
    assert stage.texts(message) == [_WHOLE]
    assert ids == tuple(each.id for each in stage.shown(message)) == reply.outgoing_ids


@_PLACES
def test_an_answer_that_comes_at_once_is_exactly_its_text(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    stage.reply(message).finish(_WHOLE)
    assert stage.texts(message) == [_WHOLE]


@_PLACES
def test_an_answer_that_turns_out_otherwise_replaces_what_was_streamed(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    reply = stage.reply(message)
    stage.speak(reply, _PIECES)
    reply.finish("Sorry, something went wrong.")
    assert stage.texts(message) == ["Sorry, something went wrong."]


@_PLACES
def test_each_message_is_recorded_before_the_next_is_posted(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    ids = stage.reply(message).finish(_LONG)
    assert stage.recorded == [ids[: number + 1] for number in range(len(ids))]


@_PLACES
@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_long_answer_is_split_and_nothing_of_it_is_lost(stage: Stage, place: Place, is_streamed: bool) -> None:
    message = stage.ask(place=place)
    reply = stage.reply(message)
    if is_streamed:
        stage.speak(reply, [_LONG[at : at + 3_000] for at in range(0, len(_LONG), 3_000)])
    ids = reply.finish(_LONG)
    assert len(ids) > 1
    assert ids == tuple(each.id for each in stage.shown(message))
    assert _words(stage, stage.texts(message)) == _words(stage, [_LONG])


@_PLACES
@pytest.mark.parametrize("text", ["", " \n", "a\ud83d"])
def test_what_cannot_be_said_does_not_stop_an_answer(stage: Stage, place: Place, text: str) -> None:
    message = stage.ask(place=place)
    reply = stage.reply(message)
    reply.append(text)
    reply.finish(text)
    assert len(stage.shown(message)) == 1


@_PLACES
def test_finishing_twice_changes_nothing(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    reply = stage.reply(message)
    ids = reply.finish(stage.speak(reply, _PIECES))
    calls = stage.platform.calls()
    assert reply.finish(_WHOLE) == ids
    assert stage.platform.calls() == calls


@_PLACES
def test_an_answer_that_was_recorded_is_not_said_again(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    ids = stage.reply(message).finish(_WHOLE)
    assert stage.next_delivery(message).finish(_WHOLE) == ids
    assert stage.texts(message) == [_WHOLE]


@_PLACES
def test_an_answer_that_had_begun_goes_on_after_a_crash(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    stage.speak(stage.reply(message), _PIECES[:3])
    stage.next_delivery(message).finish(_WHOLE)
    assert stage.texts(message) == [_WHOLE]


@_PLACES
def test_a_long_answer_goes_on_where_a_crash_left_it(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)

    def die_at_the_second(ids: tuple[str, ...]) -> None:
        stage.recorded.append(ids)
        if len(ids) == 2:
            raise DiedError

    with pytest.raises(DiedError):
        stage.outbound().open_reply(stage.target(message), posted=die_at_the_second).finish(_LONG)
    ids = stage.next_delivery(message).finish(_LONG)
    assert ids == tuple(each.id for each in stage.shown(message))
    assert _words(stage, stage.texts(message)) == _words(stage, [_LONG])


@_PLACES
def test_an_answer_that_was_posted_and_not_recorded_is_found_by_the_next_delivery(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    with pytest.raises(DiedError):
        stage.outbound().open_reply(stage.target(message), posted=die).finish(_WHOLE)
    stage.next_delivery(message).finish(_WHOLE)
    assert stage.texts(message) == [_WHOLE]


@_PLACES
def test_a_short_rate_limit_is_waited_for(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    stage.platform.fail(What.SAY, 429, retry_after=2)
    stage.reply(message).finish(_WHOLE)
    assert stage.clock.naps == [2.0]
    assert stage.texts(message) == [_WHOLE]


@_PLACES
def test_a_long_rate_limit_is_left_to_the_queue(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    stage.platform.fail(What.SAY, 429, retry_after=120)
    with pytest.raises(RetryableError) as caught:
        stage.reply(message).finish(_WHOLE)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 120
    assert stage.clock.naps == []
    assert stage.texts(message) == []
    stage.next_delivery(message).finish(_WHOLE)
    assert stage.texts(message) == [_WHOLE]


@_PLACES
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_fault_of_the_platform_is_left_to_the_queue(stage: Stage, place: Place, status: int) -> None:
    message = stage.ask(place=place)
    stage.platform.fail(What.SAY, status, times=2)
    with pytest.raises(RetryableError):
        stage.reply(message).finish(_WHOLE)
    assert stage.texts(message) == []
    with suppress(RetryableError):
        stage.next_delivery(message).finish(_WHOLE)
    stage.next_delivery(message).finish(_WHOLE)
    assert stage.texts(message) == [_WHOLE]


@_PLACES
@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_message_whose_posting_had_no_answer_is_not_posted_again_unseen(
    stage: Stage, place: Place, status: int
) -> None:
    message = stage.ask(place=place)
    stage.platform.fail(What.SAY, status, is_done=True)
    with suppress(RetryableError):  # to be looked for by the next delivery
        stage.reply(message).finish(_WHOLE)
    assert stage.texts(message) == [_WHOLE]


@_PLACES
def test_an_answer_whose_posting_had_no_answer_is_found_by_the_next_delivery(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    stage.platform.fail(What.SAY, 502, times=5, is_done=True)
    try:
        stage.reply(message).finish(_WHOLE)
    except RetryableError:
        stage.next_delivery(message).finish(_WHOLE)
    assert stage.texts(message) == [_WHOLE]


@_PLACES
def test_a_revoked_token_is_permanent(stage: Stage, place: Place) -> None:
    message = stage.ask(place=place)
    stage.platform.revoke()
    reply = stage.reply(message)
    reply.append("The plan")  # a failure to show is not an error yet
    with pytest.raises(PermanentError) as caught:
        reply.finish(_WHOLE)
    assert caught.value.code == "installation-revoked"
    assert stage.platform.token not in str(caught.value)


@_PLACES
@pytest.mark.parametrize("is_next_delivery", [True, False])
def test_a_message_that_somebody_deleted_is_made_again(stage: Stage, place: Place, is_next_delivery: bool) -> None:
    message = stage.ask(place=place)
    reply = stage.reply(message)
    first = reply.finish("One.")
    stage.platform.remove(message, stage.shown(message)[0])
    reply = stage.next_delivery(message) if is_next_delivery else reply
    second = reply.finish("One, two.")
    assert second != first
    assert stage.texts(message) == ["One, two."]


def test_an_answer_that_its_reader_stopped_there_ends_and_stays(stage: Stage) -> None:
    message = stage.ask(place="direct")
    reply = stage.reply(message)
    reply.append(_PIECES[0])
    (arriving,) = stage.platform.shown(message)
    stage.platform.stop(arriving)
    stage.clock.pass_by(2)
    with pytest.raises(ReplyStoppedError):
        stage.speak(reply, _PIECES[1:])
    reply.finish(_WHOLE)
    stage.next_delivery(message).finish(_WHOLE)
    assert [each.text for each in stage.platform.shown(message)] == [arriving.text]


@_PLACES
@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_mention_of_everybody_rings_nobody(stage: Stage, place: Place, is_streamed: bool) -> None:
    message = stage.ask(place=place)
    text = "Wake up " + " and ".join(stage.platform.broadcasts) + "!"
    reply = stage.reply(message)
    for piece in text if is_streamed else "":
        reply.append(piece)
        stage.clock.pass_by(2)
        arriving = "".join(each.text for each in stage.platform.shown(message))
        assert not [each for each in stage.platform.broadcasts if each in arriving]
    reply.finish(text)
    shown = "".join(stage.texts(message))
    assert not [each for each in stage.platform.broadcasts if each in shown]
    assert "Wake up" in shown
