"""Publish and consume contracts on SQS: ordered per group, groups side by side, each message removed when it is done.

A FIFO batch is worked on group by group: the groups of one invocation run at the same time, the messages of one group
one after the other. A message that failed gives itself and what follows it in its group back to the queue.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ValidationError

from core.errors import RetryableError, ServiceError
from core.telemetry import logger, metrics, place_of
from core.tries import HandedOnError, Tries, count_tries

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageSystemAttributeValueTypeDef

# A processor that dies shows it within this time, whatever the queue's own visibility timeout is: each message in
# work is kept invisible for this long, and the time is renewed while the work goes on.
_VISIBILITY_SECONDS = 90
_RENEWAL_SECONDS = 30
_LAST_WAITS = (2.0, 10.0)  # seconds between tries within one invocation
_LEAST_SECONDS = 30.0  # of an invocation, for one more try
_LONGEST_WAIT = timedelta(minutes=15)  # a message that is given back waits no longer than this
_FIRST_WAIT = timedelta(seconds=5)  # six times as long after each further try: half a minute outlasts a hiccup
_MAX_ENTRIES = 10  # messages that SQS takes in one batch request


class Contract(Protocol):
    """What travels: a pydantic value that knows its message group and its deduplication id."""

    @property
    def group_id(self) -> str: ...  # noqa: D102 - MessageGroupId
    @property
    def deduplication_id(self) -> str: ...  # noqa: D102 - MessageDeduplicationId
    def model_dump_json(self, *, by_alias: bool, exclude_defaults: bool) -> str: ...  # noqa: D102 - pydantic's own


class LambdaTime(Protocol):
    """The part of Lambda's context that says how much time is left."""

    def get_remaining_time_in_millis(self) -> int: ...  # noqa: D102 - Lambda's own name


class PartialItemFailure(TypedDict):
    """One message to give back, by its id."""

    itemIdentifier: str


