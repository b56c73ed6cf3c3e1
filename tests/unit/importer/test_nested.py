"""JSON and JSON Lines: tables inside files, numbers without loss, and what would hurt a parser."""

import gzip
import json

import pytest

from core.errors import PermanentError
from importer.compression import GzipSource
from importer.problems import Limits
from importer.readers import ReadOptions, table_reader
from tests.unit.importer.tables import read, source


def test_every_array_of_objects_is_a_table() -> None:
    document = {
        "meta": {"tags": ["x"]},
        "data": {"items": [{"id": 1, "at": {"city": "Bonn"}, "lines": [{"q": 1}]}, 7, {"id": 2, "new": True}]},
        "more": [{"k": None}],
    }
    with table_reader("json").open(source(json.dumps(document)), ReadOptions()) as file:
        tables = file.tables
        chunks = [list(file.read(table, table.start)) for table in tables]
    assert [(table.name, table.columns) for table in tables] == [
        ("data.items", ("id", "at.city", "lines", "new")),
        ("more", ("k",)),
    ]
    first = chunks[0][0]
    assert first.rows == [[1, "Bonn", [{"q": 1}], None], [2, None, None, True]]
    assert list(first.numbers) == [1, 3]
    assert [(reject.row, reject.code) for reject in first.rejects] == [(2, "not-an-object")]
    assert json.loads(first.raw(0))["at.city"] == "Bonn"


def test_json_goes_on_from_a_record() -> None:
    content = json.dumps([{"n": number} for number in range(2_500)])
    with table_reader("json").open(source(content), ReadOptions()) as file:
        table = file.tables[0]
        whole = list(file.read(table, table.start))
        rest = list(file.read(table, whole[0].end))
    assert [chunk.rows for chunk in rest] == [chunk.rows for chunk in whole[1:]]
    assert whole[-1].end == {"row": 2_500}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("[" * 200_000, "nesting-too-deep"),
        ('{"a":' * 40_000, "nesting-too-deep"),
        ("[" + '{"a":' * 70 + "1" + "}" * 70 + "]", "nesting-too-deep"),
        ('[{"a":1},{"a"', "corrupt-file"),
        ("nope", "corrupt-file"),
        ('{"a":{"b":1}}', "no-table"),
        ('[{"a":"' + "x" * 3_000_000 + '"}]', "field-too-large"),
        ('[{"a":[' + "1," * 800_000 + "1]}]", "row-too-large"),
        ("", "empty-file"),
    ],
    ids=["arrays", "objects", "closed", "cut", "text", "object", "text-too-long", "record-too-large", "empty"],
)
def test_json_that_cannot_be_used_is_refused_in_time(content: str, code: str) -> None:
    with pytest.raises(PermanentError) as refused:
        read("json", content, limits=Limits(max_row_bytes=1024**2))
    assert refused.value.code == code


def test_brackets_and_quotes_inside_texts_are_not_counted() -> None:
    text = '\\"[[[{{{' * 30_000
    assert read("json", json.dumps([{"a": text}, {"a": "\\"}]))[1] == [[text], ["\\"]]


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud83d", r"\\\ud83d\uDE00", r"\u00e9\uD83D\uDE00"])
def test_characters_of_two_halves_are_read_wherever_a_block_ends(text: str) -> None:
    wanted = json.loads(f'"{text}"')
    for before in range(13):
        content = f'[{{"a":"{" " * (64 * 1024 - 13 + before - 7)}{text}","b":"{text}"}}]'
        assert [str(cell).strip() for cell in read("json", content)[1][0]] == [wanted, wanted]


