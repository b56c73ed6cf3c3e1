"""What a file is, told from its bytes and never from its name: a picture, a recording, a text, or something else."""

import codecs
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

_LARGEST_SIDE = 16_000  # pixels
_MOST_PIXELS = 50_000_000  # no camera's picture has more; unpacked this is 200 MB
_MP3_KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_MP3_KILOBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_OPUS_RATE = 48_000
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"iso", b"mp4", b"dash", b"3gp", b"qt")
_UTF16_SHARE = 0.3  # of every second byte: so many are zero in a text of a European language
_CONTROLS = dict.fromkeys(set(range(32)) - set(b"\t\n\v\f\r\x1b"))
_MOST_CONTROLS = 0.005
_MOST_SEGMENTS = 10_000  # of a picture's or a recording's head


class Kind(StrEnum):
    """What can be done with a file."""

    EMPTY = "empty"
    IMAGE = "image"
    AUDIO = "audio"
    PDF = "pdf"
    TEXT = "text"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What a file turned out to be.

    Attributes:
        size: Of a picture: width and height in pixels; None where its head is damaged.
        seconds: Of a recording, as far as its own head says it; None where it does not.
        text: Of a text: what is written.
    """

    kind: Kind
    media_type: str = ""
    size: tuple[int, int] | None = None
    seconds: float | None = None
    text: str = ""

    @property
    def is_damaged(self) -> bool:
        """Whether this is a picture that says no size of its own."""
        return self.kind is Kind.IMAGE and (self.size is None or 0 in self.size)

    @property
    def is_vast(self) -> bool:
        """Whether this is a picture of more pixels than anybody's camera takes."""
        width, height = self.size or (0, 0)
        return max(width, height) > _LARGEST_SIDE or width * height > _MOST_PIXELS


def recognise(data: bytes) -> Media:
    """What these bytes are. Whatever they hold, this ends quickly and raises nothing."""
    if not data:
        return Media(kind=Kind.EMPTY)
    if media_type := _image_type(data):
        return Media(kind=Kind.IMAGE, media_type=media_type, size=_measure(_SIZES[media_type], data))
    if data.startswith(b"%PDF-"):
        return Media(kind=Kind.PDF, media_type="application/pdf")
    if media_type := _audio_type(data):
        seconds = _measure(_SECONDS[media_type], data) if media_type in _SECONDS else None
        return Media(kind=Kind.AUDIO, media_type=media_type, seconds=seconds)
    text = decode_text(data)
    return Media(kind=Kind.UNKNOWN) if text is None else Media(kind=Kind.TEXT, media_type="text/plain", text=text)


def _measure[T](read: Callable[[bytes], T], data: bytes) -> T | None:
    try:
        return read(data)
    except (struct.error, IndexError, ZeroDivisionError, StopIteration):
        return None


# Pictures


def _image_type(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if data.startswith(b"RIFF") and data[8:12] == b"WEBP" else ""


def _png_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _gif_size(data: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 6)
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """From the frame's head, which stands behind segments that say their own length."""
    place = 2
    for _ in range(_MOST_SEGMENTS):
        if data[place] == data[place + 1] == 0xFF:  # a fill byte
            place += 1
            continue
        marker, length = struct.unpack_from(">xBH", data, place)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        if data[place] != 0xFF or marker == 0xDA or length < 2:
            break
        place += 2 + length
    raise IndexError


def _webp_size(data: bytes) -> tuple[int, int]:
    match data[12:16]:
        case b"VP8X":
            return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
    raise IndexError


_SIZES = {"image/png": _png_size, "image/jpeg": _jpeg_size, "image/gif": _gif_size, "image/webp": _webp_size}


# Recordings


def _audio_type(data: bytes) -> str:
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
        return "audio/wav"
    if data.startswith(b"OggS"):
        return "audio/ogg"
    if data.startswith(b"fLaC"):
        return "audio/flac"
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return "audio/webm"
    if data[4:8] == b"ftyp" and data[8:12].startswith(_SOUND_BRANDS):
        return "audio/mp4"
    is_frame = len(data) > 3 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2 and data[2] >> 4 not in (0, 15)
    return "audio/mpeg" if data.startswith(b"ID3") or is_frame else ""


def _wav_seconds(data: bytes) -> float:
    chunks = {name: (place, size) for name, place, size in _riff_chunks(data)}
    (bytes_a_second,) = struct.unpack_from("<I", data, chunks[b"fmt "][0] + 8) if b"fmt " in chunks else (0,)
    size = min(chunks[b"data"][1], len(data)) if b"data" in chunks else len(data)
    return size / int(bytes_a_second)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    place = 12
    for _ in range(_MOST_SEGMENTS):
        if place + 8 > len(data):
            return
        name, size = struct.unpack_from("<4sI", data, place)
        yield name, place + 8, size
        place += 8 + size + size % 2


def _mp4_seconds(data: bytes) -> float:
    place = data.find(b"mvhd")
    if place < 0:
        raise IndexError
    is_long = data[place + 4] == 1
    unit, length = struct.unpack_from(">IQ" if is_long else ">II", data, place + (24 if is_long else 16))
    seconds: float = length / unit
    return seconds


def _ogg_seconds(data: bytes) -> float:
    """The last page says how many samples came so far."""
    place = data.rfind(b"OggS")
    (samples,) = struct.unpack_from("<Q", data, place + 6)
    vorbis = data.find(b"\x01vorbis", 0, 200)
    rate = struct.unpack_from("<I", data, vorbis + 12)[0] if vorbis >= 0 else _OPUS_RATE
    seconds: float = samples / rate
    return seconds


def _mp3_seconds(data: bytes) -> float:
    """As if all of it were as dense as its first frame."""
    place = 0
    if data.startswith(b"ID3"):
        sizes = data[6:10]
        place = 10 + (sizes[0] << 21 | sizes[1] << 14 | sizes[2] << 7 | sizes[3])
    is_first_version = data[place + 1] & 0x18 == 0x18
    kilobits = (_MP3_KILOBITS if is_first_version else _MP3_KILOBITS_2)[data[place + 2] >> 4]
    return (len(data) - place) * 8 / (kilobits * 1000)


_SECONDS = {
    "audio/wav": _wav_seconds,
    "audio/mp4": _mp4_seconds,
    "audio/ogg": _ogg_seconds,
    "audio/mpeg": _mp3_seconds,
}


# Texts


def decode_text(data: bytes) -> str | None:
    """The text in UTF-8, UTF-16 or Windows-1252 with lines that end in a newline; None where this is no text."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return _decode(data, encoding)
    if b"\0" in data:
        return _decode(data, _guess_utf16(data))
    text = _decode(data, "utf-8")
    return text if text is not None else _decode(data, "cp1252")


def _guess_utf16(data: bytes) -> str:
    """Without a mark: every second byte of a text is zero, on the high ones' side. Else what cannot decode it."""
    half = max(len(data) // 2, 1)
    if data[1::2].count(0) / half > _UTF16_SHARE:
        return "utf-16-le"
    return "utf-16-be" if data[0::2].count(0) / half > _UTF16_SHARE else "ascii"


def _decode(data: bytes, encoding: str) -> str | None:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    plain = text.translate(_CONTROLS)
    if len(text) - len(plain) > len(text) * _MOST_CONTROLS:
        return None
    return plain.replace("\r\n", "\n").replace("\r", "\n")
