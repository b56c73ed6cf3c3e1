"""A value becomes the same whether it is alone, remembered or one of a column that is converted at once."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importer.columns import Chain, Step
from importer.rows import Made, RowMaker
from importer.template import Contract, Template
from importer.values import Cell, Chunk, Row, TableMapping
from tests.unit.importer.tables import Operations, mapping, template

_FIELDS: dict[str, dict[str, object]] = {
    "text": {"type": "string", "pattern": "^[a-zA-Z0-9]"},
    "short": {"type": ["string", "null"], "maxLength": 4},
    "lower": {"type": "string"},
    "state": {"type": "string", "enum": ["open", "paid"]},
    "points": {"type": "number", "minimum": -100},
    "commas": {"type": ["number", "null"], "maximum": 1_000},
    "whole": {"type": "integer"},
    "plain": {"type": "number"},
    "day": {"type": "string", "format": "date"},
    "paid": {"type": "boolean"},
    "any": {},
    "scaled": {"type": "number"},
}
_OPERATIONS: Operations = {
    "lower": [("lower", {})],
    "points": [("null_if", {"values": "-|n/a"}), ("number", {"decimal": ".", "affixes": "€"})],
    "commas": [("number", {"decimal": ","})],
    "whole": [("null_if", {"values": "-|n/a"}), ("integer", {"decimal": "."})],
    "scaled": [("number", {"decimal": "."}), ("scale", {"factor": "0.1"})],
}
_NUMBERS = (
    *("0", "-0", "-0.0", "7", "007", "5.", ".5", "-.5", "5.0", "5,0", "1.5", "1,5", "1.234", "1,234.50", "1.234,50"),
    *("1_000", "+5", "1e5", "nan", "inf", "-inf", "--5", "5-", "(5)", "1-2", "5 €", "１２", "٣", "1.5.2", "1,2,3", "."),
    *("123456789012345678901234567890", "0.12345678901234567890", "9007199254740993", "999999999999999.9"),
)
_WORDS = (
    "",
    " ",
    "-",
    "n/a",
    "open",
    " paid ",
    "PAID",
    "lost",
    "yes",
    "no",
    "x",
    "ä",
    "a\nb",
    "5\n6",
    "\x1f",
)
_DATES = ("2024-01-31", "31.01.2024", "2024-13-45", "03/04/2024", "2024-01-31T10:00:00")
_TEXTS = st.sampled_from(_NUMBERS + _WORDS + _DATES) | st.text(max_size=6) | st.from_regex(r"-?\d{1,4}([.,]\d{1,3})?")
_CELLS = (
    _TEXTS
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=1)
)


def _template(contract: Contract) -> Template:
    return template(_FIELDS, "text", contract=contract)


def _mapping() -> TableMapping:
    return mapping({name: name for name in _FIELDS}, _OPERATIONS)


def _maker(contract: Contract = Contract.DISCARD_ROW) -> RowMaker:
    return RowMaker(_template(contract), _mapping(), list(_FIELDS))


def _make(maker: RowMaker, rows: Sequence[Row], first: int = 1) -> Made:
    numbers = range(first, first + len(rows))
    chunk = Chunk(rows=rows, numbers=numbers, lines=numbers, end={}, bytes_done=0, raw=lambda place: str(rows[place]))
    return maker.make(chunk)


def _worn(contract: Contract) -> RowMaker:
    """A maker that has seen so many different values that it no longer expects to see one again."""
    maker = _maker(contract)
    _make(maker, [[f"{number}"] * len(_FIELDS) for number in range(3_000)])
    return maker


_WORN = {contract: _worn(contract) for contract in (Contract.DISCARD_ROW, Contract.DISCARD_VALUE)}


def _told(mades: Sequence[Made]) -> list[str]:
    records = [json.dumps(record) for made in mades for record in made.records]
    rejects = [
        str((each.row, each.line, each.column, each.target, each.code, each.message, each.value, each.raw))
        for made in mades
        for each in made.rejects
    ]
    return [*records, *rejects, str(sum(made.rejected for made in mades))]


@pytest.mark.parametrize("contract", list(_WORN))
@given(values=st.lists(_CELLS, min_size=len(_FIELDS), max_size=80), is_text=st.booleans(), width=st.integers(-1, 1))
def test_a_value_becomes_the_same_alone_and_among_others(
    contract: Contract, values: list[Cell], *, is_text: bool, width: int
) -> None:
    cells = [str(value) if is_text and not isinstance(value, str) else value for value in values]
    # Each value gets into each column, and one row may be too short or too long.
    rows = [[cells[(place + at * 7) % len(cells)] for at in range(len(_FIELDS))] for place in range(len(cells))]
    rows[len(rows) // 2] = (rows[len(rows) // 2] + ["more"])[: len(_FIELDS) + width]
    alone = [_make(_maker(contract), [row], number) for number, row in enumerate(rows, start=1)]
    assert _told([_make(_maker(contract), rows)]) == _told(alone)
    assert _told([_make(_WORN[contract], rows)]) == _told(alone)


@pytest.mark.parametrize(("memory", "asked"), [(3, 3), (2, 6)])
def test_no_more_is_remembered_than_there_is_room_for(memory: int, asked: int) -> None:
    seen: list[Cell] = []

    def one(value: Cell) -> Cell:
        seen.append(value)
        return value

    chain = Chain([Step(one)], memory=memory)
    for _ in range(2):
        assert chain.many(["a", "b", "c"], {}) == ["a", "b", "c"]
    assert len(seen) == asked


def test_long_texts_are_not_remembered() -> None:
    seen: list[Cell] = []

    def one(value: Cell) -> Cell:
        seen.append(value)
        return value

    chain = Chain([Step(one)], memory=10)
    for _ in range(2):
        chain.many(["a" * 100, "b" * 101], {})
    assert [len(str(value)) for value in seen] == [100, 101, 101]


def test_all_fields_together_remember_no_more_than_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms: list[int] = []

    class Counted(Chain):
        def __init__(self, steps: Sequence[Step], *, memory: int) -> None:
            rooms.append(memory)
            super().__init__(steps, memory=memory)

    monkeypatch.setattr("importer.rows.Chain", Counted)
    _maker(Contract.DISCARD_ROW)
    assert len(rooms) >= len(_FIELDS)
    assert 0 < sum(rooms) <= 100_000


def test_one_value_that_does_not_fit_costs_no_other_of_a_long_column() -> None:
    rows = [[f"{number}"] * len(_FIELDS) for number in range(3_000)]
    rows[1_500] = ["?" for _ in _FIELDS]
    made = _make(_worn(Contract.DISCARD_VALUE), rows)
    assert {reject.row for reject in made.rejects if reject.target in ("points", "whole", "commas")} >= {1_501}
    points = [record["points"] for record in made.records]
    assert points.count(None) == 0
    assert len(made.records) == 2_999
