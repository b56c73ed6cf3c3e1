"""A model that fails in its many ways: the person always sees one end of what began."""

import pytest

from core.models import TaskStatus
from local.standin_model import Behaviour
from tests.integration.turns.stack import Stack, attempts


def test_a_short_rate_limit_is_waited_for_here_and_a_long_one_in_the_queue(stack: Stack) -> None:
    stack.model.script(Behaviour(retry_after=1), Behaviour(text="After a second."))
    ts = stack.ask("hello")
    assert stack.settle() == []
    assert stack.answer(ts) == "After a second."
    stack.model.script(Behaviour(retry_after=300), Behaviour(text="After five minutes."))
    ts = stack.ask("hello again")
    (waiting,) = stack.deliver(stack.receive())
    assert attempts(waiting) == 2
    assert stack.thread(ts) == []
    assert stack.deliver([waiting]) == []
    assert stack.answer(ts) == "After five minutes."


def test_a_stream_that_breaks_off_is_edited_and_not_doubled(stack: Stack) -> None:
    stack.model.script(
        Behaviour(deltas=["One ", "two ", "three."], break_after=2), Behaviour(deltas=["One ", "two ", "three."])
    )
    ts = stack.ask("count")
    assert stack.settle() == []
    assert stack.answer(ts) == "One two three."


@pytest.mark.parametrize("is_begun", [False, True], ids=["at once", "after some words"])
def test_an_answer_that_is_filtered_ends_with_a_word_about_it(stack: Stack, *, is_begun: bool) -> None:
    stack.model.script(Behaviour(deltas=["Some ", "words"] if is_begun else [], filter=True))
    ts = stack.ask("hello")
    assert stack.settle() == []
    (task,) = stack.tasks(ts)
    if is_begun:
        assert stack.answer(ts).startswith("Some words")
        assert "content filter" in stack.answer(ts)
        assert task.status is TaskStatus.COMPLETED
    else:
        assert "declined" in stack.answer(ts)
        assert (task.status, task.error_class) == (TaskStatus.FAILED, "content-refused")


def test_a_refusal_in_words_is_the_answer(stack: Stack) -> None:
    stack.model.script(Behaviour(text="I would rather not.", refuse=True))
    ts = stack.ask("hello")
    assert stack.settle() == []
    assert stack.answer(ts)
    assert [task.status for task in stack.tasks(ts)] == [TaskStatus.COMPLETED]
