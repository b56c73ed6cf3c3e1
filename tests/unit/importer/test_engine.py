"""Rows become records or rejects, in bounded parts that are the same wherever the import was interrupted."""

import json
import random

import pytest

from core.errors import PermanentError
from importer.engine import Outcome, check_etag, outcome, preview, sample
from importer.readers import ReadOptions, table_reader
from importer.rows import RowMaker
from importer.template import Contract
from importer.values import Checkpoint, Part
from tests.unit.importer.tables import Operations, mapping, parts, source, template

_ORDER = template(
    {
        "id": {"type": "string", "pattern": "^O-"},
        "day": {"type": "string", "format": "date"},
        "amount": {"type": "number", "minimum": 0},
        "state": {"type": "string", "enum": ["open", "paid"]},
        "note": {"type": ["string", "null"], "maxLength": 5},
    },
    "id",
    "amount",
)
_COLUMNS = {"id": "Id", "day": "Day", "amount": "Amount", "state": "State", "note": "Note"}
_OPERATIONS: Operations = {"amount": [("number", {"decimal": "."})], "day": [("date", {"order": "dmy"})]}
_HEADER = "Id,Day,Amount,State,Note\n"


def _rejects(found: list[Part]) -> list[dict[str, object]]:
    return [json.loads(line) for part in found for line in part.rejects.splitlines()]


def _records(found: list[Part]) -> list[dict[str, object]]:
    return [json.loads(line) for part in found for line in part.output.splitlines()]


type _Lines = list[dict[str, object]]


def _one(row: str, contract: Contract = Contract.DISCARD_ROW) -> tuple[_Lines, _Lines]:
    target = _ORDER.model_copy(update={"contract": contract})
    found = parts(_HEADER + "O-0,01.02.2024,1,open,x\n" + row + "\n", target, mapping(_COLUMNS, _OPERATIONS))
    return _records(found)[1:], _rejects(found)


def test_a_row_that_fits_is_a_record_in_the_templates_order() -> None:
    records, rejects = _one(" O-1 ,25.12.2024,1234.5,paid,")
    assert list(records[0].items()) == [
        ("id", "O-1"),
        ("day", "2024-12-25"),
        ("amount", 1234.5),
        ("state", "paid"),
        ("note", None),
    ]
    assert not rejects


@pytest.mark.parametrize(
    ("row", "target", "code", "value"),
    [
        ("O-1,31.02.2024,1,open,x", "day", "type-error", "31.02.2024"),
        ('O-1,01.02.2024,"1.234,50 €",open,x', "amount", "type-error", "1.234,50 €"),
        ("O-1,01.02.2024,-1,open,x", "amount", "constraint", "-1"),
        ("O-1,01.02.2024,,open,x", "amount", "missing-value", ""),
        ("O-1,01.02.2024,1,lost,x", "state", "constraint", "lost"),
        ("X-1,01.02.2024,1,open,x", "id", "constraint", "X-1"),
        ("O-1,01.02.2024,1,open,longer", "note", "constraint", "longer"),
        ("O-1,01.02.2024,1,open", None, "missing-cell", None),
        ("O-1,01.02.2024,1,open,x,more", None, "extra-cell", None),
    ],
)
def test_a_reject_names_row_line_column_target_code_and_value(
    row: str, target: str | None, code: str, value: object
) -> None:
    records, rejects = _one(row)
    assert not records
    assert len(rejects) == 1
    reject = rejects[0]
    assert (reject["row"], reject["line"], reject["raw"]) == (2, 3, row)
    assert (reject["target"], reject["code"], reject["value"]) == (target, code, value)
    assert reject["column"] == (_COLUMNS[target] if target else None)
    assert not value or str(value) not in str(reject["message"])


def test_a_longer_row_of_empty_cells_is_no_fault() -> None:
    records, rejects = _one("O-1,01.02.2024,1,open,x,, ")
    assert len(records) == 1
    assert not rejects


def test_all_faults_of_a_row_are_told() -> None:
    _, rejects = _one("O-1,never,much,lost,x")
    assert [reject["target"] for reject in rejects] == ["day", "amount", "state"]


