"""A stack on moto, the file that describes it, and the command line on it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from typer.testing import CliRunner

from ops.__main__ import app
from tests.integration.cloud import BUCKET_NAME, REGION, TABLE_NAME

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

QUEUES = ("messages", "messages_dead_letter", "messages_parked", "signals")


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # JSON: each test knows its shape
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The table in a pipe: cells are two spaces apart."""
        return [[each.strip() for each in line.split("  ") if each.strip()] for line in self.out.splitlines()[1:]]


@dataclass(frozen=True)
class CommandLine:
    """`python -m ops` in this process."""

    stack: Sequence[str]

    def __call__(self, *arguments: str, typed: str | None = None) -> Ran:
        result = CliRunner().invoke(app, [*self.stack, *arguments], input=typed)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    def done(self, *arguments: str, typed: str | None = None) -> Ran:
        """The same for a command that must succeed."""
        ran = self(*arguments, typed=typed)
        assert ran.code == 0, ran
        return ran


@pytest.fixture
def sqs(cloud: None) -> "SQSClient":
    return boto3.client("sqs", region_name=REGION)


@pytest.fixture
def queue_urls(sqs: "SQSClient") -> dict[str, str]:
    made = {name: sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"}) for name in QUEUES}
    made["imports"] = sqs.create_queue(QueueName="imports")
    return {name: queue["QueueUrl"] for name, queue in made.items()}


@pytest.fixture
def description(queue_urls: dict[str, str]) -> dict[str, object]:
    """What stack.json says; no demo, so that nothing is assumed."""
    return {
        "stage": "local",
        "region": REGION,
        "table_name": TABLE_NAME,
        "bucket_name": BUCKET_NAME,
        "queue_urls": queue_urls,
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "something_new": {"of": "tomorrow"},
    }


@pytest.fixture
def stack_file(description: dict[str, object], tmp_path: Path) -> Path:
    path = tmp_path / "stack.json"
    path.write_text(json.dumps(description))
    return path


@pytest.fixture
def ops(stack_file: Path) -> CommandLine:
    return CommandLine(["--stack-file", str(stack_file)])


@pytest.fixture
def acme(ops: CommandLine) -> CommandLine:
    """A stack with one company and one person."""
    ops.done("companies", "add", "acme", "--name", "Acme Ltd")
    ops.done("users", "add", "--company", "acme", "--email", "alice@acme.example", "--name", "Alice", "--id", "alice")
    return ops
