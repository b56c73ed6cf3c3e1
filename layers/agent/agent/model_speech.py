"""A recording that the model API is asked to write down, and what comes back.

https://developers.openai.com/api/docs/guides/speech-to-text. The usage is in tokens or in seconds, by model; servers
that only follow the API send none.
"""

import json
from dataclasses import dataclass

from agent.model_json import Json, JsonObject, as_object, as_text
from core.errors import RetryableError
from core.models import Usage

_EXTENSIONS = {
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/webm": "webm",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is to be written down, and by which model."""

    model: str
    data: bytes
    media_type: str

    @property
    def form(self) -> tuple[str, bytes, str]:
        """Name, bytes and media type as the form wants them: the API tells the format from the name's end."""
        return f"recording.{_EXTENSIONS.get(self.media_type, 'mp3')}", self.data, self.media_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What was understood of a recording.

    Attributes:
        text: The words; empty where there were none.
        usage: The tokens that it took; None where the server counts none.
        seconds: What the server bills by, where it bills by time.
    """

    text: str
    usage: Usage | None = None
    seconds: float | None = None


def read_transcript(body: bytes) -> Transcript:
    """The transcript in an answer.

    Raises:
        RetryableError: The answer holds none.
    """
    try:
        answer = as_object(json.loads(body))
    except (ValueError, RecursionError):
        answer = {}
    if not isinstance(answer.get("text"), str):
        raise RetryableError("model-stream-broken", "the model API's answer holds no transcript")
    usage = as_object(answer.get("usage"))
    seconds = usage.get("seconds")
    return Transcript(
        text=as_text(answer["text"]).strip(),
        usage=_read_usage(usage),
        seconds=float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None,
    )


def _read_usage(usage: JsonObject) -> Usage | None:
    taken, given = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    if taken is None or given is None:
        return None
    return Usage(input_tokens=taken, output_tokens=given, total_tokens=taken + given)


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
