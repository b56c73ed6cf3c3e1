"""What ops see who open the table and the bucket: names, texts stored once, long ones in S3; and what comes back."""

import gzip
import itertools
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import RetryableError
from core.models import ContentPart, ContentType, ImageReference, Message
from core.store import Store, keys
from tests.integration.meter import item_size
from tests.integration.store.turns import ADDRESS, COMPANY, CONVERSATION, OTHER_COMPANY, SHA256, TEXT, USER, Turn

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

_numbers = itertools.count()
BIG = "Längere Texte — 長い文章 😀. " * 2000
ODD_TEXTS = [
    "",
    " ",
    "null",
    "\x00\x01\x1f",
    "e\u0301 \u200b\u202e \ufeff",
    "👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "عربى עברית",
    '{"S": "x"}',
    "\U0010ffff",
]


@pytest.fixture
def s3(cloud: None) -> "S3Client":
    return boto3.client("s3")


def read_items(dynamodb: "DynamoDBClient", table_name: str) -> dict[str, dict[str, Any]]:
    """Every item, by the first letter of its sort key and its kind."""
    items = dynamodb.scan(TableName=table_name, ConsistentRead=True)["Items"]
    return {f"{item['PK']['S']}|{item['SK']['S']}": item for item in items}


def test_attributes_have_the_names_of_the_data_model(store: Store, dynamodb: "DynamoDBClient", table_name: str) -> None:
    turn = Turn()
    store.open_conversation(COMPANY, ADDRESS, CONVERSATION)
    claim, task = turn.begin(store)
    turn.commit(store, claim, task)
    Turn(number=1).claim(store)
    items = read_items(dynamodb, table_name)
    partition = f"C#{COMPANY}#V#{CONVERSATION}"
    conversation = items[f"{partition}|#META"]
    assert set(conversation) == {
        *("PK", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK"),
        *("id", "userId", "userCompanyId", "title", "entityType", "entityId", "sessionId", "conversationSource"),
        *("createdAt", "updatedAt", "status", "input", "address", "messageCount", "currentTaskId", "fencingToken"),
        *("totalInputTokens", "totalOutputTokens", "totalTokens", "totalCost", "leaseUntil"),
    }
    assert conversation["GSI1PK"]["S"] == f"C#{COMPANY}#U#{USER}"
    assert conversation["GSI2PK"]["S"] == f"C#{COMPANY}#E#CHANNEL#slack:T0123456789:C0123456789"
    assert conversation["input"]["S"] == SHA256
    assert conversation["createdAt"]["S"] == "2026-11-03T09:30:15.250Z"
    assert conversation["status"]["S"] == "IN_PROGRESS"
    assert conversation["totalCost"]["N"] == "0.00123"
    question = items[f"{partition}|M#{turn.ulid}"]
    assert set(question) == {
        *("PK", "SK", "id", "llmConversationId", "externalMessageId", "userPrompt", "structuredPart", "llmTaskId"),
        *("entityType", "entityId", "role", "userId", "content", "createdAt"),
    }
    assert question["content"] == {"L": [{"M": {"type": {"S": "text"}}}]}
    reply = items[f"{partition}|M#{keys.reply_ulid(turn.ulid)}"]
    assert set(reply) == {
        *("PK", "SK", "id", "llmConversationId", "parentMessageId", "llmParsedOutput", "llmTaskId", "entityType"),
        *("entityId", "role", "userId", "content", "outgoingIds", "finishReason", "createdAt"),
    }
    stored_task = items[f"{partition}|T#{turn.ulid}"]
    assert set(stored_task) == {
        *("PK", "SK", "id", "llmConversationId", "messageId", "status", "llmSettingsId", "llmRawPrompt", "sameAsReply"),
        *("totalInputTokens", "totalOutputTokens", "totalTokens", "cachedTokens", "reasoningTokens", "cost"),
        *("priceVersion", "model", "providerRequestId", "timeToFirstTokenMs", "durationMs", "attempt"),
        *("createdAt", "updatedAt"),
    }
    assert set(items) >= {
        f"C#{COMPANY}#H#slack#C0123456789#1762162215.250000|#",
        f"C#{COMPANY}#Q#202611|D#03#U#{USER}",
    }
    counter = items[f"C#{COMPANY}#Q#202611|D#03#U#{USER}"]
    assert set(counter) == {"PK", "SK", "messages", "inputTokens", "outputTokens", "totalTokens", "cost"}


def test_no_item_of_a_failed_turn_is_left_in_the_list_of_failures(
    store: Store, dynamodb: "DynamoDBClient", table_name: str
) -> None:
    turn = Turn()
    claim, task = turn.begin(store)
    store.fail_turn(claim, turn.failed(task), now=turn.now)
    key = f"C#{COMPANY}#V#{CONVERSATION}|T#{turn.ulid}"
    assert read_items(dynamodb, table_name)[key]["GSI1PK"]["S"] == f"C#{COMPANY}#F"
    turn.begin(store)
    assert "GSI1PK" not in read_items(dynamodb, table_name)[key]


def test_both_indexes_lead_to_the_conversation(store: Store, dynamodb: "DynamoDBClient", table_name: str) -> None:
    Turn().play(store)
    for index, partition in (
        ("GSI1", f"C#{COMPANY}#U#{USER}"),
        ("GSI2", f"C#{COMPANY}#E#CHANNEL#slack:T0123456789:C0123456789"),
    ):
        found = dynamodb.query(
            TableName=table_name,
            IndexName=index,
            KeyConditionExpression=f"{index}PK = :pk",
            ExpressionAttributeValues={":pk": {"S": partition}},
        )["Items"]
        assert [item["PK"]["S"] for item in found] == [f"C#{COMPANY}#V#{CONVERSATION}"]
        assert set(found[0]) == {"PK", "SK", f"{index}PK", f"{index}SK"}, "the indexes hold keys alone"


def test_a_text_is_stored_once(store: Store, dynamodb: "DynamoDBClient", table_name: str) -> None:
    Turn(answer="Only once, however often it is said. " * 5).play(store)
    whole = json.dumps(list(read_items(dynamodb, table_name).values()))
    assert whole.count("Only once, however often it is said. " * 5) == 1
    assert whole.count(TEXT) == 1


def message(content: tuple[ContentPart, ...] = (), **texts: str | None) -> Message:
    return Turn().question().model_copy(update={"content": content, **texts})


def part(kind: ContentType, **fields: Any) -> ContentPart:
    return ContentPart(type=kind, message_id=Turn().question_id, **fields)


def store_and_read(store: Store, question: Message) -> Message:
    store.questions.save(Turn().claim(store), question, opening_message=None)
    [read] = store.list_messages(COMPANY, CONVERSATION)
    return read


@pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
def test_odd_texts_come_back_as_they_were(store: Store, text: str) -> None:
    turn = Turn(text=text, answer=f"{text}!")
    turn.play(store)
    assert store.list_messages(COMPANY, CONVERSATION) == (turn.question(), turn.reply())


def test_half_a_surrogate_pair_becomes_a_replacement_character(store: Store) -> None:
    text = "broken \ud83d emoji"
    read = store_and_read(store, message((part(ContentType.TEXT, text=text),), structured_user_prompt=text))
    assert read.structured_user_prompt == read.text == "broken \ufffd emoji"


def test_every_kind_of_part_comes_back_in_order(store: Store) -> None:
    image = ImageReference(url="s3://bucket/image.png", media_type="image/png", size=12)
    question = message(
        (
            part(ContentType.TEXT, text="Before."),
            part(ContentType.IMAGE, image=image),
            part(ContentType.JSON, json_value={"a": [1, 2.5, None, {"b": True}], "ü": ""}),
            part(ContentType.TEXT, text=TEXT),
            part(ContentType.IMAGE, image=image, text="what it shows"),
        ),
    )
    assert store_and_read(store, question) == question


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(written=st.text(max_size=200), start=st.integers(0, 200), other=st.none() | st.text(max_size=60))
def test_a_structured_prompt_is_read_back_whatever_it_shares_with_what_was_written(
    store: Store, written: str, start: int, other: str | None
) -> None:
    structured = written[start:] if other is None else other
    turn = Turn(conversation_id=f"cnv_{next(_numbers)}")
    texts = {"user_prompt": written, "structured_user_prompt": structured}
    question = message((part(ContentType.TEXT, text=structured),), **texts)
    question = question.model_copy(update={"id": turn.question_id, "llm_conversation_id": turn.conversation_id})
    store.questions.save(turn.claim(store), question, opening_message=None)
    [read] = store.list_messages(COMPANY, turn.conversation_id)
    assert (read.user_prompt, read.structured_user_prompt, read.text) == (written, structured, structured)


def test_long_texts_are_in_s3_and_come_back_whole(
    store: Store, dynamodb: "DynamoDBClient", s3: "S3Client", table_name: str, bucket_name: str
) -> None:
    turn = Turn(text=BIG, answer=BIG[::-1])
    claim = turn.claim(store)
    opening = turn.opening_message(prompt=f"Prompt. {BIG}")
    store.questions.save(claim, turn.question(), opening_message=opening)
    started = store.start_task(claim, turn.task().model_copy(update={"llm_raw_prompt": f"Raw. {BIG}"}))
    assert started.llm_raw_prompt == f"Raw. {BIG}"
    turn.commit(store, claim, started)
    assert store.list_messages(COMPANY, CONVERSATION) == (opening, turn.question(), turn.reply())
    assert store.list_tasks(COMPANY, CONVERSATION) == (turn.completed(started),)
    assert store.find_reply(COMPANY, turn.question_id) == turn.reply()
    items = read_items(dynamodb, table_name).values()
    assert max(item_size(item) for item in items) < 2048
    prefix = f"overflow/C/{COMPANY}/V/{CONVERSATION}/{turn.ulid}/userPrompt."
    [found] = s3.list_objects_v2(Bucket=bucket_name, Prefix=prefix)["Contents"]
    body = s3.get_object(Bucket=bucket_name, Key=found["Key"])["Body"].read()
    assert gzip.decompress(body).decode() == turn.question().user_prompt
    assert found["Key"].startswith(prefix)
    assert found["Key"].endswith(".gz")


def test_long_parts_are_in_s3_too(store: Store, dynamodb: "DynamoDBClient", table_name: str) -> None:
    question = message(
        (part(ContentType.TEXT, text=BIG), part(ContentType.JSON, json_value={"rows": [BIG, 0.5]})),
    )
    assert store_and_read(store, question) == question
    assert max(item_size(item) for item in read_items(dynamodb, table_name).values()) < 2048


def test_a_text_of_eight_kilobytes_stays_in_the_table(store: Store, s3: "S3Client", bucket_name: str) -> None:
    turn = Turn(answer="x" * 8192)
    turn.play(store)
    assert s3.list_objects_v2(Bucket=bucket_name)["KeyCount"] == 0
    Turn(number=1, answer="x" * 8193).play(store)
    assert s3.list_objects_v2(Bucket=bucket_name)["KeyCount"] == 1


def test_a_missing_long_text_is_not_taken_for_an_empty_one(store: Store, s3: "S3Client", bucket_name: str) -> None:
    Turn(text=BIG).play(store)
    for found in s3.list_objects_v2(Bucket=bucket_name)["Contents"]:
        s3.delete_object(Bucket=bucket_name, Key=found["Key"])
    with pytest.raises(RetryableError) as error:
        store.list_messages(COMPANY, CONVERSATION)
    assert error.value.code == "overflow-unavailable"


def test_a_damaged_long_text_is_noticed(store: Store, s3: "S3Client", bucket_name: str) -> None:
    Turn(text=BIG).play(store)
    for found in s3.list_objects_v2(Bucket=bucket_name)["Contents"]:
        s3.put_object(Bucket=bucket_name, Key=found["Key"], Body=gzip.compress(b"something else"))
    with pytest.raises(RetryableError) as error:
        store.list_messages(COMPANY, CONVERSATION)
    assert error.value.code == "overflow-damaged"


def test_a_second_try_with_a_short_prompt_forgets_the_long_one(store: Store) -> None:
    turn = Turn()
    claim = turn.claim(store)
    store.start_task(claim, turn.task().model_copy(update={"llm_raw_prompt": BIG}))
    assert store.start_task(claim, turn.task()).llm_raw_prompt == turn.task().llm_raw_prompt


def test_another_company_finds_nothing(store: Store) -> None:
    turn = Turn()
    store.open_conversation(COMPANY, ADDRESS, CONVERSATION)
    claim, task = turn.begin(store)
    store.fail_turn(claim, turn.failed(task), now=turn.now)
    turn.play(store)
    sha256 = "f" * 64
    assert store.find_conversation_id(OTHER_COMPANY, ADDRESS) is None
    assert store.get_conversation(OTHER_COMPANY, CONVERSATION) is None
    assert store.list_conversations(OTHER_COMPANY, USER) == ()
    assert store.list_messages(OTHER_COMPANY, CONVERSATION) == ()
    assert store.list_tasks(OTHER_COMPANY, CONVERSATION) == ()
    assert store.find_reply(OTHER_COMPANY, turn.question_id) is None
    assert store.list_failed_tasks(OTHER_COMPANY) == ()
    assert store.month_usage(OTHER_COMPANY, "2026-11")[0].messages == 0
    with pytest.raises(Exception, match="configuration"):
        store.get_input(OTHER_COMPANY, sha256)


def test_one_id_in_two_companies_is_two_conversations(store: Store) -> None:
    ours, theirs = Turn(), Turn(company_id=OTHER_COMPANY, answer="For the others.")
    ours.play(store)
    theirs.play(store)
    assert store.list_messages(COMPANY, CONVERSATION) == (ours.question(), ours.reply())
    assert store.list_messages(OTHER_COMPANY, CONVERSATION) == (theirs.question(), theirs.reply())


def test_conversations_are_listed_the_last_used_first(store: Store) -> None:
    for number, name in enumerate(("cnv_a", "cnv_b", "cnv_c")):
        Turn(number=number, conversation_id=name).play(store)
    Turn(number=5, conversation_id="cnv_a").play(store)
    assert [found.id for found in store.list_conversations(COMPANY, USER, 2)] == ["cnv_a", "cnv_c"]
    assert [found.id for found in store.list_conversations(COMPANY, USER, 10)] == ["cnv_a", "cnv_c", "cnv_b"]
