"""JSON: one array of records, a record per line, in UTF-8."""

from collections.abc import Sequence
from typing import Final, Literal

import orjson

from importer.values import Record
from importer.writers import OutputField, StreamWriter


class _JsonArray:
    kind: Final[Literal["stream"]] = "stream"
    media_type: Final = "application/json"

    def head(self, fields: Sequence[OutputField]) -> bytes:
        return b"["

    def encode(self, records: Sequence[Record], fields: Sequence[OutputField], written: int) -> bytes:
        if not records:
            return b""
        return (b",\n" if written else b"\n") + b",\n".join(map(orjson.dumps, records))

    def tail(self, fields: Sequence[OutputField], written: int) -> bytes:
        return b"\n]\n" if written else b"]\n"


WRITER: Final[StreamWriter] = _JsonArray()
