"""The deployed whole in one process: the real doors on moto, the fake Slack and the stand-in model over real HTTP.

Deliveries of the queue are made by hand, so that a test decides what is delivered when, twice, or after a crash.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from core.events import SignalReceived
from core.models import Address, Company, Conversation, Identity, Installation, Message, Task, User
from core.store import Store
from local.fake_slack import payloads
from local.fake_slack.demo import DEMO
from local.fake_slack.server import FakeSlack
from local.fake_slack.state import SeenMessage
from local.fake_tools.server import TOKEN
from local.standin_model import StandInModel
from tests.aws_over_http import running_aws

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

ROOT = Path(__file__).parents[3]
COMPANY = "acme"
SIGNING_SECRET = "a signing secret of the tests"
MAX_TRIES = 3
MAX_RECEIVE_COUNT = 8  # five hand-overs more
_SIGNAL_NUMBERS = count(1)
type Record = dict[str, Any]


class Killed(BaseException):
    """The process dies here: nothing of ours may catch it."""


@dataclass(slots=True)
class Context:
    """Lambda's context, as far as our doors ask it."""

    seconds: float = 300.0
    function_name: str = "test"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:test"
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        """As Lambda says it."""
        return int(self.seconds * 1000)


@dataclass(slots=True, kw_only=True)
class Stack:
    """What a test plays with."""

    slack: FakeSlack
    model: StandInModel
    sqs: "SQSClient"
    aws_url: str
    queue_urls: Mapping[str, str]
    store: Store
    webhook: ModuleType
    processor: ModuleType
    dead_letters: ModuleType
    signals: ModuleType
    records: list[Record] = field(default_factory=list)

    # Slack calls us

    def post(self, envelope: Mapping[str, Any], *, now: float | None = None) -> dict[str, Any]:
        """Sign an event as Slack does and hand it to the webhook, which takes it; the answer."""
        body = payloads.body_of(envelope)
        headers = payloads.sign(SIGNING_SECRET, body, now or time.time())
        answer: dict[str, Any] = self.webhook.handler(payloads.gateway_event(body, headers), Context())
        return answer

    def ask(self, text: str, *, user: str | None = None, thread_ts: str | None = None) -> str:
        """A person mentions the assistant in a channel; the message's ts."""
        envelope = payloads.mention(text, user=user, thread_ts=thread_ts)
        ts = envelope["event"]["ts"]
        event = envelope["event"]
        self.slack.post_as(event["user"], text, channel=event["channel"], ts=ts, thread_ts=thread_ts)
        assert self.post(envelope)["statusCode"] == 200
        return ts

    # The queue delivers

    def receive(self, queue: str = "messages") -> list[Record]:
        """Take everything off a queue, as Lambda's records; nothing is in flight for anybody else."""
        taken: list[Record] = []
        while True:
            answer = self.sqs.receive_message(
                QueueUrl=self.queue_urls[queue],
                MaxNumberOfMessages=10,
                VisibilityTimeout=3600,
                MessageSystemAttributeNames=["All"],
            )
            if not answer.get("Messages"):
                return taken
            for message in answer["Messages"]:
                taken.append(_as_record(message))
                self.sqs.delete_message(QueueUrl=self.queue_urls[queue], ReceiptHandle=message["ReceiptHandle"])

    def deliver(self, records: Sequence[Record], *, seconds: float = 300.0) -> list[Record]:
        """One invocation of the processor; the records that were given back, counted up for the next delivery."""
        answer = self.processor.handler({"Records": list(records)}, Context(seconds))
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        return [again(record) for record in records if record["messageId"] in failed]

    def settle(self, *, batch: int = 10) -> list[Record]:
        """Deliver whatever is queued until it is done; what failed to the last goes to the dead-letter processor."""
        waiting, dead = self.receive(), []
        while waiting:
            failed = self.deliver(waiting[:batch])
            waiting = [*failed, *waiting[batch:]]
            dead += self.receive("dead_letters")
            dead += [record for record in waiting if attempts(record) > MAX_RECEIVE_COUNT]
            waiting = [record for record in waiting if attempts(record) <= MAX_RECEIVE_COUNT]
            waiting += self.receive()
        if dead:
            assert self.bury(dead) == []
        return dead

    def bury(self, records: Sequence[Record]) -> list[str]:
        """One invocation of the dead-letter processor; the ids that it gave back."""
        answer = self.dead_letters.handler({"Records": list(records)}, Context())  # SQS goes on counting
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    # Signals

    def signal(self, kind: str, *, ts: str = "", attempt: int = 1, **fields: Any) -> bool:
        """Deliver one signal about a thread; whether it is done. Alice sends it where nobody else is named."""
        now = datetime.now(UTC)
        given = {
            "kind": kind,
            "external_id": f"S{next(_SIGNAL_NUMBERS)}",
            "address": Address(platform="slack", workspace_id=DEMO.team_id, channel_id=DEMO.channel_id, thread_id=ts),
            "external_user_id": DEMO.user_id,
            "bot_user_id": DEMO.bot_user_id,
            "sent_at": now,
            "received_at": now,
            "correlation_id": "signal",
        }
        signal = SignalReceived.model_validate({**given, **fields})
        record = {
            "messageId": signal.external_id,
            "receiptHandle": "handle",
            "body": signal.model_dump_json(by_alias=True),
            "attributes": {"ApproximateReceiveCount": str(attempt), "MessageGroupId": signal.group_id},
        }
        answer: dict[str, Any] = self.signals.handler({"Records": [record]}, Context())
        return not answer["batchItemFailures"]

    # What came of it

    def thread(self, ts: str, channel: str = DEMO.channel_id) -> list[SeenMessage]:
        """What the assistant says in a thread, as a person sees it now."""
        return [m for m in self.slack.messages(channel, ts) if m.user == DEMO.bot_user_id]

    def answer(self, ts: str, channel: str = DEMO.channel_id) -> str:
        """The one answer in a thread."""
        (message,) = self.thread(ts, channel)
        assert not message.is_streaming
        return message.text

    def conversation(self, ts: str, channel: str = DEMO.channel_id) -> Conversation:
        """The conversation of a thread."""
        place = Address(platform="slack", workspace_id=DEMO.team_id, channel_id=channel, thread_id=ts)
        found = self.store.find_conversation_id(COMPANY, place)
        assert found, "no conversation takes place there"
        conversation = self.store.get_conversation(COMPANY, found)
        assert conversation
        return conversation

    def conversations(self) -> tuple[Conversation, ...]:
        """Every conversation of the demo's person."""
        return self.store.list_conversations(COMPANY, "usr_alice", limit=1000)

    def messages(self, ts: str) -> tuple[Message, ...]:
        """The messages of a thread's conversation, in order."""
        return self.store.list_messages(COMPANY, self.conversation(ts).id)

    def tasks(self, ts: str) -> tuple[Task, ...]:
        """The tasks of a thread's conversation, in order."""
        return self.store.list_tasks(COMPANY, self.conversation(ts).id)


