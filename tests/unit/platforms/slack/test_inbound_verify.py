"""Only what Slack signed, lately, comes in."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PermanentError, RequestRejectedError
from core.platforms.slack.inbound import build
from local.fake_slack import payloads
from tests.unit.platforms.slack.requests import EVENT_FILES, NOW, SECRET, from_file, request_of, signed

_BODY = b'{"type":"event_callback","secret":"of the person"}'
_inbound = build(lambda: SECRET)


def _code_of(headers: dict[str, str], body: bytes = _BODY) -> str:
    with pytest.raises(RequestRejectedError) as caught:
        _inbound.verify(request_of(body, headers), NOW)
    assert caught.value.status == 401
    assert "person" not in str(caught.value)
    for value in headers.values():
        assert len(value) < 20 or value not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("name", EVENT_FILES)
def test_signed_events_pass(name: str) -> None:
    _inbound.verify(from_file(name), NOW)


def test_bytes_that_are_no_text_are_verified_as_they_are() -> None:
    _inbound.verify(signed(b"\xff\x00{"), NOW)


@pytest.mark.parametrize("seconds", [-300, 300])
def test_signature_is_good_for_five_minutes(seconds: float) -> None:
    _inbound.verify(signed(_BODY, at=NOW.timestamp() + seconds), NOW)


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 10**9])
def test_stale_signature_is_refused(seconds: float) -> None:
    headers = payloads.sign(SECRET, _BODY, NOW.timestamp() + seconds)
    assert _code_of(headers) == "signature-stale"


def test_forged_signature_is_refused() -> None:
    assert _code_of(payloads.sign("another secret", _BODY, NOW.timestamp())) == "signature-wrong"


def test_changed_body_is_refused() -> None:
    assert _code_of(payloads.sign(SECRET, _BODY, NOW.timestamp()), _BODY + b" ") == "signature-wrong"


@pytest.mark.parametrize("missing", ["X-Slack-Signature", "X-Slack-Request-Timestamp"])
def test_unsigned_request_is_refused(missing: str) -> None:
    headers = payloads.sign(SECRET, _BODY, NOW.timestamp())
    del headers[missing]
    assert _code_of(headers) == "signature-missing"
    assert _code_of({**headers, missing: ""}) == "signature-missing"


@pytest.mark.parametrize("prefix", ["", "v1=", "V0=", "v0", "v0=v0="])
def test_signature_of_another_version_is_refused(prefix: str) -> None:
    headers = payloads.sign(SECRET, _BODY, NOW.timestamp())
    headers["X-Slack-Signature"] = prefix + headers["X-Slack-Signature"].removeprefix("v0=")
    assert _code_of(headers) == "signature-wrong"


@pytest.mark.parametrize(
    "time", ["nan", "inf", "1e9", "-1767268800", "1767268800.0", " 1767268800", "١٧٦٧", "²", "9" * 400]
)
def test_time_that_is_no_time_is_refused(time: str) -> None:
    headers = payloads.sign(SECRET, _BODY, NOW.timestamp())
    headers["X-Slack-Request-Timestamp"] = time
    assert _code_of(headers) == "signature-malformed"


@given(st.text(min_size=1))
def test_any_signature_that_is_not_the_right_one_is_refused(signature: str) -> None:
    headers = payloads.sign(SECRET, _BODY, NOW.timestamp())
    with pytest.raises(RequestRejectedError):
        _inbound.verify(request_of(_BODY, {**headers, "X-Slack-Signature": signature}), NOW)


@pytest.mark.parametrize("signature", ["v0=é", "v0=\udcff", "v0=☃" * 30])
def test_signature_beyond_ascii_is_refused_and_no_accident(signature: str) -> None:
    headers = payloads.sign(SECRET, _BODY, NOW.timestamp())
    assert _code_of({**headers, "X-Slack-Signature": signature}) == "signature-wrong"


def test_secret_is_asked_for_at_every_check_and_only_where_it_is_needed() -> None:
    asked: list[int] = []

    def secret() -> str:
        asked.append(1)
        return SECRET

    inbound = build(secret)
    assert asked == []
    with pytest.raises(RequestRejectedError):
        inbound.verify(request_of(_BODY), NOW)
    assert asked == []
    inbound.verify(signed(_BODY), NOW)
    inbound.verify(signed(_BODY), NOW)
    assert len(asked) == 2


def test_empty_secret_lets_nobody_in() -> None:
    with pytest.raises(PermanentError) as caught:
        build(lambda: "").verify(signed(_BODY, secret=""), NOW)
    assert caught.value.code == "signing-secret-missing"


def test_signature_is_checked_before_the_body_is_looked_at() -> None:
    request = replace(signed(b"{" * 100_000), headers={})
    with pytest.raises(RequestRejectedError) as caught:
        _inbound.verify(request, NOW)
    assert caught.value.status == 401


def test_inbound_half_imports_neither_the_outbound_half_nor_http() -> None:
    code = "import sys, core.platforms.slack.inbound; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": "layers/core"})
    assert "core.platforms.slack.inbound" in loaded.stdout.split()
    for name in ("format", "reply", "api", "adapter", "split", "thread", "inline"):
        assert f"core.platforms.slack.{name}" not in loaded.stdout.split()
