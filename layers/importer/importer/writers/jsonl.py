"""JSON Lines: one record per line, in UTF-8."""

from collections.abc import Sequence
from typing import Final, Literal

import orjson

from importer.values import Record
from importer.writers import OutputField, StreamWriter


class _JsonLines:
    kind: Final[Literal["stream"]] = "stream"
    media_type: Final = "application/x-ndjson"

    def head(self, fields: Sequence[OutputField]) -> bytes:
        return b""

    def encode(self, records: Sequence[Record], fields: Sequence[OutputField], written: int) -> bytes:
        if not records:
            return b""
        return b"\n".join([*map(orjson.dumps, records), b""])

    def tail(self, fields: Sequence[OutputField], written: int) -> bytes:
        return b""


WRITER: Final[StreamWriter] = _JsonLines()
