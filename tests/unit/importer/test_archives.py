"""Archives and mails give the files in them, within bounds; one that cannot be read leaves the others alone."""

import gzip

import pytest

from core.errors import PermanentError
from importer.archive import open_archive
from importer.problems import Limits
from importer.source import BytesSource
from tests.unit.importer import ugly
from tests.unit.importer.reading import members, pages, refused_document


def _refused(content: bytes, limits: Limits | None = None, *, password: str = "") -> str:
    with pytest.raises(PermanentError) as error:
        members(content, limits, password=password)
    return error.value.code


def test_an_archive_gives_its_members_identified_anew() -> None:
    content = ugly.pack(
        {
            "folder/a.csv": "x,y\n1,2\n",
            "b.docx": ugly.letter("<w:p><w:r><w:t>Hello</w:t></w:r></w:p>"),
            "c.exe": b"MZ\0\0\0",
            "__MACOSX/._a.csv": b"\0\5",
            "inner.zip": ugly.pack({"d.txt": "deep words"}),
            "e.csv.gz": gzip.compress(b"x,y\n1,2\n"),
        }
    )
    found = members(content, name="all.zip")
    assert [
        (member.path, member.type and member.type.format, member.problem and member.problem.code) for member in found
    ] == [
        ("all.zip/a.csv", "csv", None),
        ("all.zip/b.docx", "docx", None),
        ("all.zip/c.exe", None, "unsupported-type"),
        ("all.zip/inner.zip/d.txt", "text", None),
        ("all.zip/e.csv.gz", "csv", None),
    ]


def test_a_member_is_read_as_a_stream_at_a_place_and_from_the_disk() -> None:
    words = b"0123456789" * 100_000
    with open_archive(BytesSource("a.zip", ugly.pack({"x/words.txt": words})), Limits()) as archive:
        source = archive.source("x/words.txt")
        assert (source.name, source.size) == ("words.txt", len(words))
        assert source.read_at(999_995, 100) == b"56789"
        with source.open(7) as stream:
            assert stream.read(5) == b"78901"
        with source.local_path() as path:
            assert path.read_bytes() == words


@pytest.mark.parametrize(
    ("content", "limits", "code"),
    [
        (ugly.pack({"../evil.txt": "x"}), {}, "unsafe-member"),
        (ugly.pack({"/etc/evil.txt": "x"}), {}, "unsafe-member"),
        (ugly.pack({"a/..\\..\\evil.txt": "x"}), {}, "unsafe-member"),
        (ugly.pack({"C:/evil.txt": "x"}), {}, "unsafe-member"),
        (ugly.pack_link(), {}, "unsafe-member"),
        (ugly.pack({"zeros.txt": bytes(60_000_000)}), {}, "ratio"),
        (ugly.pack({f"{number}": "x" for number in range(1_001)}), {}, "too-many-members"),
        (ugly.pack({f"{number}": "x" for number in range(30_000)}), {}, "too-many-members"),
        (ugly.pack({"a": "x" * 600, "b": "x" * 600}), {"max_inflated_bytes": 1_000}, "file-too-large"),
        (ugly.pack({"a": "x"}, method=14), {}, "unsupported-type"),
        (ugly.pack_encrypted(b"words", "secret"), {}, "password-required"),
        (ugly.pack({"a": "x"})[:-10], {}, "corrupt-file"),
        (ugly.pack({}), {}, "empty-file"),
        (ugly.pack({"a": "x"}), {"max_office_bytes": 10}, "file-too-large"),
    ],
)
def test_an_archive_that_would_hurt_is_refused(content: bytes, limits: dict[str, int], code: str) -> None:
    assert _refused(content, Limits(**limits)) == code


def test_files_in_files_end_at_a_depth_and_at_a_size_in_all() -> None:
    nested = ugly.pack({"1.zip": ugly.pack({"2.zip": ugly.pack({"3.txt": "x"}), "ok.txt": "fine"})})
    assert [member.problem and member.problem.code for member in members(nested)] == ["nesting-too-deep", None]
    assert [member.problem for member in members(nested, Limits(max_archive_depth=3))] == [None, None]
    many = ugly.pack({f"{number}.zip": ugly.pack({f"{n}.txt": "x" * 50 for n in range(8)}) for number in range(8)})
    assert _refused(many, Limits(max_members=40)) == "too-many-members"
    assert _refused(many, Limits(max_inflated_bytes=8_500)) == "file-too-large"


def test_a_password_opens_an_archive_and_a_wrong_one_does_not() -> None:
    content = ugly.pack_encrypted(b"hello world", "secret")
    found = members(content, password="secret")
    assert [(member.path, member.type and member.type.format) for member in found] == [("file/secret.txt", "text")]
    assert [member.problem and member.problem.code for member in members(content, password="wrong")] == [
        "password-required"
    ]


def test_a_member_whose_bytes_are_damaged_is_a_problem_of_its_own() -> None:
    content = bytearray(ugly.pack({"a.txt": b"words " * 100, "b.txt": b"fine"}, method=0))
    content[content.index(b"words")] ^= 1
    found = members(bytes(content))
    assert [member.problem and member.problem.code for member in found] == ["corrupt-file", None]


def test_a_mail_gives_its_text_and_its_files() -> None:
    text = pages("eml", ugly.MAIL)[0]
    assert text.headings[0].text == "Grüße"
    assert "From: Ann <ann@example.com>" in text.text
    assert "Hello Bob" in text.text
    assert [(member.path, member.source.size) for member in members(ugly.MAIL, name="m.eml")] == [
        ("m.eml", len(ugly.MAIL)),
        ("m.eml/list.csv", 7),
    ]


def test_a_mail_with_nothing_but_html_gives_that_as_a_file() -> None:
    mail = (
        b"From: a@b.c\r\nTo: d@e.f\r\nSubject: s\r\nContent-Type: text/html; charset=latin-1\r\n\r\n<p>Gr\xfc\xdfe</p>"
    )
    inner = members(mail, name="m.eml")[1]
    assert inner.path == "m.eml/body.html"
    assert inner.source.read_at(0, 100) == "<p>Grüße</p>".encode()


def test_a_mail_in_a_mail_is_a_file_in_it_up_to_a_depth() -> None:
    mail = b"From: a@b.c\r\nTo: d@e.f\r\nSubject: s0\r\n\r\nwords\r\n"
    for level in range(1, 5):
        head = b"From: a@b.c\r\nTo: d@e.f\r\nSubject: s%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (
            level,
            level,
        )
        mail = head + b"--b%d\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--b%d--\r\n" % (level, mail, level)
    found = members(mail, name="m.eml")
    assert [member.problem and member.problem.code for member in found] == [None, None, None, "nesting-too-deep"]
    assert refused_document("eml", ugly.deep_mail(70)) == "nesting-too-deep"


def test_an_outlook_mail_gives_its_text_and_its_files() -> None:
    content = ugly.outlook_mail("Grüße", "Hello Bob", b"a,b\n1,2\n" * 600, "list.csv")
    text = pages("msg", content)[0]
    assert text.headings[0].text.rstrip("\0") == "Grüße"
    assert "From: Ann Example" in text.text
    assert "Date: 2024-12-" in text.text
    assert "Hello Bob" in text.text
    assert [member.path for member in members(content, name="m.msg")][1:] == ["m.msg/list.csv"]
    assert refused_document("msg", ugly.compound({"x": b"y"})) == "corrupt-file"