def test_a_contract_may_discard_only_the_value() -> None:
    records, rejects = _one("O-1,never,5,lost,x", Contract.DISCARD_VALUE)
    assert records == [{"id": "O-1", "day": None, "amount": 5.0, "state": None, "note": "x"}]
    assert [reject["target"] for reject in rejects] == ["day", "state"]
    records, _ = _one("O-1,01.02.2024,much,open,x", Contract.DISCARD_VALUE)
    assert not records, "without a required value there is no record"


def test_a_frozen_template_refuses_a_column_that_it_does_not_know() -> None:
    target = _ORDER.model_copy(update={"contract": Contract.FREEZE})
    with pytest.raises(PermanentError) as refused:
        parts("Id,Amount,Secret\nO-1,1,x\n", target, mapping({"id": "Id", "amount": "Amount"}))
    assert refused.value.code == "unexpected-column"


def test_a_required_field_from_nowhere_is_refused() -> None:
    with pytest.raises(PermanentError, match="amount") as refused:
        parts("Id\nO-1\n", _ORDER, mapping({"id": "Id"}))
    assert refused.value.code == "no-mapping"


@pytest.mark.parametrize("text", ["1.234", "1,234", "03/04/2024"])
def test_without_a_decision_what_has_two_meanings_is_rejected(text: str) -> None:
    field = {"type": "string", "format": "date"} if "/" in text else {"type": "number"}
    found = parts(f'a;b\n"{text}";x\n', template({"a": field, "b": {"type": "string"}}), mapping({"a": "a", "b": "b"}))
    assert [reject["code"] for reject in _rejects(found)] == ["ambiguous-value"]


def test_four_thousand_german_amounts_are_never_english_ones() -> None:
    content = "id;betrag\n" + "".join(f"{number};1.234,50 €\n" for number in range(4_000))
    target = template({"id": {"type": "integer"}, "amount": {"type": "number"}})
    columns = {"id": "id", "amount": "betrag"}
    english = parts(content, target, mapping(columns, {"amount": [("number", {"decimal": ".", "affixes": "€"})]}))
    german = parts(content, target, mapping(columns, {"amount": [("number", {"decimal": ",", "affixes": "€"})]}))
    assert not _records(english)
    assert {record["amount"] for record in _records(german)} == {1234.5}
    assert len(_records(german)) == 4_000


def test_rules_for_the_whole_record_are_kept() -> None:
    target = template({"a": {"type": "integer"}, "b": {"type": "integer"}})
    target = target.model_copy(
        update={"record": {**target.record, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}}
    )
    found = parts("a;b;c\n1;;x\n;;x\n;2;x\n", target, mapping({"a": "a", "b": "b"}))
    assert _records(found) == [{"a": 1, "b": None}, {"a": None, "b": 2}]
    assert [(reject["row"], reject["code"]) for reject in _rejects(found)] == [(2, "constraint")]


def test_an_import_fails_once_too_many_rows_do_not_fit() -> None:
    target = _ORDER.model_copy(update={"max_errors": 3})
    bad = "".join(f"O-{number},x,1,open,x\n" for number in range(4))
    with pytest.raises(PermanentError) as refused:
        parts(_HEADER + bad, target, mapping(_COLUMNS, _OPERATIONS))
    assert refused.value.code == "too-many-errors"


@pytest.mark.parametrize(
    ("ok", "rejected", "wanted"),
    [
        (5, 0, Outcome.COMPLETED),
        (5, 5, Outcome.COMPLETED_WITH_ERRORS),
        (4, 5, Outcome.FAILED),
    ],
)
def test_an_import_ends_by_its_share_of_rejects(ok: int, rejected: int, wanted: Outcome) -> None:
    assert outcome(Checkpoint(etag="e", rows_ok=ok, rows_rejected=rejected)) is wanted


def test_a_file_that_was_replaced_is_not_gone_on_with() -> None:
    with pytest.raises(PermanentError) as refused:
        check_etag(Checkpoint(etag="one"), "two")
    assert refused.value.code == "file-changed"


