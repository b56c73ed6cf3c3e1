"""Documents give their text by page, with headings, tables, notes and images; what would hurt is refused."""

import signal
from collections.abc import Callable, Iterator

import pytest

from core.errors import PermanentError
from importer import guard
from importer.problems import Limits
from importer.readers import ReadOptions
from tests.unit.importer import ugly
from tests.unit.importer.reading import document, pages, refused_document


def test_a_pdf_gives_the_text_of_each_page_and_says_which_is_a_scan() -> None:
    with document("pdf", ugly.pdf(["First page\nsecond line", None, ""])) as opened:
        found = list(opened.read())
        assert found[0].text == "First page\nsecond line"
        assert [page.is_scan for page in found] == [False, True, False]
        image = found[1].images[0]
        assert image.load().startswith(b"\x89PNG")
        assert (image.width, image.height) == (1236, 1600)


def test_files_inside_a_pdf_are_told_of() -> None:
    with document("pdf", ugly.pdf(["an invoice"], held=["factur-x.xml", "terms.txt"])) as opened:
        assert opened.notices == ("2 files inside the PDF were left out",)
    with document("pdf", ugly.pdf(["a letter"])) as opened:
        assert opened.notices == ()


def test_reading_a_pdf_goes_on_at_any_page() -> None:
    with document("pdf", ugly.pdf([f"page {number}" for number in range(1, 6)])) as opened:
        assert [page.text for page in opened.read(4)] == ["page 4", "page 5"]


def test_a_password_opens_a_pdf_and_a_wrong_one_does_not() -> None:
    content = ugly.pdf(["secret words"], password="secret")
    assert refused_document("pdf", content) == "password-required"
    assert refused_document("pdf", content, ReadOptions(password="wrong")) == "password-required"
    assert pages("pdf", content, ReadOptions(password="secret"))[0].text == "secret words"
    assert "secret" not in repr(ReadOptions(password="secret"))


@pytest.mark.parametrize(
    ("content", "limits", "code"),
    [
        (ugly.pdf(["x"])[:150], {}, "corrupt-file"),
        (b"%PDF-1.4 nothing", {}, "corrupt-file"),
        (ugly.pdf(["x"] * 3), {"max_pages": 2}, "too-many-pages"),
        (ugly.pdf(["x"]), {"max_office_bytes": 10}, "file-too-large"),
    ],
)
def test_a_pdf_that_would_hurt_is_refused(content: bytes, limits: dict[str, int], code: str) -> None:
    assert refused_document("pdf", content, ReadOptions(limits=Limits(**limits))) == code


def _paragraph(text: str, style: str = "", more: str = "") -> str:
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r>{more}<w:t>{text}</w:t></w:r></w:p>'


def test_a_letter_gives_headings_tables_notes_and_images_on_the_pages_that_were_drawn() -> None:
    cell = "<w:tc>{}</w:tc>"
    table = (
        f"<w:tbl><w:tr>{cell.format(_paragraph('a') + _paragraph('b'))}{cell.format(_paragraph('c'))}</w:tr></w:tbl>"
    )
    twice = (
        "<mc:AlternateContent><mc:Choice><w:t>once</w:t></mc:Choice>"
        "<mc:Fallback><w:t>twice</w:t></mc:Fallback></mc:AlternateContent>"
    )
    body = (
        _paragraph("Title", "berschrift1")
        + _paragraph("words", more='<w:drawing><a:blip r:embed="im"/></w:drawing>')
        + table
        + _paragraph("Second", "Own", more="<w:lastRenderedPageBreak/>")
        + f"<w:p><w:r><w:tab/>{twice}</w:r></w:p>"
        + '<w:p><w:r><w:br w:type="page"/><w:t>Third</w:t></w:r></w:p>'
    )
    with document("docx", ugly.letter(body)) as opened:
        found = list(opened.read())
        assert found[0].images[0].load() == ugly.image()
    assert [page.text for page in found] == [
        "Letterhead\nTitle\nwords\na b | c\n",
        "Second\n\tonce\n",
        "Third\nA footnote.\n",
    ]
    assert [(heading.text, heading.level) for page in found for heading in page.headings] == [
        ("Title", 1),
        ("Second", 2),
    ]
    assert found[0].text[found[0].headings[0].offset :].startswith("Title")


def test_macros_are_said_and_not_touched() -> None:
    with document("docx", ugly.letter("", more={"word/vbaProject.bin": b"x"})) as opened:
        assert any("macros" in notice for notice in opened.notices)


