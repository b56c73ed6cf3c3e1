"""Outlook mails (msg): properties in the streams of a compound file. Attachments are files of their own.

https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxmsg
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from importer.compound import CompoundFile
from importer.layout import Layout
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import BytesSource, Source
from importer.values import Page

_STREAM = "__substg1.0_"
_ATTACHMENT = "__attach_version1.0_"
_PROPERTIES = "__properties_version1.0"
_UNICODE, _BYTES_TEXT, _BINARY, _OBJECT = "001F", "001E", "0102", "000D"
_SUBJECT, _BODY, _HTML = "0037", "1000", "1013"
_PEOPLE = (("From", "0C1A"), ("To", "0E04"), ("Cc", "0E03"))
_SENDER_ADDRESS = ("5D01", "0C1F")
_CODE_PAGE, _DELIVERED, _SUBMITTED = 0x3FDE0003, 0x0E060040, 0x00390040
_FILE_NAMES, _CONTENT = ("3707", "3704", "3001"), "3701"
_MAX_TEXT = 32 * 1024 * 1024
_MAX_NAME = 255


class _Mail:
    """An open mail."""

    def __init__(self, compound: CompoundFile, limits: Limits) -> None:
        self._compound = compound
        self._limits = limits
        if _PROPERTIES not in compound:
            raise refuse(ProblemCode.CORRUPT_FILE, "the mail is damaged")
        self._numbers = self._read_properties()
        code_page = self._numbers.get(_CODE_PAGE, 0) & 0xFFFF
        self._encoding = {65001: "utf-8", 20127: "ascii", 0: "cp1252"}.get(code_page, f"cp{code_page}")
        self._folders = sorted(path for path in compound.storages if path.startswith(_ATTACHMENT) and "/" not in path)
        if len(self._folders) > limits.max_members:
            raise refuse(ProblemCode.TOO_MANY_MEMBERS, f"a mail may have {limits.max_members} attachments")
        nested = sum(f"{folder}/{_STREAM}{_CONTENT}{_OBJECT}" in compound.storages for folder in self._folders)
        self.notices = (f"{nested} mails or objects inside the mail were left out",) if nested else ()
        self._pages = self._lay_out()
        self.page_count = len(self._pages)

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`."""
        return iter(self._pages[first_page - 1 :])

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`: the attachments, and the body where there is no plain one."""
        html = f"{_STREAM}{_HTML}{_BINARY}"
        if not self._text("", _BODY).strip() and html in self._compound:
            yield BytesSource("body.html", self._compound.read(html, _MAX_TEXT))
        for folder in self._folders:
            content = f"{folder}/{_STREAM}{_CONTENT}{_BINARY}"
            if content in self._compound:
                names = (self._text(f"{folder}/", name) for name in _FILE_NAMES)
                name = next((name for name in names if name), "attachment")
                found = self._compound.read(content, self._limits.max_office_bytes)
                yield BytesSource(name.replace("\\", "/").rpartition("/")[2][:_MAX_NAME], found)

    def _lay_out(self) -> tuple[Page, ...]:
        layout = Layout()
        if subject := self._text("", _SUBJECT):
            layout.add_heading(subject, 1)
        address = next(filter(None, (self._text("", each) for each in _SENDER_ADDRESS)), "")
        for label, name in _PEOPLE:
            value = self._text("", name)
            if label == "From" and address and address not in value:
                value = f"{value} <{address}>".strip()
            layout.add_line(f"{label}: {value}" if value else "")
        if moment := _moment(self._numbers.get(_DELIVERED) or self._numbers.get(_SUBMITTED) or 0):
            layout.add_line(f"Date: {moment}")
        layout.add("\n")
        for line in self._text("", _BODY).replace("\r\n", "\n").splitlines(keepends=True):
            layout.add(line)
            layout.end_line()
        layout.end_page(is_kept_empty=True)
        return tuple(layout.take())

    def _text(self, folder: str, name: str) -> str:
        wide = f"{folder}{_STREAM}{name}{_UNICODE}"
        if wide in self._compound:
            return self._compound.read(wide, _MAX_TEXT).decode("utf-16-le", "replace").rstrip("\0")
        narrow = f"{folder}{_STREAM}{name}{_BYTES_TEXT}"
        if narrow not in self._compound:
            return ""
        content = self._compound.read(narrow, _MAX_TEXT).rstrip(b"\0")
        try:
            return content.decode(self._encoding, "replace")
        except LookupError:
            return content.decode("cp1252", "replace")

    def _read_properties(self) -> dict[int, int]:
        """The properties that fit into eight bytes: numbers and times."""
        content = self._compound.read(_PROPERTIES, _MAX_TEXT)
        return {
            int.from_bytes(content[place : place + 4], "little"): int.from_bytes(
                content[place + 8 : place + 16], "little"
            )
            for place in range(32, len(content) - 15, 16)
        }


def _moment(ticks: int) -> str:
    """A FILETIME (100 ns since 1601) as ISO 8601; empty where it is none."""
    if not 0 < ticks < 2_650_467_744_000_000_000:
        return ""
    return (datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)).isoformat(timespec="seconds")


class _MsgReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`."""
        yield _Mail(CompoundFile(source, options.limits), options.limits)


READER: Final[DocumentReader] = _MsgReader()
