"""What a chat's import is not: told twice, told or decided elsewhere, or begun of what may not be imported."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.configuration import Limits, Settings
from core.imports import ImportStatus
from core.models import ApiKind
from tests.integration.imports.chats import FILE, Chat
from tests.integration.turns.files import mention
from tests.integration.turns.stack import COMPANY


def _elsewhere(signal: dict[str, Any]) -> dict[str, Any]:
    return {**signal, "address": {**signal["address"], "channelId": "C0OTHER0001"}}


def _review(chat: Chat) -> tuple[str, str]:
    """A review with its buttons: its thread, and what the buttons carry."""
    chat.add_template()
    ts, record = chat.ask("let me see first", FILE, file="people.csv", template="contacts", review=True)
    chat.answer(record)
    chat.settle()
    return ts, str(chat.stack.thread(ts)[1].buttons[0].value)


def test_a_notice_is_said_where_the_import_came_from_and_once(chat: Chat) -> None:
    ts, record = chat.ask("import this", FILE, file="people.csv")
    chat.answer(record)
    chat.import_all()
    signals = chat.taken("signals")
    chat.stack.slack.calls.clear()

    assert chat.tell([_elsewhere(each) for each in signals])
    assert list(chat.stack.slack.calls) == []
    assert chat.tell(signals)
    assert "3 rows" in chat.stack.thread(ts)[1].text
    chat.stack.slack.calls.clear()
    assert chat.tell(signals, attempt=2)
    assert list(chat.stack.slack.calls) == []


def test_a_review_is_decided_in_its_own_channel_alone(chat: Chat) -> None:
    ts, reference = _review(chat)
    address = {**chat.stack.conversation(ts).address.model_dump(), "channel_id": "C0OTHER0001"}

    assert chat.stack.signal("approval", ts=ts, value="approve", reference=reference, address=address)

    (import_,) = chat.imports()
    assert import_.processing_status is ImportStatus.AWAITING_REVIEW


def test_buttons_of_an_earlier_review_decide_nothing(chat: Chat) -> None:
    ts, reference = _review(chat)
    import_id, _, number = reference.rpartition(":")

    assert chat.stack.signal("approval", ts=ts, value="approve", reference=f"{import_id}:{int(number) - 1}")

    (import_,) = chat.imports()
    assert import_.processing_status is ImportStatus.AWAITING_REVIEW


def test_nothing_is_offered_in_private_where_the_notice_would_be_seen_by_others(chat: Chat) -> None:
    _, record = mention(chat.stack, "import this", FILE)
    asked = json.loads(record["body"])

    chat.answer({**record, "body": json.dumps({**asked, "isPrivate": True})})

    assert "import_file" not in json.dumps(chat.stack.model.requests[-1].body)


def test_a_file_that_says_it_is_too_large_is_not_begun(chat: Chat) -> None:
    given: dict[str, Any] = {"id": "default", "company_id": COMPANY, "version": 1, "name": "Own", "model": "stand-in"}
    given |= {"api_kind": ApiKind.RESPONSES, "prompt": "You help.", "created_at": datetime.now(UTC)}
    small = Settings.model_validate({**given, "limits": Limits(max_import_bytes=10)})
    chat.stack.store.directory.put_settings(small)
    _, record = chat.ask("import this", FILE, file="people.csv")

    chat.answer(record)

    assert "operations can import it" in json.dumps(chat.stack.model.requests[-1].body)
    assert chat.imports() == ()


def test_one_message_begins_a_few_imports_at_most(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.tools.import_file._MOST_IMPORTS", 0)
    _, record = chat.ask("import this", FILE, file="people.csv")

    chat.answer(record)

    assert "can be begun in answer to one message" in json.dumps(chat.stack.model.requests[-1].body)
    assert chat.imports() == ()
