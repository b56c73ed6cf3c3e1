"""Retention: what has expired is not shown, though it lies in the table for a while; what is used stays."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from core.errors import PermanentError
from core.models import Company, TaskStatus, User
from core.store import Claim, Store
from tests.integration.meter import Meter
from tests.integration.store.test_tool_usages import usage
from tests.integration.store.turns import ADDRESS, COMPANY, CONVERSATION, LEASE, START, USER, Turn

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DAYS = 30
GONE = datetime(2026, 12, 4, tzinfo=UTC)  # the midnight after START and thirty days
TTL = str(int(GONE.timestamp()))
BIG = "A long text. " * 1000


class Clock:
    """The time as the store sees it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(table_name: str, bucket_name: str, clock: Clock) -> Store:
    return Store(table_name, bucket_name=bucket_name, pause=lambda _seconds: None, clock=clock)


def claim(store: Store, turn: Turn, days: int | None = DAYS) -> Claim:
    return store.claim_conversation(
        COMPANY,
        CONVERSATION,
        opening=turn.opening,
        task_id=turn.task_id,
        lease=LEASE,
        now=turn.now,
        retention_days=days,
    )


def play(store: Store, turn: Turn, days: int | None = DAYS) -> None:
    if store.find_conversation_id(COMPANY, ADDRESS, retention_days=days) is None:
        store.open_conversation(COMPANY, ADDRESS, CONVERSATION, retention_days=days)
    held = claim(store, turn, days)
    store.questions.save(held, turn.question(), opening_message=None)
    task = store.start_task(held, turn.task())
    store.start_tool_usages(held, [usage(0, turn=turn)])
    turn.commit(store, held, task)


def read_items(dynamodb: "DynamoDBClient", table_name: str) -> list[dict[str, Any]]:
    return dynamodb.scan(TableName=table_name, ConsistentRead=True)["Items"]


