"""A platform before the real door and the real adapter: what goes in, what is queued, what is said."""

import base64
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

from core.events import MessageReceived, SignalReceived
from core.http import Http
from core.kept import Kept
from core.models import Installation
from core.platforms import Outbound, Reply, ReplyTarget, connect, reply_to
from tests.contract.platform import Call, Place, Platform, Shown
from tests.unit.platforms.slack.stage import Clock, DiedError

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Stage:
    """One platform, its webhook and our half of it."""

    name: str
    platform: Platform
    clock: Clock
    door: ModuleType
    sqs: "SQSClient"
    queue_urls: Mapping[str, str]
    options: Mapping[str, Mapping[str, str]]
    recorded: list[tuple[str, ...]] = field(default_factory=list)

    # In

    def deliver(self, call: Call) -> tuple[int, dict[str, Any]]:
        """Hand a call to the webhook as API Gateway does; status and JSON answer."""
        answer = self.door.handler(_gateway_event(call), None)
        return answer["statusCode"], json.loads(answer["body"] or "{}")

    def take(self, call: Call) -> None:
        """Deliver a call that the platform signed just now."""
        assert self.deliver(self.signed(call))[0] == 200

    def signed(self, call: Call, *, late: float = 0.0, is_forged: bool = False) -> Call:
        """The call with the proof of some seconds ago."""
        return self.platform.signed(call, at=time.time() - late, is_forged=is_forged)

    def messages(self) -> list[MessageReceived]:
        """The questions on their queue, which are taken off."""
        return [MessageReceived.model_validate_json(body) for body in self._receive("messages")]

    def signals(self) -> list[SignalReceived]:
        """The signals on theirs."""
        return [SignalReceived.model_validate_json(body) for body in self._receive("signals")]

    def signal(self, call: Call) -> SignalReceived:
        """The one thing that `call` comes to, which is no question."""
        self.take(call)
        (signal,) = self.signals()
        assert self.messages() == []
        return signal

    def is_quiet(self) -> bool:
        """Whether nothing was queued."""
        return not self.messages() and not self.signals()

    def ask(self, text: str = "What is the plan?", place: Place = "channel") -> MessageReceived:
        """The person asks something; the question as the processor gets it."""
        self.take(self.platform.question(text, place))
        (message,) = self.messages()
        return message

    def _receive(self, queue: str) -> list[str]:
        url, bodies = self.queue_urls[queue], []
        while found := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for each in found:
                bodies.append(each["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return bodies

    # Out

    def outbound(self, options: Mapping[str, str] | None = None) -> Outbound:
        """The adapter, connected as a new process would."""
        installation = Installation(
            id="installation",
            company_id="company",
            platform=self.name,
            workspace_id=self.platform.workspace_id,
            secret_name="secret",
            created_at=_MADE_AT,
            updated_at=_MADE_AT,
        )
        return connect(
            installation,
            read_secret={"secret": self.platform.token}.__getitem__,
            options={self.name: options} if options is not None else self.options,
            http=Http(),
            kept=Kept(self.clock.monotonic),
            monotonic=self.clock.monotonic,
            sleep=self.clock.sleep,
        )

    def reply(self, message: MessageReceived, **known: Any) -> Reply:
        """A delivery's reply; `known` is what an earlier one left behind."""
        return self.outbound().open_reply(self.target(message, **known), posted=self.recorded.append)

    def target(self, message: MessageReceived, **known: Any) -> ReplyTarget:
        """Where the answer goes."""
        return replace(reply_to(message, is_alone=True), **known)

    def next_delivery(self, message: MessageReceived) -> Reply:
        """The reply after a crash: with the ids that were recorded, else looking for what was not."""
        if self.recorded:
            return self.reply(message, outgoing_ids=self.recorded[-1])
        return self.reply(message, search_from=message.external_message_id)

    def speak(self, reply: Reply, pieces: Iterable[str], *, every: float = 2.0) -> str:
        """Append the pieces with that much time between them; the whole text."""
        said = list(pieces)
        for piece in said:
            reply.append(piece)
            self.clock.pass_by(every)
        return "".join(said)

    def shown(self, message: MessageReceived) -> list[Shown]:
        """What stands there; nothing is arriving any more."""
        shown = self.platform.shown(message)
        assert not any(each.is_arriving for each in shown)
        return shown

    def texts(self, message: MessageReceived) -> list[str]:
        """The same as texts."""
        return [each.text for each in self.shown(message)]


def die(_ids: tuple[str, ...]) -> None:
    """The process ends before it could write the ids down."""
    raise DiedError


def _gateway_event(call: Call) -> dict[str, Any]:
    is_form = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return {
        "requestContext": {"http": {"method": "POST", "path": call.path}, "requestId": "request-1"},
        "headers": {name.lower(): value for name, value in call.headers.items()},
        "body": base64.b64encode(call.body).decode() if is_form else call.body.decode(),
        "isBase64Encoded": is_form,
    }
