"""Commands about messages that could not be handled: look at them, and give them back to the processor."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import batched, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from core.events import MessageReceived
from ops import show
from ops.directory_commands import JsonOption
from ops.stack import Operations, open_stack

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_HOLD_SECONDS = 60  # a message that was received stays invisible for so long if this process dies
_WAIT_SECONDS = 1  # long polling asks every server of a queue: a short poll may miss messages
_BATCH = 10  # SQS's own limit

dead_letters = typer.Typer(help="Messages that could not be handled.", no_args_is_help=True)

ParkedOption = Annotated[
    bool, typer.Option("--parked", help="Those that even the dead-letter processor could not finish.")
]


@dataclass(frozen=True, slots=True)
class _DeadLetter:
    """A message as it lies in the queue, and what it says if it is one of ours."""

    raw: "MessageTypeDef"
    message: MessageReceived | None

    @property
    def receipt(self) -> str:
        """What it is deleted by."""
        return self.raw["ReceiptHandle"]

    @property
    def sent_at(self) -> datetime:
        """When it came into a queue."""
        return datetime.fromtimestamp(int(self.raw["Attributes"]["SentTimestamp"]) / 1000, UTC)

    @property
    def received_count(self) -> int:
        """How often it was received, this look included."""
        return int(self.raw["Attributes"]["ApproximateReceiveCount"])

    def to_json(self, *, with_text: bool) -> dict[str, Any]:
        """The letter for another program; a text only where asked for."""
        message = show.to_json(self.message) if self.message else None
        if message and not with_text:
            message["text"] = None
        return {
            "messageId": self.raw["MessageId"],
            "sentAt": self.sent_at.isoformat(),
            "receiveCount": self.received_count,
            "message": message,
        }


@dead_letters.command("list")
def list_dead_letters(
    context: typer.Context,
    parked: ParkedOption = False,
    show_text: Annotated[bool, typer.Option(help="With what the person wrote.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Look at dead letters without taking them.

    The dead-letter processor empties its queue within seconds; what stays is with --parked. Looking counts as one
    receive: a letter that is looked at too often before it is handled gets parked. Behind more than ten letters of one
    conversation the rest of it is not seen.
    """
    operations = open_stack(context)
    queue_url = _dead_letter_url(operations, is_parked=parked)
    with _held(operations, queue_url) as taken:
        found = list(islice(_receive_all(operations, queue_url, taken), limit))
    if as_json:
        show.emit_json([each.to_json(with_text=show_text) for each in found])
    elif found:
        columns = ["Message id", "Age", "Receives", "Platform", "Workspace", "Channel", "Thread", "User", "Correlation"]
        now = operations.clock()
        show.table(columns + ["Text"] * show_text, (_row(each, now, with_text=show_text) for each in found))
    else:
        show.note("there are no parked messages" if parked else "there are no dead letters")
    if not parked and (waiting := _count(operations, operations.stack.queue_urls.messages_parked)):
        show.note(f"{waiting} more are parked: see `dead-letters list --parked`")


@dead_letters.command("redrive")
def redrive(
    context: typer.Context,
    parked: ParkedOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Give all dead letters back to the processor, in the order of each conversation."""
    operations = open_stack(context)
    queue_url = _dead_letter_url(operations, is_parked=parked)
    count = _count(operations, queue_url)
    if not yes:
        typer.confirm(f"Give about {count} messages back to the processor?", abort=True, err=True)
    moved = 0
    with _held(operations, queue_url) as taken:
        for letter in _receive_all(operations, queue_url, taken):
            _give_back(operations, queue_url, letter)
            taken.remove(letter.receipt)
            moved += 1
    show.say(f"{moved} messages given back to the processor")


def _give_back(operations: Operations, queue_url: str, letter: _DeadLetter) -> None:
    """Send, then delete: a crash in between leaves a copy that the deduplication id, or the store, makes harmless."""
    attributes = letter.raw["Attributes"]
    message_id = letter.raw["MessageId"]
    operations.sqs.send_message(
        QueueUrl=operations.stack.queue_urls.messages,
        MessageBody=letter.raw["Body"],
        MessageGroupId=attributes["MessageGroupId"],
        # A new one: with its first one the queue would swallow a message that died within five minutes.
        MessageDeduplicationId=f"redrive-{message_id}",
    )
    operations.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=letter.receipt)


@contextmanager
def _held(operations: Operations, queue_url: str) -> Iterator[list[str]]:
    """The receipts of what is taken from a queue; those still in the list at the end are visible again at once."""
    taken: list[str] = []
    try:
        yield taken
    finally:
        for batch in batched(taken, _BATCH, strict=False):
            operations.sqs.change_message_visibility_batch(
                QueueUrl=queue_url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                    for number, receipt in enumerate(batch)
                ],
            )


def _receive_all(operations: Operations, queue_url: str, taken: list[str]) -> Iterator[_DeadLetter]:
    while True:
        answer = operations.sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_HOLD_SECONDS,
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageSystemAttributeNames=["All"],
        )
        letters = [_DeadLetter(raw, _parse(raw["Body"])) for raw in answer.get("Messages", [])]
        taken.extend(letter.receipt for letter in letters)
        yield from letters
        if not letters:
            return


def _parse(body: str) -> MessageReceived | None:
    try:
        return MessageReceived.model_validate_json(body)
    except ValidationError:
        return None


def _row(letter: _DeadLetter, now: datetime, *, with_text: bool) -> list[object]:
    head: list[object] = [letter.raw["MessageId"], show.age(letter.sent_at, now), letter.received_count]
    message = letter.message
    if message is None:
        return [*head, f"no message of ours ({len(letter.raw['Body'])} characters)", *[None] * (5 + with_text)]
    address = message.address
    place = [address.platform, address.workspace_id, address.channel_id, address.thread_id]
    return [*head, *place, message.external_user_id, message.correlation_id, *[message.text] * with_text]


def _dead_letter_url(operations: Operations, *, is_parked: bool) -> str:
    urls = operations.stack.queue_urls
    return urls.messages_parked if is_parked else urls.messages_dead_letter


def _count(operations: Operations, queue_url: str) -> int:
    answer = operations.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])
