"""What a turn costs in DynamoDB: the gates of the data model, counted request by request and byte by byte."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from core.store import Store, keys
from tests.integration.meter import Meter, item_size
from tests.integration.store.turns import ADDRESS, COMPANY, CONVERSATION, INPUT, Turn

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MOST_REQUESTS = 8  # one of them is left for the directory
MOST_WRITE_UNITS = 16
MOST_READ_UNITS = 9
KILOBYTE = 1024


@pytest.fixture
def opened(store: Store) -> Store:
    """A store in which the thread has its conversation."""
    store.open_conversation(COMPANY, ADDRESS, CONVERSATION)
    return store


def answer(store: Store, turn: Turn) -> None:
    """Every call that a plain warm turn makes to the store."""
    conversation_id = store.find_conversation_id(COMPANY, ADDRESS)
    assert conversation_id == CONVERSATION
    claim = turn.claim(store)
    history = store.history(claim, limit=20, before=turn.question_id)
    parent_id = history[-1].id if history else None
    store.questions.save(claim, turn.question(parent_id=parent_id), opening_message=None)
    task = store.start_task(claim, turn.task())
    store.mark_streaming(claim, outgoing_ids=("1762162219.123456", "1762162220.123456"), now=turn.now)
    turn.commit(store, claim, task)


def hold_turns(store: Store, dynamodb: "DynamoDBClient", table_name: str, turns: int) -> None:
    """A conversation of so many turns: the first one as the store writes it, the others copied from its items.

    moto copies its whole table for each transaction; a thousand real ones would take minutes.
    """
    first = Turn()
    first.play(store)
    partition = keys.conversation_partition(COMPANY, CONVERSATION)
    asked = {":pk": {"S": partition}, ":meta": {"S": keys.META}}
    written = dynamodb.query(
        TableName=table_name, KeyConditionExpression="PK = :pk AND SK > :meta", ExpressionAttributeValues=asked
    )["Items"]
    assert len(written) == 3
    copies = [copy for number in range(1, turns) for copy in _copy_turn(written, first, Turn(number=number))]
    for start in range(0, len(copies), 25):
        requests: Any = [{"PutRequest": {"Item": item}} for item in copies[start : start + 25]]
        dynamodb.batch_write_item(RequestItems={table_name: requests})
    dynamodb.update_item(
        TableName=table_name,
        Key={"PK": {"S": partition}, "SK": {"S": keys.META}},
        UpdateExpression="SET messageCount = :count",
        ExpressionAttributeValues={":count": {"N": str(2 * turns)}},
    )


def _copy_turn(written: Any, first: Turn, turn: Turn) -> Iterator[Any]:
    text = json.dumps(written).replace(first.ulid, turn.ulid)
    yield from json.loads(text.replace(keys.reply_ulid(first.ulid), keys.reply_ulid(turn.ulid)))


@pytest.mark.parametrize("messages", [2, 1000])
def test_a_turn_costs_the_same_however_long_the_conversation_is(
    opened: Store, dynamodb: "DynamoDBClient", table_name: str, messages: int
) -> None:
    turns = messages // 2
    hold_turns(opened, dynamodb, table_name, turns)
    with Meter() as meter:
        answer(opened, Turn(number=turns))
    assert meter.requests == 7 < MOST_REQUESTS
    assert meter.by_operation == {
        "GetItem": 1,
        "UpdateItem": 3,
        "Query": 1,
        "PutItem": 1,
        "TransactWriteItems": 1,
    }
    assert meter.write_units <= MOST_WRITE_UNITS
    assert meter.read_units <= MOST_READ_UNITS
    assert max(meter.largest.values()) < KILOBYTE, meter.largest
    conversation = opened.get_conversation(COMPANY, CONVERSATION)
    assert conversation is not None
    assert conversation.message_count == messages + 2


def test_a_long_conversation_is_not_read_to_its_beginning(
    opened: Store, dynamodb: "DynamoDBClient", table_name: str
) -> None:
    hold_turns(opened, dynamodb, table_name, 30)
    last = Turn(number=30)
    claim = last.claim(opened)
    with Meter() as meter:
        history = opened.history(claim, limit=20, before=last.question_id)
    assert meter.requests == 1
    assert meter.read_units <= 5
    latest = [Turn(number=number) for number in range(20, 30)]
    assert [message.id for message in history] == [id_ for turn in latest for id_ in (turn.question_id, turn.reply_id)]


def test_a_claim_leaves_the_indexes_of_a_known_conversation_alone(opened: Store) -> None:
    Turn().play(opened)
    with Meter() as meter:
        Turn(number=1).claim(opened)
    assert meter.write_units == 1


def test_an_input_is_written_once_per_process(opened: Store) -> None:
    opened.save_input(COMPANY, INPUT)
    with Meter() as meter:
        sha256 = opened.save_input(COMPANY, INPUT)
        assert opened.get_input(COMPANY, sha256) == INPUT
    assert meter.requests == 0


def test_the_meter_counts_bytes_as_dynamodb_does() -> None:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    assert item_size({"PK": {"S": "é"}}) == 2 + 2
    assert item_size({"n": {"N": "1234"}}) == 1 + 3
    assert item_size({"n": {"N": "-1234"}}) == 1 + 4
    assert item_size({"b": {"BOOL": True}}) == 1 + 1
    assert item_size({"l": {"L": [{"S": "ab"}]}}) == 1 + 3 + 1 + 2
    assert item_size({"m": {"M": {"k": {"S": "ab"}}}}) == 1 + 3 + 1 + 1 + 2


def test_the_meter_charges_writes_by_the_larger_item_and_by_the_index(store: Store, meter: Meter) -> None:
    turn = Turn(text="x" * 1500)
    claim = turn.claim(store)
    assert meter.write_units == 1 + 2, "a new conversation is one unit and an entry in each index"
    store.questions.save(claim, turn.question(), opening_message=None)
    assert meter.write_units == 3 + 2, "1.5 KB are two units"
    store.questions.save(claim, turn.question(), opening_message=None)
    assert meter.write_units == 5 + 2, "a refused write costs what the standing item costs"
    store.list_conversations(COMPANY, claim.conversation.user_id)
    assert meter.read_units == 0.5 + 0.5
    store.find_conversation_id(COMPANY, ADDRESS)
    assert meter.read_units == 1 + 1
    assert keys.split_task_id(turn.task_id) == (CONVERSATION, turn.ulid)
