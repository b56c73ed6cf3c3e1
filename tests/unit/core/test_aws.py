"""SQS and Secrets Manager without boto3: signed as botocore signs, tried again, refused in botocore's words."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from core.aws import Access, SmallClient, sign
from core.errors import PermanentError, RetryableError
from core.http import Answer, Http
from core.settings import Secrets, create_small_clients
from tests.aws_over_http import expected_signature, running_aws

_NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_QUEUE = "https://sqs.us-gov-west-1.amazonaws.com/123456789012/messages.fifo"


_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Secrets]:
    """Secrets Manager on moto behind HTTP, which holds one secret."""
    with mock_aws(), running_aws() as url:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "eu-central-1")
        boto3.client("secretsmanager").create_secret(Name="parley/test/secret", SecretString="the secret")
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        _, client = create_small_clients(_QUEUE)
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        yield Secrets(client=client)


class _Scripted(Http):
    """Answers what it is told, and notes what it was asked."""

    def __init__(self, *answers: Answer | RetryableError) -> None:
        super().__init__()
        self.answers = list(answers)
        self.urls: list[str] = []

    def request(self, method: str, url: str, **_: object) -> Answer:
        assert method == "POST"
        self.urls.append(url)
        answer = self.answers.pop(0)
        if isinstance(answer, RetryableError):
            raise answer
        return answer


def _answer(status: int, **fields: str) -> Answer:
    return Answer(status=status, headers={}, body=json.dumps(fields).encode())


def _client(http: Http, naps: list[float] | None = None) -> SmallClient:
    pauses: list[float] = [] if naps is None else naps
    return SmallClient(_access("", "key"), http, now=lambda: _NOW, sleep=pauses.append)


def _access(token: str, secret: str) -> Access:
    return Access(
        key_id="AKID",
        secret_key=secret,
        session_token=token,
        region="us-gov-west-1",
        sqs_url="https://sqs.us-gov-west-1.amazonaws.com",
        secrets_url="https://secretsmanager.us-gov-west-1.amazonaws.com",
    )


@given(body=st.binary(max_size=200), secret=_TEXT, token=st.just("") | _TEXT, target=_TEXT)
def test_a_call_is_signed_as_botocore_signs_it(body: bytes, secret: str, token: str, target: str) -> None:
    headers = {"content-type": "application/x-amz-json-1.0", "host": "sqs.example:4566", "x-amz-target": target}
    signed = sign(_access(token, secret), "sqs", headers, body, at=_NOW)
    assert signed["authorization"] == expected_signature(signed, body, "sqs", secret)
    assert signed.items() > headers.items()
    assert signed.get("x-amz-security-token", "") == token


def test_a_secret_is_read(secrets: Secrets) -> None:
    assert secrets.read("parley/test/secret") == "the secret"


def test_a_secret_that_is_not_there_is_told_as_boto3_tells_it(secrets: Secrets) -> None:
    with pytest.raises(PermanentError, match="ResourceNotFoundException"):
        secrets.read("parley/test/another")


def test_a_fault_that_passes_is_not_seen() -> None:
    naps: list[float] = []
    http = _Scripted(
        RetryableError("no-answer", "none"), _answer(400, __type="com.amazonaws.sqs#ThrottlingException"), _answer(200)
    )
    assert _client(http, naps).send_message(QueueUrl="q", MessageBody="b") == {}
    assert http.urls == ["https://sqs.us-gov-west-1.amazonaws.com/"] * 3
    assert naps == [0.1, 0.3]


def test_a_fault_that_stays_is_an_error() -> None:
    http = _Scripted(*[RetryableError("server-error", "503")] * 3)
    with pytest.raises(RetryableError, match="503"):
        _client(http).send_message(QueueUrl="q", MessageBody="b")
    assert http.answers == []


def test_a_refusal_is_not_tried_again() -> None:
    http = _Scripted(_answer(400, __type="com.amazonaws.sqs#QueueDoesNotExist", message="told to nobody"))
    with pytest.raises(ClientError) as caught:
        _client(http).send_message(QueueUrl="q", MessageBody="b")
    assert caught.value.response["Error"]["Code"] == "QueueDoesNotExist"
    assert "told" not in str(caught.value)


def test_the_secrets_are_in_the_same_part_of_aws_as_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    http = _Scripted(_answer(200, SecretString="the secret"), _answer(200))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr("core.settings.Http", lambda: http)
    sqs, secrets_manager = create_small_clients("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/messages.fifo")
    assert Secrets(client=secrets_manager).read("parley/test/secret") == "the secret"
    sqs.send_message(QueueUrl="q", MessageBody="b")
    hosts = ["secretsmanager.cn-north-1.amazonaws.com.cn", "sqs.cn-north-1.amazonaws.com.cn"]
    assert http.urls == [f"https://{host}/" for host in hosts]


def test_who_calls_is_not_shown() -> None:
    assert "hidden" not in repr(_access("hidden-token", "hidden-key"))
