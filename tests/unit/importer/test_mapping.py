"""Columns find their fields by name, from memory or by one question to a model; what is ambiguous a person is asked."""

import json
from collections.abc import Iterator

import pytest

from agent.model import OpenAIModel
from benchmarks.header_sets import SETS, TEMPLATES, HeaderSet
from benchmarks.mapping import AskedModel, score
from core.errors import PermanentError
from importer.answers import answer
from importer.mapping import fingerprint, propose
from importer.names import likeness, unit_of
from importer.problems import Reject
from importer.repair import mend
from importer.template import FieldHint, Template
from importer.values import Origin, TableMapping
from local.standin_model import Behaviour, StandInModel
from tests.unit.importer.tables import mapping, parts, template

_SALES = template(
    {
        "id": {"type": "string"},
        "day": {"type": "string", "format": "date"},
        "amount": {"type": "number"},
    },
    "id",
    "amount",
)


def _fields(found: TableMapping) -> dict[str, tuple[str, ...]]:
    return {each.target: each.columns for each in found.fields}


def _arguments(found: TableMapping, target: str, name: str) -> dict[str, str]:
    each = next(each for each in found.fields if each.target == target)
    return next(operation.arguments for operation in each.operations if operation.name == name)


@pytest.mark.parametrize("case", SETS, ids=[f"{each.template}-{next(iter(each.row))}" for each in SETS])
def test_names_find_what_is_named_alike_and_invent_nothing(case: HeaderSet) -> None:
    samples = {name: [value] for name, value in case.row.items()}
    found = _fields(propose(samples, TEMPLATES[case.template]).mapping)
    wanted = {target: (name,) if isinstance(name, str) else name for target, name in case.wanted.items()}
    assert found.items() <= wanted.items(), "a wrong column is worse than none"
    easy = wanted.keys() - case.needs_model
    assert len(found.keys() & easy) >= len(easy) - 1


def test_names_alone_find_five_sixths_of_all_columns() -> None:
    found = score(SETS, None)
    assert found.wrong == 0
    assert found.right / (found.right + found.missing) > 0.83


@pytest.mark.parametrize(
    ("name", "wanted", "at_least", "at_most"),
    [
        ("Kd-Nr.", "customer_id", 0.9, 1.0),
        ("OrderDate", "order_date", 1.0, 1.0),
        ("Custmer Name", "customer_name", 0.8, 1.0),
        ("Geburtsdatum", "order_date", 0.0, 0.5),
        ("Rechnungsnummer", "order_id", 0.0, 0.5),
    ],
)
def test_names_are_alike_by_what_they_mean(name: str, wanted: str, at_least: float, at_most: float) -> None:
    assert at_least <= likeness(name, wanted) <= at_most


def test_units_stand_in_names() -> None:
    assert [unit_of(name) for name in ("Weight (g)", "Betrag in EUR", "size_cm", "name")] == ["g", "EUR", "cm", ""]


def test_two_columns_that_could_be_meant_are_not_chosen_between() -> None:
    found = propose({"Id": ["1"], "Amount EUR": ["1"], "Amount USD": ["2"]}, _SALES).mapping
    assert "amount" not in _fields(found)
    assert found.missing == ("amount",)
    assert [question.options for question in found.questions] == [("Amount EUR", "Amount USD")]


def test_a_column_named_alike_with_other_values_is_not_taken() -> None:
    assert "amount" not in _fields(propose({"Id": ["1", "2"], "Amount": ["see below", "none yet"]}, _SALES).mapping)


@pytest.mark.parametrize(
    ("values", "decimal"),
    [(["1.234,50 €", "99,00 €"], ","), (["1,234.50", "3"], "."), (["1.5"], "."), (["5", "7"], None)],
)
def test_the_numbers_of_a_column_say_how_they_are_written(values: list[str], decimal: str | None) -> None:
    found = propose({"Id": ["1"] * len(values), "Amount": values}, _SALES).mapping
    assert _arguments(found, "amount", "number").get("decimal") == decimal
    assert not found.questions


def test_what_can_be_read_in_two_ways_is_asked_and_never_guessed() -> None:
    samples = {"Id": ["1", "2"], "Day": ["03/04/2024", "05/06/2024"], "Amount": ["1.234", "5.678"]}
    found = propose(samples, _SALES).mapping
    asked = {question.id.partition(":")[0]: question for question in found.questions}
    assert set(asked) == {"order", "decimal"}
    assert asked["order"].examples == ("03/04/2024", "05/06/2024")
    content = "Id,Day,Amount\n1,03/04/2024,1.234\n"
    unanswered = parts(content, _SALES, found)
    assert unanswered[0].output == b""
    told = answer(found, {asked["order"].id: "dmy", asked["decimal"].id: ", is the decimal sign"}, _SALES, samples)
    assert not told.questions
    assert json.loads(parts(content, _SALES, told)[0].output) == {"id": "1", "day": "2024-04-03", "amount": 1234}
    with pytest.raises(PermanentError):
        answer(found, {asked["order"].id: "whatever"}, _SALES, samples)


