"""What came with a question, in S3: found by a later delivery, gone with its conversation or person."""

from dataclasses import replace
from typing import TYPE_CHECKING

import boto3
import pytest

from core.models import Company, ContentPart, ContentType, User
from core.store import Claim, Store
from tests.integration.store.turns import COMPANY, CONVERSATION, LEASE, OPENING, START, USER, Turn

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BOB = "usr_bob"


@pytest.fixture
def s3(cloud: None) -> "S3Client":
    return boto3.client("s3")


@pytest.fixture
def store(table_name: str, bucket_name: str) -> Store:
    return Store(table_name, bucket_name=bucket_name, pause=lambda _seconds: None, clock=lambda: START + 10 * LEASE)


def keep(store: Store, turn: Turn, *, days: int | None = None) -> tuple[Claim, str]:
    """A turn whose question brings a picture and a voice note; the picture's address."""
    store.open_conversation(turn.company_id, turn.opening.address, turn.conversation_id)
    claim = store.claim_conversation(
        turn.company_id,
        turn.conversation_id,
        opening=turn.opening,
        task_id=turn.task().id,
        lease=turn.lease,
        now=turn.now,
        retention_days=days,
    )
    image = store.files.keep(claim, 0, b"picture", "image/png")
    store.files.keep(claim, 1, b"{}", "application/json")
    question = turn.question()
    part = ContentPart(type=ContentType.IMAGE, image=image, message_id=question.id)
    store.questions.save(
        claim, question.model_copy(update={"content": (*question.content, part)}), opening_message=None
    )
    turn.commit(store, claim, store.start_task(claim, turn.task()))
    return claim, image.url


def objects(s3: "S3Client", bucket_name: str) -> list[str]:
    return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket_name).get("Contents", [])]


def test_a_file_is_found_by_its_question_and_its_place(store: Store) -> None:
    claim, url = keep(store, Turn())
    assert store.files.find(claim, 0) == (b"picture", "image/png")
    assert store.files.find(claim, 2) is None
    assert store.files.read(url) == b"picture"
    question = store.files.find_question(COMPANY, Turn().question_id)
    assert question is not None
    assert question.content[-1].image is not None
    assert question.content[-1].image.url == url


@pytest.mark.parametrize("url", ["s3://another/overflow/x", "https://example.com/x", "overflow/x", "s3://{}/secret"])
def test_what_is_not_ours_is_not_read(store: Store, s3: "S3Client", bucket_name: str, url: str) -> None:
    s3.put_object(Bucket=bucket_name, Key="secret", Body=b"secret")
    assert store.files.read(url.format(bucket_name)) is None


def test_the_files_of_a_deleted_conversation_are_gone_and_others_stay(
    store: Store, s3: "S3Client", bucket_name: str
) -> None:
    keep(store, Turn())
    keep(store, Turn(conversation_id=f"{CONVERSATION}-2"))
    assert store.privacy.delete_conversation(COMPANY, CONVERSATION)
    assert [key.split("/")[4] for key in objects(s3, bucket_name)] == [f"{CONVERSATION}-2"] * 2


def test_the_files_of_a_forgotten_person_are_gone_from_others_conversations_too(
    store: Store, s3: "S3Client", bucket_name: str
) -> None:
    store.directory.add_company(Company(id=COMPANY, name="Acme", created_at=START))
    for user_id in (USER, BOB):
        email = f"{user_id}@acme.example"
        store.directory.add_user(User(id=user_id, company_id=COMPANY, email=email, name="A", created_at=START))
    keep(store, Turn())
    guest = Turn(number=1, opening=OPENING.model_copy(update={"user_id": BOB}))
    keep(store, guest)
    assert len(objects(s3, bucket_name)) == 4
    assert store.privacy.forget_user(COMPANY, BOB) == 1
    assert [key.split("/")[5] for key in objects(s3, bucket_name)] == [Turn().ulid] * 2


def test_files_carry_the_age_at_which_the_bucket_deletes_them(store: Store, s3: "S3Client", bucket_name: str) -> None:
    keep(store, Turn(), days=30)
    for key in objects(s3, bucket_name):
        assert key.startswith("overflow/")
        tags = s3.get_object_tagging(Bucket=bucket_name, Key=key)["TagSet"]
        assert tags == [{"Key": "textDays", "Value": "31"}]


def test_a_later_delivery_stores_a_file_in_the_place_of_the_earlier_one(
    store: Store, s3: "S3Client", bucket_name: str
) -> None:
    claim, url = keep(store, Turn())
    later = replace(claim, fencing_token=claim.fencing_token + 1)
    assert store.files.keep(later, 0, b"picture", "image/png").url == url
    assert len(objects(s3, bucket_name)) == 2
