"""Uses of tools: written before they run and before their results are used, read back in order."""

from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pytest

from core.errors import PermanentError, RetryableError
from core.models import ToolStatus, ToolType, ToolUsage, Usage
from core.store import Store
from tests.integration.meter import Meter
from tests.integration.store.faults import leftovers
from tests.integration.store.turns import COMPANY, CONVERSATION, OTHER_COMPANY, Turn

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TURN = Turn()
TOKENS = Usage(input_tokens=1800, output_tokens=75, total_tokens=1875, cached_tokens=1024)


def usage(place: int = 0, *, step: int = 0, turn: Turn = TURN, **fields: object) -> ToolUsage:
    started = ToolUsage(
        name=f"calendar_find_{place}",
        call_id=f"call_{9 - place}0123456789abcdef01234567",  # not in the order of the places
        type=ToolType.TPA,
        step=step,
        place=place,
        said="Let me look." if place == 0 else "",
        step_usage=TOKENS if place == 0 else None,
        request='{"person":"Ada","from":"2026-11-03","until":"2026-11-10"}',
        message_id=turn.question_id,
        status=ToolStatus.STARTED,
        started_at=turn.now,
        idempotency_key="0123456789abcdef" * 2,
    )
    return started.model_copy(update=fields)


def done(started: ToolUsage, response: str = '{"free":["2026-11-04","2026-11-05"]}') -> ToolUsage:
    return started.model_copy(update={"status": ToolStatus.COMPLETED, "response": response, "duration_ms": 321})


def test_a_round_of_two_tools_costs_two_requests_and_at_most_five_write_units(store: Store) -> None:
    claim, _ = TURN.begin(store)
    round_ = [usage(0), usage(1)]
    with Meter() as meter:
        store.start_tool_usages(claim, round_)
        store.finish_tool_usages(claim, [done(each) for each in round_])
    assert meter.requests == 2
    assert meter.write_units <= 5
    with Meter() as meter:
        assert store.list_tool_usages(COMPANY, TURN.question_id) == tuple(map(done, round_))
    assert meter.requests == 1


def test_usages_come_back_in_the_order_of_steps_and_places(store: Store) -> None:
    claim, _ = TURN.begin(store)
    second = [usage(place, step=1) for place in range(11)]
    first = [usage(1, said="x"), usage(0)]
    store.start_tool_usages(claim, second)
    store.start_tool_usages(claim, first)
    assert store.list_tool_usages(COMPANY, TURN.question_id) == (first[1], first[0], *second)
    assert store.list_conversation_tool_usages(COMPANY, CONVERSATION) == (first[1], first[0], *second)


def test_one_usage_of_a_round_may_be_finished_alone(store: Store) -> None:
    claim, _ = TURN.begin(store)
    one, two = usage(0), usage(1)
    store.start_tool_usages(claim, [one, two])
    store.finish_tool_usages(claim, [done(two)])
    assert store.list_tool_usages(COMPANY, TURN.question_id) == (one, done(two))


def test_two_usages_in_one_place_are_refused_and_none_is_lost_in_silence(store: Store) -> None:
    claim, _ = TURN.begin(store)
    with pytest.raises(PermanentError, match="place"):
        store.start_tool_usages(claim, [usage(0), usage(0, call_id="another")])


def test_usages_are_no_messages_and_belong_to_their_question(store: Store) -> None:
    TURN.play(store)
    following = Turn(number=1)
    claim, _ = following.begin(store)
    store.start_tool_usages(claim, [usage(0, turn=following)])
    store.finish_tool_usages(claim, [done(usage(0))])
    assert [message.id for message in store.history(claim, limit=20, before=following.question_id)] == [
        TURN.question_id,
        TURN.reply_id,
    ]
    assert len(store.list_messages(COMPANY, CONVERSATION)) == 3
    assert store.list_tool_usages(COMPANY, following.question_id) == (usage(0, turn=following),)
    assert store.list_tool_usages(COMPANY, TURN.question_id) == (done(usage(0)),)
    assert store.list_tool_usages(OTHER_COMPANY, TURN.question_id) == ()


def test_stored_names_are_those_of_the_data_model(store: Store, dynamodb: "DynamoDBClient", table_name: str) -> None:
    claim, _ = TURN.begin(store)
    failed = done(usage(2, step=3)).model_copy(update={"status": ToolStatus.FAILED, "error": "no", "said": "Hm."})
    store.finish_tool_usages(claim, [failed])
    [item] = [
        item
        for item in dynamodb.scan(TableName=table_name, ConsistentRead=True)["Items"]
        if item["SK"]["S"].startswith("U#")
    ]
    assert item["PK"]["S"] == f"C#{COMPANY}#V#{CONVERSATION}"
    assert item["SK"]["S"] == f"U#{TURN.ulid}#003002"
    assert set(item) == {
        *("PK", "SK", "name", "callId", "type", "request", "response", "messageId", "status", "startedAt", "duration"),
        *("idempotencyKey", "error", "step", "place", "said"),
    }
    assert item["duration"] == {"N": "321"}
    assert item["type"] == {"S": "TPA"}


def test_a_tool_that_does_not_exist_has_no_type(store: Store) -> None:
    claim, _ = TURN.begin(store)
    unknown = usage(0, type=None, request="", response="")
    store.start_tool_usages(claim, [unknown])
    [read] = store.list_tool_usages(COMPANY, TURN.question_id)
    assert (read.type, read.request) == (None, "")


def test_long_results_are_in_s3_and_come_back(store: Store, bucket_name: str) -> None:
    claim, _ = TURN.begin(store)
    long = done(usage(0, request="ü" * 9000), "é" * 30_000)
    with Meter() as meter:
        store.finish_tool_usages(claim, [long])
    assert meter.write_units == 1
    assert store.list_tool_usages(COMPANY, TURN.question_id) == (long,)
    found = boto3.client("s3").list_objects_v2(Bucket=bucket_name)["Contents"]
    folder = f"overflow/C/{COMPANY}/V/{CONVERSATION}/{TURN.ulid}/000000"
    assert [each["Key"].rpartition("/")[0] for each in found] == [folder] * 2


def test_half_a_surrogate_pair_in_a_result_becomes_a_replacement_character(store: Store) -> None:
    claim, _ = TURN.begin(store)
    store.finish_tool_usages(claim, [done(usage(0), "broken \ud83d")])
    assert store.list_tool_usages(COMPANY, TURN.question_id)[0].response == "broken \ufffd"


def test_what_the_table_leaves_unwritten_is_written_again(store: Store) -> None:
    claim, _ = TURN.begin(store)
    usages = [usage(place) for place in range(30)]
    with leftovers(times=2):
        store.start_tool_usages(claim, usages)
    assert store.list_tool_usages(COMPANY, TURN.question_id) == tuple(usages)
    with leftovers(times=100), pytest.raises(RetryableError) as error:
        store.finish_tool_usages(claim, usages)
    assert error.value.code == "table-throttled"


def test_usages_expire_with_their_turn(store: Store, dynamodb: "DynamoDBClient", table_name: str) -> None:
    claim = store.claim_conversation(
        COMPANY,
        CONVERSATION,
        opening=TURN.opening,
        task_id=TURN.task_id,
        lease=timedelta(minutes=1),
        now=TURN.now,
        retention_days=30,
    )
    store.start_tool_usages(claim, [usage(0)])
    items = dynamodb.scan(TableName=table_name, ConsistentRead=True)["Items"]
    assert {item["SK"]["S"][:2]: item["ttl"]["N"] for item in items} == {"#M": "1796342400", "U#": "1796342400"}
