"""Stop: the flag, what it stops, and how a stopped turn ends. And what a commit may rename."""

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from core.models import ConversationStatus, Task, TaskStatus
from core.store import Claim, ClaimLostError, Store
from tests.integration.meter import Meter
from tests.integration.store.turns import ADDRESS, COMPANY, CONVERSATION, LEASE, OTHER_COMPANY, START, USER, Turn

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TURN = Turn()


def spent(task: Task) -> Task:
    """A task as it stands when its turn is stopped."""
    return TURN.completed(task).model_copy(update={"status": TaskStatus.STREAMING})


def status(store: Store) -> ConversationStatus:
    conversation = store.get_conversation(COMPANY, CONVERSATION)
    assert conversation is not None
    return conversation.status


def test_a_running_turn_sees_that_it_is_to_stop(store: Store, dynamodb: "DynamoDBClient", table_name: str) -> None:
    claim, _ = TURN.begin(store)
    assert not store.interruptions.is_cancel_requested(claim)
    assert store.interruptions.request_cancel(COMPANY, CONVERSATION)
    with Meter() as meter:
        assert store.interruptions.is_cancel_requested(claim)
    assert (meter.requests, meter.read_units) == (1, 0.5)
    assert store.get_conversation(COMPANY, CONVERSATION).cancel_requested  # type: ignore[union-attr]
    items = dynamodb.scan(TableName=table_name, ConsistentRead=True)["Items"]
    assert [item["cancelRequested"]["S"] for item in items if item["SK"]["S"] == "#META"] == [TURN.ulid]


def test_a_flag_outlives_the_worker_that_died_but_not_its_turn(store: Store) -> None:
    TURN.begin(store)
    store.interruptions.request_cancel(COMPANY, CONVERSATION, TURN.task_id)
    again = TURN.claim(store)
    assert store.interruptions.is_cancel_requested(again)
    assert again.conversation.cancel_requested
    following = Turn(number=1).claim(store, now=START + LEASE)
    assert not store.interruptions.is_cancel_requested(following)
    assert not following.conversation.cancel_requested


def test_only_what_runs_can_be_stopped(store: Store) -> None:
    assert not store.interruptions.request_cancel(COMPANY, CONVERSATION)
    claim, task = TURN.begin(store)
    assert not store.interruptions.request_cancel(COMPANY, CONVERSATION, Turn(number=1).task_id)
    assert not store.interruptions.request_cancel(OTHER_COMPANY, CONVERSATION, TURN.task_id)
    assert not store.interruptions.is_cancel_requested(claim)
    TURN.commit(store, claim, task)
    assert not store.interruptions.request_cancel(COMPANY, CONVERSATION, TURN.task_id)
    assert not store.get_conversation(COMPANY, CONVERSATION).cancel_requested  # type: ignore[union-attr]


def test_a_worker_whose_claim_was_taken_over_learns_it_when_it_looks(store: Store) -> None:
    early = TURN.claim(store)
    TURN.claim(store)
    with pytest.raises(ClaimLostError):
        store.interruptions.is_cancel_requested(early)


def test_a_stopped_turn_keeps_what_was_said_and_counts_its_tokens(store: Store) -> None:
    claim, task = TURN.begin(store)
    store.mark_streaming(claim, outgoing_ids=("1.1",), now=TURN.now)
    store.interruptions.request_cancel(COMPANY, CONVERSATION)
    said = TURN.reply().model_copy(update={"finish_reason": "canceled"})
    store.cancel_turn(claim, said, spent(task), now=TURN.now)
    assert store.find_reply(COMPANY, TURN.question_id) == said
    [stored] = store.list_tasks(COMPANY, CONVERSATION)
    assert (stored.status, stored.total_tokens, stored.llm_raw_output) == (TaskStatus.CANCELED, 1875, TURN.answer)
    conversation = store.get_conversation(COMPANY, CONVERSATION)
    assert conversation is not None
    assert (
        conversation.status,
        conversation.cancel_requested,
        conversation.lease_until,
        conversation.outgoing_ids,
    ) == (
        ConversationStatus.CANCELED,
        False,
        None,
        (),
    )
    assert (conversation.message_count, conversation.total_tokens) == (2, 1875)
    month, day = store.month_usage(COMPANY, "2026-11")
    assert (month.total_tokens, day.messages, day.user_id) == (1875, 1, USER)


