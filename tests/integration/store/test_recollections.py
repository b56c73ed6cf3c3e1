"""Summaries and titles: written beside turns, once, counted, and gone with what they tell."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.models import User
from core.store import Entity, Spent, Store, Summary, keys
from tests.integration.meter import Meter
from tests.integration.store.turns import ADDRESS, COMPANY, CONVERSATION, OPENING, START, USER, Turn

SPENT = Spent(total_input_tokens=100, total_output_tokens=10, total_tokens=110, cost=Decimal("0.01"))
FIRST, SECOND = Turn(), Turn(number=1)
LATER = START + timedelta(hours=1)


@pytest.fixture
def answered(store: Store) -> Store:
    """A conversation of two turns."""
    store.open_conversation(COMPANY, ADDRESS, CONVERSATION)
    FIRST.play(store)
    SECOND.play(store)
    return store


def remember(store: Store, text: str, turn: Turn = FIRST, *, known: str | None = None, days: int | None = None) -> bool:
    """Let the conversation, as it was with `known`, have a summary up to a turn's reply."""
    conversation = store.get_conversation(COMPANY, CONVERSATION)
    assert conversation
    return store.recollections.save_summary(
        conversation.model_copy(update={"summary_until": known}),
        Summary(until=keys.ulid_of(turn.reply_id), text=text, since=START, created_at=LATER),
        SPENT,
        user_id=USER,
        now=LATER,
        retention_days=days,
    )


def text_of(store: Store) -> str | None:
    conversation = store.get_conversation(COMPANY, CONVERSATION)
    assert conversation
    found = store.recollections.find_summary(conversation)
    return found.text if found else None


def test_a_summary_that_comes_second_is_not_written_and_its_tokens_count_all_the_same(answered: Store) -> None:
    before = answered.month_usage(COMPANY, "2026-11")[0]
    assert remember(answered, "the first")
    assert not remember(answered, "too late", SECOND)
    assert text_of(answered) == "the first"
    assert remember(answered, "the next", SECOND, known=keys.ulid_of(FIRST.reply_id))
    assert text_of(answered) == "the next"
    after = answered.month_usage(COMPANY, "2026-11")[0]
    assert (after.total_tokens - before.total_tokens, after.messages) == (330, before.messages)


def test_an_earlier_summary_stays_as_it_was(answered: Store) -> None:
    remember(answered, "the first")
    remember(answered, "the next", SECOND, known=keys.ulid_of(FIRST.reply_id))
    conversation = answered.get_conversation(COMPANY, CONVERSATION)
    assert conversation
    earlier = answered.recollections.find_summary(conversation, keys.ulid_of(FIRST.reply_id))
    assert earlier
    assert (earlier.text, earlier.since, earlier.created_at) == ("the first", START, LATER)


def test_a_summary_does_not_disturb_a_turn_that_runs(answered: Store) -> None:
    turn = Turn(number=2)
    claim, task = turn.begin(answered)
    assert remember(answered, "meanwhile")
    turn.commit(answered, claim, task)
    conversation = answered.get_conversation(COMPANY, CONVERSATION)
    assert conversation
    assert conversation.summary_until == keys.ulid_of(FIRST.reply_id)
    assert conversation.message_count == 6


def test_history_begins_after_what_the_summary_tells(answered: Store) -> None:
    turn = Turn(number=2)
    claim = turn.claim(answered)
    after = keys.ulid_of(FIRST.reply_id)
    found = answered.history(claim, limit=20, before=turn.question_id, after=after)
    assert [each.id for each in found] == [SECOND.question_id, SECOND.reply_id]
    listed = answered.recollections.list_messages(claim.conversation, after=None, until=after, limit=20)
    assert [each.id for each in listed] == [FIRST.question_id, FIRST.reply_id]


def test_a_conversation_without_a_summary_costs_no_request(answered: Store) -> None:
    conversation = answered.get_conversation(COMPANY, CONVERSATION)
    assert conversation
    with Meter() as meter:
        assert answered.recollections.find_summary(conversation) is None
    assert meter.requests == 0


