"""CSV as it comes: dialects, titles, totals, stray quotes, and rows that go on where they stopped."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PermanentError
from importer import dialect
from importer.cutting import Cutter
from importer.encoding import TextEncoding
from importer.lines import LineStream
from importer.problems import Limits
from importer.readers import ReadOptions, table_reader
from importer.values import Dialect
from tests.unit.importer.tables import read, source

_DIALECTS = [
    (",", "a,b,c\n1,2,3\n4,5,6"),
    (";", "Name;Betrag;Datum\nA;1,50;01.02.2024\nB;2,75;03.04.2024"),
    (";", "a;b\n1,5;2,5\n3,5;4,5\n6,5;7,5"),
    ("\t", "a\tb\n1,5\t2\n3,4\t5"),
    ("\t", "date\tamount\n2024-01-01 10:00:00\t1 234,50\n2024-01-02 11:00:00\t2 345,60"),
    ("|", "id|name|desc\n1|x|hello, world\n2|y|foo, bar, baz"),
    ("|", "a|b|c\n1|2\n3|4|5|6\n7|8|9"),
    (",", 'id,text\n1,"He said ""hi; there"""\n2,"a\nb"'),
    (",", "time,val\n12:30:00,1\n12:31:00,2"),
    (":", "root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin"),
    (";", "sep=;\na;b\n1,2;3"),
    (",", "url,t\nhttp://a.b/c?x=1;y=2,5\nhttp://a.b/c?x=1;y=3,6"),
    (",", "name\nAlice\nBob"),
    (" ", "a b c\n1 2 3\n4 5 6"),
    ("^", "a^b^c\n1^2^3"),
]


@pytest.mark.parametrize(("delimiter", "text"), _DIALECTS)
def test_the_delimiter_is_the_one_that_leaves_values(delimiter: str, text: str) -> None:
    assert dialect.detect(text.splitlines()).delimiter == delimiter


def test_escapes_and_blanks_before_quotes_are_seen() -> None:
    assert read("csv", 'id,text\n1,"x\\"y, z"\n2,"z"\n')[1] == [["1", 'x"y, z'], ["2", "z"]]
    assert read("csv", 'a, "b"\n1, "x, y"\n2, "z"\n')[1] == [["1", "x, y"], ["2", "z"]]
    assert read("csv", "id,text\n1,'a, b'\n2,'c, d'\n")[1] == [["1", "a, b"], ["2", "c, d"]]


def test_titles_above_and_totals_below_are_no_rows() -> None:
    content = "Report 2024,,\n\nname,qty,price\nx,1,2.5\ny,2,3.5\n\nTotal,3,6.0\n"
    with table_reader("csv").open(source(content), ReadOptions()) as file:
        table = file.tables[0]
        rows = [row for chunk in file.read(table, table.start) for row in chunk.rows]
        notices = file.notices
    assert table.columns == ("name", "qty", "price")
    assert rows == [["x", "1", "2.5"], ["y", "2", "3.5"]]
    assert any("left out" in notice and "end" in notice for notice in notices)
    assert any("above the header" in notice for notice in notices)


def test_a_last_row_that_is_data_stays() -> None:
    assert len(read("csv", "name,qty\nx,1\ny,2\nTotally,3\n")[1]) == 3


def test_a_table_without_a_header_is_named_by_places() -> None:
    columns, rows, _ = read("csv", "1,2024-01-01,x\n2,2024-01-02,y\n")
    assert columns == ("column_1", "column_2", "column_3")
    assert len(rows) == 2


def test_names_that_repeat_or_lack_are_made_unique() -> None:
    assert read("csv", "a,a,,b\n1,2,3,4\n")[0] == ("a", "a (2)", "column_3", "b")


def test_a_stray_quote_costs_its_line_and_no_other() -> None:
    content = 'id,name,qty\n1,x,3\n2,"open,4\n3,y"z,5\n4,w,6\n5,"a\nb",7\n'
    _, rows, rejects = read("csv", content)
    assert rows == [["1", "x", "3"], ["3", 'y"z', "5"], ["4", "w", "6"], ["5", "a\nb", "7"]]
    assert [(reject.row, reject.line, reject.code, reject.raw) for reject in rejects] == [(2, 3, "quote", '2,"open,4')]


def test_lines_that_a_stray_quote_would_join_to_a_row_of_another_width_stay_apart() -> None:
    content = 'id,name,qty\n1,"open,3\n2,x,4\n3,y,5\n4,close",w,6\n5,z,7\n'
    _, rows, rejects = read("csv", content)
    assert [row[0] for row in rows] == ["2", "3", "4", "5"]
    assert [reject.line for reject in rejects] == [2]


