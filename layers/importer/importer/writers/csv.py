"""CSV after RFC 4180, in UTF-8 with a header; what a spreadsheet would run is made harmless."""

import csv
import io
import re
from collections.abc import Sequence
from typing import Final, Literal

import orjson

from importer.values import Record
from importer.writers import OutputField, StreamWriter

# https://owasp.org/www-community/attacks/CSV_Injection: what a spreadsheet takes for a formula.
_RUNS = ("=", "+", "-", "@", "\t", "\r")
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?")
# Where lists are separated by semicolons (most of Europe), a spreadsheet cuts at them instead of at commas, and at the
# ends of lines that are inside of a cell: what stands behind begins a cell of its own.
_BEGINS = re.compile(r"""([;\t\r\n]"*)(?=[=+@-])(?![+-](?:\d+(?:[.,]\d+)*|[.,]\d+)\s*(?:[;\t\r\n"]|$))""")


class _Csv:
    kind: Final[Literal["stream"]] = "stream"
    media_type: Final = "text/csv; charset=utf-8"

    def head(self, fields: Sequence[OutputField]) -> bytes:
        return _write([[_as_cell(field.name) for field in fields]])

    def encode(self, records: Sequence[Record], fields: Sequence[OutputField], written: int) -> bytes:
        names = [field.name for field in fields]
        return _write([[_as_cell(record.get(name)) for name in names] for record in records])

    def tail(self, fields: Sequence[OutputField], written: int) -> bytes:
        return b""


def _write(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode("utf-8", "replace")


def _as_cell(value: object) -> object:
    if isinstance(value, str):
        if value.startswith(_RUNS) and not _PLAIN_NUMBER.fullmatch(value):
            value = "'" + value
        return _BEGINS.sub(r"\1'", value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    return value


WRITER: Final[StreamWriter] = _Csv()
