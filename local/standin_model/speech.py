"""Transcriptions on the wire: https://developers.openai.com/api/docs/guides/speech-to-text.

The stand-in hears nothing. A WAV file may carry its own words in a chunk `text`; any other recording gets a sentence
that says what arrived. Either way the transcript ends in words that say where it comes from.
"""

import hashlib
import struct
from dataclasses import dataclass
from email import message_from_bytes, policy

from local.standin_model.tokens import count_tokens
from local.standin_model.values import ApiError, JsonObject

_MARK = "[stand-in transcript]"
_BYTES_A_TOKEN = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """A request for a transcript."""

    model: str
    file_name: str
    data: bytes

    @property
    def transcript(self) -> str:
        """The words of the recording's chunk `text`, else what arrived."""
        said = _words(self.data)
        if said is None:
            said = f"A recording of {len(self.data)} bytes, {hashlib.sha256(self.data).hexdigest()[:8]}."
        return f"{said} {_MARK}" if said else ""

    @property
    def body(self) -> JsonObject:
        """What is on record of the request: no bytes."""
        return {"model": self.model, "file": {"name": self.file_name, "bytes": len(self.data)}}

    def answer(self) -> JsonObject:
        """The body of the answer."""
        taken, given = -(-len(self.data) // _BYTES_A_TOKEN), count_tokens(self.transcript)
        usage: JsonObject = {
            "type": "tokens",
            "input_tokens": taken,
            "output_tokens": given,
            "total_tokens": taken + given,
        }
        return {"text": self.transcript, "usage": usage}


def read(content_type: str, raw: bytes) -> Speech:
    """The request in a form.

    Raises:
        ApiError: It is no form, or has no model or no file.
    """
    head = f"content-type: {content_type}\r\n\r\n".encode()
    form = message_from_bytes(head + raw, policy=policy.HTTP)
    if not form.is_multipart():
        raise ApiError(400, "The body must be a form (multipart/form-data).")
    fields: dict[str, bytes] = {}
    file_name = ""
    for part in form.iter_parts():
        name = str(part.get_param("name", "", header="content-disposition"))
        content = part.get_payload(decode=True)
        fields[name] = content if isinstance(content, bytes) else b""
        file_name = part.get_filename() or file_name if name == "file" else file_name
    for name in ("model", "file"):
        if not fields.get(name):
            raise ApiError(400, f"The form needs '{name}'.", code="missing_required_parameter", param=name)
    return Speech(model=fields["model"].decode("utf-8", "replace"), file_name=file_name, data=fields["file"])


def make_recording(words: str) -> bytes:
    """A second of silence that says `words`, for tests and for people who try the stand-in."""
    return _riff(
        (b"fmt ", struct.pack("<HHIIHH", 1, 1, 8_000, 8_000, 1, 8)),
        (b"text", words.encode()),
        (b"data", b"\x80" * 8_000),
    )


def _riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body


def _words(data: bytes) -> str | None:
    place = 12
    while data.startswith(b"RIFF") and place + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, place)
        if name == b"text":
            return data[place + 8 : place + 8 + size].decode("utf-8", "replace").strip()
        place += 8 + size + size % 2
    return None
