"""Sheets say what is in them: whole numbers, dates, errors, merged cells; what would hurt is refused."""

import subprocess
import sys
from datetime import date, datetime, time
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest

from importer.problems import Limits
from importer.readers import CellError, ReadOptions
from importer.serials import DateKind, from_serial, kind_of_format
from tests.unit.importer import ugly
from tests.unit.importer.reading import refused, rejects, rows, tables


def _cells(*cells: str) -> str:
    header = "".join(f"<c t='str'><v>h{number}</v></c>" for number in range(len(cells)))
    return f"<sheetData><row>{header}</row><row>{''.join(cells)}</row></sheetData>"


def test_cells_keep_the_types_that_they_have() -> None:
    content = ugly.workbook(
        {
            "S": _cells(
                "<c><v>42</v></c>",
                "<c><v>42.0</v></c>",
                "<c><v>-7</v></c>",
                "<c><v>1E3</v></c>",
                '<c t="s"><v>0</v></c>',
                '<c t="b"><v>1</v></c>',
                '<c t="e"><v>#N/A</v></c>',
                '<c t="d"><v>2024-02-29</v></c>',
                '<c t="inlineStr"><is><r><t>in</t></r><r><t>line_x0041_</t></r><rPh><t>x</t></rPh></is></c>',
            )
        },
        strings=["shared"],
    )
    values = rows("xlsx", content)[1]
    assert values == [42, 42.0, -7, 1000.0, "shared", True, CellError("#N/A"), date(2024, 2, 29), "inlineA"]
    assert [type(value) for value in values[:4]] == [int, float, int, float]


def test_a_formula_gives_its_computed_value_and_says_where_there_is_none() -> None:
    content = ugly.workbook(
        {"S": _cells("<c><f>1+1</f><v>2</v></c>", "<c><f>1+2</f></c>", '<c t="str"><f>A</f><v>x</v></c>')}
    )
    assert rows("xlsx", content)[1] == [2, CellError("#NOT-COMPUTED"), "x"]


@pytest.mark.parametrize(
    ("serial", "code", "is_1904", "expected"),
    [
        (45_000, "yyyy-mm-dd", False, date(2023, 3, 15)),
        (43_538, "yyyy-mm-dd", True, date(2023, 3, 15)),
        (1, "d/m/yy", False, date(1900, 1, 1)),
        (59, "d/m/yy", False, date(1900, 2, 28)),
        (61, "d/m/yy", False, date(1900, 3, 1)),
        (45_000.5, "yyyy-mm-dd hh:mm", False, datetime.fromisoformat("2023-03-15T12:00")),
        (45_000.25, "yyyy-mm-dd", False, datetime.fromisoformat("2023-03-15T06:00")),
        (0.75, "h:mm AM/PM", False, time(18)),
        (1.5625, "[h]:mm", False, "37:30:00"),
        (45_000, "0.00", False, 45_000),
        (3_000_000, "yyyy", False, 3_000_000),
        (-1, "yyyy", False, -1),
        (45_000, "[Red]#,##0.00 &quot;days&quot;", False, 45_000),
        (45_000, "[$-409]mmmm d, yyyy;@", False, date(2023, 3, 15)),
    ],
)
def test_a_number_that_is_shown_as_a_date_is_one(serial: float, code: str, is_1904: bool, expected: object) -> None:
    content = ugly.workbook(
        {"S": _cells(f'<c s="1"><v>{serial}</v></c>', "<c><v>1</v></c>")}, formats=[code], is_1904=is_1904
    )
    assert rows("xlsx", content)[1][0] == expected


def test_built_in_formats_are_known_by_their_number() -> None:
    kinds = {number: kind_of_format(number, None) for number in (0, 1, 14, 20, 22, 46, 49)}
    assert {number for number, kind in kinds.items() if kind} == {14, 20, 22, 46}
    assert from_serial(0.5, DateKind.TIME, is_1904=False) == time(12)


@pytest.mark.parametrize("format_name", ["xlsx"])
def test_a_value_in_the_last_cell_costs_nothing(format_name: str) -> None:
    found = rows(format_name, ugly.workbook({"S": ugly.LAST_CELL}))
    assert found[:3] == [["a", "b"], [1, 2], [3, 4]]
    assert len(found[3]) == 16_384
    assert found[3][-1] == 1


