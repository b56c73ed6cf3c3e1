"""Transcripts from the stand-in over real HTTP, answers that are none, errors by kind, and what they cost."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from agent.model import OpenAIModel
from agent.model_speech import Recording, Transcript, read_transcript
from agent.prices import cost_of_seconds
from core.errors import PermanentError, RetryableError, ServiceError
from core.models import Usage
from local.standin_model import Behaviour, StandInModel
from local.standin_model.speech import make_recording
from tests.unit.agent.model_server import unused_port

WORDS = "Où est la gare ?"


@pytest.fixture
def server() -> Iterator[StandInModel]:
    with StandInModel() as running:
        yield running


def recording(data: bytes = make_recording(WORDS), media_type: str = "audio/wav") -> Recording:
    return Recording(model="gpt-transcribe", data=data, media_type=media_type)


def transcribe(base_url: str, asked: Recording | None = None, *, seconds: float = 10) -> Transcript:
    model = OpenAIModel(api_key=lambda: "key", base_url=base_url)
    try:
        return model.transcribe(asked or recording(), seconds=seconds)
    finally:
        model.close()


def test_a_recording_is_written_down_with_what_it_took(server: StandInModel) -> None:
    transcript = transcribe(server.base_url)
    assert transcript.text == f"{WORDS} [stand-in transcript]"
    assert transcript.usage is not None
    assert transcript.usage.total_tokens == transcript.usage.input_tokens + transcript.usage.output_tokens > 0
    (asked,) = server.requests
    assert asked.path == "/v1/audio/transcriptions"
    assert asked.headers["authorization"] == "Bearer key"
    assert asked.body == {"model": "gpt-transcribe", "file": {"name": "recording.wav", "bytes": len(recording().data)}}


@pytest.mark.parametrize(("media_type", "name"), [("audio/mp4", "recording.m4a"), ("audio/ogg", "recording.ogg")])
def test_the_format_is_told_by_the_files_name(server: StandInModel, media_type: str, name: str) -> None:
    data = b"\r\n--not-a-boundary\r\n" + bytes(range(256))
    assert f"{len(data)} bytes" in transcribe(server.base_url, recording(data, media_type)).text
    assert server.requests[0].body["file"] == {"name": name, "bytes": len(data)}


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        (Behaviour(when="speech:", fail_status=404), PermanentError, "model-unknown"),
        (Behaviour(when="speech:", fail_status=400), PermanentError, "model-request"),
        (Behaviour(when="speech:", fail_status=401), PermanentError, "model-unauthorized"),
        (Behaviour(when="speech:", fail_status=500), RetryableError, "model-unavailable"),
        (Behaviour(when="speech:", retry_after=3), RetryableError, "model-rate-limited"),
        (Behaviour(when="speech:", hang_up=True), RetryableError, "model-unreachable"),
        (Behaviour(when="speech:", slow_seconds=5), RetryableError, "model-timeout"),
    ],
)
def test_each_failure_is_an_error_of_ours(
    server: StandInModel, behaviour: Behaviour, kind: type[ServiceError], code: str
) -> None:
    server.script(behaviour)
    with pytest.raises(kind) as raised:
        transcribe(server.base_url, seconds=0.5 if behaviour.slow_seconds else 10)
    assert raised.value.code == code
    assert len(server.requests) == 1


def test_nobody_listens() -> None:
    with pytest.raises(RetryableError) as raised:
        transcribe(f"http://127.0.0.1:{unused_port()}/v1")
    assert raised.value.code == "model-unreachable"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"text": " Hello. "}, Transcript(text="Hello.")),
        ({"text": ""}, Transcript(text="")),
        (
            {"text": "Hi", "usage": {"type": "tokens", "input_tokens": 7, "output_tokens": 2, "total_tokens": 9}},
            Transcript(text="Hi", usage=Usage(input_tokens=7, output_tokens=2, total_tokens=9)),
        ),
        ({"text": "Hi", "usage": {"type": "duration", "seconds": 4.5}}, Transcript(text="Hi", seconds=4.5)),
        ({"text": "Hi", "usage": {"input_tokens": -1, "output_tokens": "x", "seconds": -2}}, Transcript(text="Hi")),
        ({"text": "Hi", "usage": None}, Transcript(text="Hi")),
    ],
)
def test_every_form_of_an_answer_is_read(answer: dict[str, Any], expected: Transcript) -> None:
    assert read_transcript(json.dumps(answer).encode()) == expected


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"text": 5}', b"[" * 100_000])
def test_an_answer_without_a_transcript_is_tried_again(body: bytes) -> None:
    with pytest.raises(RetryableError):
        read_transcript(body)


def test_a_recording_costs_by_its_length() -> None:
    assert cost_of_seconds("gpt-transcribe", 60) == Decimal("0.0045")
    assert cost_of_seconds("whisper-1", 30.5) == Decimal("0.00305")
    assert cost_of_seconds("ours", 60) is None
