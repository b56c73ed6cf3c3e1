"""What is left of a question that its person deleted: nothing of what it said, wherever that had been written."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from core.models import ApprovalStatus, ConversationStatus, TaskStatus
from core.store.keys import SUMMARIES
from core.store.questions import Questions
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour
from tests.integration.cloud import BUCKET_NAME, TABLE_NAME
from tests.integration.turns import test_memory
from tests.integration.turns.border import Border
from tests.integration.turns.files import Upload, mention, png, recording
from tests.integration.turns.stack import Killed, Stack, load_door
from tests.integration.turns.test_approvals import asked, guarded, park, usages
from tests.integration.turns.test_changed_questions import change, question, seen

__all__ = ["guarded"]  # a fixture
_SECRET = "the code word is marmalade"
_FILES = (Upload(name="a.png", content=png(), media_type="image/png"), recording(_SECRET))


def everything() -> str:
    """All that is in the table and in the bucket."""
    scanned = boto3.client("dynamodb").scan(TableName=TABLE_NAME, ConsistentRead=True)["Items"]
    return json.dumps(scanned) + "".join(text for _, text in objects())


def objects() -> Iterator[tuple[str, str]]:
    """What lies in the bucket: each key, and its text."""
    s3 = boto3.client("s3")
    for each in s3.list_objects_v2(Bucket=BUCKET_NAME).get("Contents", []):
        body = s3.get_object(Bucket=BUCKET_NAME, Key=each["Key"])["Body"].read()
        yield each["Key"], (gzip.decompress(body) if each["Key"].endswith(".gz") else body).decode(errors="replace")


def test_files_and_the_title_go_with_the_question(stack: Stack) -> None:
    stack.model.script(Behaviour(text="Done."), Behaviour(text="A title"))
    ts, record = mention(stack, f"{_SECRET}, look", *_FILES)
    assert stack.deliver([record]) == []
    assert len([key for key, _ in objects() if "/file." in key]) == 2
    assert _SECRET in everything()
    assert change(stack, "delete", ts)
    assert [key for key, _ in objects() if "/file." in key] == []
    assert _SECRET not in everything()
    assert stack.conversation(ts).title == ""
    assert stack.answer(ts) == "Done."


def test_files_that_were_stored_when_the_deletion_came_first_go_too(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_table, signals = Questions.save, ["delete"]
    ts, record = mention(stack, f"{_SECRET}, look", *_FILES)

    def save(self: Questions, *args: Any, **kwargs: Any) -> object:
        if signals:
            assert len([key for key, _ in objects() if "/file." in key]) == 2
            assert change(stack, signals.pop(), ts)
        return to_table(self, *args, **kwargs)

    monkeypatch.setattr(Questions, "save", save)
    assert stack.deliver([record]) == []
    assert [key for key, _ in objects() if "/file." in key] == []
    assert _SECRET not in everything()
    assert stack.conversation(ts).status is ConversationStatus.CANCELED


def test_an_edit_that_comes_first_counts_and_the_files_are_read_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_table, signals = Questions.save, ["edit"]
    stack.model.script(Behaviour(text="Done."))
    ts, record = mention(stack, "the first text", *_FILES)

    def save(self: Questions, *args: Any, **kwargs: Any) -> object:
        if signals:
            assert change(stack, signals.pop(), ts, "the second text")
        return to_table(self, *args, **kwargs)

    monkeypatch.setattr(Questions, "save", save)
    assert stack.deliver([record]) == []
    told = question(stack, ts)
    assert told.text.startswith("the second text")
    assert "the first text" not in told.text
    assert _SECRET in told.text
    assert len([each for each in stack.model.requests if "transcriptions" in each.path]) == 1


def test_a_deleted_question_waits_for_no_approval(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded)
    assert asked(guarded, ts)
    assert change(guarded, "delete", ts)
    assert guarded.settle() == []
    _check_is_withdrawn(guarded, book, ts)


def _check_is_withdrawn(stack: Stack, book: FakeTools, ts: str) -> None:
    assert not asked(stack, ts)
    assert [each.approval and each.approval.status for each in usages(stack, ts)] == [ApprovalStatus.CANCELED]
    assert stack.conversation(ts).status is ConversationStatus.CANCELED
    assert [task.status for task in stack.tasks(ts)] == [TaskStatus.CANCELED]
    assert "Order a coffee" not in everything()
    assert book.orders.effects == []


def test_a_deletion_ends_the_wait_wherever_its_processor_dies(guarded: Stack, book: FakeTools, border: Border) -> None:
    for crossing in range(1, 30):
        guarded.model.clear()
        ts = park(guarded)
        border.crossings, border.die_at, is_dead = 0, crossing, False
        try:
            assert change(guarded, "delete", ts, external_id="S-again")
        except Killed:
            is_dead = True
        border.die_at = 0
        if is_dead:
            guarded.signals = load_door("signal_processor")
            assert change(guarded, "delete", ts, external_id="S-again", attempt=2)
        assert guarded.settle() == []
        _check_is_withdrawn(guarded, book, ts)
        if not is_dead:
            break
    assert crossing > 6


def test_an_edited_question_waits_for_no_approval_of_what_it_said_before(guarded: Stack, book: FakeTools) -> None:
    ts = park(guarded, said="I would order coffee.")
    guarded.model.script(Behaviour(text="New answer."))
    assert change(guarded, "edit", ts, "Order nothing")
    assert guarded.settle() == []
    assert not asked(guarded, ts)
    assert "New answer." in [message.text for message in guarded.thread(ts)]
    assert "Order a coffee" not in seen(guarded)
    assert guarded.conversation(ts).status is ConversationStatus.COMPLETED
    assert book.orders.effects == []


def test_a_summary_that_tells_of_it_goes_with_the_question(stack: Stack) -> None:
    test_memory.configure(stack, limits=test_memory._SMALL)
    ts = test_memory.talk(stack, 5)
    assert test_memory.summary(stack, ts)
    assert change(stack, "delete", ts)
    assert test_memory.summary(stack, ts) is None
    assert not [place for place in everything().split('"') if place.startswith(SUMMARIES)]
    test_memory.talk(stack, 1, thread_ts=ts, text="later")
    assert "question 0" not in test_memory.asked(stack, "later 0")[0]
