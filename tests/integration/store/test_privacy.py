"""Deleting and forgetting: nothing of it is left, nothing else is touched, and it can be run again after a crash."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient

from core.models import Company, ContentPart, ContentType, Identity, ImageReference, User
from core.store import ConversationBusyError, Store
from tests.integration.store.test_tool_usages import done, usage
from tests.integration.store.turns import (
    ADDRESS,
    COMPANY,
    CONVERSATION,
    LEASE,
    OPENING,
    OTHER_COMPANY,
    START,
    USER,
    Turn,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

BIG = "A long text. " * 1000
BOB = "usr_bob"
OTHER = "cnv_other"


@pytest.fixture
def s3(cloud: None) -> "S3Client":
    return boto3.client("s3")


@pytest.fixture
def store(table_name: str, bucket_name: str) -> Store:
    return Store(table_name, bucket_name=bucket_name, pause=lambda _seconds: None, clock=lambda: START + 10 * LEASE)


@pytest.fixture
def texts(dynamodb: "DynamoDBClient", s3: "S3Client", table_name: str, bucket_name: str) -> "Look":
    return Look(dynamodb, s3, table_name, bucket_name)


class Look:
    """Everything that is stored, as a stranger would look for it."""

    def __init__(self, dynamodb: "DynamoDBClient", s3: "S3Client", table_name: str, bucket_name: str) -> None:
        self._dynamodb, self._s3, self._table_name, self._bucket_name = dynamodb, s3, table_name, bucket_name

    def keys(self, word: str) -> list[str]:
        """The keys of the items and objects that `word` is in."""
        items = self._dynamodb.scan(TableName=self._table_name, ConsistentRead=True)["Items"]
        found = [f"{item['PK']['S']}|{item['SK']['S']}" for item in items if word in str(item)]
        objects = self._s3.list_objects_v2(Bucket=self._bucket_name).get("Contents", [])
        return sorted(found + [each["Key"] for each in objects if word in each["Key"]])


def play(store: Store, s3: "S3Client", bucket_name: str, turn: Turn) -> None:
    """A turn with a long question, a picture, a tool and its thread."""
    store.open_conversation(turn.company_id, turn.opening.address, turn.conversation_id)
    key = f"images/{turn.company_id}/{turn.conversation_id}/{turn.ulid}.png"
    s3.put_object(Bucket=bucket_name, Key=key, Body=b"png")
    claim = turn.claim(store)
    image = ImageReference(url=f"s3://{bucket_name}/{key}", media_type="image/png", size=3)
    picture = ContentPart(type=ContentType.IMAGE, image=image, message_id=turn.question_id)
    question = turn.question()
    question = question.model_copy(update={"content": (*question.content, picture)})
    store.questions.save(claim, question, opening_message=None)
    task = store.start_task(claim, turn.task())
    store.finish_tool_usages(claim, [done(usage(0, turn=turn), BIG)])
    turn.commit(store, claim, task)


@contextmanager
def dying_at(number: int) -> Iterator[None]:
    """The process dies before its request of this number that changes something."""
    send = vars(BaseClient)["_make_api_call"]
    count = 0

    def send_or_die(self: BaseClient, name: str, arguments: Any) -> Any:
        nonlocal count
        if name not in {"GetItem", "Query", "ListObjectsV2", "BatchGetItem"}:
            count += 1
            if count == number:
                raise KeyboardInterrupt
        return send(self, name, arguments)

    with patch.object(BaseClient, "_make_api_call", send_or_die):
        yield


LONG = Turn(text=BIG, answer=f"Answer. {BIG}")


def test_nothing_of_a_deleted_conversation_is_left_but_its_counters(
    store: Store, s3: "S3Client", bucket_name: str, texts: Look
) -> None:
    play(store, s3, bucket_name, LONG)
    play(store, s3, bucket_name, LONG.after())
    assert len(texts.keys(CONVERSATION)) == 1 + 1 + 8 + 6 + 2, "thread, conversation, items, texts, pictures"
    assert store.privacy.delete_conversation(COMPANY, CONVERSATION)
    assert texts.keys(CONVERSATION) == []
    assert store.find_conversation_id(COMPANY, ADDRESS) is None
    assert store.list_conversations(COMPANY, USER) == ()
    assert store.month_usage(COMPANY, "2026-11")[0].messages == 2
    assert not store.privacy.delete_conversation(COMPANY, CONVERSATION)


def test_a_conversation_of_another_company_or_thread_is_not_touched(
    store: Store, s3: "S3Client", bucket_name: str, texts: Look
) -> None:
    theirs = Turn(company_id=OTHER_COMPANY, text=BIG)
    ours = Turn(conversation_id=f"{CONVERSATION}-2", text=BIG)
    for turn in (LONG, theirs):
        play(store, s3, bucket_name, turn)
    store.start_afresh(COMPANY, ADDRESS, ours.conversation_id, opening=ours.opening, now=ours.now)
    play(store, s3, bucket_name, ours)
    before = [key for key in texts.keys(CONVERSATION) if OTHER_COMPANY in key or ours.conversation_id in key]
    store.privacy.delete_conversation(COMPANY, CONVERSATION)
    assert store.find_conversation_id(COMPANY, ADDRESS) == ours.conversation_id
    left = texts.keys(CONVERSATION)
    assert [key for key in left if "#H#" not in key] == [key for key in before if "#H#" not in key]
    assert len(store.list_messages(OTHER_COMPANY, CONVERSATION)) == 2


def test_a_conversation_in_which_a_turn_runs_is_not_deleted(store: Store) -> None:
    turn = Turn(lease=100 * LEASE)
    turn.begin(store)
    with pytest.raises(ConversationBusyError):
        store.privacy.delete_conversation(COMPANY, CONVERSATION)
    assert len(store.list_messages(COMPANY, CONVERSATION)) == 1


def test_a_worker_that_is_late_writes_nothing_into_a_deleted_conversation(store: Store) -> None:
    claim, task = Turn().begin(store)
    store.privacy.delete_conversation(COMPANY, CONVERSATION)
    with pytest.raises(Exception, match="no longer holds"):
        Turn().commit(store, claim, task)
    assert store.get_conversation(COMPANY, CONVERSATION) is None
    assert store.list_messages(COMPANY, CONVERSATION) == ()


@pytest.mark.parametrize("number", range(1, 7))
def test_a_deletion_that_died_is_run_again_and_ends(
    store: Store, s3: "S3Client", bucket_name: str, texts: Look, number: int
) -> None:
    play(store, s3, bucket_name, LONG)
    with dying_at(number), pytest.raises(KeyboardInterrupt):
        store.privacy.delete_conversation(COMPANY, CONVERSATION)
    assert texts.keys(CONVERSATION)
    store.privacy.delete_conversation(COMPANY, CONVERSATION)
    assert texts.keys(CONVERSATION) == []


def add_people(store: Store) -> None:
    store.directory.add_company(Company(id=COMPANY, name="Acme", created_at=START))
    for user_id in (USER, BOB):
        email = f"{user_id}@acme.example"
        user = User(id=user_id, company_id=COMPANY, email=email, name="A", created_at=START)
        store.directory.add_user(user)
        identity = Identity(
            company_id=COMPANY,
            platform="slack",
            workspace_id="T1",
            external_user_id=f"U-{user_id}",
            user_id=user_id,
            email=email,
            created_at=START,
        )
        store.directory.put_identity(identity)


def by_bob(number: int, conversation_id: str) -> Turn:
    address = ADDRESS.model_copy(update={"thread_id": "2.2"})
    opening = OPENING.model_copy(update={"user_id": BOB, "address": address})
    return Turn(number=number, conversation_id=conversation_id, opening=opening, text=f"Bob says {BIG}")


def test_nothing_of_a_forgotten_person_is_left(store: Store, s3: "S3Client", bucket_name: str, texts: Look) -> None:
    add_people(store)
    play(store, s3, bucket_name, LONG)
    guest = by_bob(1, CONVERSATION)
    play(store, s3, bucket_name, guest)
    play(store, s3, bucket_name, by_bob(0, OTHER))
    assert store.privacy.forget_user(COMPANY, BOB) == 2
    assert texts.keys(BOB) == []
    assert texts.keys(OTHER) == []
    assert texts.keys(guest.ulid) == [f"C#{COMPANY}#V#{CONVERSATION}|#META"], "what ran last"
    assert [message.id for message in store.list_messages(COMPANY, CONVERSATION)] == [LONG.question_id, LONG.reply_id]
    assert len(store.list_tasks(COMPANY, CONVERSATION)) == 1
    assert len(store.list_conversation_tool_usages(COMPANY, CONVERSATION)) == 1
    assert [user.id for user in store.directory.list_users(COMPANY)] == [USER]
    assert [identity.user_id for identity in store.directory.list_identities(COMPANY)] == [USER]
    month, *days = store.month_usage(COMPANY, "2026-11")
    assert month.messages == 3, "the company's month names nobody and stays"
    assert [day.user_id for day in days] == [USER]
    assert store.privacy.forget_user(COMPANY, BOB) == 0
    again = User(id="usr_new", company_id=COMPANY, email=f"{BOB}@acme.example", name="Bob", created_at=START)
    store.directory.add_user(again)


def test_a_person_whose_turn_runs_is_stopped_first_and_forgotten_then(store: Store) -> None:
    add_people(store)
    turn = Turn(lease=100 * LEASE)
    claim, task = turn.begin(store)
    with pytest.raises(ConversationBusyError):
        store.privacy.forget_user(COMPANY, USER)
    assert store.interruptions.is_cancel_requested(claim)
    person = store.directory.get_user(COMPANY, USER)
    assert person is not None
    assert not person.enabled
    store.cancel_turn(claim, None, task, now=turn.now)
    assert store.privacy.forget_user(COMPANY, USER) == 1
    assert store.directory.get_user(COMPANY, USER) is None
