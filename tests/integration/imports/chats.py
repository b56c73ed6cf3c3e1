"""A chat and the imports that it begins: the doors of turns, of imports and of signals, with what is queued between."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from core.imports import Import, ImportTemplate
from local.fake_slack.state import SeenMessage
from local.standin_model.script import Behaviour
from local.standin_model.values import ToolCall
from tests.integration.imports.stack import CONTACTS, s3_event
from tests.integration.turns.files import Upload, mention
from tests.integration.turns.stack import COMPANY, Context, Record, Stack, load_door, running_stack

CSV = b"Name;E-Mail;Age\nAda;ada@example.com;36\nBob;no address;41\nCyd;cyd@example.com;29\n"
FILE = Upload(name="people.csv", content=CSV, media_type="text/csv")


@dataclass(slots=True)
class Chat:
    """The doors of a turn, of imports and of signals, between which a test carries what is queued."""

    stack: Stack
    bucket_name: str
    importer: Any  # the door's module

    def ask(self, text: str, *uploads: Upload, **arguments: object) -> tuple[str, Record]:
        """A person mentions the assistant, whose model calls the tool with these arguments; thread and message."""
        self.will_call(**arguments)
        return mention(self.stack, text, *uploads)

    def will_call(self, **arguments: object) -> None:
        """What the model does next."""
        call = ToolCall("import_file", dict(arguments), None)  # type: ignore[arg-type] # JSON
        self.stack.model.script(Behaviour(tool_calls=(call,)), Behaviour(text="I have begun."))

    def answer(self, record: Record) -> None:
        """One turn to its end."""
        assert self.stack.deliver([record]) == []

    def imports(self) -> tuple[Import, ...]:
        """The company's imports."""
        return self.stack.store.imports.list_of(COMPANY)

    def inputs(self) -> list[str]:
        """What lies where imports come from."""
        found = boto3.client("s3").list_objects_v2(Bucket=self.bucket_name, Prefix="imports/")
        return [each["Key"] for each in found.get("Contents", [])]

    def forget_inputs(self) -> None:
        """Remove what lies there: S3 has told of it."""
        for key in self.inputs():
            boto3.client("s3").delete_object(Bucket=self.bucket_name, Key=key)

    def import_all(self, *, attempt: int = 1) -> None:
        """S3's events of all files that are there, and what was queued for imports."""
        self.importer.handler(
            {"Records": [record_of(s3_event(self.bucket_name, *self.inputs()), attempt)]}, Context(900)
        )
        for body in self.taken("imports"):
            self.importer.handler({"Records": [record_of(body, 1)]}, Context(900))

    def taken(self, queue: str) -> list[dict[str, Any]]:
        """What was queued, taken off."""
        sqs, url, found = self.stack.sqs, self.stack.queue_urls[queue], []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for each in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
                found.append(json.loads(each["Body"]))
        return found

    def tell(self, signals: Sequence[dict[str, Any]], *, attempt: int = 1) -> bool:
        """Deliver signals; whether all are done."""
        records = [record_of(each, attempt) for each in signals]
        done: dict[str, Any] = self.stack.signals.handler({"Records": records}, Context())
        return not done["batchItemFailures"]

    def settle(self) -> None:
        """Imports and signals until nothing is queued."""
        self.import_all()
        while signals := self.taken("signals"):
            assert self.tell(signals)
            for body in self.taken("imports"):
                self.importer.handler({"Records": [record_of(body, 1)]}, Context(900))

    def run(self, text: str, *uploads: Upload, **arguments: object) -> list[SeenMessage]:
        """Everything from the question to the notice; what the assistant said in the thread."""
        ts, record = self.ask(text, *uploads, **arguments)
        self.answer(record)
        self.settle()
        return self.stack.thread(ts)

    def add_template(self, name: str = "contacts", document: dict[str, Any] | None = None) -> None:
        """A template of the company."""
        given = {
            "company_id": COMPANY,
            "name": name,
            "version": 1,
            "document": document or dict(CONTACTS),
            "created_at": datetime.now(UTC),
        }
        self.stack.store.templates.put_template(ImportTemplate.model_validate(given))


def record_of(body: dict[str, Any], attempt: int) -> Record:
    return {
        "messageId": "m",
        "receiptHandle": "handle",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": str(attempt)},
    }


@contextmanager
def running_chat(monkeypatch: pytest.MonkeyPatch, *, table_name: str, bucket_name: str) -> Iterator[Chat]:
    """The whole; moto must be active."""
    with running_stack(monkeypatch, table_name=table_name, bucket_name=bucket_name) as stack:
        yield Chat(stack, bucket_name, load_door("import_processor"))
