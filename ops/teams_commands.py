"""Commands about the app in Microsoft Teams: the package that a tenant's administrator uploads."""

import json
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import typer

from ops import PROJECT, show

_MANIFEST = PROJECT / "teams" / "manifest.json"
_APP_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COLOUR_SIZE = 192  # pixels, as Teams wants it
_OUTLINE_SIZE = 32
_GREEN = (47, 93, 98, 255)
_WHITE = (255, 255, 255, 255)
_CLEAR = (255, 255, 255, 0)

type Pixel = tuple[int, int, int, int]

teams = typer.Typer(help="The app in Microsoft Teams.", no_args_is_help=True)


@teams.callback()
def _teams() -> None:
    """Keep `package` a command of its own, alone as it is."""


@teams.command("package")
def write_package(
    app_id: Annotated[str, typer.Option(help="Application (client) id of the bot's registration.")],
    url: Annotated[str, typer.Option(help="The stack's output ApiUrl.")],
    site: Annotated[
        str, typer.Option(help="Host of your company's site; /privacy and /terms there are what people are shown.")
    ] = "example.com",
    output: Annotated[Path, typer.Option(help="Where to.")] = Path("parley-teams.zip"),
) -> None:
    """Write the app package: the manifest and its two icons."""
    app_id, host = app_id.lower(), urlsplit(url).hostname or ""
    if not _APP_ID.fullmatch(app_id):
        raise typer.BadParameter("that is no application id", param_hint="--app-id")
    if urlsplit(url).scheme != "https" or not host:
        raise typer.BadParameter("Teams calls https alone", param_hint="--url")
    names = {"YOUR-APP-ID": app_id, "YOUR-API": host, "YOUR-SITE": site}
    text = _MANIFEST.read_text(encoding="utf-8")
    for name, value in names.items():
        text = text.replace(name, value)
    files = {
        "manifest.json": json.dumps(json.loads(text), indent=2, ensure_ascii=False).encode(),
        "color.png": draw_icon(_COLOUR_SIZE, _WHITE, _GREEN),
        "outline.png": draw_icon(_OUTLINE_SIZE, _WHITE, _CLEAR),
    }
    with ZipFile(output, "w", ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(ZipInfo(name), content, ZIP_DEFLATED)  # without a time: the same content, the same file
    show.say(f"{output} written: upload it in the Teams admin center, or in Teams under Apps")


def draw_icon(size: int, ink: Pixel, ground: Pixel) -> bytes:
    """A speech bubble with three dots as a PNG."""
    is_bubble = _bubble(size)
    rows = (b"\0" + b"".join(bytes(ink if is_bubble(x, y) else ground) for x in range(size)) for y in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)  # 8 bits of red, green, blue and opacity each
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _bubble(size: int) -> Callable[[int, int], bool]:
    unit = size / 32

    def is_ink(x: int, y: int) -> bool:
        across, down = x / unit, y / unit
        if any((across - dot) ** 2 + (down - 14) ** 2 < 2.6 for dot in (10.5, 16, 21.5)):
            return False
        is_round = ((across - 16) / 12) ** 2 + ((down - 14) / 9) ** 2 < 1
        return is_round or (8 < across < 13 and 20 < down < 28 - (across - 8))

    return is_ink
