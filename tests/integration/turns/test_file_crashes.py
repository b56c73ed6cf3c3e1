"""A process that dies at any crossing while it answers a message with files: one answer, nothing paid for twice."""

from collections import Counter

import pytest

from core.models import ContentType, TaskStatus
from local.standin_model.script import Behaviour
from tests.integration.turns.border import Border
from tests.integration.turns.files import Upload, asked, heard, mention, png, recording
from tests.integration.turns.stack import COMPANY, Killed, Stack, again, load_door

_MOST_CROSSINGS = 60  # more than a turn has
_UPLOADS = (
    Upload(name="photo.png", content=png()),
    recording("Which picture is this?"),
    Upload(name="notes.txt", content=b"Some notes."),
    Upload(name="more.pdf", content=b"%PDF-1.7"),
)


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_one_answer_wherever_the_process_dies(stack: Stack, border: Border, *, is_after: bool) -> None:
    border.is_after = is_after
    fetched_again: Counter[int] = Counter()
    transcribed_again = deaths = 0
    for crossing in range(1, _MOST_CROSSINGS):
        stack.model.clear()
        stack.model.script(*[Behaviour(deltas=["A ", "picture."])] * 2)
        stack.slack.calls.clear()
        ts, record = mention(stack, f"question {crossing}", *_UPLOADS)
        border.crossings, border.die_at = 0, crossing
        is_dead = False
        try:
            assert stack.deliver([record]) == []
        except Killed:
            is_dead = True
            deaths += 1
        border.die_at = 0
        if is_dead:
            stack.processor = load_door("llm_processor")
            assert stack.deliver([again(record)]) == []

        answer = stack.answer(ts)
        assert answer.startswith("A picture.\n"), f"died at crossing {crossing}"
        assert answer.count("couldn't read") == answer.count("`more.pdf`") == 1
        _, question, _ = stack.messages(ts)
        assert question.text.count("Which picture is this?") == question.text.count("Some notes.") == 1
        kinds = [part.type for part in question.content]
        assert kinds == [ContentType.TEXT, ContentType.IMAGE, ContentType.JSON]
        image = question.content[1].image
        assert image is not None
        assert stack.store.files.read(image.url) == png()
        (task,) = stack.tasks(ts)
        assert task.status is TaskStatus.COMPLETED
        assert stack.store.get_conversation(COMPANY, question.llm_conversation_id)
        fetches = Counter(str(call.arguments["file"]) for call in stack.slack.calls_to("url_private"))
        assert max(fetches.values()) <= 2
        fetched_again.update(place for place, file in enumerate(sorted(fetches)) if fetches[file] == 2)
        assert len(heard(stack)) <= 2
        assert len(asked(stack)) <= 2
        transcribed_again += len(heard(stack)) == 2
        if not is_dead:
            break
    else:
        pytest.fail("the turn never ended without dying")
    assert deaths >= 15
    # Only a death between having it and keeping it: of a recording, that is one before or after the transcription.
    assert fetched_again[0] == 1
    assert fetched_again[1] == 2
    assert transcribed_again == 1