def test_the_conversation_stays_below_a_kilobyte_with_a_summary(answered: Store) -> None:
    with Meter() as meter:
        assert remember(answered, "word " * 1_000)
    assert meter.largest["#M"] < 1_024


def test_a_title_is_given_once_and_not_over_another(answered: Store) -> None:
    conversation = answered.get_conversation(COMPANY, CONVERSATION)
    assert conversation
    assert answered.recollections.save_title(conversation, "Leave", SPENT, user_id=USER, now=LATER)
    assert not answered.recollections.save_title(conversation, "Another", Spent(), user_id=USER, now=LATER)
    found = answered.get_conversation(COMPANY, CONVERSATION)
    assert found
    assert (found.title, found.total_tokens - conversation.total_tokens) == ("Leave", 110)


def test_a_summary_goes_with_the_words_of_a_person_who_is_forgotten(store: Store) -> None:
    store.open_conversation(COMPANY, ADDRESS, CONVERSATION)
    other = Turn(number=1, opening=OPENING.model_copy(update={"user_id": "usr_other"}))
    FIRST.play(store)
    other.play(store)
    for user_id in (USER, "usr_other"):
        store.directory.add_user(
            User(id=user_id, company_id=COMPANY, email=f"{user_id}@acme.example", name="A", created_at=START)
        )
    assert remember(store, "what both said", other)
    assert store.privacy.forget_user(COMPANY, "usr_other") == 1
    assert text_of(store) is None
    assert len(store.list_messages(COMPANY, CONVERSATION)) == 2


def test_a_commit_moves_the_conversation_to_another_entity(answered: Store) -> None:
    turn = Turn(number=2)
    claim, task = turn.begin(answered)
    entity = Entity(type="ORDER", id="A-1")
    answered.commit_reply(claim, turn.reply(), turn.completed(task), now=LATER, session_id="ses_2", entity=entity)
    found = answered.get_conversation(COMPANY, CONVERSATION)
    assert found
    assert (found.entity_type, found.entity_id, found.session_id) == ("ORDER", "A-1", "ses_2")
    claimed = Turn(number=3).claim(answered).conversation
    assert (claimed.entity_type, claimed.entity_id, claimed.last_turn_at) == ("ORDER", "A-1", LATER)


def test_a_summary_that_was_made_while_a_question_changed_is_not_written(answered: Store) -> None:
    before = answered.get_conversation(COMPANY, CONVERSATION)
    assert before
    answered.recollections.drop_summaries(COMPANY, CONVERSATION, of=FIRST.ulid, at=LATER)
    told = Summary(until=keys.ulid_of(FIRST.reply_id), text="the secret", since=FIRST.now, created_at=LATER)
    assert not answered.recollections.save_summary(before, told, SPENT, user_id=USER, now=LATER)
    assert text_of(answered) is None
    after = answered.get_conversation(COMPANY, CONVERSATION)
    assert after
    assert answered.recollections.find_summary(after, told.until) is None
    assert after.summary_until is None


def test_what_is_changed_is_no_longer_told_and_what_came_before_it_is(answered: Store) -> None:
    remember(answered, "the first")
    remember(answered, "the next", SECOND, known=keys.ulid_of(FIRST.reply_id))
    answered.recollections.drop_summaries(COMPANY, CONVERSATION, of=SECOND.ulid, at=LATER)
    assert text_of(answered) is None
    conversation = answered.get_conversation(COMPANY, CONVERSATION)
    assert conversation
    assert answered.recollections.find_summary(conversation, keys.ulid_of(FIRST.reply_id))
    answered.recollections.drop_summaries(COMPANY, CONVERSATION, of=FIRST.ulid, at=LATER)
    assert answered.recollections.find_summary(conversation, keys.ulid_of(FIRST.reply_id)) is None
