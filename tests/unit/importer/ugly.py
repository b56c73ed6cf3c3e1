"""Files that hurt, made small: every trap that a reader has to survive, as bytes.

`python -m tests.unit.importer.ugly FOLDER` writes all of them, to be tried by hand.
"""

import hashlib
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
DTD_BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def pack(members: Mapping[str, str | bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)  # without the time of day
    return stream.getvalue()


def pack_link() -> bytes:
    """An archive whose member is a symbolic link."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        info = zipfile.ZipInfo("link.txt")
        info.create_system = 3
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return stream.getvalue()


def pack_encrypted(content: bytes, password: str, name: str = "secret.txt") -> bytes:
    """An archive with one stored member, encrypted the old way."""
    keys = _Keys(password.encode())
    crc = zlib.crc32(content)
    body = bytes(map(keys.encrypt, bytes(11) + bytes((crc >> 24,)) + content))
    sizes = struct.pack("<III", crc, len(body), len(content))
    place = struct.pack("<HH", len(name), 0) + name.encode()
    local = struct.pack("<4s5H", b"PK\3\4", 20, 1, 0, 0, 33) + sizes + place + body
    entry = (
        struct.pack("<4s6H", b"PK\1\2", 20, 20, 1, 0, 0, 33)
        + sizes
        + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0)
    )
    central = entry + name.encode()
    return local + central + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)


class _Keys:
    """The cipher of old ZIP archives."""

    def __init__(self, password: bytes) -> None:
        self._keys = [0x12345678, 0x23456789, 0x34567890]
        for byte in password:
            self._update(byte)

    def encrypt(self, byte: int) -> int:
        k = self._keys[2] | 2
        made = byte ^ (((k * (k ^ 1)) >> 8) & 0xFF)
        self._update(byte)
        return made

    def _update(self, byte: int) -> None:
        keys = self._keys
        keys[0] = zlib.crc32(bytes((byte,)), keys[0] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = zlib.crc32(bytes((keys[1] >> 24,)), keys[2] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def relations(targets: Mapping[str, tuple[str, str]]) -> str:
    """A relations part: id to kind and target."""
    each = "".join(
        f'<Relationship Id="{identity}" Type="{_REL}/{kind}" Target="{target}"/>'
        for identity, (kind, target) in targets.items()
    )
    return f'{_XML}<Relationships xmlns="{_PACKAGE}">{each}</Relationships>'


def workbook(
    sheets: Mapping[str, str],
    *,
    strings: Sequence[str] = (),
    formats: Sequence[str] = (),
    is_1904: bool = False,
    hidden: Sequence[str] = (),
    more: Mapping[str, str | bytes] | None = None,
) -> bytes:
    """An xlsx; each sheet is its XML below `worksheet`, each format the style with its place from 1."""
    names = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="s{number}"{" state='hidden'" if name in hidden else ""}/>'
        for number, name in enumerate(sheets, start=1)
    )
    flag = ' date1904="1"' if is_1904 else ""
    shared = "".join(f"<si><t>{text}</t></si>" for text in strings)
    codes = "".join(f'<numFmt numFmtId="{164 + n}" formatCode="{code}"/>' for n, code in enumerate(formats))
    styles = "".join(f'<xf numFmtId="{164 + n}"/>' for n in range(len(formats)))
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": f"{_XML}<Types/>",
        "_rels/.rels": relations({"r1": ("officeDocument", "xl/workbook.xml")}),
        "xl/workbook.xml": f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_REL}"><workbookPr{flag}/><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": relations(
            {
                "st": ("styles", "styles.xml"),
                "ss": ("sharedStrings", "/xl/sharedStrings.xml"),
                **{f"s{n}": ("worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)},
            }
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><numFmts>{codes}</numFmts><cellXfs><xf numFmtId="0"/>{styles}</cellXfs></styleSheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}">{shared}</sst>',
    }
    for number, content in enumerate(sheets.values(), start=1):
        members[f"xl/worksheets/sheet{number}.xml"] = f'{_XML}<worksheet xmlns="{_MAIN}">{content}</worksheet>'
    return pack(members | dict(more or {}))


def sheet(rows: Sequence[Sequence[object]]) -> str:
    """Sheet data of plain texts and numbers."""
    return "<sheetData>" + "".join(_row(number, row) for number, row in enumerate(rows, start=1)) + "</sheetData>"


def _row(number: int, row: Sequence[object]) -> str:
    return f'<row r="{number}">' + "".join(map(_cell, row)) + "</row>"


def _cell(value: object) -> str:
    if value is None:
        return "<c/>"
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if isinstance(value, str) else f"<c><v>{value}</v></c>"


LAST_CELL = sheet([["a", "b"], [1, 2], [3, 4]]).replace(
    "</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
)


def spreadsheet(tables: str, *, styles: str = "", manifest: str = "") -> bytes:
    """An ods; `tables` is the XML of its tables."""
    names = " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0"'
        for prefix in ("office", "table", "text", "style")
    )
    content = (
        f"<office:document-content {names}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"
    )
    return pack(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": content,
            "META-INF/manifest.xml": f"<manifest>{manifest}</manifest>",
        }
    )


def compound(streams: Mapping[str, bytes], *, first_after_header: int | None = None) -> bytes:
    """An OLE compound file; a stream's path may have one folder."""
    sector = 512
    folders = sorted({path.partition("/")[0] for path in streams if "/" in path})
    entries: list[tuple[str, int, list[int], bytes]] = [("Root Entry", 5, [], b"")]
    for name in folders:
        entries.append((name, 1, [], b""))
        entries[0][2].append(len(entries) - 1)
    for path, content in streams.items():
        folder, _, name = path.rpartition("/")
        parent = 1 + folders.index(folder) if folder else 0
        entries.append((name, 2, [], content))
        entries[parent][2].append(len(entries) - 1)
    fat: list[int] = []
    body = b""

    def add(content: bytes) -> int:
        nonlocal body
        start, count = len(fat), max(1, -(-len(content) // sector))
        fat.extend([*range(start + 1, start + count), 0xFFFFFFFE])
        body += content.ljust(count * sector, b"\0")
        return start

    right = {each: following for entry in entries for each, following in zip(entry[2], entry[2][1:], strict=False)}
    directory = b""
    for number, (name, kind, children, content) in enumerate(entries):
        # Streams below 4,096 bytes would live in the small table: they are filled up instead.
        padded = (
            content.ljust(4096, b"\0")
            if kind == 2 and len(content) < 4096 and not content.startswith(b"<")
            else content
        )
        start = add(padded) if kind == 2 else 0xFFFFFFFE
        raw = name.encode("utf-16-le") + b"\0\0"
        directory += raw.ljust(64, b"\0") + struct.pack("<HBB", len(raw), kind, 1)
        directory += struct.pack(
            "<3I", 0xFFFFFFFF, right.get(number, 0xFFFFFFFF), children[0] if children else 0xFFFFFFFF
        )
        directory += bytes(36) + struct.pack("<IQ", start, len(padded) if kind == 2 else 0)
    directory = directory.ljust(-(-len(directory) // sector) * sector, b"\0")
    first_directory = add(directory) if first_after_header is None else first_after_header
    tables = 1
    while (len(fat) + tables) * 4 > tables * sector:
        tables += 1
    places = list(range(len(fat), len(fat) + tables))
    fat += [0xFFFFFFFD] * tables
    content = struct.pack(f"<{len(fat)}I", *fat).ljust(tables * sector, b"\xff")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<5H", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<9I", 0, tables, first_directory, 0, 0, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0)
    return (head + struct.pack(f"<{len(places)}I", *places)).ljust(sector, b"\xff") + body + content


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def old_workbook(*, is_1904: bool = False, is_encrypted: bool = False, is_hidden: bool = False) -> bytes:
    """An xls with a header, a text, a number, a date, an error, a truth and a merged cell."""
    fonts = b"".join(
        _record(0x31, struct.pack("<5H4B", 200, 0, 0x7FFF, 400, 0, 0, 0, 0, 0) + b"\5\0Arial") for _ in range(4)
    )
    styles = b"".join(
        _record(0xE0, struct.pack("<3H14s", 0, form, 0xFFF5 if n < 16 else 1, bytes(14)))
        for n, form in enumerate([0] * 16 + [14])
    )
    start = _record(0x809, struct.pack("<4H2I", 0x600, 5, 0, 1997, 0, 0))
    start += _record(0x2F, struct.pack("<3H48s", 1, 1, 1, bytes(48))) if is_encrypted else b""
    start += _record(0x42, struct.pack("<H", 1200)) + _record(0x22, struct.pack("<H", is_1904)) + fonts + styles
    sheets: list[tuple[bytes, bytes]] = []
    body = _record(0x809, struct.pack("<4H2I", 0x600, 0x10, 0, 1997, 0, 0)) + _record(
        0x200, struct.pack("<2I3H", 0, 4, 0, 5, 0)
    )
    for column, text in enumerate(("name", "number", "day", "error", "flag")):
        body += _label(0, column, text)
    body += _label(1, 0, "Ann") + _number(1, 1, 42) + _number(1, 2, 45_000, style=16)
    body += _record(0x205, struct.pack("<3H2B", 1, 3, 0, 42, 1)) + _record(0x205, struct.pack("<3H2B", 1, 4, 0, 1, 0))
    body += _number(2, 1, 1.5) + _record(0xE5, struct.pack("<5H", 1, 1, 2, 0, 0)) + _record(0x0A, b"")
    sheets.append((b"first", body))
    if is_hidden:
        sheets.append((b"secret", body))
    bounds = sum(len(_record(0x85, bytes(6 + 2 + len(name)))) for name, _ in sheets)
    place = len(start) + bounds + 4
    found = b""
    for number, (name, content) in enumerate(sheets):
        found += _record(0x85, struct.pack("<I2B2B", place, number, 0, len(name), 0) + name)
        place += len(content)
    return compound({"Workbook": start + found + _record(0x0A, b"") + b"".join(content for _, content in sheets)})


def _label(row: int, column: int, text: str) -> bytes:
    return _record(0x204, struct.pack("<4HB", row, column, 0, len(text), 0) + text.encode("latin-1"))


def _number(row: int, column: int, value: float, style: int = 0) -> bytes:
    return _record(0x203, struct.pack("<3Hd", row, column, style, value))


def pdf(
    pages: Sequence[str | None], *, password: str = "", count: int | None = None, held: Sequence[str] = ()
) -> bytes:
    """A PDF: a text per page, None for a page that is an image. With a password it is encrypted (RC4, 40 bits).

    `held` are the names of files inside of it.
    """
    objects: list[bytes] = [b"", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for text in pages:
        if text is None:
            resources = b"<</XObject<</I %d 0 R>>>>" % (len(objects) + 1)
            objects.append(
                _stream(
                    b"/Type/XObject/Subtype/Image/Width 2/Height 2/BitsPerComponent 8/ColorSpace/DeviceGray",
                    b"\0\xff\xff\0",
                )
            )
            content = b"q 300 0 0 300 50 50 cm /I Do Q"
        else:
            resources = b"<</Font<</F 3 0 R>>>>"
            lines = b" ".join(b"(%s) Tj T*" % line.encode("latin-1") for line in text.splitlines())
            content = b"BT /F 12 Tf 14 TL 50 700 Td %s ET" % lines
        number = len(objects) + 1
        objects.append(_stream(b"", _rc4(_pdf_key(password, number), content) if password else content))
        kids.append(len(objects) + 1)
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources %s/Contents %d 0 R>>" % (resources, number)
        )
    files = b""
    for name in held:
        objects.append(_stream(b"/Type/EmbeddedFile", b"<invoice/>"))
        files += b"(%s)<</Type/Filespec/F(%s)/EF<</F %d 0 R>>>>" % (name.encode(), name.encode(), len(objects))
    objects[0] = b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[%s]>>>>>>" % files
    names = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (count if count is not None else len(kids), names)
    extra = b""
    if password:
        objects.append(
            b"<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>"
            % tuple(part.hex().encode() for part in _pdf_marks(password))
        )
        extra = b"/Encrypt %d 0 R/ID[<00><00>]" % len(objects)
    return _pdf_file(objects, extra)


def _pdf_file(objects: list[bytes], extra: bytes) -> bytes:
    made, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, extra, len(made))
    return made + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table) + end


def _stream(head: bytes, content: bytes) -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (head, len(content), content)


_PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def _pdf_marks(password: str) -> tuple[bytes, bytes]:
    padded = (password.encode() + _PAD)[:32]
    owner = _rc4(hashlib.md5(padded, usedforsecurity=False).digest()[:5], padded)
    return owner, _rc4(_file_key(padded, owner), _PAD)


def _file_key(padded: bytes, owner: bytes) -> bytes:
    return hashlib.md5(padded + owner + struct.pack("<i", -4) + b"\0", usedforsecurity=False).digest()[:5]


def _pdf_key(password: str, number: int) -> bytes:
    padded = (password.encode() + _PAD)[:32]
    key = _file_key(padded, _pdf_marks(password)[0])
    return hashlib.md5(key + struct.pack("<I", number)[:3] + b"\0\0", usedforsecurity=False).digest()[:10]


def _rc4(key: bytes, content: bytes) -> bytes:
    state, swapped = list(range(256)), 0
    for place in range(256):
        swapped = (swapped + state[place] + key[place % len(key)]) % 256
        state[place], state[swapped] = state[swapped], state[place]
    made, one, other = bytearray(), 0, 0
    for byte in content:
        one = (one + 1) % 256
        other = (other + state[one]) % 256
        state[one], state[other] = state[other], state[one]
        made.append(byte ^ state[(state[one] + state[other]) % 256])
    return bytes(made)


def letter(body: str, *, more: Mapping[str, str | bytes] | None = None) -> bytes:
    """A docx; `body` is the XML below w:body."""
    styles = (
        '<w:styles xmlns:w="w"><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
        '<w:style w:styleId="Own"><w:name w:val="Own"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style></w:styles>'
    )
    return pack(
        {
            "_rels/.rels": relations({"r": ("officeDocument", "word/document.xml")}),
            "word/_rels/document.xml.rels": relations(
                {
                    "st": ("styles", "styles.xml"),
                    "fn": ("footnotes", "footnotes.xml"),
                    "hd": ("header", "header1.xml"),
                    "im": ("image", "media/i.png"),
                }
            ),
            "word/styles.xml": styles,
            "word/footnotes.xml": '<w:footnotes xmlns:w="w"><w:footnote><w:p><w:r><w:t>A footnote.</w:t></w:r></w:p></w:footnote></w:footnotes>',
            "word/header1.xml": '<w:hdr xmlns:w="w"><w:p><w:r><w:t>Letterhead</w:t></w:r></w:p></w:hdr>',
            "word/media/i.png": image(),
            "word/document.xml": f'<w:document xmlns:w="w" xmlns:a="a" xmlns:r="r" xmlns:mc="mc"><w:body>{body}</w:body></w:document>',
            **(more or {}),
        }
    )


def slides(*bodies: str, more: Mapping[str, str | bytes] | None = None) -> bytes:
    """A pptx; each body is the XML below p:spTree. Slide 1 has a chart (id c) and notes."""
    count = len(bodies)
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="s{n}"/>' for n in range(count, 0, -1))
    members: dict[str, str | bytes] = {
        "_rels/.rels": relations({"r": ("officeDocument", "ppt/presentation.xml")}),
        "ppt/presentation.xml": f'<p:presentation xmlns:p="p" xmlns:r="r"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>',
        "ppt/_rels/presentation.xml.rels": relations(
            {f"s{n}": ("slide", f"slides/slide{n}.xml") for n in range(1, count + 1)}
        ),
        "ppt/slides/_rels/slide1.xml.rels": relations(
            {"c": ("chart", "../charts/chart1.xml"), "n": ("notesSlide", "../notesSlides/n.xml")}
        ),
        "ppt/notesSlides/n.xml": '<p:notes xmlns:p="p" xmlns:a="a"><a:p><a:r><a:t>Do not forget this.</a:t></a:r></a:p></p:notes>',
        "ppt/charts/chart1.xml": (
            '<c:chartSpace xmlns:c="c" xmlns:a="a"><c:chart><c:title><a:t>Sales by year</a:t></c:title><c:ser><c:tx><c:v>North</c:v></c:tx>'
            "<c:cat><c:pt><c:v>2023</c:v></c:pt><c:pt><c:v>2024</c:v></c:pt></c:cat>"
            "<c:val><c:pt><c:v>7</c:v></c:pt><c:pt><c:v>9</c:v></c:pt></c:val></c:ser></c:chart></c:chartSpace>"
        ),
    }
    for number, body in enumerate(bodies, start=1):
        show = ' show="0"' if "HIDDEN" in body else ""
        members[f"ppt/slides/slide{number}.xml"] = (
            f'<p:sld xmlns:p="p" xmlns:a="a" xmlns:c="c" xmlns:r="r"{show}><p:spTree>{body}</p:spTree></p:sld>'
        )
    return pack(members | dict(more or {}))


def image() -> bytes:
    """A PNG of 3 by 2 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">2I5B", 3, 2, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0abc" * 2)) + chunk(b"IEND", b"")
    )


RECORDING = b"\0\0\0\x1cftypM4A \0\0\0\0" + bytes(100)


def outlook_mail(subject: str, body: str, attachment: bytes, name: str) -> bytes:
    """A msg with one attachment."""

    def wide(text: str) -> bytes:
        return text.encode("utf-16-le")

    times = bytes(32) + struct.pack("<IIQ", 0x0E060040, 0, 133_776_000_000_000_000)
    return compound(
        {
            "__properties_version1.0": times,
            "__substg1.0_0037001F": wide(subject),
            "__substg1.0_1000001F": wide(body),
            "__substg1.0_0C1A001F": wide("Ann Example"),
            "__attach_version1.0_#00000000/__substg1.0_3707001F": wide(name),
            "__attach_version1.0_#00000000/__substg1.0_37010102": attachment,
        }
    )


MAIL = (
    b"From: Ann <ann@example.com>\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Fri, 23 Dec 2022 12:08:48 +0000\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello Bob\r\n'
    b'--x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename="../../list.csv"\r\n\r\na,b\r\n1,2\r\n--x--\r\n'
)


def deep_mail(levels: int) -> bytes:
    """A mail whose parts are in parts."""
    made = b"Content-Type: text/plain\r\n\r\nx\r\n"
    for level in range(levels):
        mark = b"b%d" % level
        made = b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n--%s\r\n%s\r\n--%s--\r\n' % (
            mark,
            mark,
            made,
            mark,
        )
    return b"From: a@example.com\r\nTo: b@example.com\r\nSubject: s\r\n" + made


def everything() -> dict[str, bytes]:
    """All of them, by a name that says what they are."""
    return {
        "last_cell.xlsx": workbook({"S": LAST_CELL}),
        "macros.xlsm": workbook({"S": sheet([["a"], ["x"]])}, more={"xl/vbaProject.bin": b"x"}),
        "dtd.xlsx": workbook({"S": sheet([["a"], ["x"]])}, more={"xl/sharedStrings.xml": f"{DTD_BOMB}<sst/>"}),
        "old.xls": old_workbook(is_hidden=True),
        "old_encrypted.xls": old_workbook(is_encrypted=True),
        "ratio.zip": pack({"zeros.txt": bytes(60_000_000)}),
        "traversal.zip": pack({"../evil.txt": "x"}),
        "link.zip": pack_link(),
        "encrypted.zip": pack_encrypted(b"hello world", "secret"),
        "nested.zip": pack({"1.zip": pack({"2.zip": pack({"3.txt": "deep"})})}),
        "members.zip": pack({f"{number}.txt": "x" for number in range(1_001)}),
        "scan.pdf": pdf([None]),
        "encrypted.pdf": pdf(["secret words"], password="secret"),
        "truncated.pdf": pdf(["some words"])[:200],
        "bomb.xml": f"{DTD_BOMB}<x>&b;</x>".encode(),
        "deep.xml": b"<a>" * 1_000_000,
        "deep.html": b"<div>" * 1_000_000,
        "deep.eml": deep_mail(200),
        "letter.docx": letter("<w:p><w:r><w:t>Hello</w:t></w:r></w:p>"),
        "mail.msg": outlook_mail("Subject", "Body", b"a,b\n1,2\n" * 600, "list.csv"),
        "mail.eml": MAIL,
        "image.png": image(),
        "recording.m4a": RECORDING,
    }


if __name__ == "__main__":
    for file_name, file_content in everything().items():
        (Path(sys.argv[1]) / file_name).write_bytes(file_content)
