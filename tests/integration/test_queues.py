"""Publishing and consuming on FIFO queues as moto plays them, with the test in the part of Lambda's event source."""

import io
import json
import logging
import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from core import queues
from core.errors import PermanentError, RetryableError
from core.events import MessageReceived
from core.queues import Delivery, Queue, consume, publish
from core.telemetry import logger
from tests.integration.lane import PATIENCE, TRIES, Invocation, Lane, Record, Wire, make_message, read_event
from tests.integration.lane import __file__ as lane_file

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_SECRET = "the text of a person"


class KilledError(BaseException):
    """What ends a function in the middle of its work."""


@pytest.fixture(scope="module")
def client() -> Iterator["SQSClient"]:
    """One client for all tests: making one takes longer than most of them."""
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"):
            environment.delenv(name, raising=False)
        yield boto3.client("sqs", region_name="eu-central-1")


@pytest.fixture
def lane(client: "SQSClient") -> Iterator[Lane]:
    dead_letters_url = client.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    names: Any = ["QueueArn"]
    arn = client.get_queue_attributes(QueueUrl=dead_letters_url, AttributeNames=names)["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": TRIES})
    attributes: Any = {"FifoQueue": "true", "VisibilityTimeout": "1800", "RedrivePolicy": redrive}
    url = client.create_queue(QueueName="messages.fifo", Attributes=attributes)["QueueUrl"]
    wire = Wire()
    with wire.tapped():
        yield Lane(client, url, dead_letters_url, wire)
    for queue_url in client.list_queues().get("QueueUrls", []):
        client.delete_queue(QueueUrl=queue_url)


@pytest.fixture
def unreachable(client: "SQSClient") -> "SQSClient":
    """A client whose SQS never answers."""
    config = Config(connect_timeout=1, retries={"total_max_attempts": 1})
    return boto3.client("sqs", region_name="eu-central-1", endpoint_url="http://127.0.0.1:1", config=config)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)


def _ignore(_delivery: Delivery[MessageReceived]) -> None:
    pass


def test_a_message_arrives_as_it_was_published(lane: Lane) -> None:
    message = make_message("Zażółć 🐝 \x07")
    lane.publish_message(message)
    seen = Record()

    lane.consume(seen)

    [delivery] = seen.deliveries
    assert delivery.message == message
    assert delivery.attempt == 1
    assert lane.count() == 0


def test_the_trace_header_travels_with_the_message(lane: Lane) -> None:
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    publish(make_message("a"), queue=Queue(lane.client, lane.url), trace_header=lambda: header)
    publish(make_message("b", conversation="C2"), queue=Queue(lane.client, lane.url), trace_header=lambda: None)

    traced, untraced = lane.receive()["Records"]

    assert traced["attributes"]["AWSTraceHeader"] == header
    assert "AWSTraceHeader" not in untraced["attributes"]
    assert json.loads(traced["body"])["externalMessageId"] == "a"


def test_a_message_that_comes_twice_is_queued_once(lane: Lane) -> None:
    lane.publish_message(make_message("a"))
    lane.publish_message(make_message("a"))
    lane.publish_message(make_message("a", is_addressed=False))

    assert lane.count() == 2


def test_a_queue_that_is_gone_or_silent_is_retryable(lane: Lane, unreachable: "SQSClient") -> None:
    for client, url in ((lane.client, f"{lane.url}x"), (unreachable, lane.url)):
        with pytest.raises(RetryableError) as raised:
            publish(make_message(_SECRET), queue=Queue(client, url), trace_header=lambda: None)
        assert raised.value.code == "queue-unavailable"
        assert _SECRET not in raised.value.message


def test_conversations_of_one_batch_are_worked_on_at_the_same_time(lane: Lane) -> None:
    for number in range(5):
        lane.publish("hello", conversation=f"C{number}")
    together = threading.Barrier(5)

    def meet(_delivery: Delivery[MessageReceived]) -> None:
        together.wait(PATIENCE)

    assert lane.consume(meet) == 0
    assert lane.count() == 0


def test_messages_of_one_conversation_come_in_order_one_after_the_other(lane: Lane) -> None:
    lane.publish("1", "2", "3", "4")
    lane.publish("other", conversation="C2")
    lock = threading.Lock()
    overlaps: list[str] = []
    seen = Record()

    def handle(delivery: Delivery[MessageReceived]) -> None:
        if delivery.message.address.channel_id == "C2":
            lane.wire.until(lambda: len(seen.texts) == 4)
            return
        if not lock.acquire(blocking=False):
            overlaps.append(delivery.message.text)
        seen(delivery)
        lock.release()

    assert lane.consume(handle) == 0
    assert seen.texts == ["1", "2", "3", "4"]
    assert overlaps == []


