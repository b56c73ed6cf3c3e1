"""Turns that end badly: failed by their worker, or by the dead-letter processor; and what the table itself refuses."""

from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from core.errors import PermanentError, RetryableError
from core.models import ConversationStatus, Task, TaskStatus
from core.store import ClaimLostError, Store
from tests.integration.store.faults import refusal, trouble
from tests.integration.store.turns import COMPANY, CONVERSATION, LEASE, OTHER_COMPANY, START, Turn

LATER = START + timedelta(hours=1)


def status_of(store: Store) -> ConversationStatus:
    """How the conversation stands."""
    conversation = store.get_conversation(COMPANY, CONVERSATION)
    assert conversation is not None
    return conversation.status


def bury(store: Store, task: Task) -> Task:
    """What the dead-letter processor does."""
    return store.record_dead_letter(COMPANY, CONVERSATION, Turn().failed(task), now=LATER)


def test_a_failed_turn_frees_the_conversation_and_is_listed(store: Store) -> None:
    turn = Turn()
    claim, task = turn.begin(store)
    store.mark_streaming(claim, outgoing_ids=("1.1",), now=turn.now)
    store.fail_turn(claim, turn.failed(task), now=turn.now)
    assert status_of(store) is ConversationStatus.FAILED
    [failed] = store.list_failed_tasks(COMPANY)
    assert (failed.id, failed.status) == (turn.task_id, TaskStatus.FAILED)
    assert (failed.error_class, failed.error_message) == ("model-refused", "no such model")
    assert store.list_failed_tasks(OTHER_COMPANY) == ()
    Turn(number=1).play(store)
    assert status_of(store) is ConversationStatus.COMPLETED


def test_failed_tasks_are_listed_the_last_one_first(store: Store) -> None:
    for number in range(3):
        turn = Turn(number=number)
        claim, task = turn.begin(store)
        store.fail_turn(claim, turn.failed(task), now=turn.now)
    ids = [task.id for task in store.list_failed_tasks(COMPANY, 2)]
    assert ids == [Turn(number=2).task_id, Turn(number=1).task_id]


def test_a_task_that_was_answered_after_its_failure_is_not_listed(store: Store) -> None:
    turn = Turn()
    claim, task = turn.begin(store)
    store.fail_turn(claim, turn.failed(task), now=turn.now)
    turn.play(store)
    assert store.list_failed_tasks(COMPANY) == ()


def test_a_dead_letter_fails_the_task_and_the_conversation_that_waits_for_it(store: Store) -> None:
    _, task = Turn().begin(store)
    store.save_task_outgoing_ids(COMPANY, task, ("1.1",))
    standing = bury(store, Turn().task())
    assert (standing.status, standing.error_class, standing.attempt) == (TaskStatus.FAILED, "model-refused", 1)
    assert standing.outgoing_ids == ("1.1",)
    assert status_of(store) is ConversationStatus.FAILED
    assert store.list_failed_tasks(COMPANY) == (standing,)


def test_a_worker_that_comes_back_after_the_dead_letter_is_refused(store: Store) -> None:
    claim, task = Turn().begin(store)
    bury(store, task)
    with pytest.raises(ClaimLostError):
        Turn().commit(store, claim, task)
    assert store.find_reply(COMPANY, Turn().question_id) is None


def test_a_dead_letter_of_a_turn_that_never_began_makes_its_task_alone(store: Store) -> None:
    standing = bury(store, Turn().task())
    assert (standing.status, standing.attempt) == (TaskStatus.FAILED, 1)
    assert store.get_conversation(COMPANY, CONVERSATION) is None


def test_a_dead_letter_does_not_touch_what_was_answered(store: Store) -> None:
    Turn().play(store)
    standing = bury(store, Turn().task())
    assert (standing.status, standing.llm_raw_output) == (TaskStatus.COMPLETED, Turn().answer)
    assert status_of(store) is ConversationStatus.COMPLETED
    assert store.list_failed_tasks(COMPANY) == ()


def test_a_dead_letter_leaves_a_conversation_to_the_turn_that_has_it_now(store: Store) -> None:
    _, task = Turn().begin(store)
    Turn(number=1).claim(store, now=START + LEASE)
    assert bury(store, task).status is TaskStatus.FAILED
    assert status_of(store) is ConversationStatus.IN_PROGRESS


def test_a_dead_letter_leaves_a_conversation_to_a_worker_that_is_alive(store: Store) -> None:
    claim, task = Turn().begin(store)
    store.renew_claim(claim, lease=LEASE, now=LATER)
    bury(store, task)
    assert status_of(store) is ConversationStatus.IN_PROGRESS


def test_the_same_dead_letter_again_changes_nothing(store: Store) -> None:
    _, task = Turn().begin(store)
    assert bury(store, task) == bury(store, task)


@pytest.mark.parametrize(
    ("code", "expected", "is_retryable"),
    [
        ("ProvisionedThroughputExceededException", "table-throttled", True),
        ("ThrottlingException", "table-throttled", True),
        ("RequestLimitExceeded", "table-throttled", True),
        ("InternalServerError", "table-unavailable", True),
        ("ServiceUnavailable", "table-unavailable", True),
        ("ExpiredTokenException", "table-unavailable", True),
        ("ValidationException", "table-refused", False),
    ],
)
def test_what_dynamodb_refuses_says_whether_to_come_again(
    store: Store, code: str, expected: str, is_retryable: bool
) -> None:
    with (
        trouble("UpdateItem", refusal(code, "UpdateItem")),
        pytest.raises(RetryableError if is_retryable else PermanentError) as error,
    ):
        Turn().claim(store)
    assert error.value.code == expected
    assert code in error.value.message


@pytest.mark.parametrize(
    ("reason", "expected"), [("ThrottlingError", "table-throttled"), ("ValidationError", "table-refused")]
)
def test_a_canceled_transaction_says_why(store: Store, reason: str, expected: str) -> None:
    claim, task = Turn().begin(store)
    canceled = refusal("TransactionCanceledException", "TransactWriteItems", reasons=("None", reason))
    with (
        trouble("TransactWriteItems", canceled),
        pytest.raises((RetryableError, PermanentError)) as error,
    ):
        Turn().commit(store, claim, task)
    assert error.value.code == expected


@pytest.mark.parametrize(
    ("silence", "is_outcome_unknown"),
    [(ReadTimeoutError(endpoint_url="http://table"), True), (ConnectTimeoutError(endpoint_url="http://table"), False)],
)
def test_no_answer_says_whether_the_write_may_have_happened(
    store: Store, silence: Exception, is_outcome_unknown: bool
) -> None:
    with trouble("UpdateItem", silence), pytest.raises(RetryableError) as error:
        Turn().claim(store)
    assert error.value.code == "table-unavailable"
    assert error.value.is_outcome_unknown is is_outcome_unknown


def test_a_read_is_translated_like_a_write(store: Store) -> None:
    with (
        trouble("Query", refusal("ThrottlingException", "Query")),
        pytest.raises(RetryableError, match="ThrottlingException"),
    ):
        store.list_messages(COMPANY, CONVERSATION)


def test_the_table_is_looked_for_where_it_is_said_to_be(cloud: None) -> None:
    asked: list[str] = []

    class Table(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.headers["X-Amz-Target"])
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Table)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        store = Store("elsewhere", bucket_name="b", endpoint_url=f"http://127.0.0.1:{server.server_port}")
        assert store.get_conversation(COMPANY, CONVERSATION) is None
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == ["DynamoDB_20120810.GetItem"]