def attempts(record: Record) -> int:
    """How often this record was delivered, this time included."""
    return int(record["attributes"]["ApproximateReceiveCount"])


def again(record: Record) -> Record:
    """The same message as its next delivery."""
    return {**record, "attributes": {**record["attributes"], "ApproximateReceiveCount": str(attempts(record) + 1)}}


def _as_record(message: Mapping[str, Any]) -> Record:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {**message["Attributes"], "ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:messages.fifo",
        "awsRegion": "eu-central-1",
    }


def load_door(name: str) -> ModuleType:
    """A function's `app.py`, imported anew as a cold start does."""
    spec = spec_from_file_location(f"door_{name}", ROOT / "functions" / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    door = module_from_spec(spec)
    spec.loader.exec_module(door)
    return door


def load_webhook(name: str, aws_url: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A webhook, which calls AWS without boto3."""
    with monkeypatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", aws_url)
        return load_door(name)


def _load_dead_letters(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    with monkeypatch.context() as environment:
        environment.setenv("MAX_RECEIVE_COUNT", "13")
        return load_door("dead_letter_processor")


def make_queues(sqs: "SQSClient") -> dict[str, str]:
    """The queues that the doors are told of."""
    attributes = {"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    names = {"messages": "messages.fifo", "signals": "signals.fifo", "dead_letters": "dead-letters.fifo"}
    fifo = {
        key: sqs.create_queue(QueueName=name, Attributes=dict(attributes))["QueueUrl"]  # type: ignore[arg-type]
        for key, name in names.items()
    }
    return fifo | {"imports": sqs.create_queue(QueueName="imports")["QueueUrl"]}


@contextmanager
def running_stack(monkeypatch: pytest.MonkeyPatch, *, table_name: str, bucket_name: str) -> Iterator[Stack]:
    """The whole, seeded with a company, a person and a Slack installation; moto must be active."""
    sqs = boto3.client("sqs")
    secrets = boto3.client("secretsmanager")
    queue_urls = make_queues(sqs)
    secrets.create_secret(Name="parley/test/slack-signing-secret", SecretString=SIGNING_SECRET)
    secrets.create_secret(Name="parley/test/openai-api-key", SecretString="none")
    secrets.create_secret(Name="parley/test/slack/demo", SecretString=DEMO.bot_token)
    secrets.create_secret(Name="parley/test/tools/orders", SecretString=TOKEN)
    with FakeSlack() as slack, StandInModel() as model, running_aws() as aws_url:
        environment = {
            "STAGE": "test",
            "POWERTOOLS_SERVICE_NAME": "test",
            "POWERTOOLS_METRICS_NAMESPACE": "Parley",
            "TABLE_NAME": table_name,
            "BUCKET_NAME": bucket_name,
            "MESSAGES_QUEUE_URL": queue_urls["messages"],
            "SIGNALS_QUEUE_URL": queue_urls["signals"],
            "IMPORTS_QUEUE_URL": queue_urls["imports"],
            "DEAD_LETTER_QUEUE_URL": queue_urls["dead_letters"],
            "MAX_RECEIVE_COUNT": str(MAX_RECEIVE_COUNT),
            "MAX_TRIES": str(MAX_TRIES),
            "RECEIVED_BEFORE": str(MAX_RECEIVE_COUNT),
            "SLACK_SIGNING_SECRET_NAME": "parley/test/slack-signing-secret",
            "SLACK_API_BASE_URL": slack.base_url,
            "OPENAI_API_KEY_SECRET_NAME": "parley/test/openai-api-key",
            "OPENAI_BASE_URL": model.base_url,
            "OPENAI_MODEL": "stand-in",
            "OPENAI_API_KIND": "responses",
            "TOOL_INSECURE_HOSTS": "127.0.0.1",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        processor = load_door("llm_processor")
        stack = Stack(
            slack=slack,
            model=model,
            sqs=sqs,
            queue_urls=queue_urls,
            store=processor.store,
            aws_url=aws_url,
            webhook=load_webhook("slack_webhook", aws_url, monkeypatch),
            processor=processor,
            dead_letters=_load_dead_letters(monkeypatch),
            signals=load_door("signal_processor"),
        )
        seed(stack.store)
        yield stack


def seed(store: Store) -> None:
    """A company with one person and the demo workspace."""
    now = datetime.now(UTC)
    directory = store.directory
    directory.add_company(Company(id=COMPANY, name="Acme Ltd", created_at=now))
    directory.add_user(
        User(id="usr_alice", company_id=COMPANY, email=DEMO.user_email, name="Alice Adams", created_at=now)
    )
    directory.add_installation(
        Installation(
            id="ins_demo",
            company_id=COMPANY,
            platform="slack",
            workspace_id=DEMO.team_id,
            settings={"botUserId": DEMO.bot_user_id, "botId": DEMO.bot_id},
            secret_name="parley/test/slack/demo",
            created_at=now,
            updated_at=now,
        )
    )


def add_person(stack: Stack, user_id: str, external_user_id: str, *, email: str = "", company: str = COMPANY) -> str:
    """Another person of a company, linked to a user of the demo workspace; the platform's id."""
    now = datetime.now(UTC)
    email = email or f"{user_id}@demo.example"
    stack.store.directory.add_user(User(id=user_id, company_id=company, email=email, name=user_id, created_at=now))
    stack.store.directory.put_identity(
        Identity(
            company_id=company,
            platform="slack",
            workspace_id=DEMO.team_id,
            external_user_id=external_user_id,
            user_id=user_id,
            created_at=now,
        )
    )
    return external_user_id


def log_lines(text: str) -> list[dict[str, Any]]:
    """The JSON lines of what was logged."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
