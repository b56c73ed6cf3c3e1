"""What a file is, by what is in it. Its name decides only between things that its content allows."""

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import PurePosixPath

from core.models import Value
from importer import pictures
from importer.archive import open_archive
from importer.compound import MAGIC as COMPOUND_MAGIC
from importer.compound import CompoundFile
from importer.encoding import detect
from importer.problems import Limits, ProblemCode, refuse
from importer.source import Source

_HEAD = 64 * 1024
_SNIFFED_LINES = 20
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\x0b\x1b\x1a\x08\x85")
_MAX_CONTROLS = 0.02  # of the bytes of a text
_DELIMITERS = ",;\t|"
_DELIMITED = {".csv": "", ".tsv": "tsv", ".tab": "tsv"}
_MARKDOWN = frozenset((".md", ".markdown", ".mdown"))
_ADVICE = "save it as CSV, XLSX, JSON, XML, PDF or DOCX"
_SHEETS = frozenset((".xls", ".xlsx", ".csv"))  # what programs call the HTML tables they write
_JSON_LINES = frozenset((".jsonl", ".ndjson", ".ldjson"))
_MAIL_HEADER = re.compile(
    r"^(From|To|Cc|Subject|Date|Received|Message-ID|MIME-Version|Return-Path|Delivered-To|Reply-To|Content-Type):",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER_LINE = re.compile(r"[!-9;-~]+:[ \t\S]*|[ \t].*")
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body|table|div|p|h[1-6]|meta|ul|title)\b", re.IGNORECASE)
_ROOT = re.compile(r"<(?![?!])(?:[\w.-]+:)?([\w.-]+)")

_OTHERS = (
    (b"{\\rtf", "RTF: save it as docx or PDF"),
    (b"Rar!", "a RAR archive: pack it as ZIP"),
    (b"7z\xbc\xaf", "a 7-Zip archive: pack it as ZIP"),
    (b"BZh", "packed with bzip2: use gzip or ZIP"),
    (b"\xfd7zXZ", "packed with xz: use gzip or ZIP"),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard: use gzip or ZIP"),
    (b"PAR1", "Parquet: export it as CSV or JSON Lines"),
    (b"SQLite format 3", "a database: export its tables as CSV"),
    (b"MZ", f"a program: {_ADVICE}"),
    (b"\x7fELF", f"a program: {_ADVICE}"),
    (b"II*\0", "a TIFF image: save it as PDF or PNG"),
    (b"MM\0*", "a TIFF image: save it as PDF or PNG"),
    (b"BM", "a bitmap: save it as PNG"),
)
_AUDIO = (
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypmp42", "audio/mp4"),
    (4, b"ftypisom", "audio/mp4"),
    (0, b"\x1aE\xdf\xa3", "audio/webm"),
)
_OFFICE = {"xl/workbook.xml": "xlsx", "word/document.xml": "docx", "ppt/presentation.xml": "pptx"}
_OFFICE_TYPES = (("wordprocessingml", "docx"), ("spreadsheetml", "xlsx"), ("presentationml", "pptx"))
_OPEN_DOCUMENTS = {"application/vnd.oasis.opendocument.spreadsheet": "ods"}


class Shape(StrEnum):
    """What a reader of the file gives."""

    TABLES = "tables"
    DOCUMENT = "document"
    ARCHIVE = "archive"
    COMPRESSED = "compressed"


class FileType(Value):
    """What a file is.

    Attributes:
        format: Name of its reader; for a gzip file "gzip", which has none: what is inside is identified anew.
        shape: What that reader gives.
        variant: What the reader wants to know beyond the format.
        also: Another reader that could read it as well: a page's tables instead of its text.
    """

    format: str
    shape: Shape
    variant: str = ""
    also: str = ""


def identify(source: Source, limits: Limits, password: str = "") -> FileType:
    """What a file is.

    Raises:
        PermanentError: `empty-file`, `unsupported-type` (its message says what to do instead), `corrupt-file`,
            `password-required`, or a limit that it passes.
    """
    head = source.read_at(0, _HEAD)
    if not head:
        raise refuse(ProblemCode.EMPTY_FILE, "the file is empty: save or export it again")
    suffix = PurePosixPath(source.name).suffix.lower()
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return _identify_zip(source, limits, password)
    if head.startswith(COMPOUND_MAGIC):
        return _identify_compound(source, limits)
    if found := _identify_binary(head):
        return found
    return _identify_text(source, head, suffix)


def _identify_binary(head: bytes) -> FileType | None:
    if b"%PDF-" in head[:1024]:
        return FileType(format="pdf", shape=Shape.DOCUMENT)
    if head.startswith(b"\x1f\x8b"):
        return FileType(format="gzip", shape=Shape.COMPRESSED)
    if pictures.identify(head):
        return FileType(format="image", shape=Shape.DOCUMENT)
    for place, magic, media_type in _AUDIO:
        if head[place : place + len(magic)] == magic:
            return FileType(format="audio", shape=Shape.DOCUMENT, variant=media_type)
    for magic, advice in _OTHERS:
        if head.startswith(magic) and (len(magic) > 2 or _is_binary(head)):
            raise refuse(ProblemCode.UNSUPPORTED_TYPE, f"the file is {advice}")
    return None


