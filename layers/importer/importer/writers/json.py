"""JSON: one array of records, a record per line, in UTF-8."""

from collections.abc import Sequence
from typing import Final, Literal

import orjson

from importer.values import Record
from importer.writers import OutputField, StreamWriter, is_flat


class _JsonArray:
    kind: Final[Literal["stream"]] = "stream"
    media_type: Final = "application/json"

    def head(self, fields: Sequence[OutputField]) -> bytes:
        return b"["

    def encode(self, records: Sequence[Record], fields: Sequence[OutputField], written: int) -> bytes:
        if not records:
            return b""
        start = b",\n" if written else b"\n"
        if not is_flat(fields):
            return start + b",\n".join([orjson.dumps(record) for record in records])
        # A quote inside a text is escaped: `},{"` is always between two records.
        return start + orjson.dumps(records)[1:-1].replace(b'},{"', b'},\n{"')

    def tail(self, fields: Sequence[OutputField], written: int) -> bytes:
        return b"\n]\n" if written else b"]\n"


WRITER: Final[StreamWriter] = _JsonArray()