def test_a_turn_that_is_stopped_before_it_spoke_has_no_reply(store: Store) -> None:
    claim, task = TURN.begin(store)
    store.cancel_turn(claim, None, spent(task), now=TURN.now, user_id="usr_2")
    assert store.find_reply(COMPANY, TURN.question_id) is None
    assert [each.status for each in store.list_tasks(COMPANY, CONVERSATION)] == [TaskStatus.CANCELED]
    assert status(store) is ConversationStatus.CANCELED
    assert [day.user_id for day in store.month_usage(COMPANY, "2026-11")[1:]] == ["usr_2"]
    assert store.start_task(TURN.claim(store), TURN.task()).status is TaskStatus.CANCELED


def test_a_stopped_conversation_takes_the_next_question(store: Store) -> None:
    claim, task = TURN.begin(store)
    store.cancel_turn(claim, None, spent(task), now=TURN.now)
    Turn(number=1).play(store)
    assert status(store) is ConversationStatus.COMPLETED


def test_a_late_worker_cannot_end_a_turn_as_stopped(store: Store) -> None:
    late, task = TURN.begin(store)
    Turn(number=1).claim(store, now=START + LEASE)
    with pytest.raises(ClaimLostError):
        store.cancel_turn(late, TURN.reply(), spent(task), now=TURN.now)
    assert store.find_reply(COMPANY, TURN.question_id) is None
    assert store.month_usage(COMPANY, "2026-11")[0].messages == 0


def test_a_stop_that_comes_after_the_answer_does_not_undo_it(store: Store) -> None:
    claim, task = TURN.begin(store)
    TURN.commit(store, claim, task)
    with pytest.raises(ClaimLostError):
        store.cancel_turn(claim, TURN.reply(), spent(task), now=TURN.now)
    assert status(store) is ConversationStatus.COMPLETED


def test_a_commit_may_name_the_conversation_and_its_session(store: Store) -> None:
    claim, task = TURN.begin(store)
    with Meter() as meter:
        done = TURN.completed(task)
        store.commit_reply(claim, TURN.reply(), done, now=TURN.now, title="Leave ы" + "y" * 99, session_id="ses_2")
    assert meter.requests == 1
    named = store.get_conversation(COMPANY, CONVERSATION)
    assert named is not None
    assert (named.title, named.session_id) == ("Leave ы" + "y" * 72, "ses_2")
    kept: Claim = Turn(number=1).claim(store)
    assert (kept.conversation.title, kept.conversation.session_id) == (named.title, "ses_2")


def test_a_thread_may_start_afresh_and_the_old_conversation_stays(store: Store) -> None:
    store.open_conversation(COMPANY, ADDRESS, CONVERSATION)
    TURN.play(store)
    for _ in range(2):
        store.start_afresh(COMPANY, ADDRESS, "cnv_new", opening=TURN.opening, now=TURN.now)
    assert store.find_conversation_id(COMPANY, ADDRESS) == "cnv_new"
    assert store.open_conversation(COMPANY, ADDRESS, "cnv_other") == "cnv_new"
    assert len(store.list_messages(COMPANY, CONVERSATION)) == 2


def test_limits_read_one_persons_day_and_the_companys_month(store: Store) -> None:
    for number in range(20):
        Turn(conversation_id=f"cnv_{number:026}").play(store)
    with Meter() as meter:
        day = store.day_usage(COMPANY, USER, START.date())
    assert (meter.requests, meter.read_units) == (1, 0.5)
    assert (day.period, day.user_id, day.messages, day.total_tokens) == ("2026-11-03", USER, 20, 20 * 1875)
    with Meter() as meter:
        month = store.company_month_usage(COMPANY, "2026-11")
    assert (meter.requests, meter.read_units) == (1, 0.5)
    assert (month.period, month.user_id, month.messages, month.cost) == ("2026-11", None, 20, 20 * Decimal("0.00123"))
    assert month == store.month_usage(COMPANY, "2026-11")[0]
    nothing = store.day_usage(COMPANY, "usr_2", START.date())
    assert (nothing.messages, nothing.total_tokens, nothing.cost) == (0, 0, None)
    assert store.company_month_usage(OTHER_COMPANY, "2026-11").messages == 0
