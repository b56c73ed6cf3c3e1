"""What the assistant says itself: in every language, and nothing of it lost in one."""

import re
from datetime import UTC, datetime
from typing import get_args

import pytest

from core.models import ContentPart, ContentType, Message, Role
from core.texts import Notice, explain_failure, say, speak

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja")
FAILURES = (
    "model-quota",
    "model-unauthorized",
    "model-unknown",
    "context-too-long",
    "content-refused",
    "empty-answer",
    "whatever-else",
)
NOTICES: tuple[Notice, ...] = get_args(Notice.__value__)
FRAME = re.compile(r"^(\s*_\()?.*?(\)_)?$", re.DOTALL)

in_every_language = pytest.mark.parametrize("language", LANGUAGES)


@in_every_language
def test_every_text_is_there_and_is_said_once_only(language: str) -> None:
    texts = [say(notice, language) for notice in NOTICES] + [explain_failure(code, language) for code in FAILURES]
    assert all(text.strip() for text in texts)
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_no_text_was_left_in_english(language: str) -> None:
    assert not [notice for notice in NOTICES if say(notice, language) == say(notice)]
    assert not [code for code in FAILURES if explain_failure(code, language) == explain_failure(code)]


@in_every_language
def test_a_text_keeps_its_placeholders_and_what_frames_it(language: str) -> None:
    for notice in NOTICES:
        said, english = say(notice, language), say(notice)
        assert set(re.findall(r"\{\w*\}", said)) == set(re.findall(r"\{\w*\}", english))
        assert _frame(said) == _frame(english), notice


def _frame(text: str) -> tuple[str | None, ...]:
    found = FRAME.match(text)
    assert found
    return found.groups()


@pytest.mark.parametrize("language", ["de", "DE", "de-AT", "de_CH", "de-Latn-DE"])
def test_a_language_is_known_by_its_primary_subtag(language: str) -> None:
    assert say("stopped", language) == say("stopped", "de") != say("stopped")


@pytest.mark.parametrize("language", [None, "", "tlh", "den", "x-de"])
def test_a_language_without_texts_is_spoken_to_in_english(language: str | None) -> None:
    assert say("refusal", language).startswith("Hello!")
    assert say("cut", language) == say("cut", "en")
    assert explain_failure("model-quota", language) == explain_failure("model-quota", "en")


@in_every_language
def test_a_reached_limit_that_ends_a_turn_says_which_one(language: str) -> None:
    assert explain_failure("limit-user-day", language) == say("limit-user-day", language)


@pytest.mark.parametrize(("reason", "notice"), [("length", "cut"), ("canceled", "stopped")])
@in_every_language
def test_a_reply_that_did_not_reach_its_end_says_so_below_it(reason: str, notice: Notice, language: str) -> None:
    spoken = speak(_reply("It was the best of times", reason, language))
    assert spoken == "It was the best of times" + say(notice, language)
    assert "times\n\n_(" in spoken


def test_a_whole_reply_is_spoken_as_it_is() -> None:
    assert speak(_reply("It was the best of times.", "stop", "de")) == "It was the best of times."


def _reply(text: str, reason: str, language: str) -> Message:
    return Message(
        id="m",
        llm_conversation_id="c",
        role=Role.ASSISTANT,
        entity_type="thread",
        language=language,
        user_id="u",
        content=(ContentPart(type=ContentType.TEXT, text=text, message_id="m"),),
        finish_reason=reason,
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
