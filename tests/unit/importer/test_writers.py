"""Writers: every format gives back what it was given, runs nothing, and is the same to the byte each time."""

import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PermanentError
from importer.values import Record
from importer.writers import OutputField, load_writer

_FIELDS = (
    OutputField("name", {"type": "string"}),
    OutputField("born", {"type": ["string", "null"], "format": "date"}),
    OutputField("items", {"type": "integer"}),
    OutputField("price", {"type": "number"}),
    OutputField("is_open", {"type": "boolean"}),
    OutputField("tags", {"type": "array"}),
)
_RECORDS: list[Record] = [
    {
        "name": "Zoë 🐝, “quoted”\nsecond line",
        "born": "1999-12-31",
        "items": 42,
        "price": 1.5,
        "is_open": True,
        "tags": ["a"],
    },
    {"name": "", "born": None, "items": -1, "price": None, "is_open": False, "tags": []},
    {"name": None, "born": "1850-01-01", "items": 9007199254740993, "price": 0.1, "is_open": None, "tags": None},
]
_RUNS = ["=1+1", "+49 x", "-cmd", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")']
_texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


def _stream(format_name: str, records: list[Record], fields: tuple[OutputField, ...] = _FIELDS, cut: int = 0) -> bytes:
    writer = load_writer(format_name)
    assert writer.kind == "stream"
    pieces = [records[:cut], records[cut:]]
    body = b"".join(writer.encode(piece, fields, written) for piece, written in zip(pieces, (0, cut), strict=True))
    return writer.head(fields) + body + writer.tail(fields, len(records))


def _whole(format_name: str, records: list[Record], path: Path, fields: tuple[OutputField, ...] = _FIELDS) -> Path:
    writer = load_writer(format_name)
    assert writer.kind == "whole"
    writer.write([records[:1], records[1:]], fields, path)
    return path


def _one(value: object) -> tuple[list[Record], tuple[OutputField, ...]]:
    return [{"a": value}], (OutputField("a", {"type": "string"}),)


@pytest.mark.parametrize("format_name", ["csv", "json", "jsonl", "markdown"])
def test_a_file_is_the_same_wherever_it_was_cut(format_name: str) -> None:
    assert len({_stream(format_name, _RECORDS, cut=cut) for cut in range(4)}) == 1


@pytest.mark.parametrize("format_name", ["xlsx", "parquet"])
def test_a_whole_file_is_the_same_each_time(format_name: str, tmp_path: Path) -> None:
    first = _whole(format_name, _RECORDS, tmp_path / "first").read_bytes()

    assert _whole(format_name, _RECORDS, tmp_path / "second").read_bytes() == first


def test_json_is_read_back() -> None:
    assert json.loads(_stream("json", _RECORDS)) == _RECORDS
    assert json.loads(_stream("json", [])) == []


def test_csv_is_read_back() -> None:
    rows = list(csv.reader(io.StringIO(_stream("csv", _RECORDS).decode(), newline=""), strict=True))

    assert rows[0] == [field.name for field in _FIELDS]
    assert rows[1] == ["Zoë 🐝, “quoted”\nsecond line", "1999-12-31", "42", "1.5", "true", '["a"]']
    assert rows[2] == ["", "", "-1", "", "false", "[]"]


@pytest.mark.parametrize("text", _RUNS)
def test_nothing_in_a_csv_runs(text: str) -> None:
    cell = list(csv.reader(io.StringIO(_stream("csv", *_one(text)).decode(), newline="")))[1][0]

    assert cell.startswith("'")
    assert cell.replace("'", "") == text


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("text", ["x;=1+1", 'x;"=1+1"', "x\n=1+1", "x\r\n+cmd|' /C calc'!A0", "x\t@SUM(A1)", "x;;-cmd"])
def test_nothing_in_a_csv_runs_wherever_a_spreadsheet_cuts_it(text: str, separator: str) -> None:
    lines = _stream("csv", *_one(text)).decode().splitlines()[1:]

    cells = [cell.strip('"') for line in lines for cell in line.split(separator)]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("text", ["1;-2;+3,5", "from -1 to +1", "a=b", "x;-5 ", "mail@example.com; other@example.com"])
def test_signs_in_a_text_of_a_csv_stay_as_they_are(text: str) -> None:
    assert next(csv.reader([_stream("csv", *_one(text)).decode().splitlines()[1]])) == [text]


@pytest.mark.parametrize("text", ["-1", "+1.5", "-1,234.50", "1e5", "-.5"])
def test_a_plain_number_in_a_csv_stays_as_it_is(text: str) -> None:
    assert _stream("csv", *_one(text)).decode().splitlines()[1] == (f'"{text}"' if "," in text else text)


def test_a_header_in_a_csv_does_not_run() -> None:
    fields = (OutputField("=1+1", {"type": "string"}),)

    assert _stream("csv", [], fields) == b"'=1+1\r\n"


@given(st.lists(st.tuples(_texts, _texts), min_size=1, max_size=5))
def test_any_text_survives_a_csv(cells: list[tuple[str, str]]) -> None:
    fields = (OutputField("a", {"type": "string"}), OutputField("b", {"type": "string"}))
    written = _stream("csv", [{"a": a, "b": b} for a, b in cells], fields).decode()

    rows = list(csv.reader(io.StringIO(written, newline=""), strict=True))[1:]

    assert [[cell.replace("'", "") for cell in row] for row in rows] == [
        [cell.replace("'", "") for cell in row] for row in cells
    ]


def test_markdown_stays_one_table() -> None:
    lines = _stream("markdown", _RECORDS).decode().splitlines()

    assert lines[1] == "| --- | --- | --- | --- | --- | --- |"
    assert lines[2].startswith("| Zoë 🐝, “quoted”<br>second line | 1999-12-31 | 42 |")
    assert len(lines) == 2 + len(_RECORDS)


@given(_texts)
def test_no_text_ends_its_cell_in_markdown(text: str) -> None:
    written = _stream("markdown", *_one(text)).decode()

    assert len(written.splitlines()) == 3
    assert written.splitlines()[2].replace("\\\\", "").replace("\\|", "").count("|") == 2


def test_an_xlsx_is_read_back(tmp_path: Path) -> None:
    sheet = openpyxl.load_workbook(_whole("xlsx", _RECORDS, tmp_path / "out.xlsx")).active
    assert sheet is not None
    header, first, second, third = [[cell.value for cell in row] for row in sheet.iter_rows()]

    assert header == [field.name for field in _FIELDS]
    born: Any = first[1]
    assert first[0] == "Zoë 🐝, “quoted”\nsecond line"
    assert born.date() == date(1999, 12, 31)
    assert first[2:] == [42, 1.5, True, '["a"]']
    assert second[2:5] == [-1, None, False]
    assert third[1:3] == ["1850-01-01", "9007199254740993"]  # neither would be exact in Excel


@pytest.mark.parametrize("text", _RUNS)
def test_nothing_in_an_xlsx_runs(text: str, tmp_path: Path) -> None:
    records, fields = _one(text)
    sheet = openpyxl.load_workbook(_whole("xlsx", records, tmp_path / "out.xlsx", fields)).active
    assert sheet is not None

    cell = sheet["A2"]
    assert cell.data_type in {"s", "inlineStr"}
    assert cell.value.replace("_x000D_", "\r") == text


def test_a_text_too_long_for_an_xlsx_cell_is_refused_and_not_cut(tmp_path: Path) -> None:
    records, fields = _one("x" * 32_768)

    with pytest.raises(PermanentError, match="record 1"):
        _whole("xlsx", records, tmp_path / "out.xlsx", fields)


def test_more_rows_than_a_sheet_holds_go_on_on_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.writers.xlsx._MAX_ROWS", 3)
    fields = (OutputField("a", {"type": "integer"}),)
    path = _whole("xlsx", [{"a": number} for number in range(5)], tmp_path / "out.xlsx", fields)

    book = openpyxl.load_workbook(path)

    assert [[row[0].value for row in sheet.iter_rows()] for sheet in book] == [["a", 0, 1], ["a", 2, 3], ["a", 4]]


def test_an_xlsx_of_nothing_has_its_header(tmp_path: Path) -> None:
    sheet = openpyxl.load_workbook(_whole("xlsx", [], tmp_path / "out.xlsx")).active
    assert sheet is not None

    assert [cell.value for cell in sheet[1]] == [field.name for field in _FIELDS]


def test_a_parquet_is_read_back_with_its_types(tmp_path: Path) -> None:
    path = _whole("parquet", _RECORDS, tmp_path / "out.parquet")

    rows = duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)])
    assert rows.description is not None
    types = {column[0]: str(column[1]) for column in rows.description}
    first, _, third = rows.fetchall()

    assert (types["born"], types["items"], types["price"], types["is_open"]) == ("DATE", "BIGINT", "DOUBLE", "BOOLEAN")
    assert first == ("Zoë 🐝, “quoted”\nsecond line", date(1999, 12, 31), 42, 1.5, True, '["a"]')
    assert third[2] == 9007199254740993


def test_a_parquet_of_nothing_has_its_columns(tmp_path: Path) -> None:
    path = _whole("parquet", [], tmp_path / "out.parquet")

    rows = duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)])

    assert rows.description is not None
    assert [column[0] for column in rows.description] == [field.name for field in _FIELDS]


@pytest.mark.parametrize("name", ["it's", 'a "b"', "select", "x'}) --", "ä ö", "a, b: c"])
def test_any_name_of_a_field_is_a_column_of_a_parquet(name: str, tmp_path: Path) -> None:
    fields = (OutputField(name, {"type": "string"}),)

    path = _whole("parquet", [{name: "x"}], tmp_path / "out.parquet", fields)

    assert duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall() == [("x",)]


def test_a_value_that_parquet_cannot_hold_is_refused_in_words(tmp_path: Path) -> None:
    fields = (OutputField("a", {"type": "integer"}),)

    with pytest.raises(PermanentError, match="jsonl"):
        _whole("parquet", [{"a": "not a number"}], tmp_path / "out.parquet", fields)
