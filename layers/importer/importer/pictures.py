"""What can be seen of an image without decoding it: its type and its size, from the first bytes."""

import struct
from pathlib import PurePosixPath

MAX_BYTES = 20 * 1024 * 1024  # what vision models take
_HEAD = 256 * 1024
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
_NO_SIZE = frozenset((0xC4, 0xC8, 0xCC))  # JPEG's markers among the frames that are none


def media_type_of(name: str) -> str:
    """The type of an image by its name; empty where models do not look at such."""
    return _TYPES.get(PurePosixPath(name).suffix.lower().lstrip("."), "")


def identify(head: bytes) -> str:
    """The type of an image by its first bytes; empty where it is none that models look at."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        return "image/gif"
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def measure(head: bytes) -> tuple[int, int]:
    """Width and height by the first bytes; zeros where they do not say."""
    try:
        match identify(head):
            case "image/png":
                width, height = struct.unpack_from(">2I", head, 16)
            case "image/gif":
                width, height = struct.unpack_from("<2H", head, 6)
            case "image/jpeg":
                return _measure_jpeg(head[:_HEAD])
            case "image/webp":
                return _measure_webp(head)
            case _:
                return 0, 0
    except struct.error:
        return 0, 0
    return width, height


def _measure_jpeg(head: bytes) -> tuple[int, int]:
    place = 2
    while place + 9 < len(head):
        if head[place] != 0xFF:
            return 0, 0
        marker = head[place + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            height, width = struct.unpack_from(">2H", head, place + 5)
            return width, height
        place += 2 + int.from_bytes(head[place + 2 : place + 4]) if marker not in (0xFF, 0x01) else 1
    return 0, 0


def _measure_webp(head: bytes) -> tuple[int, int]:
    match head[12:16]:
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<2H", head, 26)
            return width & 0x3FFF, height & 0x3FFF
    return 0, 0
