"""The import processor's real door on moto, with deliveries made by hand."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import boto3
import pytest

from core.import_keys import make_input_key
from core.imports import Import, ImportTemplate
from core.models import Company
from core.store import Store
from importer.run import run_imports
from importer.running import Collaborators
from local.standin_model import StandInModel
from tests.integration.turns.stack import Context, load_door

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

COMPANY, USER = "acme", "usr_alice"
TRIES = 6
CONTACTS: Mapping[str, Any] = {
    "record": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "email": {"type": "string", "format": "email"},
            "age": {"type": ["integer", "null"]},
        },
        "required": ["name", "email"],
    }
}
_NUMBERS = count(1)


@dataclass(slots=True, kw_only=True)
class Imports:
    """What a test plays with."""

    s3: "S3Client"
    sqs: "SQSClient"
    queue_url: str
    bucket_name: str
    store: Store
    door: ModuleType
    model: StandInModel

    def put(
        self,
        content: bytes | str,
        name: str = "contacts.csv",
        *,
        metadata: Mapping[str, str] | None = None,
        import_id: str = "",
        user: str = USER,
    ) -> str:
        """Put a file where imports come from; the import's id."""
        import_id = import_id or f"imp_{next(_NUMBERS):016}"
        key = make_input_key(COMPANY, user, import_id, name)
        body = content.encode() if isinstance(content, str) else content
        self.s3.put_object(Bucket=self.bucket_name, Key=key, Body=body, Metadata=dict(metadata or {}))
        return import_id

    def key_of(self, import_id: str) -> str:
        """Where a file was put."""
        found = self.s3.list_objects_v2(Bucket=self.bucket_name, Prefix=f"imports/{COMPANY}/")
        (key,) = [each["Key"] for each in found["Contents"] if f"/{import_id}/" in each["Key"]]
        return key

    def tell(self, import_id: str, **more: Any) -> bool:
        """Deliver S3's event of a file; whether it is done."""
        return self.deliver([s3_event(self.bucket_name, self.key_of(import_id))], **more) == []

    def deliver(self, bodies: Sequence[Mapping[str, Any]], *, attempt: int = 1, seconds: float = 900.0) -> list[str]:
        """One invocation; the ids that it gave back."""
        records = [
            {
                "messageId": f"m{number}",
                "receiptHandle": "handle",
                "body": json.dumps(body),
                "attributes": {"ApproximateReceiveCount": str(attempt)},
            }
            for number, body in enumerate(bodies)
        ]
        answer = self.door.handler({"Records": records}, Context(seconds))
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def work_with(self, **changes: Any) -> Collaborators:
        """Change what the door's use case works with."""
        collaborators: Collaborators = replace(self.door.collaborators, **changes)
        handle = partial(run_imports, collaborators=collaborators)
        vars(self.door)["run"] = partial(self.door.run, handle=handle)
        return collaborators

    def queued(self) -> list[dict[str, Any]]:
        """Take what was queued again off the queue, however long it was to wait."""
        found: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found

    def run(self, content: bytes | str, name: str = "contacts.csv", **more: Any) -> Import:
        """Put a file and import it; how that ended."""
        import_id = self.put(content, name, **more)
        assert self.tell(import_id)
        return self.get(import_id)

    def get(self, import_id: str) -> Import:
        """An import as it stands."""
        found = self.store.imports.get(COMPANY, import_id)
        assert found
        return found

    def read(self, url: str | None) -> bytes:
        """What is at an address."""
        assert url
        key = url.removeprefix(f"s3://{self.bucket_name}/")
        return self.s3.get_object(Bucket=self.bucket_name, Key=key)["Body"].read()

    def keys(self, prefix: str) -> list[str]:
        """The objects below a prefix."""
        found = self.s3.list_objects_v2(Bucket=self.bucket_name, Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]

    def add_template(self, document: Mapping[str, Any] = CONTACTS, name: str = "contacts") -> None:
        """Store the next version of a template."""
        current = self.store.templates.current_template(COMPANY, name)
        self.store.templates.put_template(
            ImportTemplate(
                company_id=COMPANY,
                name=name,
                version=current.version + 1 if current else 1,
                document=dict(document),
                created_at=datetime.now(UTC),
            )
        )


def s3_event(bucket_name: str, *keys: str) -> dict[str, Any]:
    """What S3 sends of new objects."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2026-11-22T09:00:00.000Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": {"name": bucket_name, "arn": f"arn:aws:s3:::{bucket_name}"},
                    "object": {"key": quote_plus(key, safe="/"), "size": 1, "eTag": "x", "sequencer": "0"},
                },
            }
            for key in keys
        ]
    }


@contextmanager
def running_imports(monkeypatch: pytest.MonkeyPatch, *, table_name: str, bucket_name: str) -> Iterator[Imports]:
    """The door, with a company and without templates; moto must be active."""
    sqs, secrets = boto3.client("sqs"), boto3.client("secretsmanager")
    queue_url = sqs.create_queue(QueueName="imports")["QueueUrl"]
    signals_url = sqs.create_queue(QueueName="signals.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    secrets.create_secret(Name="parley/test/openai-api-key", SecretString="none")
    with StandInModel() as model:
        environment = {
            "STAGE": "test",
            "POWERTOOLS_SERVICE_NAME": "test",
            "TABLE_NAME": table_name,
            "BUCKET_NAME": bucket_name,
            "IMPORTS_QUEUE_URL": queue_url,
            "SIGNALS_QUEUE_URL": signals_url,
            "MAX_RECEIVE_COUNT": str(TRIES),
            "OPENAI_API_KEY_SECRET_NAME": "parley/test/openai-api-key",
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_MODEL": "stand-in",
            "TOOL_INSECURE_HOSTS": "127.0.0.1",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        door = load_door("import_processor")
        store: Store = door.store
        store.directory.add_company(Company(id=COMPANY, name="Acme Ltd", created_at=datetime.now(UTC)))
        yield Imports(
            s3=boto3.client("s3"),
            sqs=sqs,
            queue_url=queue_url,
            bucket_name=bucket_name,
            store=store,
            door=door,
            model=model,
        )
