"""A FIFO queue on moto with its dead-letter queue, and a test in the part of the event source that Lambda plays."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.client import BaseClient

from core.errors import RetryableError
from core.events import MessageReceived
from core.models import Address
from core.queues import Delivery, Queue, consume, publish

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

type Handle = Callable[[Delivery[MessageReceived]], None]

TRIES = 3  # before a message goes to the dead-letter queue
PATIENCE = 10.0  # seconds until a test that waits for another thread gives up

_NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_SEND = "_make_api_call"  # what every request of every client goes through


class Invocation:
    """Lambda's context, with time that passes where the test says so."""

    def __init__(self) -> None:
        self.milliseconds = 300_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass
class Wire:
    """The requests that reached SQS, in the order in which they took effect.

    SQS is atomic per request and moto is not, so that one request goes through at a time. `hold` is called before.
    """

    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    hold: Callable[[str, dict[str, Any]], None] = lambda _operation, _parameters: None
    changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def tapped(self) -> Iterator[None]:
        send = getattr(BaseClient, _SEND)

        def send_recorded(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            if client.meta.service_model.service_name != "sqs":
                return send(client, operation, parameters)
            self.hold(operation, parameters)
            with self.changed:
                answer = send(client, operation, parameters)
                self.requests.append((operation, parameters))
                self.changed.notify_all()
            return answer

        setattr(BaseClient, _SEND, send_recorded)
        try:
            yield
        finally:
            setattr(BaseClient, _SEND, send)

    def until(self, is_so: Callable[[], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(is_so, PATIENCE)

    @property
    def waits(self) -> list[tuple[int, int]]:
        """Each change of visibility: how many messages, and for how many seconds."""
        entries = [sent["Entries"] for operation, sent in self.requests if operation.startswith("ChangeMessage")]
        return [(len(batch), batch[0]["VisibilityTimeout"]) for batch in entries]

    @property
    def removed(self) -> list[str]:
        """Receipt handles of the messages that were removed."""
        return [sent["ReceiptHandle"] for operation, sent in self.requests if operation == "DeleteMessage"]


@dataclass
class Lane:
    """A FIFO queue with its dead-letter queue, and the event source between it and `consume`."""

    client: "SQSClient"
    url: str
    dead_letters_url: str
    wire: Wire

    def publish(self, *texts: str, conversation: str = "C1") -> None:
        for text in texts:
            self.publish_message(make_message(text, conversation=conversation))

    def publish_message(self, message: MessageReceived) -> None:
        publish(message, queue=Queue(self.client, self.url), trace_header=lambda: None)

    def put(self, body: str, *, conversation: str = "C1") -> None:
        """Put what is no message of ours on the queue."""
        group = make_message("", conversation=conversation).group_id
        self.client.send_message(
            QueueUrl=self.url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=f"{hash(body)}"
        )

    def receive(self) -> dict[str, Any]:
        return read_event(self.client, self.url)

    def consume(
        self,
        handle: Handle,
        *,
        event: dict[str, Any] | None = None,
        client: "SQSClient | None" = None,
        queue: Queue | None = None,
        tried: Callable[[MessageReceived], int | None] = lambda _message: None,
    ) -> int:
        """One invocation, which removes what was not given back, as Lambda does; returns how many were given back."""
        taken = event or self.receive()
        response = consume(
            taken,
            Invocation(),
            contract=MessageReceived,
            handle=handle,
            queue=queue or Queue(client or self.client, self.url, TRIES),
            tried=tried,
        )
        failed = [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
        known = [record["messageId"] for record in taken["Records"]]
        assert sorted(failed) == sorted(set(failed) & set(known))
        for record in taken["Records"]:
            if record["messageId"] not in failed:
                self.client.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])
        return len(failed)

    def count(self) -> int:
        """Messages on the queue, in work or not."""
        return _count(self.client, self.url)


def make_message(text: str, *, conversation: str = "C1", is_addressed: bool = True) -> MessageReceived:
    return MessageReceived(
        address=Address(platform="slack", workspace_id="T1", channel_id=conversation, is_direct=True),
        external_message_id=text or "none",
        external_user_id="U1",
        text=text,
        is_addressed=is_addressed,
        sent_at=_NOW,
        received_at=_NOW,
        correlation_id=f"request-{text}"[:128],
    )


def _count(client: "SQSClient", url: str) -> int:
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)


def read_event(client: "SQSClient", url: str) -> dict[str, Any]:
    """What Lambda hands a function: up to ten messages, received for real."""
    received = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "eventSource": "aws:sqs",
            }
            for message in received.get("Messages", [])
        ]
    }


class Record:
    """Notes what it is given and fails where it is told to."""

    def __init__(self, *failing: str, error: BaseException | None = None) -> None:
        self._failing = failing
        self._error = error or RetryableError("model-unavailable", "later", retry_after=timedelta(0))
        self.deliveries: list[Delivery[MessageReceived]] = []

    def __call__(self, delivery: Delivery[MessageReceived]) -> None:
        self.deliveries.append(delivery)
        if delivery.message.text in self._failing:
            raise self._error

    @property
    def texts(self) -> list[str]:
        return [delivery.message.text for delivery in self.deliveries]
