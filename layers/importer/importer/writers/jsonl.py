"""JSON Lines: one record per line, in UTF-8."""

from collections.abc import Sequence
from typing import Final, Literal

import orjson

from importer.values import Record
from importer.writers import OutputField, StreamWriter, is_flat


class _JsonLines:
    kind: Final[Literal["stream"]] = "stream"
    media_type: Final = "application/x-ndjson"

    def head(self, fields: Sequence[OutputField]) -> bytes:
        return b""

    def encode(self, records: Sequence[Record], fields: Sequence[OutputField], written: int) -> bytes:
        if not records:
            return b""
        if not is_flat(fields):
            return b"".join([orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records])
        # All at once is many times faster. A quote inside a text is escaped: `},{"` is always between two records.
        return orjson.dumps(records)[1:-1].replace(b'},{"', b'}\n{"') + b"\n"

    def tail(self, fields: Sequence[OutputField], written: int) -> bytes:
        return b""


WRITER: Final[StreamWriter] = _JsonLines()
