"""What a file is, told from its bytes: real heads of each format, damaged ones, and bytes that mean nothing."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.media import Kind, decode_text, recognise
from local.standin_model.speech import make_recording

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 640, 480) + bytes(9)
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2\x00\x0b\x08" + struct.pack(">HH", 480, 640) + b"\x01\x01\x11\x00"
GIF = b"GIF89a" + struct.pack("<HH", 640, 480) + bytes(10)
WEBP_LOSSY = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640, 480)
WEBP_LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", 639 | 479 << 14)
WEBP_EXTENDED = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")
MP4 = b"\0\0\0\x18ftypM4A " + bytes(12) + b"\0\0\0\x6cmvhd" + struct.pack(">IIIII", 0, 0, 0, 1_000, 90_500)
MP4_LONG = b"\0\0\0\x18ftypmp42" + bytes(12) + b"mvhd\x01" + bytes(19) + struct.pack(">IQ", 1_000, 90_500)
OPUS = b"OggS\0\x02" + bytes(8) + b"OpusHead" + bytes(50) + b"OggS\0\x04" + struct.pack("<Q", 48_000 * 7)
VORBIS = b"OggS\0\x02" + bytes(8) + b"\x01vorbis\0\0\0\0\x01" + struct.pack("<I", 8_000) + b"OggS\0\x04"
MP3 = b"\xff\xfb\x90\x00" + bytes(15_996)  # 128 kbit/s
MP3_TAGGED = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + MP3


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (GIF, "image/gif"),
        (WEBP_LOSSY, "image/webp"),
        (WEBP_LOSSLESS, "image/webp"),
        (WEBP_EXTENDED, "image/webp"),
    ],
)
def test_a_picture_is_known_with_its_size_and_damaged_without(data: bytes, media_type: str) -> None:
    media = recognise(data)
    assert (media.kind, media.media_type, media.size) == (Kind.IMAGE, media_type, (640, 480))
    assert not media.is_damaged
    assert recognise(data[:14]).kind is Kind.IMAGE
    assert recognise(data[:14]).is_damaged or media_type == "image/gif"


@pytest.mark.parametrize(
    ("data", "media_type", "seconds"),
    [
        (make_recording("Hello."), "audio/wav", 1.0),
        (MP4, "audio/mp4", 90.5),
        (MP4_LONG, "audio/mp4", 90.5),
        (OPUS, "audio/ogg", 7.0),
        (VORBIS + struct.pack("<Q", 56_000), "audio/ogg", 7.0),
        (MP3, "audio/mpeg", 1.0),
        (MP3_TAGGED, "audio/mpeg", 1.0),
        (b"\x1a\x45\xdf\xa3webm", "audio/webm", None),
        (b"fLaC" + bytes(30), "audio/flac", None),
        (b"ID3", "audio/mpeg", None),
        (b"OggS", "audio/ogg", None),
        (b"RIFF\0\0\0\0WAVE", "audio/wav", None),
    ],
)
def test_a_recording_is_known_with_its_length_where_it_says_one(
    data: bytes, media_type: str, seconds: float | None
) -> None:
    media = recognise(data)
    assert (media.kind, media.media_type) == (Kind.AUDIO, media_type)
    assert media.seconds == (pytest.approx(seconds) if seconds is not None else None)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", Kind.EMPTY),
        (b"%PDF-1.7", Kind.PDF),
        (b"PK\x03\x04" + bytes(100), Kind.UNKNOWN),
        (b"\x1f\x8b\x08" + bytes(range(256)), Kind.UNKNOWN),
        (b"\0\0\0\x18ftypheic" + bytes(20), Kind.UNKNOWN),
        (b"\0\0\0\0", Kind.UNKNOWN),
        (b"<svg xmlns='x'/>", Kind.TEXT),
        (b"print('hello')\n", Kind.TEXT),
    ],
)
def test_everything_else_is_told_apart(data: bytes, kind: Kind) -> None:
    assert recognise(data).kind is kind


def test_a_picture_of_too_many_pixels_is_vast() -> None:
    assert recognise(PNG.replace(struct.pack(">II", 640, 480), struct.pack(">II", 65_000, 2))).is_vast
    assert recognise(PNG.replace(struct.pack(">II", 640, 480), struct.pack(">II", 15_000, 15_000))).is_vast
    assert not recognise(PNG).is_vast


@given(st.text(alphabet=st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1))
def test_every_text_survives_utf8_and_utf16(text: str) -> None:
    assert decode_text(text.encode()) == text.removeprefix("\ufeff")
    assert decode_text(text.encode("utf-16")) == text


@given(st.binary(max_size=300), st.sampled_from([b"", PNG[:20], JPEG[:6], GIF[:6], MP4[:20], b"OggS", b"ID3", b"RIFF"]))
def test_no_bytes_break_it(data: bytes, head: bytes) -> None:
    recognise(head + data)