def test_a_sheet_that_is_mostly_gaps_is_refused() -> None:
    row = '<row r="{0}"><c r="A{0}"><v>1</v></c><c r="XFD{0}"><v>1</v></c></row>'
    content = ugly.workbook(
        {"S": "<sheetData>" + "".join(row.format(number) for number in range(1, 200)) + "</sheetData>"}
    )
    assert refused("xlsx", content) == "sheet-too-large"
    assert len(rows("xlsx", content, 0, ReadOptions(limits=Limits(max_sheet_fill=20_000)))) == 200


def test_merged_cells_fill_their_rows_but_no_blank_ones() -> None:
    merged = '<mergeCells><mergeCell ref="A2:A3"/><mergeCell ref="B1:C1"/><mergeCell ref="A5:XFD1048576"/></mergeCells>'
    content = ugly.workbook(
        {"S": ugly.sheet([["id", "address", None], ["x", 1, 2], [None, 3, 4], ["y", 5, 6], ["z", 7, 8]]) + merged}
    )
    assert rows("xlsx", content) == [
        ["id", "address", "address (2)"],
        ["x", 1, 2],
        ["x", 3, 4],
        ["y", 5, 6],
        ["z", 7, 8],
    ]


def test_each_sheet_is_a_table_and_a_hidden_one_is_named_and_left_out() -> None:
    sheets = {name: ugly.sheet([["a"], [name]]) for name in ("One", "Secret", "Two")}
    with tables(
        "xlsx", ugly.workbook({**sheets, "Empty": "<sheetData/>"}, hidden=["Secret"], more={"xl/vbaProject.bin": b""})
    ) as opened:
        assert [table.name for table in opened.tables] == ["One", "Two"]
        assert any("'Secret' is hidden" in notice for notice in opened.notices)
        assert any("macros" in notice for notice in opened.notices)


def test_titles_above_and_totals_below_a_table_are_left_out() -> None:
    content = ugly.workbook(
        {
            "S": ugly.sheet(
                [
                    ["Report 2024"],
                    [],
                    ["name", "city", "amount"],
                    *[[f"n{n}", "x", n] for n in range(50)],
                    ["Total", None, 1225],
                ]
            )
        }
    )
    found = rows("xlsx", content)
    assert found[0] == ["name", "city", "amount"]
    assert found[-1] == ["n49", "x", 49]


def test_reading_goes_on_where_it_stopped_with_the_same_chunks() -> None:
    content = ugly.workbook({"S": ugly.sheet([["a", "b"], *[[f"x{n}", n] for n in range(2_500)]])})
    with tables("xlsx", content) as opened:
        whole = [
            (chunk.rows, list(chunk.numbers), list(chunk.lines), chunk.end)
            for chunk in opened.read(opened.tables[0], opened.tables[0].start)
        ]
    assert [len(each[0]) for each in whole] == [500] * 5
    assert (whole[1][1][0], whole[1][2][0]) == (501, 502)
    with tables("xlsx", content) as opened:
        rest = [
            (chunk.rows, list(chunk.numbers), list(chunk.lines), chunk.end)
            for chunk in opened.read(opened.tables[0], whole[0][3])
        ]
    assert rest == whole[1:]


def test_a_cell_that_is_too_large_rejects_its_row_alone() -> None:
    content = ugly.workbook({"S": ugly.sheet([["a", "b"], ["x" * 2_000, 1], ["y", 2]])})
    options = ReadOptions(limits=Limits(max_field_bytes=1_000))
    assert rows("xlsx", content, 0, options)[1:] == [["y", 2]]
    assert [(each.row, each.line, each.code) for each in rejects("xlsx", content, options)] == [
        (1, 2, "field-too-large")
    ]