@pytest.mark.parametrize("text", [r"\ud83d", r"x\uD83Dy", r"\ud83d\u00e9", r"\ud83d\n", r"\\\ud83d", r"\ude00 "])
def test_half_of_a_character_is_never_another_one(text: str) -> None:
    with pytest.raises(PermanentError) as refused:
        read("json", f'[{{"a":"{text}"}}]')
    assert refused.value.code == "corrupt-file"
    _, rows, rejects = read("jsonl", f'{{"a":"{text}"}}\n{{"a":"b"}}\n')
    assert (rows, [reject.code for reject in rejects]) == ([["b"]], ["invalid-json"])


def test_columns_that_begin_hundreds_of_rows_below_are_found() -> None:
    records = [{"n": 1}] * 900 + [{"n": 2, "late": "x"}]
    assert read("json", json.dumps(records))[0] == ("n", "late")
    assert read("jsonl", "\n".join(map(json.dumps, records)))[0] == ("n", "late")


def test_sixty_four_levels_are_allowed() -> None:
    value: object = 1
    for _ in range(62):
        value = [value]
    assert read("json", json.dumps([{"a": value}]))[1] == [[value]]


def test_json_lines_reject_what_is_no_record() -> None:
    deep = '{"a":' * 80 + "1" + "}" * 80
    content = f'\ufeff{{"a":1,"b":{{"c":2}}}}\n\n[1]\n{{bad\n{deep}\n{{"a":3}}'
    columns, rows, rejects = read("jsonl", content)
    assert columns == ("a", "b.c")
    assert rows == [[1, 2], [3, None]]
    assert [(reject.row, reject.line, reject.code) for reject in rejects] == [
        (2, 3, "not-an-object"),
        (3, 4, "invalid-json"),
        (4, 5, "nesting-too-deep"),
    ]


@pytest.mark.parametrize("format_name", ["json", "jsonl"])
def test_no_digit_of_a_number_is_lost(format_name: str) -> None:
    line = '{"a":12345678901234567890,"b":1234567890123456.7891,"c":0.1,"d":1e2}'
    row = read(format_name, f"[{line}]" if format_name == "json" else line)[1][0]
    assert row == ["12345678901234567890", "1234567890123456.7891", 0.1, 100.0]


def test_json_lines_go_on_from_any_chunk() -> None:
    content = "".join(json.dumps({"n": number}) + "\n" for number in range(2_500))
    with table_reader("jsonl").open(source(content), ReadOptions()) as file:
        table = file.tables[0]
        whole = list(file.read(table, table.start))
        rest = list(file.read(table, whole[1].end))
    assert [(chunk.rows, chunk.lines) for chunk in rest] == [(chunk.rows, chunk.lines) for chunk in whole[2:]]


def test_fields_that_come_later_stand_beside_the_columns() -> None:
    content = "".join('{"a":1}\n' for _ in range(1_000)) + '{"a":2,"late":"x"}\n'
    assert read("jsonl", content)[1][-1] == [2, {"late": "x"}]


def test_gzip_is_read_as_what_is_inside() -> None:
    inside = b"a,b\n1,2\n3,4\n"
    packed = GzipSource(source(gzip.compress(inside), "x.csv.gz"), Limits())
    assert (packed.name, packed.size, packed.read_at(4, 3)) == ("x.csv", len(inside), b"1,2")
    with packed.local_path() as path:
        assert path.read_bytes() == inside
    with table_reader("csv").open(packed, ReadOptions()) as file:
        assert [chunk.rows for chunk in file.read(file.tables[0], file.tables[0].start)] == [[["1", "2"], ["3", "4"]]]


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (gzip.compress(b"\0" * 60_000_000), "ratio"),
        (gzip.compress(b"a,b\n" * 1_000)[:-20], "corrupt-file"),
        (b"\x1f\x8b nonsense", "corrupt-file"),
    ],
    ids=["bomb", "cut", "nonsense"],
)
def test_gzip_that_cannot_be_used_is_refused(packed: bytes, code: str) -> None:
    with pytest.raises(PermanentError) as refused:
        GzipSource(source(packed, "x.gz"), Limits()).read_at(100_000_000, 1)
    assert refused.value.code == code