def test_slides_come_in_their_order_with_charts_notes_tables_and_hidden_ones() -> None:
    title = '<p:sp><p:nvPr><p:ph type="title"/></p:nvPr><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:sp>'
    number = '<p:sp><p:nvPr><p:ph type="sldNum"/></p:nvPr><a:p><a:t>7</a:t></a:p></p:sp>'
    table = "<a:tbl><a:tr><a:tc><a:p><a:t>x</a:t></a:p></a:tc><a:tc><a:p><a:t>y</a:t></a:p></a:tc></a:tr></a:tbl>"
    first = title.format("One") + number + table + '<p:graphicFrame><c:chart r:id="c"/></p:graphicFrame>'
    with document("pptx", ugly.slides(first, title.format("HIDDEN"))) as opened:
        found = list(opened.read())
        assert opened.notices == ("slide 1 is hidden in the presentation",)
    assert found[0].text == "HIDDEN\n"
    assert found[1].text == "One\nx | y\nChart: Sales by year\nNorth | 2023: 7 | 2024: 9\nNotes:\nDo not forget this.\n"
    assert found[1].headings[0].text == "One"


@pytest.mark.parametrize(
    ("format_name", "part", "make"),
    [("docx", "word/document.xml", ugly.letter), ("pptx", "ppt/presentation.xml", ugly.slides)],
)
def test_an_office_document_with_a_dtd_or_without_a_beginning_is_refused(
    format_name: str, part: str, make: Callable[..., bytes]
) -> None:
    assert refused_document(format_name, make("", more={part: ugly.DTD_BOMB + "<x>&b;</x>"})) == "dtd-forbidden"
    assert refused_document(format_name, make("", more={part: "<x>" * 300})) == "nesting-too-deep"
    assert refused_document(format_name, ugly.pack({"a": "b"})) == "corrupt-file"


def test_a_web_page_gives_what_a_person_would_read() -> None:
    content = (
        "<html><head><title>no</title><style>x{}</style></head><body><h1>Prices &amp; more</h1><script>no()</script>"
        "<p>Some <b>bold</b>\n words.</p><ul><li>one<li>two</ul><table><tr><td>a<td>b<br>c</table>ende</body>"
    )
    page = pages("html", content.encode())[0]
    assert page.text == "Prices & more\nSome bold words.\n- one\n- two\na | b c\nende\n"
    assert page.headings[0].text == "Prices & more"


@pytest.mark.parametrize(
    "content",
    [
        "<p>Grüße</p>".encode(),
        '<meta charset="iso-8859-1"><p>Grüße</p>'.encode("cp1252"),
        "<p>Grüße</p>".encode("utf-16"),
        "<p>Grüße, schöne</p>".encode("cp1252"),
    ],
)
def test_a_web_page_is_read_in_its_encoding(content: bytes) -> None:
    assert "Grüße" in pages("html", content)[0].text


def test_a_text_has_pages_headings_and_any_encoding() -> None:
    assert [page.text for page in pages("text", "eins\ntwo\fdrei".encode("utf-16"))] == ["eins\ntwo", "drei"]
    markdown = b"# One\ntext\n```\n# code\n```\n## Two\n"
    headings = pages("text", markdown, ReadOptions(variant="markdown"))[0].headings
    assert [(heading.text, heading.level) for heading in headings] == [("One", 1), ("Two", 2)]
    long = pages("text", b"a line of words\n" * 20_000)
    assert len(long) == 4
    assert sum(len(page.text) for page in long) == 320_000
    assert pages("text", b"Stra\xdfe 1\nStra\xc3\x9fe 2\n")[0].text == "Straße 1\nStraße 2\n"


def test_images_and_recordings_are_pages_for_eyes_and_ears() -> None:
    image = pages("image", ugly.image())[0]
    assert image.is_scan
    assert (image.images[0].width, image.images[0].height, image.images[0].media_type) == (3, 2, "image/png")
    sound = pages("audio", ugly.RECORDING, ReadOptions(variant="audio/mp4"))[0].recording
    assert sound is not None
    assert (sound.media_type, sound.load()) == ("audio/mp4", ugly.RECORDING)
    assert refused_document("image", b"BM nothing") == "unsupported-type"


def too_much() -> Iterator[object]:
    yield "before"
    yield b"x" * 400_000_000


def dies() -> Iterator[object]:
    import os

    yield "before"
    os.kill(os.getpid(), signal.SIGABRT)


def hangs() -> Iterator[object]:
    import time

    yield "before"
    time.sleep(60)


def gives_a_class() -> Iterator[object]:
    yield "before"
    yield Limits()


def tells_who_it_is() -> Iterator[object]:
    import os

    yield dict(os.environ)


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ("too_much", "file-too-large"),
        ("dies", "corrupt-file"),
        ("hangs", "corrupt-file"),
        ("gives_a_class", "corrupt-file"),
    ],
)
def test_a_parser_that_dies_hangs_or_wants_everything_ends_alone(task: str, code: str) -> None:
    items = guard.stream(f"{__name__}:{task}", {}, guard.Bounds(memory_bytes=300_000_000, item_seconds=5))
    assert next(items) == "before"
    with pytest.raises(PermanentError) as error:
        next(items)
    assert error.value.code == code


def test_a_parser_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = guard.call(f"{__name__}:tells_who_it_is", {})
    assert isinstance(environment, dict)
    assert environment.keys() <= {"LD_LIBRARY_PATH", "LC_CTYPE"}