@pytest.mark.parametrize(
    ("content", "limits", "code"),
    [
        (ugly.workbook({"S": "<sheetData>" + "<a>" * 300}), {}, "nesting-too-deep"),
        (ugly.workbook({"S": "<sheetData><row r='0'/></sheetData>"}), {}, "corrupt-file"),
        (ugly.workbook({"S": "<sheetData><row><c t='s'><v>9</v></c></row></sheetData>"}), {}, "corrupt-file"),
        (ugly.workbook({"S": "<sheetData><row><c r='ZZZZ1'><v>9</v></c></row></sheetData>"}), {}, "corrupt-file"),
        (ugly.workbook({"S": "<sheetData><row><c r='ZZZ1'><v>9</v></c></row></sheetData>"}), {}, "too-many-columns"),
        (ugly.workbook({"S": ugly.sheet([["a"] * 50])}), {"max_columns": 40}, "too-many-columns"),
        (ugly.workbook({"S": ugly.sheet([["a"] * 5_000])}), {"max_inflated_bytes": 10_000}, "file-too-large"),
        (
            ugly.workbook({"S": ugly.sheet([["a"], ["b"]])}, more={"xl/sharedStrings.xml": ugly.DTD_BOMB + "<sst/>"}),
            {},
            "dtd-forbidden",
        ),
        (ugly.workbook({"S": ugly.sheet([["a"], ["b"]])})[:900], {}, "corrupt-file"),
        (ugly.workbook({"S": "<sheetData><c " + "x" * 17_000_000}), {"max_ratio": 10_000}, "field-too-large"),
        (ugly.pack({"xl/workbook.xml": "<workbook/>"}), {}, "corrupt-file"),
    ],
)
def test_a_workbook_that_would_hurt_is_refused(content: bytes, limits: dict[str, int], code: str) -> None:
    assert refused("xlsx", content, ReadOptions(limits=Limits(**limits))) == code


def test_texts_beyond_what_memory_should_hold_come_from_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.workbook._STRINGS_IN_MEMORY", 200)
    cells = "".join(f"<row><c t='s'><v>{n}</v></c><c><v>{n}</v></c></row>" for n in range(10))
    found = rows(
        "xlsx", ugly.workbook({"S": f"<sheetData>{cells}</sheetData>"}, strings=[f"täxt {n}" for n in range(10)])
    )
    assert [row[0] for row in found[1:]] == [f"täxt {n}" for n in range(10)][-len(found) + 1 :]


def test_a_workbook_of_another_program_is_read_alike() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["name", "when", "amount"],
        ["Ann", datetime.fromisoformat("2024-05-06T07:08"), 1.5],
        ["Bob", datetime.fromisoformat("2024-05-07"), 2],
    ):
        sheet.append(row)
    stream = BytesIO()
    book.save(stream)
    assert rows("xlsx", stream.getvalue())[1:] == [
        ["Ann", datetime.fromisoformat("2024-05-06T07:08"), 1.5],
        ["Bob", datetime.fromisoformat("2024-05-07"), 2],
    ]


def test_an_old_workbook_says_the_same() -> None:
    found = rows("xls", ugly.old_workbook())
    assert found == [
        ["name", "number", "day", "error", "flag"],
        ["Ann", 42, date(2023, 3, 15), CellError("#N/A"), True],
        ["Ann", 1.5, None, None, None],
    ]
    assert isinstance(found[1][1], int)
    assert rows("xls", ugly.old_workbook(is_1904=True))[1][2] == date(2027, 3, 16)


def test_an_old_workbook_hides_sheets_and_asks_for_passwords_too() -> None:
    with tables("xls", ugly.old_workbook(is_hidden=True)) as opened:
        assert [table.name for table in opened.tables] == ["first"]
        assert any("hidden" in notice for notice in opened.notices)
    assert refused("xls", ugly.old_workbook(is_encrypted=True)) == "password-required"


@pytest.mark.parametrize("content", [ugly.compound({"Workbook": b"nonsense" * 600}), ugly.old_workbook()[:4_000]])
def test_a_broken_old_workbook_is_refused(content: bytes) -> None:
    assert refused("xls", content) == "corrupt-file"


