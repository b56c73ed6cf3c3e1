"""Which operations make a field of a column's values, and what only a person can decide about them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from importer.dates import DateEvidence, is_zone
from importer.names import concepts, plain, unit_of
from importer.numbers import NumberEvidence
from importer.rows import main_type
from importer.template import FieldHint, Template
from importer.values import Cell, Operation, OperationName, Question

_NULLS = "-|--|—|n/a|na|null|none|nan|#n/a|k.a.|k. a.|?"
_EXAMPLES = 5
_LONGEST_EXAMPLE = 80
_MOST_VALUES = 200  # of a closed list that are matched
_CURRENCIES = frozenset(["€", "$", "£", "¥", "eur", "usd", "gbp", "jpy", "chf"])
# Dimension and how many of its first unit one is.
_UNITS: dict[str, tuple[str, str]] = {
    "kg": ("mass", "1"), "g": ("mass", "0.001"), "mg": ("mass", "0.000001"), "t": ("mass", "1000"),
    "lb": ("mass", "0.45359237"), "lbs": ("mass", "0.45359237"), "oz": ("mass", "0.028349523125"),
    "m": ("length", "1"), "cm": ("length", "0.01"), "mm": ("length", "0.001"), "km": ("length", "1000"),
    "in": ("length", "0.0254"), "ft": ("length", "0.3048"),
    "l": ("volume", "1"), "ml": ("volume", "0.001"), "cl": ("volume", "0.01"),
    "s": ("time", "1"), "min": ("time", "60"), "h": ("time", "3600"),
    "eur": ("eur", "1"), "€": ("eur", "1"), "usd": ("usd", "1"), "$": ("usd", "1"),
    "gbp": ("gbp", "1"), "£": ("gbp", "1"),
    "%": ("percent", "1"), "pct": ("percent", "1"), "percent": ("percent", "1"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done to a column's values, and what has to be asked first."""

    operations: tuple[Operation, ...]
    questions: tuple[Question, ...] = ()


def decide(template: Template, target: str, column: str, values: Sequence[Cell]) -> Decision:
    """The operations for a field that one column fills, from its schema, its hint and the values of a sample."""
    schema, hint = template.schema_of(target), template.hint_of(target)
    texts = texts_of(values)
    kind, form = main_type(schema), schema.get("format")
    nulls = "|".join([*hint.nulls, *([_NULLS] if kind != "string" or form in ("date", "date-time") else [])])
    before = (Operation(name=OperationName.NULL_IF, arguments={"values": nulls}),) if nulls else ()
    known = {word.casefold() for word in nulls.split("|")}
    texts = [text for text in texts if text.casefold() not in known]
    if kind in ("number", "integer"):
        made = _number(target, column, kind, hint, texts)
    elif form == "date":
        made = _date(target, column, hint, texts)
    elif form == "date-time":
        made = _datetime(target, column, hint, texts)
    elif kind == "boolean":
        made = Decision((Operation(name=OperationName.BOOLEAN),))
    elif isinstance(schema.get("enum"), list):
        made = _enum(schema["enum"], hint, texts)
    elif hint.country and "phone" in concepts(target):
        made = Decision((Operation(name=OperationName.PHONE, arguments={"country": hint.country}),))
    else:
        made = Decision(())
    return Decision((*before, *made.operations), made.questions)


def texts_of(values: Iterable[Cell]) -> list[str]:
    """The texts of a sample that are not empty."""
    return [text for value in values if isinstance(value, str) and (text := value.strip())]


def make_question(
    kind: str, target: str, column: str, text: str, options: Sequence[str], examples: Sequence[str]
) -> Question:
    """A question whose id is the same for the same question: its kind, field and column."""
    name = hashlib.sha256(f"{kind}\0{target}\0{column}".encode()).hexdigest()[:12]
    shown = tuple(example[:_LONGEST_EXAMPLE] for example in dict.fromkeys(examples))[:_EXAMPLES]
    return Question(
        id=f"{kind}:{name}", target=target, column=column, text=text, options=tuple(options), examples=shown
    )


def _number(target: str, column: str, kind: str, hint: FieldHint, texts: Sequence[str]) -> Decision:
    evidence = NumberEvidence(texts)
    arguments: dict[str, str] = {}
    questions: list[Question] = []
    decimal = str(hint.decimal) or (evidence.decimals.copy().pop() if len(evidence.decimals) == 1 else "")
    if decimal:
        arguments["decimal"] = decimal
    elif evidence.ambiguous:
        asked = f"Is the sign in the numbers of “{column}” a decimal sign or does it group thousands?"
        options = (". is the decimal sign", ", is the decimal sign")
        questions.append(make_question("decimal", target, column, asked, options, evidence.ambiguous))
    affixes = [affix for affix in evidence.affixes if affix != "%"][:1]
    if affixes:
        arguments["affixes"] = affixes[0]
    if "%" in evidence.affixes:
        told = {"%": "number", "fraction": "fraction"}.get(hint.unit, "")
        if told:
            arguments["percent"] = told
        else:
            asked = f"Is 12 % in “{column}” stored as 12 or as 0.12?"
            shown = [text for text in texts if "%" in text]
            questions.append(make_question("percent", target, column, asked, ("12", "0.12"), shown))
    name = OperationName.INTEGER if kind == "integer" else OperationName.NUMBER
    operations = [Operation(name=name, arguments=arguments)]
    _convert(operations, questions, target, column, hint, affixes, texts)
    return Decision(tuple(operations), tuple(questions))


