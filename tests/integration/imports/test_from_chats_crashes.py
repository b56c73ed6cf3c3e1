"""A chat's import wherever a process dies: one import, one notice, at most one file."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest

from core.imports import ImportStatus
from tests.integration.imports.chats import FILE, Chat
from tests.integration.turns.border import Border, watch_border
from tests.integration.turns.files import mention
from tests.integration.turns.stack import Killed, again, load_door

_ASKED = 'import this\ncall import_file {"file": "people.csv", "again": true}'
_MOST_CROSSINGS = 80  # more than a turn, an import or a notice has
_BOTH = pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])


@_BOTH
def test_a_turn_that_dies_begins_one_import(chat: Chat, monkeypatch: pytest.MonkeyPatch, *, is_after: bool) -> None:
    border = watch_border(monkeypatch)
    border.is_after, border.is_text_free = is_after, True
    deaths = fetched_again = 0
    for crossing in range(1 + is_after, _MOST_CROSSINGS, 2):
        chat.stack.slack.calls.clear()
        ts, record = mention(chat.stack, _ASKED, FILE)
        is_dead = _die(border, crossing, partial(chat.answer, record))
        if is_dead:
            deaths += 1
            chat.stack.processor = load_door("llm_processor")
            chat.answer(again(record))

        begun = [each for each in chat.imports() if each.origin and each.origin.external_message_id == ts]
        assert len(begun) == 1, f"died at crossing {crossing}"
        assert begun[0].processing_status is ImportStatus.PENDING
        assert len([key for key in chat.inputs() if begun[0].id in key]) == 1
        fetched_again += len(chat.stack.slack.calls_to("url_private")) > 2  # the turn itself reads the file, too
        chat.forget_inputs()
        if not is_dead:
            break
    else:
        pytest.fail("the turn never ended without dying")
    assert deaths > 10
    assert fetched_again


@_BOTH
def test_an_import_that_dies_is_told_once(chat: Chat, monkeypatch: pytest.MonkeyPatch, *, is_after: bool) -> None:
    monkeypatch.setattr("importer.run.LEASE", timedelta(seconds=-1))
    monkeypatch.setattr("importer.running.LEASE", timedelta(seconds=-1))
    border = watch_border(monkeypatch)
    border.is_after, border.is_text_free = is_after, True
    for crossing in range(1 + is_after, _MOST_CROSSINGS, 2):
        ts, record = mention(chat.stack, _ASKED, FILE)
        chat.answer(record)
        is_dead = _die(border, crossing, chat.import_all)
        if is_dead:
            chat.import_all(attempt=2)
            chat.import_all(attempt=3)
        for signal in chat.taken("signals"):
            assert chat.tell([signal])
            assert chat.tell([signal], attempt=2)

        told = [each.text for each in chat.stack.thread(ts)[1:] if "3 rows" in each.text]
        assert len(told) == 1, f"died at crossing {crossing}"
        chat.forget_inputs()
        if not is_dead:
            break
    else:
        pytest.fail("the import never ended without dying")


@_BOTH
def test_a_notice_that_dies_is_said_once(chat: Chat, monkeypatch: pytest.MonkeyPatch, *, is_after: bool) -> None:
    border = watch_border(monkeypatch)
    border.is_after, border.is_text_free = is_after, True
    without_file = 0
    for crossing in range(1 + is_after, _MOST_CROSSINGS, 2):
        ts, record = mention(chat.stack, _ASKED, FILE)
        chat.answer(record)
        chat.import_all()
        signals = chat.taken("signals")
        is_dead = _die(border, crossing, partial(chat.tell, signals))
        chat.stack.signals = load_door("signal_processor")
        assert chat.tell(signals, attempt=2)
        assert chat.tell(signals, attempt=3)

        _, told, *files = chat.stack.thread(ts)
        assert "3 rows" in told.text
        assert [each.text for each in files] in ([], ["[people.csv]"]), f"died at crossing {crossing}"
        without_file += not files
        notices = [each for each in chat.stack.messages(ts) if each.finish_reason == "notice"]
        assert len(notices) == 1
        chat.forget_inputs()
        if not is_dead:
            assert files
            break
    else:
        pytest.fail("the notice never ended without dying")
    assert without_file <= 4  # a death in the middle of an upload: the link is what is left


def _die(border: Border, crossing: int, do: Callable[[], object]) -> bool:
    """Do it until the process dies at a crossing; whether it did."""
    border.crossings, border.die_at = 0, crossing
    try:
        do()
    except Killed:
        return True
    finally:
        border.die_at = 0
    return False
