"""The webhook pipeline: what each call of API Gateway leads to, and what it leaves in the log."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PermanentError, RequestRejectedError, RetryableError
from core.events import MessageReceived, SignalKind, SignalReceived
from core.models import Address
from core.platforms import Inbound, WebhookRequest, WebhookResult
from core.webhook import receive
from tests.unit.conftest import WrittenLog

_NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_SECRET = "xoxb-never-shown"  # in every body and header of these tests
_LIMIT = 1_000_000  # bytes of a body


@dataclass
class TinyPlatform:
    """A platform whose proof is one header, and whose body is a JSON list of texts, or what to acknowledge with.

    It also remembers what was called, in order; `publish` is the queue that belongs to it.
    """

    failure: Exception | None = None
    steps: list[str] = field(default_factory=list)
    requests: list[WebhookRequest] = field(default_factory=list)
    published: list[MessageReceived] = field(default_factory=list)
    signals: list[SignalReceived] = field(default_factory=list)

    def verify(self, request: WebhookRequest, now: datetime) -> None:  # noqa: ARG002 - no proof that ages
        self.steps.append("verify")
        self.requests.append(request)
        if self.failure and "fail-at" not in request.headers:
            raise self.failure
        if request.headers.get("x-proof") != "right":
            raise RequestRejectedError("proof-wrong", "the proof does not match", status=401)

    def parse(self, request: WebhookRequest, now: datetime) -> WebhookResult:
        self.steps.append("parse")
        if self.failure and request.headers["fail-at"] == "parse":
            raise self.failure
        try:
            value = json.loads(request.body.decode())
        except (ValueError, RecursionError):
            raise RequestRejectedError("malformed", "the body is not JSON", status=400) from None
        if isinstance(value, dict):
            return WebhookResult(answer=value)
        if not isinstance(value, list) or not value:
            return WebhookResult(ignored="not-a-list")
        if value == ["stop"]:
            return WebhookResult(signals=(_signal(now),))
        return WebhookResult(messages=tuple(_message(str(text), number, now) for number, text in enumerate(value)))

    def publish(self, message: MessageReceived) -> None:
        self.steps.append("publish")
        if self.failure and len(self.published) == 1:
            raise self.failure
        self.published.append(message)

    def publish_signal(self, signal: SignalReceived) -> None:
        self.steps.append("publish signal")
        if self.failure and isinstance(self.failure, RetryableError):
            raise self.failure
        self.signals.append(signal)


def _signal(now: datetime) -> SignalReceived:
    return SignalReceived(
        kind=SignalKind.STOP,
        external_id="S1",
        address=Address(platform="tiny", workspace_id="W1", channel_id="C1"),
        sent_at=now,
        received_at=now,
        correlation_id="request-1",
    )


def _message(text: str, number: int, now: datetime) -> MessageReceived:
    return MessageReceived(
        address=Address(platform="tiny", workspace_id="W1", channel_id="C1"),
        external_message_id=f"M{number}",
        external_user_id="P1",
        text=text,
        sent_at=now,
        received_at=now,
        correlation_id=f"request-{number}",
    )


def _event(body: str | None, *, headers: Mapping[str, str] | None = None, encoded: bool = False) -> dict[str, Any]:
    """What API Gateway hands over for a signed POST, payload format 2.0."""
    event = {
        "version": "2.0",
        "routeKey": "POST /tiny/events",
        "rawPath": "/tiny/events",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "x-proof": "right", "x-other": _SECRET, **(headers or {})},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "http": {
                "method": "POST",
                "path": "/tiny/events",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.1",
                "userAgent": "Tiny",
            },
            "requestId": "Jl9XRgAAIAMEPQw=",
            "stage": "$default",
            "time": "31/Jan/2026:09:30:00 +0000",
            "timeEpoch": 1769851800000,
        },
        "isBase64Encoded": encoded,
    }
    return event if body is None else {**event, "body": body}


def _encoded(body: bytes) -> str:
    return base64.b64encode(body).decode()


def _take(event: Mapping[str, Any], platform: TinyPlatform) -> tuple[int, Any]:
    inbound: Inbound = platform
    response = receive(
        event, inbound=inbound, publish=platform.publish, publish_signal=platform.publish_signal, now=lambda: _NOW
    )
    assert response["headers"] == {"content-type": "application/json"}
    return response["statusCode"], json.loads(response["body"]) if response["body"] else None


def _counted(written: str) -> dict[str, dict[str, Any]]:
    """The metrics that were written, by name."""
    documents = [json.loads(line) for line in written.splitlines()]
    return {
        metric["Name"]: document
        for document in documents
        for metric in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }


def test_a_call_is_verified_then_parsed_then_published_then_acknowledged() -> None:
    platform = TinyPlatform()

    assert _take(_event('["hello", "again"]'), platform) == (200, None)

    assert platform.steps == ["verify", "parse", "publish", "publish"]
    assert [message.text for message in platform.published] == ["hello", "again"]


def test_the_platform_is_shown_the_call_as_it_came() -> None:
    platform = TinyPlatform()
    event = _event('["Zażółć 🐝"]', headers={"X-Odd-CASE": "Kept As It Is"})
    event["queryStringParameters"] = {"challenge": "1"}

    _take(event, platform)

    [request] = platform.requests
    assert (request.method, request.path, request.query) == ("POST", "/tiny/events", {"challenge": "1"})
    assert request.headers["x-odd-case"] == "Kept As It Is"
    assert request.body == '["Zażółć 🐝"]'.encode()
    assert request.request_id == "Jl9XRgAAIAMEPQw="


def test_an_encoded_body_is_verified_as_the_bytes_that_were_sent() -> None:
    platform = TinyPlatform()
    body = b'["' + "é".encode("latin-1") + b'"]'

    status, _ = _take(_event(_encoded(body), encoded=True), platform)

    assert platform.requests[0].body == body
    assert status == 400  # this platform reads JSON in UTF-8


def test_what_the_platform_expects_is_answered() -> None:
    assert _take(_event('{"challenge": "abc"}'), TinyPlatform()) == (200, {"challenge": "abc"})


def test_what_carries_no_message_is_acknowledged_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    platform = TinyPlatform()

    assert _take(_event("[]"), platform) == (200, None)

    assert platform.published == []
    assert _counted(capsys.readouterr().out)["EventsIgnored"]["reason"] == "not-a-list"


def test_a_forged_call_is_refused_before_it_is_read() -> None:
    platform = TinyPlatform()

    status, answer = _take(_event('["hello"]', headers={"x-proof": "wrong"}), platform)

    assert (status, answer) == (401, {"error": "proof-wrong", "message": "the proof does not match"})
    assert platform.steps == ["verify"]


def test_a_malformed_call_publishes_nothing() -> None:
    platform = TinyPlatform()

    status, answer = _take(_event("{"), platform)

    assert (status, answer["error"]) == (400, "malformed")
    assert platform.published == []


@pytest.mark.parametrize("body", ["!!!", "YQ", "Y Q==", "é===", "YQ==YQ=="])
def test_a_body_that_is_not_the_base64_it_is_said_to_be_is_refused(body: str) -> None:
    platform = TinyPlatform()

    status, answer = _take(_event(body, encoded=True), platform)

    assert (status, answer["error"]) == (400, "malformed")
    assert platform.steps == []


@pytest.mark.parametrize(
    ("body", "encoded"),
    [
        ("x" * (_LIMIT + 1), False),
        ("é" * (_LIMIT // 2 + 1), False),
        (_encoded(b"x" * (_LIMIT + 1)), True),
        ("x" * 6_000_000, False),
        (_encoded(b"x" * 6_000_000), True),
    ],
    ids=["plain", "bytes-not-characters", "encoded", "huge", "huge-encoded"],
)
def test_a_body_that_is_too_large_is_refused_before_anything_reads_it(body: str, encoded: bool) -> None:
    platform = TinyPlatform()

    status, answer = _take(_event(body, encoded=encoded), platform)

    assert (status, answer["error"]) == (413, "too-large")
    assert platform.steps == []


@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_at_the_limit_is_read(encoded: bool) -> None:
    platform = TinyPlatform()
    body = b'{"x":"' + b"x" * (_LIMIT - 8) + b'"}'

    status, _ = _take(_event(_encoded(body) if encoded else body.decode(), encoded=encoded), platform)

    assert status == 200
    assert platform.requests[0].body == body


def test_half_a_surrogate_pair_is_malformed_and_no_fault_of_ours() -> None:
    assert _take(_event('["\ud800"]'), TinyPlatform())[0] == 400


@pytest.mark.parametrize("body", [None, ""])
def test_an_empty_call_reaches_verification_and_publishes_nothing(body: str | None) -> None:
    platform = TinyPlatform()

    status, _ = _take(_event(body), platform)

    assert status == 400
    assert platform.requests[0].body == b""


def test_a_queue_that_does_not_take_the_message_makes_the_platform_send_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    platform = TinyPlatform(failure=RetryableError("queue-unavailable", "SQS gave no answer"))

    status, answer = _take(_event('["one", "two"]', headers={"fail-at": "publish"}), platform)

    assert (status, answer["error"]) == (503, "queue-unavailable")
    counted = _counted(capsys.readouterr().out)
    assert counted["PublishFailures"]["code"] == "queue-unavailable"
    assert counted["MessagesIn"]["MessagesIn"] == [1]


def test_a_signing_secret_that_cannot_be_read_now_makes_the_platform_send_again() -> None:
    platform = TinyPlatform(failure=RetryableError("secrets-unavailable", "Secrets Manager gave no answer"))

    assert _take(_event('["hello"]'), platform)[0] == 503


def test_a_signing_secret_that_can_never_be_read_is_an_error_of_ours(
    log: WrittenLog, capsys: pytest.CaptureFixture[str]
) -> None:
    platform = TinyPlatform(failure=PermanentError("secret-unreadable", "the secret 'slack' cannot be read"))

    status, answer = _take(_event('["hello"]'), platform)

    assert (status, answer["error"]) == (500, "secret-unreadable")
    assert "slack" not in answer["message"]
    assert platform.published == []
    assert _counted(capsys.readouterr().out)["RequestsFailed"]["code"] == "secret-unreadable"
    assert log.lines[0]["level"] == "ERROR"


@pytest.mark.parametrize("step", ["verify", "parse", "publish"])
def test_a_fault_of_ours_is_answered_and_found_in_the_log_by_its_place(step: str, log: WrittenLog) -> None:
    platform = TinyPlatform(failure=KeyError(_SECRET))
    headers = {} if step == "verify" else {"fail-at": step}

    status, answer = _take(_event('["one", "two"]', headers=headers), platform)

    assert (status, answer["error"]) == (500, "internal-error")
    [line] = [line for line in log.lines if line["level"] == "ERROR"]
    assert line["type"] == "KeyError"
    assert line["where"].startswith(__file__)


def test_taken_and_refused_calls_are_counted_and_followed_by_their_correlation_id(
    log: WrittenLog, capsys: pytest.CaptureFixture[str]
) -> None:
    _take(_event('["hello"]'), TinyPlatform())
    counted = _counted(capsys.readouterr().out)
    assert counted["MessagesIn"]["platform"] == "tiny"
    assert (log.lines[0]["message"], log.lines[0]["correlation_id"]) == ("message taken", "request-0")

    _take(_event('["hello"]', headers={"x-proof": "wrong"}), TinyPlatform())
    counted = _counted(capsys.readouterr().out)
    assert counted["RequestsRefused"]["code"] == "proof-wrong"
    assert (log.lines[1]["code"], log.lines[1]["status"]) == ("proof-wrong", 401)


_FAILURES: list[Callable[[], Exception]] = [
    lambda: RequestRejectedError("proof-wrong", "the proof does not match", status=401),
    lambda: RetryableError("queue-unavailable", "SQS gave no answer"),
    lambda: PermanentError("secret-unreadable", "the secret cannot be read"),
    lambda: ValueError(_SECRET),
]


@pytest.mark.parametrize("failure", [None, *_FAILURES])
@pytest.mark.parametrize("step", ["verify", "parse", "publish"])
@pytest.mark.parametrize("encoded", [False, True])
def test_nothing_of_a_call_is_in_the_log_the_metrics_or_the_answer(
    failure: Callable[[], Exception] | None,
    step: str,
    encoded: bool,
    log: WrittenLog,
    capsys: pytest.CaptureFixture[str],
) -> None:
    platform = TinyPlatform(failure=failure() if failure else None)
    body = json.dumps([_SECRET, _SECRET])
    headers = {"x-signature": f"v0={_SECRET}", **({} if step == "verify" else {"fail-at": step})}

    _, answer = _take(_event(_encoded(body.encode()) if encoded else body, headers=headers, encoded=encoded), platform)

    written = log.text + capsys.readouterr().out + json.dumps(answer)
    assert log.text
    assert _SECRET not in written
    assert _encoded(body.encode())[:16] not in written


_texts = st.text(max_size=50)


@st.composite
def _any_events(draw: st.DrawFn) -> dict[str, Any]:
    """Every shape that API Gateway can give an event, and some that it cannot."""
    encoded = draw(st.booleans())
    plain = draw(st.one_of(_texts, st.sampled_from(['["hello"]', "{}", "[]", '"\\ud800"', "[" * 2000, "\ud800"])))
    event = _event(plain, headers=draw(st.dictionaries(_texts, _texts, max_size=4)), encoded=encoded)
    if encoded:
        event["body"] = draw(st.one_of(st.binary(max_size=60).map(_encoded), _texts))
    event["requestContext"] = draw(
        st.one_of(
            st.just(event["requestContext"]),
            st.none(),
            st.fixed_dictionaries(
                {},
                optional={
                    "requestId": _texts,
                    "http": st.fixed_dictionaries({}, optional={"method": _texts, "path": _texts}),
                },
            ),
        )
    )
    event["queryStringParameters"] = draw(st.none() | st.dictionaries(_texts, _texts, max_size=2))
    for name in draw(st.sets(st.sampled_from(sorted(event)))):
        if draw(st.booleans()):
            del event[name]
        elif name != "requestContext":
            event[name] = None
    return event


@given(event=_any_events())
def test_no_event_makes_it_raise(event: dict[str, Any]) -> None:
    platform = TinyPlatform()

    status, answer = _take(event, platform)

    assert status in {200, 400, 401, 413}
    assert status == 200 or set(answer) == {"error", "message"}
    assert status == 200 or platform.published == []


def test_a_signal_goes_to_its_own_queue() -> None:
    platform = TinyPlatform()

    assert _take(_event('["stop"]'), platform) == (200, None)

    assert platform.steps == ["verify", "parse", "publish signal"]
    assert [signal.kind for signal in platform.signals] == [SignalKind.STOP]


def test_a_queue_that_does_not_take_the_signal_makes_the_platform_send_again() -> None:
    platform = TinyPlatform(failure=RetryableError("queue-unavailable", "SQS answered 500"))

    status, _ = _take(_event('["stop"]', headers={"x-proof": "right", "fail-at": "publish"}), platform)

    assert status == 503
    assert platform.signals == []