def test_a_quote_that_is_never_closed_does_not_swallow_the_file() -> None:
    content = 'id,name\n1,"open\n' + "".join(f"{number},x\n" for number in range(2, 30_000))
    _, rows, rejects = read("csv", content)
    assert len(rows) == 29_998
    assert [(reject.row, reject.code) for reject in rejects] == [(1, "quote")]


def test_many_quotes_without_an_end_do_not_take_for_ever() -> None:
    content = "id,name\n" + '1,"open\n' * 4_000
    _, rows, rejects = read("csv", content)
    assert len(rows) + len(rejects) >= 2_000


def test_cells_and_lines_that_are_too_large_are_rejected_alone() -> None:
    limits = Limits(max_field_bytes=1_000, max_row_bytes=5_000)
    content = "id,name\n1,ok\n2," + "x" * 2_000 + "\n3,ok\n4," + "y" * 600_000 + "\n5,ok\n"
    _, rows, rejects = read("csv", content, limits=limits)
    assert [row[0] for row in rows] == ["1", "3", "5"]
    assert [(reject.line, reject.code) for reject in rejects] == [(3, "field-too-large"), (5, "row-too-large")]


@pytest.mark.parametrize(("content", "code"), [("", "empty-file"), ("\n \n", "empty-file")])
def test_a_file_with_nothing_in_it_is_refused(content: str, code: str) -> None:
    with pytest.raises(PermanentError) as refused:
        read("csv", content)
    assert refused.value.code == code


def test_limits_of_size_and_width_are_kept() -> None:
    with pytest.raises(PermanentError, match="bytes"):
        read("csv", "a,b\n1,2\n", limits=Limits(max_bytes=4))
    with pytest.raises(PermanentError, match="columns"):
        read("csv", "a,b,c\n1,2,3\n", limits=Limits(max_columns=2))


_CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=8
)


@given(rows=st.lists(st.tuples(_CELL, _CELL, _CELL), min_size=1, max_size=20))
def test_what_is_written_as_csv_is_read_again(rows: list[tuple[str, str, str]]) -> None:
    written = io.StringIO()
    out = csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL)
    out.writerow(("id", "first name", "second", "third"))
    out.writerows([(f"id-{number}", *row) for number, row in enumerate(rows)])
    columns, found, rejects = read("csv", written.getvalue(), encoding="utf-8")
    assert columns == ("id", "first name", "second", "third")
    assert found == [[f"id-{number}", *row] for number, row in enumerate(rows)]
    assert not rejects


_PIECES = st.sampled_from([",", '"', '""', "a", " ", "é", "'", "\\", "\0", "\x0b", "\x1c", "\x85", "\u2028"])


def _row_of(line: str, wanted: Dialect) -> list[str] | None:
    try:
        return next(csv.reader([line], dialect.csv_dialect(wanted), strict=True))
    except csv.Error:
        return None


@given(
    texts=st.lists(st.lists(_PIECES, max_size=9).map("".join), max_size=9),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    wanted=st.builds(Dialect, quote=st.sampled_from(['"', "'", ""]), skip_spaces=st.booleans()),
)
def test_a_line_without_a_quote_is_cut_as_the_csv_module_cuts_it(texts: list[str], end: str, wanted: Dialect) -> None:
    lines = [f"{text}{end}" for text in texts if _row_of(text + end, wanted)]
    stream = LineStream(io.BytesIO("".join(lines).encode()), offset=0, end=None, limit=1_000)
    cutter = Cutter(stream, encoding=TextEncoding(), dialect=wanted, width=None, limits=Limits())
    found = cutter.next_chunk({"offset": 0}, 100)
    rows = [_row_of(line, wanted) or [] for line in lines]
    assert (found[0].rows if found else []) == [row for row in rows if any(cell.strip() for cell in row)]


@given(cut=st.integers(0, 6), ends=st.sampled_from(["\n", "\r\n"]))
def test_reading_goes_on_from_any_chunk(cut: int, ends: str) -> None:
    lines = ["id,text"]
    for number in range(6_000):
        lines.append(f'{number},"two{ends}lines"' if number % 7 == 0 else f"{number},x")
        if number % 501 == 0:
            lines.append(f'{number},"stray')
    content = ends.join(lines) + ends
    with table_reader("csv").open(source(content), ReadOptions()) as file:
        table = file.tables[0]
        whole = list(file.read(table, table.start))
        start = whole[cut].end
        rest = list(file.read(table, start))
    assert len(whole) > 6
    assert [(chunk.rows, list(chunk.numbers), list(chunk.lines), chunk.rejects) for chunk in rest] == [
        (chunk.rows, list(chunk.numbers), list(chunk.lines), chunk.rejects) for chunk in whole[cut + 1 :]
    ]
