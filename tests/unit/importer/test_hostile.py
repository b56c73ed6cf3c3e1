"""What hostile files try: numbers nothing can store, shifted columns, endless work, parsers that crash."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from core.errors import PermanentError
from importer.engine import convert, stream_of
from importer.readers import ReadOptions, table_reader
from importer.rows import RowMaker
from importer.values import Checkpoint
from importer.writers import load_writer
from tests.unit.importer import ugly
from tests.unit.importer.reading import members, refused, rows
from tests.unit.importer.tables import Operations, mapping, parts, read, source, template

_HUGE = "123456789012345678901234567890"


def _made(
    schema: Mapping[str, Any], content: bytes | str, *operations: tuple[str, dict[str, str]], format_name: str = "csv"
) -> tuple[list[object], list[tuple[object, str]]]:
    """The values of the field `a`; row and code of each reject."""
    used: Operations = {"a": operations}
    found = parts(content, template({"a": schema}), mapping({"a": "a"}, used), format_name=format_name)
    rejects = [json.loads(line) for part in found for line in part.rejects.splitlines()]
    values = [json.loads(line)["a"] for part in found for line in part.output.splitlines()]
    return values, [(reject["row"], reject["code"]) for reject in rejects]


@pytest.mark.parametrize("text", ["1e999", "-1e999", "1e-999"])
def test_a_number_that_no_float_holds_is_a_reject_and_not_nothing(text: str) -> None:
    assert _made({"type": "number"}, f"a,b\n{text},x\n1,y\n") == ([1], [(1, "type-error")])


@pytest.mark.parametrize("factor", ["1e300", "1e-320", "1e999999999"])
def test_a_unit_that_makes_a_number_too_large_or_nothing_is_a_reject(factor: str) -> None:
    values, rejects = _made(
        {"type": "number"}, "a,b\n1e250,x\n1e-250,x\n0,y\n", ("number", {}), ("scale", {"factor": factor})
    )
    assert 0 in values
    assert rejects
    assert None not in values


def test_a_cell_of_several_lines_does_not_shift_the_column() -> None:
    content = 'a;b\n"1\n2";x\n3,5;y\n7,5;z\n'
    assert _made({"type": "number"}, content, ("number", {"decimal": ","})) == ([3.5, 7.5], [(1, "type-error")])


@pytest.mark.parametrize("text", ["99999999999999", "²"])
def test_a_time_that_no_calendar_has_is_a_reject(text: str) -> None:
    schema = {"type": "string", "format": "date-time"}
    values, rejects = _made(schema, f"a,b\n{text},x\n1,y\n", ("datetime", {"order": "epoch"}))
    assert values == ["1970-01-01T00:00:01Z"]
    assert rejects == [(1, "type-error")]


def test_a_place_is_no_zone() -> None:
    schema = {"type": "string", "format": "date-time"}
    with pytest.raises(PermanentError) as error:
        _made(schema, "a,b\n2024-01-01 10:00,x\n", ("datetime", {"zone": "Europe/Berlin"}))
    assert (error.value.code, "datetime" in error.value.message) == ("no-mapping", True)


@pytest.mark.parametrize("last", [("scale", {"factor": "0.25"}), ("split", {"separator": ","})])
def test_what_comes_after_a_number_is_checked_again(last: tuple[str, dict[str, str]]) -> None:
    values, rejects = _made({"type": "integer"}, "a,b\n1,x\n4,y\n", ("integer", {}), last)
    assert all(isinstance(value, int) for value in values)
    assert (1, "type-error") in rejects


def test_a_mapping_without_any_field_is_refused() -> None:
    with pytest.raises(PermanentError) as error:
        parts("a,b\n1,2\n", template({"a": {"type": "string"}}), mapping({}))
    assert error.value.code == "no-mapping"


@pytest.mark.parametrize("format_name", ["json", "jsonl"])
@pytest.mark.parametrize("schema", [{}, {"type": "array"}, {"type": ["string", "number"]}, {"enum": ["x"]}])
@pytest.mark.parametrize("value", [_HUGE, f"[{_HUGE}]", "1.0e-400", "[1.5]", "{}", r'"\ud800 1234567890123456"'])
def test_values_that_nothing_can_store_never_end_an_import(
    format_name: str, schema: dict[str, Any], value: str
) -> None:
    lines = [f'{{"a":{value},"b":12345678901234567890.5}}', '{"a":"x"}']
    content = "\n".join(lines) if format_name == "jsonl" else f"[{','.join(lines)}]"
    if format_name == "json" and "ud800" in value:
        with pytest.raises(PermanentError, match=r"half of a character.*JSON Lines"):  # and not a broken process
            _made(schema, content, format_name=format_name)
        return
    values, rejects = _made(schema, content, format_name=format_name)
    assert len(values) + len({row for row, _ in rejects}) == 2
    assert None not in values


def test_a_number_out_of_range_in_json_stays_as_it_is_written() -> None:
    assert read("json", f'[{{"a":{_HUGE},"b":1e400,"c":[{_HUGE}]}}]')[1] == [[_HUGE, "1E+400", [_HUGE]]]


def test_a_number_of_thousands_of_digits_does_not_kill_the_process() -> None:
    program = (
        "import sys; sys.path[:] = eval(sys.argv[1])\n"
        "from core.errors import PermanentError\n"
        "from importer.readers import ReadOptions, table_reader\n"
        "from importer.source import BytesSource\n"
        "try:\n"
        "    with table_reader('json').open(BytesSource('f', b'[{\"a\":' + b'1' * 5000 + b'}]'), ReadOptions()): pass\n"
        "except PermanentError as error: print(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, repr(sys.path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "corrupt-file\n")
    assert refused("json", b'[{"a":1e99999999999999999999}]') == "corrupt-file"


def _styled(value: str, code: str) -> bytes:
    body = ugly.sheet([["a", "b"]]).replace("</sheetData>", f'<row r="2"><c s="1"><v>{value}</v></c>')
    body += '<c t="inlineStr"><is><t>z</t></is></c></row></sheetData>'
    return ugly.workbook({"S": body}, formats=[code])


@pytest.mark.parametrize("code", ["[h]:mm", "yyyy-mm-dd hh:mm", "hh:mm"])
@pytest.mark.parametrize("value", ["1e999", "2958465.9999999995", "-1e300", "1e15"])
def test_a_date_beyond_the_calendar_is_a_number_or_a_reject(code: str, value: str) -> None:
    values, rejects = _made({}, _styled(value, code), format_name="xlsx")
    assert len(values) + len(rejects) == 1
    assert None not in values


def test_a_number_format_of_brackets_takes_no_time() -> None:
    assert rows("xlsx", _styled("1", "[" * 300_000))[1] == [1, "z"]


def test_errors_and_dates_fit_fields_of_several_types() -> None:
    body = ugly.sheet([["a", "b"], ["x", "y"]]).replace("</sheetData>", "")
    body += '<row r="3"><c t="e"><v>#N/A</v></c></row><row r="4"><c t="d"><v>2024-01-02</v></c></row></sheetData>'
    values, rejects = _made({"type": ["string", "number"]}, ugly.workbook({"S": body}), format_name="xlsx")
    assert values == ["x", "2024-01-02"]
    assert rejects == [(2, "cell-error")]


@pytest.mark.parametrize("text", ["_xD800_", "_xD83D__xDE00_"])
def test_halves_of_characters_in_a_sheet_can_be_written(text: str) -> None:
    values, _ = _made(
        {"type": "string"}, ugly.workbook({"S": ugly.sheet([["a", "b"], [text, "y"]])}), format_name="xlsx"
    )
    assert values in (["\ufffd"], ["\U0001f600"])


def test_a_long_text_that_all_cells_share_does_not_blow_up() -> None:
    cells = "".join(f'<row r="{row}"><c t="s"><v>0</v></c><c><v>1</v></c></row>' for row in range(2, 5_000))
    content = ugly.workbook({"S": f"<sheetData>{cells}</sheetData>"}, strings=["a" * 1_000_000])
    assert refused("xlsx", content) == "sheet-too-large"


def test_merged_cells_that_all_go_on_for_ever_are_refused() -> None:
    body = (
        ugly.sheet([["a", "b"]] * 1_500) + "<mergeCells>" + '<mergeCell ref="A1:B1048576"/>' * 50_000 + "</mergeCells>"
    )
    assert refused("xlsx", ugly.workbook({"S": body})) == "sheet-too-large"


def test_a_comment_of_merged_cells_takes_no_time() -> None:
    body = ugly.sheet([["a", "b"], ["1", "2"]]) + "<!--" + "<mergeCell " * 90_000 + "-->"
    assert rows("xlsx", ugly.workbook({"S": body})) == [["a", "b"], ["1", "2"]]


@pytest.mark.parametrize("name", ["", "."])
def test_a_member_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(PermanentError) as error:
        members(ugly.pack({"a.csv": "a,b\n1,2\n", name: "x"}))
    assert error.value.code == "unsafe-member"


@pytest.mark.parametrize("content", ['"', "\n\n , \n", ",,,\n,,,\n"])
def test_a_file_without_a_row_is_refused(content: str) -> None:
    assert refused("csv", content.encode()) == "no-table"


def test_a_line_full_of_quotes_takes_no_time() -> None:
    assert rows("csv", ("a,b\n" + ',"x' * 150_000 + "\n1,2\n").encode())[-1] == ["1", "2"]


@pytest.mark.parametrize("name", ["hex", "utf\0"])
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    assert refused("csv", b"a,b\n1,2\n", ReadOptions(encoding=name)) == "encoding"


def test_one_nul_does_not_make_a_file_utf_16() -> None:
    assert rows("csv", b"a,b\n1\0,2\n3,4\n") == [["a", "b"], ["1\0", "2"], ["3", "4"]]


def test_a_customer_called_total_and_a_row_that_was_cut_off_are_no_footer() -> None:
    content = "name,city,n\nAcme,Rome,1\nTotal Energies,Paris,5\nO-7"
    assert rows("csv", content.encode())[-2:] == [["Total Energies", "Paris", "5"], ["O-7"]]
    assert rows("csv", b"name,city,n\nAcme,Rome,1\nTotal,,3\n")[-1] == ["Acme", "Rome", "1"]


def test_many_arrays_and_many_kinds_of_elements_are_tables_only_so_far() -> None:
    arrays = ",".join(f'"a{number}":[{{"x":1}}]' for number in range(20_000))
    with table_reader("json").open(source(f"{{{arrays}}}"), ReadOptions()) as file:
        assert len(file.tables) == 50
        assert file.notices
    elements = "".join(f"<a{number}><x><y/></x><x/></a{number}>" for number in range(8_000))
    with table_reader("xml").open(source(f"<r>{elements}</r>"), ReadOptions()) as file:
        assert len(file.tables) == 50


@pytest.mark.parametrize(
    ("format_name", "head", "row", "tail"),
    [
        ("csv", "a,b\n", "{text},{n}\n", ""),
        ("jsonl", "", '{{"a":"{text}","b":{n}}}\n', ""),
        ("json", "[", '{{"a":"{text}","b":{n}}},', '{"a":"","b":0}]'),
        ("xml", "<r>", "<x><a>{text}</a><b>{n}</b></x>", "</r>"),
    ],
)
def test_large_rows_make_small_chunks_that_are_cut_alike_from_anywhere(
    format_name: str, head: str, row: str, tail: str
) -> None:
    text = "x" * 900_000
    content = head + "".join(row.format(text=text, n=number) for number in range(60)) + tail
    with table_reader(format_name).open(source(content), ReadOptions()) as file:
        table = file.tables[0]
        ends = [chunk.end for chunk in file.read(table, table.start)]
        assert 3 < len(ends) < 10
        for place, end in enumerate(ends):
            assert [chunk.end for chunk in file.read(table, end)] == ends[place + 1 :]


def test_a_wide_record_that_no_column_is_for_takes_no_time() -> None:
    columns = "{" + ",".join(f'"c{number}":1' for number in range(10_000)) + "}\n"
    other = "{" + ",".join(f'"k{number}":1' for number in range(10_000)) + "}\n"
    found = read("jsonl", columns + '{"c0":2}\n' * 1_000 + other * 5)[1]
    assert len(found) == 1_006
    assert found[1][:2] == [2, None]


def test_what_a_reject_shows_of_a_list_is_short() -> None:
    target = template({"a": {"type": "number"}})
    content = json.dumps([{"a": ["x" * 100] * 1_000}, {"a": 1}])
    with table_reader("json").open(source(content), ReadOptions()) as file:
        table = file.tables[0]
        maker = RowMaker(target, mapping({"a": "a"}), table.columns)
        writer = stream_of(load_writer("jsonl"))
        found: Sequence[bytes] = [
            part.rejects
            for part in convert(file, table, template=target, maker=maker, writer=writer, start=Checkpoint(etag="e"))
        ]
    assert 100 < len(found[0]) < 5_000