class PartialItemFailureResponse(TypedDict):
    """What an SQS event source mapping with `ReportBatchItemFailures` expects."""

    batchItemFailures: list[PartialItemFailure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery[T: BaseModel]:
    """One message as it was delivered.

    Attributes:
        message: The contract that was published.
        attempt: 1 for the first delivery, more for redeliveries.
        is_last: What fails now goes to the dead-letter queue.
        is_final: The queue delivers it no more, so that it cannot be handed on.
        remaining: Seconds that are left to the invocation, asked anew at each call.
        afterwards: What can wait until the message is removed and all others of its group are done: called with the
            seconds that are left. A failure is logged and gives nothing back; a crash loses it.
    """

    message: T
    attempt: int
    remaining: Callable[[], float]
    is_last: bool = False
    is_final: bool = False
    afterwards: list[Callable[[float], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as a door knows it.

    Attributes:
        max_receive_count: After so many deliveries it hands a message to its dead-letter queue.
        received_before: Deliveries by the queue that a dead letter came from: SQS goes on counting.
        max_tries: After so many failures its consumer hands a message there; 0: no sooner than the queue does.
        dead_letters_url: Where to.
    """

    client: "SQSClient"
    url: str
    max_receive_count: int = 3
    received_before: int = 0
    max_tries: int = 0
    dead_letters_url: str = ""


def publish(contract: Contract, *, queue: Queue, trace_header: Callable[[], str | None]) -> None:
    """Put `contract` on the queue, once within five minutes.

    Raises:
        RetryableError: The queue did not take it.
    """
    system_attributes: dict[Literal["AWSTraceHeader"], MessageSystemAttributeValueTypeDef] = {}
    if header := trace_header():
        system_attributes["AWSTraceHeader"] = {"DataType": "String", "StringValue": header}
    try:
        queue.client.send_message(
            QueueUrl=queue.url,
            MessageBody=_as_body(contract),
            MessageGroupId=contract.group_id,
            MessageDeduplicationId=contract.deduplication_id,
            MessageSystemAttributes=system_attributes,
        )
    except ClientError as exc:
        raise RetryableError("queue-unavailable", f"SQS answered {exc.response['Error']['Code']}") from exc
    except BotoCoreError as exc:
        raise RetryableError("queue-unavailable", "SQS gave no answer") from exc


def enqueue(contract: BaseModel, *, queue: Queue, delay: timedelta = timedelta(0)) -> None:
    """Put `contract` on a standard queue, to be seen after `delay`, 15 minutes at most.

    Raises:
        RetryableError: The queue did not take it.
    """
    seconds = math.ceil(min(max(delay, timedelta(0)), _LONGEST_WAIT).total_seconds())
    try:
        queue.client.send_message(QueueUrl=queue.url, MessageBody=_as_body(contract), DelaySeconds=seconds)
    except ClientError as exc:
        raise RetryableError("queue-unavailable", f"SQS answered {exc.response['Error']['Code']}") from exc
    except BotoCoreError as exc:
        raise RetryableError("queue-unavailable", "SQS gave no answer") from exc


def _as_body(contract: Contract | BaseModel) -> str:
    """JSON without the two characters that SQS refuses and JSON does not escape by itself."""
    body = contract.model_dump_json(by_alias=True, exclude_defaults=False)
    return body.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def consume[T: BaseModel](
    event: Mapping[str, Any],
    context: LambdaTime,
    *,
    contract: type[T],
    handle: Callable[[Delivery[T]], None],
    queue: Queue,
    tried: Callable[[T], int | None] = lambda _message: None,
) -> PartialItemFailureResponse:
    """Let `handle` work on every message of a batch; report the ones to give back.

    A message that `handle` returned from is removed. One that raised is given back and becomes visible again after the
    error's `retry_after`. At its last attempt it no longer holds up its group: it is on its way to the dead-letter
    queue, and what follows it goes on. One that `handle` hands on is given back without having failed; `tried` knows
    how often it did.
    """
    batch = _Batch(event["Records"], queue)
    invocation = _Invocation(contract, handle, queue, context, batch, tried)
    groups = _by_group(event["Records"])
    with (
        batch.kept_invisible(),
        ThreadPoolExecutor(max_workers=len(groups) or 1, thread_name_prefix="group") as threads,
    ):
        running = [threads.submit(invocation.work, group) for group in groups]
    for group_run in running:  # all have ended: what kills one group does not take the others with it
        group_run.result()
    metrics.flush()
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in batch.given_back]}


@dataclass(frozen=True, slots=True)
class _Invocation[T: BaseModel]:
    """One batch's work."""

    contract: type[T]
    handle: Callable[[Delivery[T]], None]
    queue: Queue
    context: LambdaTime
    batch: "_Batch"
    tried: Callable[[T], int | None]

    def work(self, group: list[dict[str, Any]]) -> None:
        """Work on the messages of one group in order, up to the first that has to be given back; then on the rest."""
        afterwards: list[Callable[[float], None]] = []
        self._work(group, afterwards)
        for each in afterwards:
            try:
                each(self._remaining())
            # Nobody waits for it, and the message is done.
            except Exception as exc:  # noqa: BLE001
                logger.error("what follows failed", extra={"code": type(exc).__name__, "where": place_of(exc)})

    def _work(self, group: list[dict[str, Any]], afterwards: list[Callable[[float], None]]) -> None:
        for position, record in enumerate(group):
            tries = self._count(record, position)
            found = len(afterwards)
            try:
                wait = self._try(record, tries, afterwards)
            except HandedOnError:
                self.batch.give_back(group[position:], timedelta(0))
                return
            if wait is None:
                self.batch.done(record, is_followed=len(afterwards) > found)
            elif tries.is_final:
                self.batch.give_back([record], timedelta(0))
            elif not (tries.is_last and self.batch.bury(record)):
                self.batch.give_back(group[position:], wait)
                return

    def _count(self, record: dict[str, Any], position: int) -> Tries:
        return count_tries(
            int(record["attributes"].get("ApproximateReceiveCount", "1")),
            position,
            queue=self.queue,
            tried=lambda: self.tried(self.contract.model_validate_json(record["body"])),
        )

    def _try(self, record: dict[str, Any], tries: Tries, afterwards: list[Callable[[float], None]]) -> timedelta | None:
        """Handle one message, more than once where the queue counted deliveries that were no tries; None: it is done.

        Raises:
            HandedOnError: It goes on with its next delivery.
        """
        if tries.is_over:
            logger.error("message was tried often enough", extra={"messageId": record["messageId"]})
            return _FIRST_WAIT
        wait = self._attempt(record, tries, afterwards)
        for seconds in _LAST_WAITS if tries.is_last and tries.is_doubtful else ():
            if wait is None or self._remaining() < seconds + _LEAST_SECONDS:
                break
            time.sleep(seconds)
            wait = self._attempt(record, tries, afterwards)
        return wait

    def _attempt(
        self, record: dict[str, Any], tries: Tries, afterwards: list[Callable[[float], None]]
    ) -> timedelta | None:
        """Handle one message; None where that went well, else how long it is to rest. Raises as `_try` does."""
        about: dict[str, Any] = {"messageId": record["messageId"], "attempt": tries.delivery}
        try:
            message = self.contract.model_validate_json(record["body"])
            about["correlation_id"] = getattr(message, "correlation_id", None)
            delivery = Delivery(
                message=message,
                attempt=tries.delivery,
                remaining=self._remaining,
                is_last=tries.is_last,
                is_final=tries.is_final,
            )
            self.handle(delivery)
            afterwards += delivery.afterwards
        except HandedOnError:
            logger.info("message handed on", extra=about)
            raise
        # Whatever goes wrong with one message must not take its batch down.
        except Exception as exc:  # noqa: BLE001
            return _wait_after(exc, tries.number, about)
        return None

    def _remaining(self) -> float:
        return self.context.get_remaining_time_in_millis() / 1000


def _by_group(records: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault(record["attributes"].get("MessageGroupId", record["messageId"]), []).append(record)
    return list(groups.values())


def _wait_after(error: Exception, attempt: int, about: Mapping[str, Any]) -> timedelta:
    """How long the message rests, by what went wrong; logged without the error's own text where it is not ours."""
    code = error.code if isinstance(error, ServiceError) else type(error).__name__
    details = {**about, "code": code}
    if isinstance(error, RetryableError):
        logger.warning("message given back", extra=details)
    elif isinstance(error, ValidationError):
        logger.error("message breaks its contract", extra={**details, "type": error.title, "fields": _fields(error)})
    else:
        logger.error("message failed", extra={**details, "where": place_of(error)})
    metrics.count("MessagesGivenBack", code=code)
    asked = error.retry_after if isinstance(error, RetryableError) else None
    wait: timedelta = _FIRST_WAIT * 6 ** min(attempt - 1, 10) if asked is None else asked
    return max(timedelta(0), min(wait, _LONGEST_WAIT))


def _fields(error: ValidationError) -> list[str]:
    return [".".join(str(step) for step in item["loc"]) for item in error.errors(include_input=False)]


class _Batch:
    """The messages of one invocation, and which of them are still in work."""

    def __init__(self, records: Iterable[dict[str, Any]], queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._visibility_lock = threading.Lock()  # else a renewal under way would hide what is given back meanwhile
        self._in_work = {record["messageId"]: record["receiptHandle"] for record in records}
        self.given_back: list[str] = []

    def kept_invisible(self) -> "_Heartbeat":
        return _Heartbeat(self.renew)

    def renew(self) -> None:
        with self._visibility_lock:
            with self._lock:
                handles = list(self._in_work.values())
            self._set_visibility(handles, _VISIBILITY_SECONDS)

    def done(self, record: Mapping[str, Any], *, is_followed: bool = False) -> None:
        """Remove a finished message at once, unless it is the last: that one goes with the invocation's own answer.

        One that is followed by what nobody waits for goes at once, too, so that the next of its group does not wait.
        """
        with self._lock:
            self._in_work.pop(record["messageId"], None)
            is_last = not self._in_work
        if is_last and not is_followed:
            return
        try:
            self._queue.client.delete_message(QueueUrl=self._queue.url, ReceiptHandle=record["receiptHandle"])
        except (ClientError, BotoCoreError):
            logger.warning("a finished message could not be removed yet", extra={"messageId": record["messageId"]})

    def give_back(self, records: list[dict[str, Any]], wait: timedelta) -> None:
        """Return messages to the queue, to be seen again after `wait`."""
        with self._lock:
            for record in records:
                self._in_work.pop(record["messageId"], None)
                self.given_back.append(record["messageId"])
        with self._visibility_lock:
            self._set_visibility([record["receiptHandle"] for record in records], math.ceil(wait.total_seconds()))

    def bury(self, record: Mapping[str, Any]) -> bool:
        """Hand a message to the dead-letter queue before the queue itself does; False where that is not to be."""
        if not self._queue.dead_letters_url:
            return False
        try:
            self._queue.client.send_message(
                QueueUrl=self._queue.dead_letters_url,
                MessageBody=record["body"],
                MessageGroupId=record["attributes"].get("MessageGroupId", record["messageId"]),
                MessageDeduplicationId=record["messageId"],
            )
        except (ClientError, BotoCoreError):
            logger.warning("a message could not be given up yet", extra={"messageId": record["messageId"]})
            return False
        self.done(record)
        return True

    def _set_visibility(self, handles: list[str], seconds: int) -> None:
        try:
            for some in batched(handles, _MAX_ENTRIES, strict=False):
                self._queue.client.change_message_visibility_batch(
                    QueueUrl=self._queue.url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                        for number, handle in enumerate(some)
                    ],
                )
        except (ClientError, BotoCoreError):
            # The queue's own visibility timeout still holds: slower, never wrong.
            logger.warning("visibility could not be changed", extra={"messages": len(handles)})


class _Heartbeat:
    """Calls `beat` at once and then every 30 s in a thread of its own, until the block is left."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._beat()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_RENEWAL_SECONDS):
            self._beat()