def test_a_failure_gives_back_itself_and_what_follows_and_nothing_else(lane: Lane) -> None:
    lane.publish("1", "2", "3")
    lane.publish("other", conversation="C2")
    first = Record("2")

    assert lane.consume(first) == 2
    assert sorted(first.texts) == ["1", "2", "other"]

    second = Record()
    assert lane.consume(second) == 0
    assert second.texts == ["2", "3"]
    assert [delivery.attempt for delivery in second.deliveries] == [2, 2]
    assert lane.count() == 0


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RetryableError("later", "", retry_after=timedelta(seconds=40)), 40),
        (RetryableError("later", "", retry_after=timedelta(seconds=1.2)), 2),
        (RetryableError("later", "", retry_after=timedelta(0)), 0),
        (RetryableError("later", "", retry_after=timedelta(seconds=-5)), 0),
        (RetryableError("later", "", retry_after=timedelta(hours=2)), 900),
        (RetryableError("later", ""), 5),
        (PermanentError("never", ""), 5),
        (ValueError(), 5),
    ],
)
def test_what_is_given_back_rests_as_long_as_the_error_says(lane: Lane, error: Exception, seconds: int) -> None:
    lane.publish("1", "2", "3")

    assert lane.consume(Record("2", error=error)) == 2

    assert lane.wire.waits == [(3, 90), (2, seconds)]


def test_where_nobody_says_each_wait_is_six_times_the_one_before(lane: Lane) -> None:
    lane.publish("1")
    again = lane.receive()
    for attempt in ("1", "2", "3", "1000"):
        again["Records"][0]["attributes"]["ApproximateReceiveCount"] = attempt
        consume(
            again,
            Invocation(),
            contract=MessageReceived,
            handle=Record("1", error=RetryableError("later", "")),
            queue=Queue(lane.client, lane.url, 2000),
        )

    assert [seconds for _, seconds in lane.wire.waits if seconds != 90] == [5, 30, 180, 900]