def _convert(
    operations: list[Operation],
    questions: list[Question],
    target: str,
    column: str,
    hint: FieldHint,
    affixes: Sequence[str],
    texts: Sequence[str],
) -> None:
    """Convert from the unit that the column tells, in its name or beside its values, to the one that is wanted."""
    given = (unit_of(column) or next(iter(affixes), "")).lower()
    wanted = hint.unit.lower()
    if not wanted or not given or given == wanted:
        return
    have, want = _UNITS.get(given), _UNITS.get(wanted)
    if have and want and have[0] == want[0]:
        if have[1] != want[1]:
            factor = str(Decimal(have[1]) / Decimal(want[1]))
            if operations[0].name is OperationName.INTEGER:
                operations[0] = operations[0].model_copy(update={"name": OperationName.NUMBER})
            operations.append(Operation(name=OperationName.SCALE, arguments={"factor": factor}))
        return
    if have or given in _CURRENCIES:
        asked = f"“{column}” is in {given}, the field is in {hint.unit}. By what are the values multiplied?"
        questions.append(make_question("unit", target, column, asked, ("1",), texts))


def _date(target: str, column: str, hint: FieldHint, texts: Sequence[str]) -> Decision:
    if texts and all(text.isdigit() and len(text) == 5 and "20000" <= text <= "60000" for text in texts):
        return Decision((Operation(name=OperationName.DATE, arguments={"order": "excel"}),))
    evidence = DateEvidence(texts)
    arguments, questions = _order(target, column, hint, evidence)
    if evidence.has_times:
        arguments["time"] = "drop"
    return Decision((Operation(name=OperationName.DATE, arguments=arguments),), questions)


def _order(
    target: str, column: str, hint: FieldHint, evidence: DateEvidence
) -> tuple[dict[str, str], tuple[Question, ...]]:
    order = str(hint.date_order) or (evidence.orders.copy().pop() if len(evidence.orders) == 1 else "")
    if order:
        return {"order": order}, ()
    if not evidence.ambiguous:
        return {}, ()
    asked = f"In which order are the dates of “{column}” written?"
    options = ("dmy", "mdy", "ymd")
    return {}, (make_question("order", target, column, asked, options, evidence.ambiguous),)


def _datetime(target: str, column: str, hint: FieldHint, texts: Sequence[str]) -> Decision:
    for length, order in ((10, "epoch"), (13, "epoch_ms")):
        if texts and all(text.isdigit() and len(text) == length for text in texts):
            return Decision((Operation(name=OperationName.DATETIME, arguments={"order": order}),))
    evidence = DateEvidence(texts)
    arguments, questions = _order(target, column, hint, evidence)
    if is_zone(hint.unit):
        arguments["zone"] = hint.unit
    elif texts and not (evidence.has_times and evidence.has_zones):
        asked = f"In which zone are the times of “{column}”?"
        options = ("UTC", "+01:00", "+02:00", "-05:00", "-08:00", "+09:00")
        questions = (*questions, make_question("zone", target, column, asked, options, texts))
    return Decision((Operation(name=OperationName.DATETIME, arguments=arguments),), questions)


def _enum(allowed: Sequence[object], hint: FieldHint, texts: Sequence[str]) -> Decision:
    """What each text of the file means; what nothing tells stays as it is, and is rejected if it does not fit."""
    by_name = {plain(value): value for value in allowed if isinstance(value, str)}
    by_concept = {concepts(value): value for value in by_name.values()}
    told = {source.casefold(): value for source, value in hint.values.items()}
    found: dict[str, str] = {value: value for value in by_name.values()} | hint.values
    for text in list(dict.fromkeys(texts))[:_MOST_VALUES]:
        meant = told.get(text.casefold()) or by_name.get(plain(text)) or by_concept.get(concepts(text))
        if meant:
            found[text] = meant
    if all(source == meant for source, meant in found.items()):
        return Decision(())
    return Decision((Operation(name=OperationName.ENUM, arguments=found),))


def fill_of_kind(template: Template, target: str, values: Sequence[Cell]) -> float:
    """How many of a sample's values look like what a field holds, from 0 to 1; 1 where there are none to look at."""
    texts = texts_of(str(cell) for cell in values if cell is not None)
    texts = [text for text in texts if text.casefold() not in _NULLS.split("|")]
    if not texts:
        return 1.0
    schema = template.schema_of(target)
    kind, form = main_type(schema), schema.get("format")
    if kind in ("number", "integer"):
        return NumberEvidence(texts).numbers / len(texts)
    if form in ("date", "date-time"):
        return max(DateEvidence(texts).dates / len(texts), float(all(text.isdigit() for text in texts)) * 0.6)
    if form == "email":
        return sum("@" in text for text in texts) / len(texts)
    if kind == "boolean":
        return 1.0 if len(set(texts)) <= 4 else 0.0
    return 1.0
