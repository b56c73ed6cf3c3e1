"""Mails (eml): the standard library's parser, in a process of its own. Attachments are files of their own."""

import email
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage, MIMEPart
from pathlib import Path
from typing import Final

from importer import guard
from importer.layout import Layout
from importer.problems import Limits, ProblemCode, refuse
from importer.readers import DocumentFile, DocumentReader, ReadOptions
from importer.source import BytesSource, Source
from importer.values import Page

_HEADERS = ("From", "To", "Cc", "Date")
_MAX_NAME = 255


def describe(path: str, max_members: int, max_depth: int) -> Iterator[object]:
    """Child: subject, headers and plain body."""
    message = _parse(path, max_depth)
    if sum(1 for _ in _files(message)) > max_members:
        raise refuse(ProblemCode.TOO_MANY_MEMBERS, f"a mail may have {max_members} attachments")
    body = message.get_body(("plain",))
    headers = [(name, str(message[name])) for name in _HEADERS if message[name]]
    yield str(message["Subject"] or ""), headers, _text(body) if body is not None else ""


def files(path: str, max_depth: int) -> Iterator[object]:
    """Child: name and content of each attachment, and of the body where there is no plain one."""
    message = _parse(path, max_depth)
    body = message.get_body(("html",))
    if body is not None and message.get_body(("plain",)) is None:
        yield "body.html", _text(body).encode("utf-8", "replace")
    for part in _files(message):
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload(0)
            yield part.get_filename("mail.eml"), bytes(inner) if isinstance(inner, EmailMessage) else b""
        else:
            content = part.get_payload(decode=True)
            yield part.get_filename("attachment"), content if isinstance(content, bytes) else b""


def _parse(path: str, max_depth: int) -> EmailMessage:
    with Path(path).open("rb") as stream:
        message = email.message_from_binary_file(stream, policy=policy.default)
    waiting: list[tuple[MIMEPart, int]] = [(message, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > max_depth:
            raise refuse(ProblemCode.NESTING_TOO_DEEP, f"the mail is nested deeper than {max_depth} levels")
        if part.is_multipart():
            waiting += [(each, depth + 1) for each in part.iter_parts()] if not _is_mail(part) else []
    return message


def _is_mail(part: MIMEPart) -> bool:
    return part.get_content_type() == "message/rfc822"


def _files(message: MIMEPart) -> Iterator[MIMEPart]:
    """The parts that are files: attached, or named, or no text. Their order is the mail's."""
    if message.is_multipart() and not _is_mail(message):
        for part in message.iter_parts():
            yield from _files(part)
    elif _is_mail(message) or message.get_filename() or message.get_content_maintype() not in {"text", "multipart"}:
        yield message


def _text(part: MIMEPart) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    try:
        return content.decode(part.get_content_charset() or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return content.decode("cp1252", "replace")


class _Mail:
    """An open mail."""

    notices: tuple[str, ...] = ()

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = str(path)
        self._depth = limits.max_json_depth
        arguments = {"path": self._path, "max_members": limits.max_members, "max_depth": self._depth}
        found = guard.call(f"{__name__}:describe", arguments)
        if not isinstance(found, tuple):
            raise refuse(ProblemCode.CORRUPT_FILE, "the mail is damaged")
        self._pages = _lay_out(*found)
        self.page_count = len(self._pages)

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """See `DocumentFile`."""
        return iter(self._pages[first_page - 1 :])

    def attachments(self) -> Iterator[Source]:
        """See `DocumentFile`: the attachments, and the body where there is no plain one."""
        for found in guard.stream(f"{__name__}:files", {"path": self._path, "max_depth": self._depth}):
            if not isinstance(found, tuple):
                raise refuse(ProblemCode.CORRUPT_FILE, "the mail is damaged")
            name, content = found
            yield BytesSource(name.replace("\\", "/").rpartition("/")[2][:_MAX_NAME] or "attachment", content)


def _lay_out(subject: str, headers: list[tuple[str, str]], body: str) -> tuple[Page, ...]:
    layout = Layout()
    if subject:
        layout.add_heading(subject, 1)
    for name, value in headers:
        layout.add_line(f"{name}: {value}")
    layout.add("\n")
    for line in body.replace("\r\n", "\n").splitlines(keepends=True):
        layout.add(line)
        layout.end_line()
    layout.end_page(is_kept_empty=True)
    return tuple(layout.take())


class _EmlReader:
    @contextmanager
    def open(self, source: Source, options: ReadOptions) -> Iterator[DocumentFile]:
        """See `DocumentReader`."""
        if source.size > options.limits.max_office_bytes:
            raise refuse(ProblemCode.FILE_TOO_LARGE, f"a mail may have {options.limits.max_office_bytes} bytes")
        with source.local_path() as path:
            yield _Mail(path, options.limits)


READER: Final[DocumentReader] = _EmlReader()
