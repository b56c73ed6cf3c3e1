"""Claims: one worker at a time holds a conversation, and whoever lost it writes nothing more."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from core.models import ConversationStatus, Task, TaskStatus
from core.store import Claim, ClaimLostError, ConversationBusyError, Store
from tests.integration.meter import Meter
from tests.integration.store.faults import refusal, trouble
from tests.integration.store.turns import ADDRESS, COMPANY, CONVERSATION, LEASE, OPENING, SHA256, START, USER, Turn

SECOND = timedelta(seconds=1)


def at_once[T](*calls: Callable[[], T]) -> list[T | Exception]:
    """What each call gave or raised, all of them started at the same moment in threads of their own."""
    start = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | Exception:
        start.wait()
        try:
            return call()
        except (ClaimLostError, ConversationBusyError) as exc:
            return exc

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_a_claim_makes_the_conversation_as_it_is_opened(store: Store) -> None:
    claim = Turn().claim(store)
    made = claim.conversation
    assert (made.id, made.user_id, made.user_company_id) == (CONVERSATION, USER, COMPANY)
    assert made.status is ConversationStatus.IN_PROGRESS
    assert made.title == OPENING.title
    assert (made.entity_type, made.entity_id, made.session_id) == (
        OPENING.entity_type,
        OPENING.entity_id,
        OPENING.session_id,
    )
    assert (made.address, made.conversation_source, made.input) == (ADDRESS, "slack", SHA256)
    assert (made.created_at, made.lease_until) == (START, START + LEASE)
    assert (claim.fencing_token, claim.task_id, made.current_task_id) == (1, Turn().task_id, Turn().task_id)
    assert store.get_conversation(COMPANY, CONVERSATION) == made


def test_a_conversation_keeps_what_it_was_opened_with(store: Store) -> None:
    first = Turn()
    first.play(store)
    other = OPENING.model_copy(update={"title": "Something else", "user_id": "usr_2", "input": "f" * 64})
    claim = Turn(number=1, opening=other).claim(store)
    kept = claim.conversation
    assert (kept.title, kept.user_id, kept.input, kept.created_at) == (OPENING.title, USER, SHA256, first.now)
    assert claim.fencing_token == 2


def test_a_long_title_is_cut_between_characters(store: Store) -> None:
    opening = OPENING.model_copy(update={"title": "ы" * 80})
    assert Turn(opening=opening).claim(store).conversation.title == "ы" * 40


def test_of_many_turns_that_claim_at_once_one_gets_the_conversation(store: Store) -> None:
    turns = [Turn(number=number) for number in range(8)]
    outcomes = at_once(*(lambda turn=turn: turn.claim(store, now=START) for turn in turns))
    claims = [outcome for outcome in outcomes if isinstance(outcome, Claim)]
    assert len(claims) == 1
    assert claims[0].fencing_token == 1
    assert sum(isinstance(outcome, ConversationBusyError) for outcome in outcomes) == 7


def test_a_busy_conversation_says_how_long_its_lease_still_lasts(store: Store) -> None:
    Turn().claim(store)
    with pytest.raises(ConversationBusyError) as busy:
        Turn(number=1).claim(store)
    assert busy.value.retry_after == LEASE - timedelta(minutes=1)
    assert busy.value.code == "conversation-busy"


def test_a_lease_that_is_over_is_taken_over(store: Store) -> None:
    Turn().claim(store)
    following = Turn(number=1)
    with pytest.raises(ConversationBusyError):
        following.claim(store, now=START + LEASE - timedelta(milliseconds=1))
    assert following.claim(store, now=START + LEASE).fencing_token == 2


def test_a_later_delivery_of_the_same_message_takes_over_at_once(store: Store) -> None:
    early = Turn().claim(store)
    late = Turn().claim(store)
    assert late.fencing_token == early.fencing_token + 1
    with pytest.raises(ClaimLostError):
        store.renew_claim(early, lease=LEASE, now=START)


def test_a_claim_whose_answer_was_lost_is_not_refused_by_its_own_lease(store: Store) -> None:
    lost = refusal("InternalServerError", "UpdateItem")
    with trouble("UpdateItem", lost, is_done=True), pytest.raises(Exception, match="InternalServerError"):
        Turn().claim(store)
    assert Turn().claim(store).fencing_token == 2


def test_a_renewed_lease_lasts_longer(store: Store) -> None:
    claim = Turn().claim(store)
    store.renew_claim(claim, lease=LEASE, now=START + LEASE)
    with pytest.raises(ConversationBusyError) as busy:
        Turn(number=1).claim(store, now=START + LEASE + SECOND)
    assert busy.value.retry_after == LEASE - SECOND


LATE_WRITES: dict[str, Callable[[Store, Claim, Task], object]] = {
    "commit": lambda store, claim, task: Turn().commit(store, claim, task),
    "renew": lambda store, claim, _task: store.renew_claim(claim, lease=LEASE, now=START),
    "release": lambda store, claim, _task: store.release_claim(claim, status=ConversationStatus.FAILED, now=START),
    "stream": lambda store, claim, _task: store.mark_streaming(claim, outgoing_ids=("1.1",), now=START),
    "fail": lambda store, claim, task: store.fail_turn(claim, Turn().failed(task), now=START),
}


@pytest.mark.parametrize("write", LATE_WRITES.values(), ids=LATE_WRITES.keys())
def test_a_late_worker_is_refused_and_writes_nothing(
    store: Store, write: Callable[[Store, Claim, Task], object]
) -> None:
    late, task = Turn().begin(store)
    Turn(number=1).claim(store, now=START + LEASE)
    before = look(store)
    with pytest.raises(ClaimLostError):
        write(store, late, task)
    assert look(store) == before


@pytest.mark.parametrize("write", LATE_WRITES.values(), ids=LATE_WRITES.keys())
def test_a_worker_whose_turn_is_over_is_refused_and_writes_nothing(
    store: Store, write: Callable[[Store, Claim, Task], object]
) -> None:
    claim, task = Turn().begin(store)
    Turn().commit(store, claim, task)
    before = look(store)
    with pytest.raises(ClaimLostError):
        write(store, claim, task)
    assert look(store) == before


def look(store: Store) -> tuple[object, ...]:
    """Everything a turn writes."""
    return (
        store.get_conversation(COMPANY, CONVERSATION),
        store.list_messages(COMPANY, CONVERSATION),
        store.list_tasks(COMPANY, CONVERSATION),
        store.list_failed_tasks(COMPANY),
        store.month_usage(COMPANY, "2026-11"),
    )


def test_a_released_conversation_is_free_and_its_successor_sees_what_was_shown(store: Store) -> None:
    claim, _ = Turn().begin(store)
    store.mark_streaming(claim, outgoing_ids=("1.1", "1.2"), now=START)
    store.release_claim(claim, status=ConversationStatus.IN_PROGRESS, now=START)
    again = Turn().claim(store).conversation
    assert (again.streaming_task_id, again.outgoing_ids) == (Turn().task_id, ("1.1", "1.2"))


def test_a_dead_worker_leaves_behind_what_it_had_shown(store: Store) -> None:
    claim, _ = Turn().begin(store)
    store.mark_streaming(claim, outgoing_ids=("1.1",), now=START)
    assert store.get_conversation(COMPANY, CONVERSATION).status is ConversationStatus.STREAMING  # type: ignore[union-attr]
    left = Turn(number=1).claim(store, now=START + LEASE).conversation
    assert (left.streaming_task_id, left.outgoing_ids) == (Turn().task_id, ("1.1",))


@pytest.mark.parametrize(
    "status", [ConversationStatus.COMPLETED, ConversationStatus.FAILED, ConversationStatus.CANCELED]
)
def test_a_conversation_is_released_as_it_ended_and_takes_the_next_question(
    store: Store, status: ConversationStatus
) -> None:
    claim, _ = Turn().begin(store)
    store.mark_streaming(claim, outgoing_ids=("1.1",), now=START)
    store.release_claim(claim, status=status, now=START + SECOND)
    ended = store.get_conversation(COMPANY, CONVERSATION)
    assert ended is not None
    assert (ended.status, ended.lease_until, ended.streaming_task_id, ended.outgoing_ids) == (status, None, None, ())
    assert Turn(number=1).claim(store, now=START + SECOND).conversation.status is ConversationStatus.IN_PROGRESS


def test_releasing_twice_changes_nothing(store: Store) -> None:
    claim = Turn().claim(store)
    store.release_claim(claim, status=ConversationStatus.FAILED, now=START)
    store.release_claim(claim, status=ConversationStatus.FAILED, now=START)
    with pytest.raises(ClaimLostError):
        store.release_claim(claim, status=ConversationStatus.COMPLETED, now=START)


def test_a_refused_claim_costs_one_request(store: Store) -> None:
    Turn().claim(store)
    with Meter() as meter, pytest.raises(ConversationBusyError):
        Turn(number=1).claim(store)
    assert meter.requests == 1


def test_turns_of_different_conversations_run_side_by_side(store: Store) -> None:
    turns = [Turn(conversation_id=f"cnv_{number:026}") for number in range(12)]
    assert at_once(*(lambda turn=turn: turn.play(store) for turn in turns)) == [None] * 12
    for turn in turns:
        assert [message.id for message in store.list_messages(COMPANY, turn.conversation_id)] == [
            turn.question_id,
            turn.reply_id,
        ]
        assert [task.status for task in store.list_tasks(COMPANY, turn.conversation_id)] == [TaskStatus.COMPLETED]
    assert store.month_usage(COMPANY, "2026-11")[0].messages == 12
