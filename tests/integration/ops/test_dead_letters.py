"""Dead letters: looked at without being taken, and given back once."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.events import MessageReceived
from core.models import Address
from tests.integration.ops.conftest import CommandLine

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


def question(number: int, thread: str = "1.0") -> MessageReceived:
    return MessageReceived(
        address=Address(platform="slack", workspace_id="T1", channel_id="C1", thread_id=thread),
        external_message_id=f"m{number}",
        external_user_id="U7",
        text=f"secret question {number}",
        sent_at=NOW,
        received_at=NOW,
        correlation_id=f"cor-{number}",
    )


def publish(sqs: "SQSClient", queue_url: str, *messages: MessageReceived) -> None:
    for message in messages:
        sqs.send_message(
            QueueUrl=queue_url,
            MessageBody=message.model_dump_json(by_alias=True),
            MessageGroupId=message.group_id,
            MessageDeduplicationId=message.deduplication_id,
        )


def take(sqs: "SQSClient", queue_url: str) -> list["MessageTypeDef"]:
    """Everything in the queue, in order; it is gone afterwards."""
    taken: list[MessageTypeDef] = []
    while found := sqs.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=10, VisibilityTimeout=600, MessageSystemAttributeNames=["All"]
    ).get("Messages"):
        taken += found
        for message in found:
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return taken


@pytest.fixture
def dead(sqs: "SQSClient", queue_urls: dict[str, str]) -> dict[str, str]:
    """The queues, with three dead letters of two conversations."""
    publish(sqs, queue_urls["messages_dead_letter"], question(1), question(2), question(3, "2.0"))
    return queue_urls


def test_dead_letters_are_shown_without_their_text(ops: CommandLine, dead: dict[str, str]) -> None:
    ran = ops.done("dead-letters", "list")
    assert {row[-1] for row in ran.rows} == {"cor-1", "cor-2", "cor-3"}
    assert ran.rows[0][3:8] == ["slack", "T1", "C1", "1.0", "U7"]
    assert "secret question" not in ran.out
    as_json = ops.done("dead-letters", "list", "--json")
    assert "secret question" not in as_json.out
    assert {each["message"]["correlationId"] for each in as_json.json} == {"cor-1", "cor-2", "cor-3"}


def test_their_text_is_shown_where_it_is_asked_for(ops: CommandLine, dead: dict[str, str]) -> None:
    assert ops.done("dead-letters", "list", "--show-text").out.count("secret question") == 3
    assert ops.done("dead-letters", "list", "--show-text", "--json").out.count("secret question") == 3


def test_looking_takes_nothing(ops: CommandLine, sqs: "SQSClient", dead: dict[str, str]) -> None:
    ops.done("dead-letters", "list")
    ops.done("dead-letters", "list", "--limit", "1")
    assert len(take(sqs, dead["messages_dead_letter"])) == 3


def test_what_is_no_message_of_ours_is_shown_as_such(
    ops: CommandLine, sqs: "SQSClient", queue_urls: dict[str, str]
) -> None:
    sqs.send_message(
        QueueUrl=queue_urls["messages_parked"],
        MessageBody="\x09secret junk",
        MessageGroupId="g",
        MessageDeduplicationId="d",
    )
    ran = ops.done("dead-letters", "list", "--parked")
    assert "no message of ours (12 characters)" in ran.out
    assert "junk" not in ran.out


def test_empty_queues_say_so(ops: CommandLine) -> None:
    assert "there are no dead letters" in ops.done("dead-letters", "list").err
    assert "there are no parked messages" in ops.done("dead-letters", "list", "--parked").err
    assert ops.done("dead-letters", "list", "--json").json == []


def test_parked_messages_are_mentioned(ops: CommandLine, sqs: "SQSClient", queue_urls: dict[str, str]) -> None:
    publish(sqs, queue_urls["messages_parked"], question(1))
    assert "1 more are parked" in ops.done("dead-letters", "list").err


@pytest.mark.parametrize(("name", "options"), [("messages_dead_letter", []), ("messages_parked", ["--parked"])])
def test_redriven_messages_come_back_whole_in_order_and_once(
    ops: CommandLine, sqs: "SQSClient", queue_urls: dict[str, str], name: str, options: list[str]
) -> None:
    questions = [question(number) for number in range(1, 24)]
    # They died minutes ago: the queue still remembers their first deduplication ids.
    publish(sqs, queue_urls["messages"], *questions)
    assert len(take(sqs, queue_urls["messages"])) == 23
    publish(sqs, queue_urls[name], *questions)

    ran = ops.done("dead-letters", "redrive", "--yes", *options)

    assert "23 messages given back" in ran.out
    back = take(sqs, queue_urls["messages"])
    assert [MessageReceived.model_validate_json(each["Body"]) for each in back] == questions
    assert {each["Attributes"]["MessageGroupId"] for each in back} == {questions[0].group_id}
    assert take(sqs, queue_urls[name]) == []
    assert "0 messages given back" in ops.done("dead-letters", "redrive", "--yes", *options).out


def test_nothing_is_redriven_without_a_yes(ops: CommandLine, sqs: "SQSClient", dead: dict[str, str]) -> None:
    ran = ops("dead-letters", "redrive", typed="n\n")
    assert ran.code == 1
    assert "about 3 messages" in ran.err
    assert len(take(sqs, dead["messages_dead_letter"])) == 3


def test_a_redrive_that_fails_leaves_the_rest_where_it_is(
    ops: CommandLine, sqs: "SQSClient", dead: dict[str, str]
) -> None:
    sqs.delete_queue(QueueUrl=dead["messages"])
    ran = ops("dead-letters", "redrive", "--yes")
    assert (ran.code, ran.err.count("error: ")) == (1, 1)
    assert len(take(sqs, dead["messages_dead_letter"])) == 3


def test_an_error_of_aws_is_one_line(ops: CommandLine, sqs: "SQSClient", dead: dict[str, str]) -> None:
    sqs.delete_queue(QueueUrl=dead["messages_dead_letter"])
    ran = ops("dead-letters", "list")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith("error: AWS refused ReceiveMessage: ")