def test_a_person_names_the_column_of_a_required_field() -> None:
    samples = {"Id": ["1"], "Foo": ["12,5"]}
    found = propose(samples, _SALES).mapping
    told = answer(found, {found.questions[0].id: "Foo"}, _SALES, samples)
    assert _fields(told) == {"id": ("Id",), "amount": ("Foo",)}
    assert told.fields[1].origin is Origin.PERSON
    assert _arguments(told, "amount", "number") == {"decimal": ","}


def test_units_are_converted_or_asked_for() -> None:
    target = template({"weight": {"type": "number"}, "price": {"type": "number"}}).model_copy(
        update={"hints": {"weight": FieldHint(unit="kg"), "price": FieldHint(unit="EUR")}}
    )
    found = propose({"Weight (g)": ["350"], "Price": ["$ 4.50"]}, target).mapping
    assert _arguments(found, "weight", "scale") == {"factor": "0.001"}
    assert [question.id.partition(":")[0] for question in found.questions] == ["unit"]
    assert json.loads(
        parts("Weight (g);x\n350;a\n", target, found.model_copy(update={"fields": found.fields[:1]}))[0].output
    )["weight"] == pytest.approx(0.35)


def test_the_words_of_a_closed_list_are_translated() -> None:
    target = template({"status": {"type": "string", "enum": ["open", "paid"]}})
    found = propose({"Status": ["offen", "bezahlt", "PAID"]}, target).mapping
    assert _arguments(found, "status", "enum") == {
        "open": "open",
        "paid": "paid",
        "offen": "open",
        "bezahlt": "paid",
        "PAID": "paid",
    }


def test_an_earlier_mapping_counts_unless_the_values_contradict_it() -> None:
    samples = {"Id": ["1"], "Foo": ["12,5"]}
    first = propose(samples, _SALES).mapping
    told = answer(first, {first.questions[0].id: "Foo"}, _SALES, samples)
    again = propose({"Id": ["2"], "Foo": ["7,5"]}, _SALES, remembered=told).mapping
    assert {each.origin for each in again.fields} == {Origin.CACHE}
    other = propose({"Id": ["2"], "Foo": ["7.5"]}, _SALES, remembered=told).mapping
    assert "amount" not in _fields(other)
    assert fingerprint(["ID", "Foo"], _SALES) == fingerprint(["id", "foo "], _SALES)
    assert fingerprint(["Id"], _SALES) != fingerprint(["Id"], _SALES.model_copy(update={"version": 2}))


@pytest.fixture
def standin() -> Iterator[StandInModel]:
    with StandInModel() as model:
        yield model


@pytest.fixture
def asked(standin: StandInModel) -> Iterator[AskedModel]:
    model = OpenAIModel(api_key=lambda: "none", base_url=standin.base_url)
    yield AskedModel(model, "stand-in")
    model.close()


def _says(standin: StandInModel, *fields: dict[str, object]) -> None:
    standin.script(Behaviour(text=json.dumps({"fields": fields})))


def _field(target: str, columns: list[str], *operations: tuple[str, dict[str, str]]) -> dict[str, object]:
    return {
        "target": target,
        "columns": columns,
        "operations": [
            {"name": name, "arguments": [{"name": key, "value": value} for key, value in arguments.items()]}
            for name, arguments in operations
        ],
        "confidence": 0.9,
    }


def test_a_model_is_asked_once_and_only_for_what_is_left(standin: StandInModel, asked: AskedModel) -> None:
    _says(standin, _field("amount", ["Foo"], ("number", {"decimal": "."})))
    found = propose({"Id": ["1", "2"], "Foo": ["12,5", "3"], "Bar": ["x", "y"]}, _SALES, model=asked)
    assert _fields(found.mapping) == {"id": ("Id",), "amount": ("Foo",)}
    assert _arguments(found.mapping, "amount", "number") == {"decimal": ","}, "the values decide, not the model"
    assert found.usage
    assert len(asked.asked) == 1
    content = json.loads(asked.asked[0].content)
    assert [each["name"] for each in content["fields"]] == ["day", "amount"]
    assert [each["name"] for each in content["columns"]] == ["Foo", "Bar"]


def test_a_model_does_not_settle_what_is_ambiguous(standin: StandInModel, asked: AskedModel) -> None:
    _says(standin, _field("amount", ["Foo"], ("number", {"decimal": "."})))
    found = propose({"Id": ["1"], "Foo": ["1.234"]}, _SALES, model=asked).mapping
    assert [question.id.partition(":")[0] for question in found.questions] == ["decimal"]
    assert _arguments(found, "amount", "number") == {}


