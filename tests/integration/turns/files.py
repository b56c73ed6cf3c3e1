"""Files that people attach, for tests: real bytes of each kind, and a message that brings them."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from local.fake_slack import payloads
from local.fake_slack.demo import DEMO
from local.fake_slack.state import File
from local.standin_model import RecordedRequest
from local.standin_model.speech import make_recording
from tests.integration.turns.stack import Record, Stack

_numbers = count(1)

GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
ZIP = b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + bytes(range(256))


def png(width: int = 2, height: int = 2, *, padding: int = 0) -> bytes:
    """A grey picture; `padding` makes it heavier."""
    rows = b"".join(b"\0" + b"\x80" * min(width, 64) for _ in range(min(height, 64)))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"tEXt", b"Comment\0" + b"x" * padding),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg(width: int = 2, height: int = 2) -> bytes:
    """The head of a picture, with a comment before the size."""
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xfe\x00\x06abcd\xff\xc0" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file as somebody names it; `size` is what Slack is made to claim."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"
    size: int | None = None


def recording(words: str, name: str = "voice.wav") -> Upload:
    """A voice note that the stand-in can hear."""
    return Upload(name=name, content=make_recording(words), media_type="audio/wav")


def send(stack: Stack, text: str, *uploads: Upload) -> Record:
    """A person writes to the assistant directly and attaches these; the message as the queue has it."""
    envelope = payloads.file_share(text, upload(stack, uploads))
    return _say(stack, text, envelope)


def mention(stack: Stack, text: str, *uploads: Upload) -> tuple[str, Record]:
    """A person mentions the assistant in a channel and attaches these; the thread, and the message on the queue."""
    envelope = payloads.mention(text)
    event: dict[str, Any] = {**envelope["event"], "files": upload(stack, uploads)}
    return event["ts"], _say(stack, text, {**envelope, "event": event})


def upload(stack: Stack, uploads: Sequence[Upload]) -> list[dict[str, object]]:
    """The files as Slack shows them in a message."""
    files = []
    for each in uploads:
        file = File(f"F{next(_numbers):06}", DEMO.team_id, each.name, each.media_type, each.content)
        shown = stack.slack.add_file(file)
        shown["url_private"] = shown["url_private_download"] = f"{stack.slack.url}/files-pri/{file.team}-{file.id}/x"
        files.append(shown | ({"size": each.size} if each.size is not None else {}))
    return files


def _say(stack: Stack, text: str, envelope: Mapping[str, Any]) -> Record:
    event = envelope["event"]
    stack.slack.post_as(DEMO.user_id, text, channel=event["channel"], ts=event["ts"])
    assert stack.post(envelope)["statusCode"] == 200
    (record,) = stack.receive()
    return record


def answers(stack: Stack) -> list[str]:
    """What the assistant said in the direct message."""
    return [m.text for m in stack.slack.messages(DEMO.dm_channel_id) if m.user == DEMO.bot_user_id]


def downloads(stack: Stack) -> int:
    """How often a file was asked of Slack."""
    return len(stack.slack.calls_to("url_private"))


def asked(stack: Stack) -> list[RecordedRequest]:
    """The requests for an answer."""
    return [each for each in stack.model.requests if "audio" not in each.path]


def heard(stack: Stack) -> list[RecordedRequest]:
    """The requests for a transcript."""
    return [each for each in stack.model.requests if "audio" in each.path]