_TABLE = '<table:table table:name="{0}">{1}</table:table>'
_ODS_ROWS = (
    "<table:table-row><table:table-cell><text:p>name</text:p></table:table-cell><table:table-cell><text:p>day</text:p></table:table-cell>"
    "<table:table-cell><text:p>n</text:p></table:table-cell></table:table-row>"
    '<table:table-row table:number-rows-repeated="2"><table:table-cell office:value-type="string">'
    "<office:annotation><text:p>no</text:p></office:annotation>"
    '<text:p>An<text:s text:c="2"/>n</text:p></table:table-cell>'
    '<table:table-cell office:value-type="date" office:date-value="2024-02-29"><text:p>29.2.24</text:p>'
    "</table:table-cell>"
    '<table:table-cell office:value-type="float" office:value="42"><text:p>42,00</text:p>'
    '</table:table-cell><table:table-cell table:number-columns-repeated="16381"/></table:table-row>'
    '<table:table-row><table:table-cell table:formula="x" office:value-type="string"><text:p>#REF!'
    "</text:p></table:table-cell></table:table-row>"
    '<table:table-row table:number-rows-repeated="1048000">'
    '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
)


def test_an_open_document_says_the_same() -> None:
    found = rows("ods", ugly.spreadsheet(_TABLE.format("S", _ODS_ROWS)))
    day = date(2024, 2, 29)
    assert found == [["name", "day", "n"], ["An  n", day, 42], ["An  n", day, 42], [CellError("#REF!"), None, None]]


def test_an_open_document_hides_sheets_too() -> None:
    styles = '<style:style style:name="ta2"><style:table-properties table:display="false"/></style:style>'
    hidden = _TABLE.format("H", _ODS_ROWS).replace("<table:table ", '<table:table table:style-name="ta2" ')
    with tables("ods", ugly.spreadsheet(hidden + _TABLE.format("S", _ODS_ROWS), styles=styles)) as opened:
        assert [table.name for table in opened.tables] == ["S"]
        assert opened.notices == ("the sheet 'H' is hidden and was left out",)
        chunks = list(opened.read(opened.tables[0], opened.tables[0].start))
        assert sum(len(chunk.rows) for chunk in chunks) == 3


def test_each_sheet_of_an_open_document_is_read_to_its_end() -> None:
    cell = '<table:table-cell office:value-type="float" office:value="{0}"><text:p>{0}</text:p></table:table-cell>'
    header = "<table:table-row><table:table-cell><text:p>number</text:p></table:table-cell></table:table-row>"
    counts = {"long": 900, "empty": 0, "short": 3, "last": 450}
    sheets = [
        _TABLE.format(
            name,
            header
            + "".join(f"<table:table-row>{cell.format(place)}</table:table-row>" for place in range(1, count + 1)),
        )
        for name, count in counts.items()
    ]
    with tables("ods", ugly.spreadsheet("".join(sheets))) as opened:
        for table in opened.tables:
            read = [row[0] for chunk in opened.read(table, table.start) for row in chunk.rows]
            assert read == list(range(1, counts[table.name] + 1))
        assert [table.name for table in opened.tables] == list(counts)


def test_what_an_open_document_repeats_is_bounded_by_what_it_holds() -> None:
    cell = '<table:table-cell table:number-columns-repeated="16384" office:value-type="float" office:value="1"/>'
    row = f'<table:table-row table:number-rows-repeated="1000000">{cell}</table:table-row>'
    assert refused("ods", ugly.spreadsheet(_TABLE.format("S", row))) == "sheet-too-large"
    assert refused("ods", ugly.spreadsheet("", manifest="<encryption-data/>")) == "password-required"


def test_no_sheet_takes_the_process_down(tmp_path: Path) -> None:
    """Read in a process of their own, with little memory: what kills it shows."""
    for name, content in ugly.everything().items():
        if name.endswith((".xlsx", ".xlsm", ".xls")):
            (tmp_path / name).write_bytes(content)
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from core.errors import PermanentError\nfrom importer.members import walk\n"
        "from importer.readers import ReadOptions, table_reader\nfrom importer.source import FileSource\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (200_000_000, 200_000_000))\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try:\n"
        "        for member in walk(FileSource(path), ReadOptions()):\n"
        "            with table_reader(member.type.format).open(member.source, member.options) as opened:\n"
        "                for table in opened.tables:\n"
        "                    for chunk in opened.read(table, table.start): pass\n"
        "    except PermanentError as problem: print(path.name, problem.code)\n"
        "print('alive')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.splitlines() == ["dtd.xlsx dtd-forbidden", "old_encrypted.xls password-required", "alive"], (
        done.stderr
    )