def test_a_model_does_not_settle_what_no_column_holds(standin: StandInModel, asked: AskedModel) -> None:
    samples = {"Id": ["1"], "Foo": ["x"]}
    _says(
        standin, _field("amount", [], ("const", {"value": "7.5"})), _field("amount", ["Foo"], ("const", {"value": "8"}))
    )
    found = propose(samples, _SALES, model=asked).mapping
    assert _fields(found) == {"id": ("Id",)}
    question = next(each for each in found.questions if each.id.startswith("constant:"))
    assert (question.target, question.options) == ("amount", ("7.5",))
    settled = answer(found, {question.id: "7.5"}, _SALES, samples)
    assert _arguments(settled, "amount", "const") == {"value": "7.5"}
    assert (settled.questions, settled.missing) == ((), ()), "nor is asked for a column any more"
    with pytest.raises(PermanentError, match=question.id):
        answer(found, {question.id: "much"}, _SALES, samples)


@pytest.mark.parametrize(
    "bad",
    [
        _field("amount", ["Other"]),
        _field("secret", ["Foo"]),
        _field("amount", ["Foo"], ("eval", {"code": "1"})),
        _field("amount", ["Foo"], ("regex", {"pattern": "(a+)+b"})),
        _field("amount", ["Bar"], ("number", {})),
        _field("amount", []),
        {"target": "amount"},
    ],
)
def test_what_a_model_may_not_say_does_not_count(
    standin: StandInModel, asked: AskedModel, bad: dict[str, object]
) -> None:
    _says(standin, bad)
    found = propose({"Id": ["1"], "Foo": ["12.5"], "Bar": ["x"]}, _SALES, model=asked).mapping
    assert _fields(found) == {"id": ("Id",)}
    assert found.missing == ("amount",)


def test_an_answer_that_was_cut_counts_for_nothing(standin: StandInModel, asked: AskedModel) -> None:
    text = json.dumps({"fields": [_field("amount", ["Foo"], ("number", {}))]})
    standin.script(Behaviour(text=text, truncate=True))
    assert propose({"Id": ["1"], "Foo": ["12.5"]}, _SALES, model=asked).mapping.missing == ("amount",)


def test_the_standins_own_answer_fits_the_schema_and_maps_nothing_wrong(asked: AskedModel) -> None:
    found = propose({"Id": ["1"], "Foo": ["12.5"]}, _SALES, model=asked).mapping
    assert _fields(found) == {"id": ("Id",)}


def test_rejects_that_look_alike_are_mended_by_one_example(standin: StandInModel, asked: AskedModel) -> None:
    target = template({"id": {"type": "string"}, "pieces": {"type": "integer"}})
    fields = mapping({"id": "id", "pieces": "pieces"})
    content = "id;pieces\n" + "".join(f"{number};ca. {number} Stk\n" for number in range(50)) + "x;unknown\ny;7\n"
    rejects = _reject_values(content, target, fields)
    standin.script(
        Behaviour(
            text=json.dumps(
                {
                    "repairs": [
                        {
                            "group": 0,
                            "operations": [
                                {
                                    "name": "regex",
                                    "arguments": [{"name": "pattern", "value": r"ca\. (\d+) Stk"}],
                                }
                            ],
                        },
                        {"group": 1, "operations": [{"name": "lower", "arguments": []}]},
                        {
                            "group": 1,
                            "operations": [{"name": "const", "arguments": [{"name": "value", "value": "9"}]}],
                        },
                        {"group": 9, "operations": []},
                    ]
                }
            )
        )
    )
    mended, usage = mend(rejects, fields, target, model=asked, max_tokens=4_000)
    assert usage
    assert [group["example"] for group in json.loads(asked.asked[0].content)["groups"]] == ["ca. 0 Stk", "unknown"]
    again = parts(content, target, mended)
    assert [json.loads(line)["pieces"] for line in again[0].output.splitlines()] == [*range(50), 7]
    assert len(again[0].rejects.splitlines()) == 1


def test_nothing_is_asked_that_the_budget_does_not_pay_for(asked: AskedModel) -> None:
    target = template({"id": {"type": "string"}, "pieces": {"type": "integer"}})
    fields = mapping({"id": "id", "pieces": "pieces"})
    rejects = _reject_values("id;pieces\na;many\n", target, fields)
    assert mend(rejects, fields, target, model=asked, max_tokens=100) == (fields, None)
    assert not asked.asked


def _reject_values(content: str, target: Template, fields: TableMapping) -> list[Reject]:
    return [
        Reject.model_validate_json(line)
        for part in parts(content, target, fields)
        for line in part.rejects.splitlines()
    ]