def _dirty(rows: int) -> str:
    chance = random.Random(5)
    kinds = (
        'O-{0},01.02.2024,{0}.5,open,"a}},{{""b"',
        "O-{0},x,1,open,x",
        'O-{0},"open,1',
        'O-{0},01.02.2024,1,paid,"a\nb"',
    )
    chosen = chance.choices(kinds, [90, 3, 1, 6], k=rows)
    lines = [_HEADER.rstrip(), *(kind.format(number) for number, kind in enumerate(chosen))]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("output", ["jsonl", "json"])
def test_an_import_that_was_killed_anywhere_gives_the_same_bytes(output: str) -> None:
    content, fields = _dirty(12_000), mapping(_COLUMNS, _OPERATIONS)
    target = _ORDER.model_copy(update={"record": {**_ORDER.record, "properties": {**_ORDER.record["properties"]}}})
    target.record["properties"]["note"] = {"type": ["string", "null"]}
    whole = parts(content, target, fields, output=output, part_bytes=60_000)
    assert len(whole) > 8
    chance = random.Random(11)
    for _ in range(6):
        stored: list[Part] = []
        checkpoint: Checkpoint | None = None
        while checkpoint is None or not checkpoint.is_done:
            # What was stored after the last checkpoint may be there or not; it is made again all the same.
            stored = [part for part in stored if part.number <= (checkpoint.part if checkpoint else 0)]
            saved = Checkpoint.model_validate_json(checkpoint.model_dump_json()) if checkpoint else None
            rest = parts(content, target, fields, output=output, part_bytes=60_000, start=saved)
            for part in rest[: chance.randrange(1, len(rest) + 1)]:
                stored.append(part)
                checkpoint = part.checkpoint or checkpoint
        assert [(part.number, part.output, part.rejects) for part in stored] == [
            (part.number, part.output, part.rejects) for part in whole
        ]
    last = whole[-1].checkpoint
    assert last
    assert last.rows_ok + last.rows_rejected == 12_000


def test_rejects_are_handed_out_before_they_fill_the_memory() -> None:
    bad = "".join(f"O-{number},x,1,open,x\n" for number in range(5_000))
    found = parts(_HEADER + bad, _ORDER, mapping(_COLUMNS, _OPERATIONS), part_bytes=100_000)
    assert len(found) > 3
    assert [bool(part.output) for part in found[:-1]] == [False] * (len(found) - 1)
    assert all(part.checkpoint is None for part in found[:-1])
    assert len(_rejects(found)) == 5_000


def test_a_preview_says_how_full_and_how_valid_each_field_is() -> None:
    content = _HEADER + "O-1,01.02.2024,1,open,x\nO-2,never,2,open,\nO-3,,3,,\nO-4,,4,,\n"
    fields = mapping(_COLUMNS, _OPERATIONS)
    with table_reader("csv").open(source(content), ReadOptions()) as file:
        table = file.tables[0]
        seen = preview(file, table, template=_ORDER, maker=RowMaker(_ORDER, fields, table.columns))
        values = sample(file, table)
    assert (seen.rows, len(seen.records), len(seen.rejects)) == (4, 3, 1)
    assert seen.validity["day"] == 0.75
    assert seen.fill["day"] == pytest.approx(1 / 3)
    assert values["Id"] == ["O-1", "O-2", "O-3", "O-4"]


def test_columns_become_one_field_and_parts_of_a_column_several() -> None:
    target = template({"name": {"type": "string"}, "zip": {"type": "string"}, "city": {"type": "string"}})
    fields = mapping(
        {"name": ("First", "Last"), "zip": "Place", "city": "Place"},
        {
            "name": [("concat", {"separator": " "})],
            "zip": [("regex", {"pattern": r"(\d{5})\s+(.+)", "group": "1"})],
            "city": [("regex", {"pattern": r"(\d{5})\s+(.+)", "group": "2"})],
        },
    )
    found = parts("First,Last,Place\nAda,Lovelace,10115 Berlin\n,Cher,04109 Leipzig\n", target, fields)
    assert _records(found) == [
        {"name": "Ada Lovelace", "zip": "10115", "city": "Berlin"},
        {"name": "Cher", "zip": "04109", "city": "Leipzig"},
    ]
