"""Which models an import asks, and what they cost: the company's own configuration says it, where there is one."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from agent.model import OpenAIModel
from agent.model_speech import Recording, Transcript
from core.configuration import Settings
from core.imports import ImportStatus
from core.models import ApiKind, Usage
from local.standin_model.speech import make_recording
from tests.integration.imports.stack import COMPANY, USER, Imports

_ODD = {
    "record": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "shoe": {"type": "string"}},
        "required": ["name", "shoe"],
    }
}


def _configure(imports: Imports, *, model: str = "gpt-6-luna", transcription_model: str | None = "whisper-1") -> None:
    settings = Settings(
        id="default",
        company_id=COMPANY,
        version=1,
        name="Own",
        model=model,
        api_kind=ApiKind.CHAT,
        prompt="You help.",
        transcription_model=transcription_model,
        created_at=datetime.now(UTC),
    )
    imports.store.directory.put_settings(settings)


def _hear(monkeypatch: pytest.MonkeyPatch, transcript: Transcript) -> list[Recording]:
    heard: list[Recording] = []

    def transcribe(_self: OpenAIModel, recording: Recording, *, seconds: float) -> Transcript:
        assert seconds > 0
        heard.append(recording)
        return transcript

    monkeypatch.setattr(OpenAIModel, "transcribe", transcribe)
    return heard


def test_the_model_of_the_companys_settings_is_asked(imports: Imports) -> None:
    imports.add_template(_ODD)
    _configure(imports)

    imports.run("Name;Column A\nAda;38\n", metadata={"template": "contacts"})

    (asked,) = imports.model.requests
    assert asked.path.endswith("/chat/completions")
    assert asked.body["model"] == "gpt-6-luna"


def test_without_settings_the_model_of_the_deployment_is_asked(imports: Imports) -> None:
    imports.add_template(_ODD)

    imports.run("Name;Column A\nAda;38\n", metadata={"template": "contacts"})

    (asked,) = imports.model.requests
    assert asked.path.endswith("/responses")
    assert asked.body["model"] == "stand-in"


def test_a_recordings_seconds_are_counted_into_the_imports_cost(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    _configure(imports)
    heard = _hear(monkeypatch, Transcript(text="Ada is 36.", seconds=30.0))

    done = imports.run(make_recording("Ada is 36."), "note.wav")

    assert done.processing_status is ImportStatus.COMPLETED, done.error_message
    assert [each.model for each in heard] == ["whisper-1"]
    assert done.cost == Decimal("0.003")
    assert done.total_tokens == 0
    today = datetime.now(UTC).date()
    assert imports.store.day_usage(COMPANY, USER, today).cost == Decimal("0.003")


def test_a_recordings_tokens_are_counted_into_the_imports_cost(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    _configure(imports, transcription_model="gpt-4o-transcribe")
    usage = Usage(input_tokens=1000, output_tokens=100, total_tokens=1100)
    _hear(monkeypatch, Transcript(text="Ada is 36.", usage=usage))

    done = imports.run(make_recording("Ada is 36."), "note.wav")

    assert (done.total_input_tokens, done.total_output_tokens, done.total_tokens) == (1000, 100, 1100)
    assert done.cost == Decimal("0.0035")


def test_a_recording_without_a_price_leaves_the_cost_unknown(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    _configure(imports, transcription_model="our-own")
    _hear(monkeypatch, Transcript(text="Ada is 36.", seconds=30.0))

    done = imports.run(make_recording("Ada is 36."), "note.wav")

    assert done.processing_status is ImportStatus.COMPLETED, done.error_message
    assert done.cost is None


def test_where_the_settings_name_nobody_to_listen_a_recording_is_refused(imports: Imports) -> None:
    _configure(imports, transcription_model=None)

    done = imports.run(make_recording("Ada is 36."), "note.wav")

    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "no-provider")