def test_a_last_attempt_does_not_hold_up_its_conversation(lane: Lane) -> None:
    lane.publish("bad", "good")
    tries: list[Record] = []
    for _ in range(TRIES):
        tries.append(Record("bad"))
        lane.consume(tries[-1])

    assert [seen.texts for seen in tries] == [["bad"], ["bad"], ["bad", "good"]]
    assert [seen.deliveries[0].attempt for seen in tries] == [1, 2, 3]
    lane.publish("next")
    after = Record()
    lane.consume(after)
    assert after.texts == ["next"]
    assert lane.count() == 0
    [dead] = read_event(lane.client, lane.dead_letters_url)["Records"]
    assert json.loads(dead["body"])["text"] == "bad"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (f"<html>{_SECRET}</html>", [""]),
        (json.dumps({"version": 7, "address": {}, "text": _SECRET}), ["version", "address.platform"]),
        (json.dumps([_SECRET]), [""]),
        (json.dumps({"text": _SECRET, "files": [{"id": "F", "size": _SECRET}]}), ["files.0.size"]),
    ],
    ids=["no-json", "no-contract", "list", "nested"],
)
def test_a_message_that_breaks_its_contract_is_given_back_and_named_by_its_fields(
    lane: Lane, body: str, fields: list[str], log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    lane.put(body)
    lane.publish("good", conversation="C2")
    seen = Record()

    assert lane.consume(seen) == 1

    assert seen.texts == ["good"]
    [line] = [json.loads(line) for line in log.getvalue().splitlines()]
    assert line["level"] == "ERROR"
    assert line["type"] == "MessageReceived"
    assert set(fields) <= set(line["fields"])
    assert _SECRET not in log.getvalue() + capsys.readouterr().out


def test_an_unexpected_error_stays_with_its_conversation_and_its_text_out_of_the_log(
    lane: Lane, log: io.StringIO
) -> None:
    lane.publish("1", "2")
    lane.publish("other", conversation="C2")
    seen = Record("1", error=KeyError(_SECRET))

    assert lane.consume(seen) == 2

    assert sorted(seen.texts) == ["1", "other"]
    [line] = [json.loads(line) for line in log.getvalue().splitlines()]
    assert (line["code"], line["attempt"]) == ("KeyError", 1)
    assert line["where"].startswith(lane_file)
    assert _SECRET not in log.getvalue()


def test_a_finished_message_is_removed_while_others_are_still_in_work(lane: Lane) -> None:
    lane.publish("quick", "quick too")
    lane.publish("slow", conversation="C2")
    left: list[int] = []

    def handle(delivery: Delivery[MessageReceived]) -> None:
        if delivery.message.text == "slow":
            assert lane.wire.until(lambda: len(lane.wire.removed) == 2)
            left.append(lane.count())

    assert lane.consume(handle) == 0
    assert left == [1]


def test_what_can_wait_is_done_when_its_message_is_gone_and_the_others_of_its_group_are_done(lane: Lane) -> None:
    lane.publish("1", "2")
    order: list[object] = []

    def handle(delivery: Delivery[MessageReceived]) -> None:
        text = delivery.message.text
        order.append(text)
        delivery.afterwards.append(lambda seconds: order.append((text, lane.count(), seconds)))

    assert lane.consume(handle) == 0
    assert order == ["1", "2", ("1", 0, 300.0), ("2", 0, 300.0)]


def test_a_failure_of_what_can_wait_gives_nothing_back_and_that_of_a_failed_message_is_dropped(
    lane: Lane, log: io.StringIO
) -> None:
    lane.publish("1", "2")
    done: list[str] = []

    def fail(_seconds: float) -> None:
        message = "a secret"
        raise ValueError(message)

    def handle(delivery: Delivery[MessageReceived]) -> None:
        text = delivery.message.text
        delivery.afterwards.extend([fail, lambda _seconds: done.append(text)])
        if text == "2":
            raise RetryableError("later", "not now")

    assert lane.consume(handle) == 1
    assert done == ["1"]
    assert "what follows failed" in log.getvalue()
    assert "a secret" not in log.getvalue()


def test_a_lone_message_is_left_for_lambda_to_remove(lane: Lane) -> None:
    lane.publish("1")
    event = lane.receive()

    consume(
        event,
        Invocation(),
        contract=MessageReceived,
        handle=_ignore,
        queue=Queue(lane.client, lane.url, TRIES),
    )

    assert lane.wire.removed == []


def test_all_messages_of_a_batch_are_hidden_for_90_seconds_before_work_begins(lane: Lane) -> None:
    lane.publish("1", "2")
    lane.publish("other", conversation="C2")
    at_start: list[list[tuple[int, int]]] = []

    lane.consume(lambda _delivery: at_start.append(lane.wire.waits))

    assert at_start == [[(3, 90)]] * 3


def test_what_is_in_work_stays_hidden_and_the_rest_is_left_alone(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_RENEWAL_SECONDS", 0.01)
    lane.publish("done", "waits")
    lane.publish("slow", conversation="C2")
    lane.publish("bad", conversation="C3")

    def handle(delivery: Delivery[MessageReceived]) -> None:
        if delivery.message.text == "bad":
            raise RetryableError("later", "", retry_after=timedelta(seconds=7))
        if delivery.message.text == "waits":
            assert lane.wire.until(lambda: (1, 7) in lane.wire.waits)
            before = len(lane.wire.waits)
            assert lane.wire.until(lambda: lane.wire.waits[before:].count((2, 90)) >= 3)
        if delivery.message.text == "slow":
            assert lane.wire.until(lambda: (1, 90) in lane.wire.waits)

    assert lane.consume(handle) == 1

    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_a_renewal_under_way_does_not_hide_what_is_given_back_meanwhile(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "_RENEWAL_SECONDS", 0.01)
    lane.publish("1")
    renewing = threading.Event()

    def hold(operation: str, parameters: dict[str, Any]) -> None:
        is_renewal = operation.startswith("Change") and parameters["Entries"][0]["VisibilityTimeout"] == 90
        if is_renewal and lane.wire.waits and not renewing.is_set():
            renewing.set()
            with lane.wire.changed:  # long enough for a give-back that does not wait for this renewal to overtake it
                lane.wire.changed.wait_for(lambda: (1, 5) in lane.wire.waits, 0.5)

    lane.wire.hold = hold

    def handle(_delivery: Delivery[MessageReceived]) -> None:
        assert renewing.wait(PATIENCE)
        raise RetryableError("later", "", retry_after=timedelta(seconds=5))

    assert lane.consume(handle) == 1
    assert lane.wire.waits[-1] == (1, 5)


@pytest.mark.parametrize("killed", [KilledError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("victim", ["1", "2", "other"])
def test_a_kill_ends_the_invocation_and_loses_nothing(
    lane: Lane, killed: type[BaseException], victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "_RENEWAL_SECONDS", 0.01)
    lane.publish("1", "2", "3")
    lane.publish("other", conversation="C2")
    seen = Record(victim, error=killed())

    with pytest.raises(killed):
        lane.consume(seen)

    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}
    finished = {"1": ["other"], "2": ["1", "other"], "other": ["1", "2", "3"]}[victim]
    assert sorted(seen.texts) == sorted([*finished, victim])
    assert lane.count() == 4 - len(finished)
    assert {seconds for _, seconds in lane.wire.waits} == {90}  # what was killed comes again by itself


def test_a_kill_of_a_lone_message_does_not_report_it_done(lane: Lane) -> None:
    lane.publish("1")

    with pytest.raises(KilledError):
        lane.consume(Record("1", error=KilledError()))

    assert lane.count() == 1


def test_errors_of_housekeeping_never_fail_the_batch(lane: Lane, unreachable: "SQSClient", log: io.StringIO) -> None:
    lane.publish("1", "2")
    lane.publish("bad", conversation="C2")
    seen = Record("bad")

    assert lane.consume(seen, client=unreachable) == 1

    assert sorted(seen.texts) == ["1", "2", "bad"]
    assert lane.count() == 1
    written = [json.loads(line)["message"] for line in log.getvalue().splitlines()]
    assert "visibility could not be changed" in written
    assert "a finished message could not be removed yet" in written


def test_a_refusal_of_housekeeping_never_fails_the_batch(lane: Lane) -> None:
    lane.publish("1", "2")
    event = lane.receive()
    lane.client.delete_queue(QueueUrl=lane.url)

    response = consume(
        event,
        Invocation(),
        contract=MessageReceived,
        handle=_ignore,
        queue=Queue(lane.client, lane.url, TRIES),
    )

    assert response == {"batchItemFailures": []}


def test_the_time_that_is_left_is_asked_anew(lane: Lane) -> None:
    lane.publish("1")
    invocation = Invocation()
    left: list[float] = []

    def handle(delivery: Delivery[MessageReceived]) -> None:
        left.append(delivery.remaining())
        invocation.milliseconds = 1500
        left.append(delivery.remaining())

    consume(
        lane.receive(),
        invocation,
        contract=MessageReceived,
        handle=handle,
        queue=Queue(lane.client, lane.url, TRIES),
    )

    assert left == [300.0, 1.5]


def test_what_was_counted_is_written_at_the_end(lane: Lane, capsys: pytest.CaptureFixture[str]) -> None:
    lane.publish("1")
    lane.publish("other", conversation="C2")
    capsys.readouterr()

    lane.consume(Record("1", "other"))

    [document] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert document["code"] == "model-unavailable"
    assert document["MessagesGivenBack"] == [1, 1]


def test_an_empty_batch_is_nothing_to_do(lane: Lane) -> None:
    assert lane.consume(_ignore) == 0
    assert lane.wire.waits == []


def test_messages_without_a_group_are_all_worked_on_at_the_same_time(lane: Lane) -> None:
    url = lane.client.create_queue(QueueName="imports")["QueueUrl"]
    for number in range(12):
        lane.client.send_message(QueueUrl=url, MessageBody=make_message(f"{number}").model_dump_json(by_alias=True))
    records: Iterable[dict[str, Any]] = [record for _ in range(2) for record in read_event(lane.client, url)["Records"]]
    together = threading.Barrier(12)

    response = consume(
        {"Records": records},
        Invocation(),
        contract=MessageReceived,
        handle=lambda _delivery: [together.wait(PATIENCE)].clear(),
        queue=Queue(lane.client, url, TRIES),
    )

    assert response == {"batchItemFailures": []}
    assert lane.wire.waits[:2] == [(10, 90), (2, 90)]


def test_what_stood_behind_a_failing_message_is_tried_more_than_once(
    lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "_LAST_WAITS", (0.0, 0.0))
    lane.publish("bad", "unlucky")
    for _ in range(TRIES - 1):
        lane.consume(Record("bad"))
    tried: list[str] = []

    def handle(delivery: Delivery[MessageReceived]) -> None:
        tried.append(delivery.message.text)
        if delivery.message.text == "bad" or tried.count("unlucky") < 3:
            raise RetryableError("later", "")

    assert lane.consume(handle) == 1
    assert tried == ["bad", "unlucky", "unlucky", "unlucky"]


def test_a_dead_letter_counts_its_tries_anew(lane: Lane) -> None:
    lane.publish("1")
    taken = lane.receive()
    taken["Records"][0]["attributes"]["ApproximateReceiveCount"] = "4"
    seen = Record("1", error=RetryableError("later", ""))
    queue = Queue(lane.client, lane.url, 8, 3)
    consume(taken, Invocation(), contract=MessageReceived, handle=seen, queue=queue)
    assert seen.deliveries[0].attempt == 1
    assert [seconds for _, seconds in lane.wire.waits if seconds != 90] == [5]


def test_characters_that_sqs_refuses_are_escaped_and_come_back(lane: Lane) -> None:
    text = "a\uffffb\ufffec\U0001f600"
    lane.publish(text)
    taken = lane.receive()
    assert not set(taken["Records"][0]["body"]) & {"\uffff", "\ufffe"}
    seen = Record()
    lane.consume(seen, event=taken)
    assert seen.texts == [text]
