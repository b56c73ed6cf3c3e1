"""A file is what is in it, whatever it is called; what is not read is refused with advice."""

import gzip

import pytest

from core.errors import PermanentError
from importer.identify import FileType, identify
from importer.problems import Limits
from importer.source import BytesSource
from tests.unit.importer import ugly


def _identify(content: bytes, name: str = "file.bin") -> FileType:
    return identify(BytesSource(name, content), Limits())


@pytest.mark.parametrize(
    ("content", "name", "format_name", "variant", "also"),
    [
        (ugly.workbook({"S": ugly.sheet([["a"]])}), "a.csv", "xlsx", "", ""),
        (ugly.spreadsheet(""), "a.xls", "ods", "", ""),
        (ugly.old_workbook(), "a.pdf", "xls", "", ""),
        (ugly.letter(""), "a.zip", "docx", "", ""),
        (ugly.slides(""), "a", "pptx", "", ""),
        (ugly.pack({"a.csv": "x"}), "a.docx", "zip", "", ""),
        (ugly.pdf(["x"]), "a.txt", "pdf", "", ""),
        (b"junk before it\n" + ugly.pdf(["x"]), "a.txt", "pdf", "", ""),
        (ugly.image(), "a.txt", "image", "", ""),
        (ugly.RECORDING, "a.txt", "audio", "audio/mp4", ""),
        (gzip.compress(b"a,b\n", mtime=0), "a.csv", "gzip", "", ""),
        (ugly.MAIL, "a.txt", "eml", "", ""),
        (ugly.outlook_mail("s", "b", b"x", "n"), "a.txt", "msg", "", ""),
        (b'<?xml version="1.0"?><a><b/></a>', "a.txt", "xml", "", ""),
        ('\ufeff<?xml version="1.0"?><a><b/></a>'.encode("utf-16"), "a.txt", "xml", "", ""),
        (b"<!DOCTYPE html><html><table></table>", "a.html", "html", "", "html_table"),
        (b'<?xml version="1.0"?><html xmlns="x"><p>x', "a.xhtml", "html", "", ""),
        (b"<html><table><tr><td>x", "report.xls", "html_table", "", "html"),
        (b'[{"a": 1}]', "a.txt", "json", "", ""),
        (b'{"a": {\n"b": 1}}', "a.txt", "json", "", ""),
        (b'{"a": 1}\n{"a": 2}\n', "a.json", "jsonl", "", ""),
        (b'{"a": 1}', "a.jsonl", "jsonl", "", ""),
        (b"{curly} text, not JSON", "a.txt", "text", "", "csv"),
        (b"a,b\n1,2\n3,4\n", "a.txt", "csv", "", "text"),
        (b"a,b and c\nno comma here\n", "a.csv", "csv", "", ""),
        (b"a\tb\n", "a.tsv", "csv", "tsv", ""),
        (b"# Title\n\nwords", "a.md", "text", "markdown", "csv"),
        (b"Dear Bob,\n\nthank you.\n", "a.txt", "text", "", "csv"),
        ("name;ort\nJürgen;Köln\n".encode("cp1252"), "a.txt", "csv", "", "text"),
        (b"MZ,price\n1,2\n", "a.csv", "csv", "", ""),
    ],
)
def test_a_file_is_known_by_its_content(content: bytes, name: str, format_name: str, variant: str, also: str) -> None:
    found = _identify(content, name)
    assert (found.format, found.variant, found.also) == (format_name, variant, also)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b" \n\t\r\n", "empty-file"),
        (b"\xef\xbb\xbf", "empty-file"),
        (b"MZ\x90\0\3\0\0\0", "unsupported-type"),
        (b"PAR1\0\0\0\0", "unsupported-type"),
        (b"{\\rtf1 hello}", "unsupported-type"),
        (bytes(range(256)) * 4, "unsupported-type"),
        (bytes(500), "unsupported-type"),
        (ugly.pack({"xl/workbook.bin": "x"}), "unsupported-type"),
        (ugly.pack({"mimetype": "application/vnd.oasis.opendocument.text"}), "unsupported-type"),
        (ugly.compound({"WordDocument": b"x"}), "unsupported-type"),
        (ugly.compound({"EncryptedPackage": b"x"}), "password-required"),
        (b"PK\3\4 and nothing more", "corrupt-file"),
        (ugly.compound({"Workbook": b"x"})[:600], "corrupt-file"),
        (ugly.compound({"Workbook": b"x"}, first_after_header=2**31), "corrupt-file"),
    ],
)
def test_what_is_not_read_is_refused_with_a_code(content: bytes, code: str) -> None:
    with pytest.raises(PermanentError) as refused:
        _identify(content)
    assert refused.value.code == code
    assert ":" in refused.value.message, "says what to do"


def test_a_compound_file_whose_chain_is_a_circle_is_refused() -> None:
    content = bytearray(ugly.compound({"Workbook": b"x"}))
    table = content.rfind(b"\xfd\xff\xff\xff")  # the table of sectors is the last sector of such a file
    start = table - table % 512
    directory = int.from_bytes(content[48:52], "little")
    content[start + directory * 4 : start + directory * 4 + 4] = directory.to_bytes(4, "little")
    with pytest.raises(PermanentError) as refused:
        _identify(bytes(content))
    assert refused.value.code == "corrupt-file"
