"""What one turn writes: the question, its task, its one reply, and what is counted."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.configuration import ActionFlowTool
from core.errors import RetryableError
from core.models import ConversationStatus, TaskStatus
from core.store import Claim, ClaimLostError, Store, keys
from tests.integration.store.faults import refusal, trouble
from tests.integration.store.test_claims import at_once
from tests.integration.store.turns import ADDRESS, COMPANY, CONVERSATION, INPUT, LEASE, START, USER, Turn

TOOL = ActionFlowTool(
    name="leave",
    description="Asks for leave.",
    parameters={"type": "object", "properties": {"days": {"type": "number"}}},
    arn="arn:aws:lambda:eu-central-1:123456789012:function:leave",
)


def test_a_thread_has_the_conversation_that_came_first(store: Store) -> None:
    assert store.find_conversation_id(COMPANY, ADDRESS) is None
    assert store.open_conversation(COMPANY, ADDRESS, "cnv_a") == "cnv_a"
    assert store.open_conversation(COMPANY, ADDRESS, "cnv_b") == "cnv_a"
    assert store.find_conversation_id(COMPANY, ADDRESS) == "cnv_a"
    elsewhere = ADDRESS.model_copy(update={"thread_id": "1.2"})
    assert store.find_conversation_id(COMPANY, elsewhere) is None


def test_an_input_is_found_by_its_content(store: Store, table_name: str, bucket_name: str) -> None:
    rich = INPUT.model_copy(
        update={
            "prompts": ("First.", "Second — with ümlauts."),
            "knowledge_base": {"b": [1, 2.5, None], "a": {"deep": True}},
            "tools": (TOOL,),
            "fallback_model": "gpt-5-nano",
            "temperature": 0.25,
            "output_configuration": {"type": "object"},
        }
    )
    sha256 = store.save_input(COMPANY, rich)
    fresh = Store(table_name, bucket_name=bucket_name)
    assert fresh.get_input(COMPANY, sha256) == rich
    turned = rich.model_copy(update={"knowledge_base": {"a": {"deep": True}, "b": [1, 2.5, None]}})
    assert fresh.save_input(COMPANY, turned) == sha256
    assert fresh.save_input(COMPANY, INPUT) != sha256


def test_a_question_is_stored_once(store: Store) -> None:
    turn = Turn()
    claim = turn.claim(store)
    assert store.questions.save(claim, turn.question(), opening_message=turn.opening_message()) is None
    assert store.questions.save(claim, turn.question(), opening_message=turn.opening_message())
    assert store.list_messages(COMPANY, CONVERSATION) == (turn.opening_message(), turn.question())


def test_a_task_that_is_started_again_counts_the_attempt_and_keeps_its_past(store: Store) -> None:
    turn = Turn()
    claim, first = turn.begin(store)
    assert (first.attempt, first.status) == (1, TaskStatus.IN_PROGRESS)
    store.save_task_outgoing_ids(COMPANY, first, ("1.1",))
    later = turn.task().model_copy(update={"created_at": START + LEASE, "updated_at": START + LEASE})
    second = store.start_task(claim, later)
    assert (second.attempt, second.created_at, second.updated_at) == (2, START, START + LEASE)
    assert second.outgoing_ids == ("1.1",)
    assert store.list_tasks(COMPANY, CONVERSATION) == (second,)


def test_a_failed_task_starts_again_without_its_error(store: Store) -> None:
    turn = Turn()
    claim, task = turn.begin(store)
    store.fail_turn(claim, turn.failed(task), now=START)
    again = store.start_task(turn.claim(store), turn.task())
    assert (again.status, again.error_class, again.error_message) == (TaskStatus.IN_PROGRESS, None, None)
    assert store.list_failed_tasks(COMPANY) == ()


def test_an_answered_task_is_not_taken_back(store: Store) -> None:
    turn = Turn()
    turn.play(store)
    standing = store.start_task(turn.claim(store), turn.task())
    assert standing.status is TaskStatus.COMPLETED
    assert (standing.llm_raw_output, standing.total_tokens) == (turn.answer, 1875)
    assert store.list_tasks(COMPANY, CONVERSATION) == (standing,)


def test_history_is_the_last_messages_in_order_without_the_question(store: Store) -> None:
    for number in range(4):
        Turn(number=number).play(store)
    last = Turn(number=4)
    claim = last.claim(store)
    store.questions.save(claim, last.question(), opening_message=None)
    third, fourth = Turn(number=2), Turn(number=3)
    assert store.history(claim, limit=3, before=last.question_id) == (
        third.reply(),
        fourth.question(),
        fourth.reply(),
    )
    assert len(store.history(claim, limit=100, before=last.question_id)) == 8
    assert store.history(claim, limit=3, before=Turn().question_id) == ()


def test_history_of_a_new_conversation_is_its_opening(store: Store) -> None:
    turn = Turn()
    claim = turn.claim(store)
    store.questions.save(claim, turn.question(), opening_message=turn.opening_message())
    assert store.history(claim, limit=20, before=turn.question_id) == (turn.opening_message(),)


def test_a_commit_stores_reply_task_conversation_and_counters(store: Store) -> None:
    turn = Turn()
    claim, task = turn.begin(store)
    assert store.find_reply(COMPANY, turn.question_id) is None
    store.mark_streaming(claim, outgoing_ids=("1.1",), now=turn.now)
    turn.commit(store, claim, task)
    assert store.find_reply(COMPANY, turn.question_id) == turn.reply()
    assert store.list_tasks(COMPANY, CONVERSATION) == (turn.completed(task),)
    conversation = store.get_conversation(COMPANY, CONVERSATION)
    assert conversation is not None
    assert conversation.status is ConversationStatus.COMPLETED
    assert conversation.updated_at == turn.now + timedelta(seconds=7)
    assert (conversation.lease_until, conversation.streaming_task_id, conversation.outgoing_ids) == (None, None, ())
    assert conversation.message_count == 2
    assert (conversation.total_input_tokens, conversation.total_output_tokens, conversation.total_tokens) == (
        1800,
        75,
        1875,
    )
    assert conversation.total_cost == Decimal("0.00123")


def test_the_same_reply_committed_twice_at_once_stands_once(store: Store) -> None:
    turn = Turn()
    claim, task = turn.begin(store)
    outcomes = at_once(*[lambda: turn.commit(store, claim, task)] * 6)
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, ClaimLostError) for outcome in outcomes) == 5
    assert len(store.list_messages(COMPANY, CONVERSATION)) == 2
    assert store.month_usage(COMPANY, "2026-11")[0].messages == 1


def test_a_question_that_has_its_reply_gets_no_second_one(store: Store) -> None:
    turn = Turn()
    turn.play(store)
    claim = turn.claim(store)
    task_of_its_own = turn.after().completed(turn.after().task())
    other = turn.reply().model_copy(update={"llm_parsed_output": "Something else."})
    with pytest.raises(ClaimLostError):
        store.commit_reply(claim, other, task_of_its_own, now=turn.now)
    assert store.find_reply(COMPANY, turn.question_id) == turn.reply()
    assert store.month_usage(COMPANY, "2026-11")[0].messages == 1


def test_a_commit_that_meets_other_transactions_tries_again_with_the_same_token(store: Store) -> None:
    turn = Turn()
    claim, task = turn.begin(store)
    conflict = refusal(
        "TransactionCanceledException", "TransactWriteItems", reasons=("None", "None", "None", "TransactionConflict")
    )
    with trouble("TransactWriteItems", conflict, times=3) as seen:
        turn.commit(store, claim, task)
    assert len(seen.tokens) == 4
    assert len(set(seen.tokens)) == 1
    assert seen.tokens[0]
    assert store.find_reply(COMPANY, turn.question_id) == turn.reply()


def test_a_commit_that_keeps_meeting_other_transactions_is_left_to_the_queue(table_name: str, bucket_name: str) -> None:
    pauses: list[float] = []
    store = Store(table_name, bucket_name=bucket_name, pause=pauses.append)
    turn = Turn()
    claim, task = turn.begin(store)
    conflict = refusal("TransactionCanceledException", "TransactWriteItems", reasons=("TransactionConflict",))
    with (
        trouble("TransactWriteItems", conflict, times=100),
        pytest.raises(RetryableError, match="kept coming") as error,
    ):
        turn.commit(store, claim, task)
    assert error.value.code == "table-conflict"
    assert 0.5 < sum(pauses) <= 2.1
    assert len(set(pauses)) == len(pauses), "the pauses are random, so that those who met once do not meet again"
    assert store.find_reply(COMPANY, turn.question_id) is None


def test_platform_ids_are_remembered_after_the_commit(store: Store) -> None:
    turn = Turn()
    turn.play(store)
    store.save_outgoing_ids(COMPANY, turn.reply(), ("1.1", "1.2", "1.3"))
    reply = store.find_reply(COMPANY, turn.question_id)
    assert reply is not None
    assert reply.outgoing_ids == ("1.1", "1.2", "1.3")
    assert reply.text == turn.answer


def test_platform_ids_of_what_is_not_stored_make_no_item(store: Store) -> None:
    store.save_outgoing_ids(COMPANY, Turn().reply(), ("1.1",))
    store.save_task_outgoing_ids(COMPANY, Turn().task(), ("1.1",))
    assert store.find_reply(COMPANY, Turn().question_id) is None
    assert store.list_tasks(COMPANY, CONVERSATION) == ()


def test_counters_are_per_person_and_day_and_sum_up_to_the_month(store: Store) -> None:
    somebody = Turn().opening.model_copy(update={"user_id": "usr#odd%id"})
    for number in range(20):
        Turn(conversation_id=f"cnv_{number:026}").play(store)
    Turn(number=24 * 60, conversation_id="cnv_a", cost=None).play(store)
    Turn(number=24 * 60, conversation_id="cnv_b", opening=somebody, cost=None).play(store)
    Turn(number=40 * 24 * 60, conversation_id="cnv_c").play(store)
    month, *days = store.month_usage(COMPANY, "2026-11")
    assert (month.period, month.user_id, month.messages) == ("2026-11", None, 22)
    assert (month.input_tokens, month.output_tokens, month.total_tokens) == (22 * 1800, 22 * 75, 22 * 1875)
    assert month.cost == 20 * Decimal("0.00123")
    assert [(day.period, day.user_id, day.messages, day.cost) for day in days] == [
        ("2026-11-03", USER, 20, 20 * Decimal("0.00123")),
        ("2026-11-04", "usr#odd%id", 1, None),
        ("2026-11-04", USER, 1, None),
    ]
    assert store.month_usage(COMPANY, "2026-12")[0].messages == 1
    assert store.month_usage(COMPANY, "2027-01")[0].messages == 0


def test_tokens_that_nobody_counted_are_not_stored_as_zero(store: Store) -> None:
    turn = Turn(cost=None)
    claim, task = turn.begin(store)
    uncounted = task.model_copy(update={"status": TaskStatus.COMPLETED, "llm_raw_output": "ok"})
    store.commit_reply(claim, turn.reply(), uncounted, now=turn.now)
    assert store.list_tasks(COMPANY, CONVERSATION) == (uncounted,)
    conversation = store.get_conversation(COMPANY, CONVERSATION)
    assert conversation is not None
    assert (conversation.total_tokens, conversation.total_cost) == (0, None)


def test_a_successor_finds_the_reply_of_its_predecessor(store: Store) -> None:
    turn = Turn()
    claim, task = turn.begin(store)
    lost = refusal("InternalServerError", "TransactWriteItems")
    with trouble("TransactWriteItems", lost, is_done=True), pytest.raises(RetryableError):
        turn.commit(store, claim, task)
    again: Claim = turn.claim(store)
    assert store.questions.save(again, turn.question(), opening_message=None)
    assert store.find_reply(COMPANY, turn.question_id) == turn.reply()
    store.release_claim(again, status=ConversationStatus.COMPLETED, now=turn.now)
    assert keys.ulid_of(turn.reply_id) == keys.reply_ulid(turn.ulid)