def content(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All but the usage counters."""
    return [item for item in items if f"C#{COMPANY}#Q#" not in item["PK"]["S"]]


def test_everything_of_a_turn_expires_and_the_counters_do_not(
    store: Store, dynamodb: "DynamoDBClient", table_name: str
) -> None:
    play(store, Turn())
    items = read_items(dynamodb, table_name)
    assert {item["SK"]["S"][:2]: item["ttl"]["N"] for item in content(items)} == dict.fromkeys(
        ("#", "#M", "M#", "T#", "U#"), TTL
    )
    assert not [item for item in items if item not in content(items) and "ttl" in item]


def test_what_is_kept_for_good_has_no_end(store: Store, dynamodb: "DynamoDBClient", table_name: str) -> None:
    play(store, Turn(), days=None)
    assert not [item for item in read_items(dynamodb, table_name) if "ttl" in item]


def test_a_failed_turn_and_a_dead_letter_expire_too(store: Store, dynamodb: "DynamoDBClient", table_name: str) -> None:
    turn, dead = Turn(), Turn(number=1)
    held = claim(store, turn)
    store.fail_turn(held, turn.failed(store.start_task(held, turn.task())), now=turn.now)
    store.record_dead_letter(COMPANY, CONVERSATION, dead.failed(dead.task()), now=dead.now)
    tasks = [item for item in read_items(dynamodb, table_name) if item["SK"]["S"].startswith("T#")]
    assert [item["ttl"]["N"] for item in tasks] == [TTL] * 2
    assert [task.status for task in store.list_tasks(COMPANY, CONVERSATION)] == [TaskStatus.FAILED] * 2


def test_no_read_shows_what_has_expired(store: Store, clock: Clock) -> None:
    turn = Turn()
    play(store, turn)
    later = Turn(number=40 * 24 * 60)
    clock.now = GONE - timedelta(seconds=1)
    assert store.find_conversation_id(COMPANY, ADDRESS) == CONVERSATION
    assert len(store.list_messages(COMPANY, CONVERSATION)) == 2
    clock.now = GONE
    assert store.find_conversation_id(COMPANY, ADDRESS) is None
    assert store.get_conversation(COMPANY, CONVERSATION) is None
    assert store.list_conversations(COMPANY, USER) == ()
    assert store.list_messages(COMPANY, CONVERSATION) == ()
    assert store.list_tasks(COMPANY, CONVERSATION) == ()
    assert store.list_tool_usages(COMPANY, turn.question_id) == ()
    assert store.find_reply(COMPANY, turn.question_id) is None
    assert store.history(claim(store, later), limit=20, before=later.question_id) == ()
    assert store.month_usage(COMPANY, "2026-11")[0].messages == 1


def test_a_thread_whose_conversation_has_expired_gets_a_new_one(store: Store, clock: Clock) -> None:
    store.open_conversation(COMPANY, ADDRESS, CONVERSATION, retention_days=DAYS)
    clock.now = GONE
    assert store.open_conversation(COMPANY, ADDRESS, "cnv_new", retention_days=DAYS) == "cnv_new"
    assert store.open_conversation(COMPANY, ADDRESS, "cnv_other", retention_days=DAYS) == "cnv_new"
    assert store.find_conversation_id(COMPANY, ADDRESS) == "cnv_new"


def test_a_conversation_in_use_stays_while_its_old_messages_go(store: Store, clock: Clock) -> None:
    for day in range(0, 60, 20):
        clock.now = START + timedelta(days=day)
        play(store, Turn(number=day * 24 * 60))
    assert store.find_conversation_id(COMPANY, ADDRESS) == CONVERSATION
    assert [message.created_at for message in store.list_messages(COMPANY, CONVERSATION)] == [
        START + timedelta(days=day) for day in (20, 20, 40, 40)
    ]


def test_a_thread_in_use_costs_one_write_a_day(store: Store, clock: Clock) -> None:
    store.open_conversation(COMPANY, ADDRESS, CONVERSATION, retention_days=DAYS)
    requests = []
    for hours in (1, 2, 24, 25, 26):
        clock.now = START + timedelta(hours=hours)
        with Meter() as meter:
            assert store.find_conversation_id(COMPANY, ADDRESS, retention_days=DAYS) == CONVERSATION
        requests.append(meter.requests)
    assert requests == [1, 1, 2, 1, 1]


def test_a_turn_costs_the_same_with_an_end_in_sight(store: Store) -> None:
    play(store, Turn())
    with Meter() as meter:
        play(store, Turn(number=1))
    assert meter.requests == 6  # no history is read and nothing streams here; the tool is one
    assert meter.write_units <= 16 + 2


@pytest.mark.parametrize(("days", "text_days"), [(1, "2"), (7, "8"), (30, "31"), (365, "366"), (3650, "3651")])
def test_long_texts_carry_the_age_at_which_the_bucket_deletes_them(
    store: Store, bucket_name: str, days: int, text_days: str
) -> None:
    turn = Turn(text=BIG)
    store.questions.save(claim(store, turn, days), turn.question(), opening_message=None)
    s3 = boto3.client("s3")
    [found] = s3.list_objects_v2(Bucket=bucket_name)["Contents"]
    tags = s3.get_object_tagging(Bucket=bucket_name, Key=found["Key"])["TagSet"]
    assert tags == [{"Key": "textDays", "Value": text_days}]


def add_company(store: Store) -> Company:
    company = Company(id=COMPANY, name="Acme", created_at=START)
    store.directory.add_company(company)
    store.directory.add_user(User(id=USER, company_id=COMPANY, email="ada@acme.example", name="Ada", created_at=START))
    return company


def test_a_new_retention_applies_to_what_was_said_before(
    store: Store, clock: Clock, dynamodb: "DynamoDBClient", table_name: str, bucket_name: str
) -> None:
    assert add_company(store).retention_days is None
    play(store, Turn(text=BIG), days=None)
    clock.now = START + timedelta(days=10)
    play(store, Turn(number=10 * 24 * 60), days=None)
    changed = store.directory.set_retention(COMPANY, DAYS)
    assert store.directory.get_company(COMPANY) == changed
    assert changed.retention_days == DAYS
    assert store.privacy.apply_retention(changed) == 1
    later = str(int(TTL) + 10 * 86_400)
    items = [item for item in content(read_items(dynamodb, table_name)) if "ttl" in item]
    assert sorted((item["SK"]["S"][:2], item["ttl"]["N"]) for item in items) == [
        ("#", later),
        ("#M", later),
        *[("M#", TTL)] * 2,
        *[("M#", later)] * 2,
        *[("T#", TTL), ("T#", later), ("U#", TTL), ("U#", later)],
    ]
    s3 = boto3.client("s3")
    [text] = s3.list_objects_v2(Bucket=bucket_name)["Contents"]
    assert s3.get_object_tagging(Bucket=bucket_name, Key=text["Key"])["TagSet"][0]["Value"] == "31"
    clock.now = GONE
    assert len(store.list_messages(COMPANY, CONVERSATION)) == 2


def test_retention_that_is_switched_off_ends_no_more(
    store: Store, dynamodb: "DynamoDBClient", table_name: str, bucket_name: str
) -> None:
    add_company(store)
    play(store, Turn(text=BIG))
    store.privacy.apply_retention(store.directory.set_retention(COMPANY, None))
    assert not [item for item in read_items(dynamodb, table_name) if "ttl" in item]
    s3 = boto3.client("s3")
    [text] = s3.list_objects_v2(Bucket=bucket_name)["Contents"]
    assert s3.get_object_tagging(Bucket=bucket_name, Key=text["Key"])["TagSet"] == []


def test_a_retention_needs_its_company(store: Store) -> None:
    with pytest.raises(PermanentError, match="no company"):
        store.directory.set_retention("nobody", 30)
    assert store.directory.list_companies() == ()
