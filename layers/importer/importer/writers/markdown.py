"""Markdown: one table, a record per line, in UTF-8."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import orjson

from importer.values import Record
from importer.writers import OutputField, StreamWriter

_SPECIAL = re.compile(r"([\\|`*_<\[])")  # what would end the cell, or be read as markup
_LINE_ENDS = re.compile(r"\r\n|[\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029]")


class _Markdown:
    kind: Final[Literal["stream"]] = "stream"
    media_type: Final = "text/markdown; charset=utf-8"

    def head(self, fields: Sequence[OutputField]) -> bytes:
        names = _line(field.name for field in fields)
        rule = "|" + " --- |" * len(fields) + "\n"
        return (names + rule).encode("utf-8", "replace")

    def encode(self, records: Sequence[Record], fields: Sequence[OutputField], written: int) -> bytes:
        names = [field.name for field in fields]
        lines = [_line(record.get(name) for name in names) for record in records]
        return "".join(lines).encode("utf-8", "replace")

    def tail(self, fields: Sequence[OutputField], written: int) -> bytes:
        return b""


def _line(values: Iterable[object]) -> str:
    return "|" + "".join([f" {_as_cell(value)} |" for value in values]) + "\n"


def _as_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return _LINE_ENDS.sub("<br>", _SPECIAL.sub(r"\\\1", text))


WRITER: Final[StreamWriter] = _Markdown()
