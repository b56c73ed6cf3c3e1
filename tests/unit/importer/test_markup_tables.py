"""Records in XML and tables in HTML."""

import pytest

from importer.problems import Limits
from importer.readers import ReadOptions
from tests.unit.importer import ugly
from tests.unit.importer.reading import refused, rejects, rows, tables

_ORDERS = """<?xml version="1.0" encoding="iso-8859-1"?>
<s:shop xmlns:s="urn:x"><meta><note>x</note><note>y</note></meta><orders>
<order id="1"><customer vip="yes"><name>Müller</name><city>Köln</city></customer>
<item sku="a">1</item><item sku="b">2</item></order>
<order id="2"><customer><name>Ölmann</name></customer><item sku="c">3</item><total/>
<text><![CDATA[a < b]]></text></order>
</orders></s:shop>""".encode("latin-1")


def test_what_repeats_and_holds_the_most_are_the_records() -> None:
    assert rows("xml", _ORDERS) == [
        ["@id", "customer.@vip", "customer.name", "customer.city", "item", "total", "text"],
        ["1", "yes", "Müller", "Köln", [{"@sku": "a", "text": "1"}, {"@sku": "b", "text": "2"}], None, None],
        ["2", None, "Ölmann", None, [{"@sku": "c", "text": "3"}], None, "a < b"],
    ]


def test_lists_beside_each_other_are_tables_of_their_own_and_a_lonely_record_is_one() -> None:
    content = b"<r><as><a><x>1</x></a><a><x>2</x></a></as><bs><b y='1'/><b y='2'/></bs></r>"
    with tables("xml", content) as opened:
        assert [(table.name, table.columns, table.row_count) for table in opened.tables] == [
            ("r/as/a", ("x",), 2),
            ("r/bs/b", ("@y",), 2),
        ]
    assert rows("xml", b"<invoice><number>7</number><to><name>A</name></to></invoice>") == [
        ["number", "to.name"],
        ["7", "A"],
    ]
    assert refused("xml", b"<empty/>") == "no-table"


def test_reading_xml_goes_on_where_it_stopped() -> None:
    content = b"<r>" + b"".join(b"<a><x>%d</x></a>" % number for number in range(2_300)) + b"</r>"
    with tables("xml", content) as opened:
        chunks = list(opened.read(opened.tables[0], opened.tables[0].start))
        assert [len(chunk.rows) for chunk in chunks] == [500, 500, 500, 500, 300]
        again = list(opened.read(opened.tables[0], chunks[0].end))
    assert [(chunk.rows, list(chunk.numbers)) for chunk in again] == [
        (chunk.rows, list(chunk.numbers)) for chunk in chunks[1:]
    ]


def test_a_record_that_is_too_large_is_rejected_alone() -> None:
    content = b"<r><a><x>%s</x></a><a><x>ok</x></a></r>" % (b"x" * 5_000)
    options = ReadOptions(limits=Limits(max_row_bytes=2_000))
    assert rows("xml", content, 0, options)[1:] == [["ok"]]
    assert [(each.row, each.code) for each in rejects("xml", content, options)] == [(1, "row-too-large")]


@pytest.mark.parametrize(
    ("content", "limits", "code"),
    [
        (ugly.DTD_BOMB.encode() + b"<x>&b;</x>", {}, "dtd-forbidden"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', {}, "dtd-forbidden"),
        (b"<a>" * 100_000, {}, "nesting-too-deep"),
        (b"<a><b></a>", {}, "corrupt-file"),
        (b"<a>&nbsp;</a>", {}, "corrupt-file"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', {}, "corrupt-file"),
        (
            b"<r><a>" + b"".join(b"<c%d>1</c%d>" % (n, n) for n in range(50)) + b"</a><a/></r>",
            {"max_columns": 40},
            "too-many-columns",
        ),
        (b"<r x='" + b"x" * 17_000_000 + b"'/>", {}, "field-too-large"),
        (b"<r><a/></r>", {"max_inflated_bytes": 5}, "file-too-large"),
    ],
)
def test_xml_that_would_hurt_is_refused(content: bytes, limits: dict[str, int], code: str) -> None:
    assert refused("xml", content, ReadOptions(limits=Limits(**limits))) == code


def test_html_tables_are_read_as_the_browser_draws_them() -> None:
    content = (
        b"<table><caption>People &amp; more</caption><tr><th>Name<th>Age<th colspan=2>Address</tr>"
        b"<tr><td rowspan=2>Ann<td>3<td>x<td>y<tr><td>4<td>x2<td>y2</tr><tr><td>Bob<td>5<td>z<td>zz</table>"
        b"<table><tr><td><table><tr><td>k</td><td>v</td></tr><tr><td>1</td><td>2</td></tr></table></td></tr></table>"
    )
    with tables("html_table", content) as opened:
        assert [table.name for table in opened.tables] == ["People & more", "table 2"]
    assert rows("html_table", content) == [
        ["Name", "Age", "Address", "Address (2)"],
        ["Ann", "3", "x", "y"],
        ["Ann", "4", "x2", "y2"],
        ["Bob", "5", "z", "zz"],
    ]
    assert rows("html_table", content, 1) == [["k", "v"], ["1", "2"]]


def test_html_without_a_table_or_with_spans_that_explode_is_refused() -> None:
    assert refused("html_table", b"<p>no table</p>") == "no-table"
    bomb = b"<table>" + (b"<tr>" + b"<td colspan=1000>" * 20) * 80 + b"</table>"
    assert refused("html_table", bomb) == "sheet-too-large"