def _identify_zip(source: Source, limits: Limits, password: str) -> FileType:
    with open_archive(source, limits, password=password) as archive:
        for name, found in _OFFICE.items():
            if name in archive:
                return FileType(format=found, shape=Shape.TABLES if found == "xlsx" else Shape.DOCUMENT)
        if "xl/workbook.bin" in archive:
            raise refuse(ProblemCode.UNSUPPORTED_TYPE, "the file is a binary workbook (xlsb): save it as xlsx")
        if "mimetype" in archive and archive.size("mimetype") < 200:
            media_type = archive.read("mimetype", 200).decode("ascii", "replace").strip()
            if media_type in _OPEN_DOCUMENTS:
                return FileType(format=_OPEN_DOCUMENTS[media_type], shape=Shape.TABLES)
            raise refuse(ProblemCode.UNSUPPORTED_TYPE, "such a document is not read: save it as PDF, docx or xlsx")
        if "[Content_Types].xml" in archive:  # parts with names of their own
            types = archive.read("[Content_Types].xml", 4 * 1024 * 1024).decode("utf-8", "replace")
            for word, found in _OFFICE_TYPES:
                if word in types:
                    return FileType(format=found, shape=Shape.TABLES if found == "xlsx" else Shape.DOCUMENT)
    return FileType(format="zip", shape=Shape.ARCHIVE)


def _identify_compound(source: Source, limits: Limits) -> FileType:
    compound = CompoundFile(source, limits)
    if "EncryptedPackage" in compound:
        raise refuse(ProblemCode.PASSWORD_REQUIRED, "the document is encrypted: send it without its password")
    if "Workbook" in compound or "Book" in compound:
        return FileType(format="xls", shape=Shape.TABLES)
    if "__properties_version1.0" in compound:
        return FileType(format="msg", shape=Shape.DOCUMENT)
    if "WordDocument" in compound or "PowerPoint Document" in compound:
        raise refuse(ProblemCode.UNSUPPORTED_TYPE, "documents of before 2007 are not read: save it as docx or pptx")
    raise refuse(ProblemCode.UNSUPPORTED_TYPE, f"such a file is not read: {_ADVICE}")


def _identify_text(source: Source, head: bytes, suffix: str) -> FileType:
    encoding = detect(source)
    wide = head[encoding.mark :].decode(encoding.name, "replace") if encoding.is_wide else ""
    if "\0" in wide or (not encoding.is_wide and _is_binary(head)):
        raise refuse(ProblemCode.UNSUPPORTED_TYPE, f"the file is neither text nor of a type that is read: {_ADVICE}")
    text = head[encoding.mark :].decode(encoding.fallback or encoding.name, "replace").lstrip("\ufeff")
    begin = text.lstrip()
    if not begin:
        if source.size <= _HEAD:
            raise refuse(ProblemCode.EMPTY_FILE, "there is nothing in the file: save or export it again")
        return FileType(format="text", shape=Shape.DOCUMENT)
    if begin.startswith("<") and (found := _identify_markup(begin, suffix)):
        return found
    if begin[0] in "[{" and (found := _identify_json(begin, suffix)):
        return found
    if _is_mail(begin):
        return FileType(format="eml", shape=Shape.DOCUMENT)
    if suffix in _DELIMITED:
        return FileType(format="csv", shape=Shape.TABLES, variant=_DELIMITED[suffix])
    if suffix in _MARKDOWN:
        return FileType(format="text", shape=Shape.DOCUMENT, variant="markdown", also="csv")
    if _is_delimited(begin):
        return FileType(format="csv", shape=Shape.TABLES, also="text")
    return FileType(format="text", shape=Shape.DOCUMENT, also="csv")


def _identify_markup(begin: str, suffix: str) -> FileType | None:
    root = _ROOT.search(begin)
    is_page = bool(_HTML.match(begin)) or (root is not None and root[1].lower() == "html")
    if not is_page and begin.startswith("<!--"):
        is_page = bool(_HTML.search(begin))
    if is_page:
        if suffix in _SHEETS:
            return FileType(format="html_table", shape=Shape.TABLES, also="html")
        return FileType(format="html", shape=Shape.DOCUMENT, also="html_table" if "<table" in begin.lower() else "")
    if root is not None and (begin.startswith(("<?xml", "<!")) or root.start() == 0):
        return FileType(format="xml", shape=Shape.TABLES)
    return None


def _identify_json(begin: str, suffix: str) -> FileType | None:
    lines = [line for line in begin.splitlines() if line.strip()]
    if len(lines) > 1:
        # JSON Lines: the first line is a value of its own, and another one follows.
        try:
            json.loads(lines[0])
        except (ValueError, RecursionError):
            pass
        else:
            return FileType(format="jsonl", shape=Shape.TABLES)
    if suffix in _JSON_LINES:
        return FileType(format="jsonl", shape=Shape.TABLES)
    inside = begin[1:].lstrip()
    if not inside or inside[0] in '"{[]}-0123456789tfn':
        return FileType(format="json", shape=Shape.TABLES)
    return None


def _is_mail(begin: str) -> bool:
    known: set[str] = set()
    for line in begin.splitlines()[:100]:
        if not line.strip():
            break
        if not _HEADER_LINE.fullmatch(line):
            return False
        if found := _MAIL_HEADER.match(line):
            known.add(found[1].lower())
    return len(known) >= 3


def _is_delimited(begin: str) -> bool:
    """Whether the lines of a text have the same delimiter the same number of times each."""
    lines = [line for line in begin.splitlines()[:_SNIFFED_LINES] if line.strip()]
    if len(lines) < 2:
        return False
    return any(len(set(_counts(lines, each))) == 1 and each in lines[0] for each in _DELIMITERS)


def _counts(lines: list[str], delimiter: str) -> Iterator[int]:
    return (re.sub(r'"[^"]*"', "", line).count(delimiter) for line in lines)


def _is_binary(head: bytes) -> bool:
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
    return controls > len(head) * _MAX_CONTROLS or b"\0" in head
