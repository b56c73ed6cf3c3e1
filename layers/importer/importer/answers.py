"""What a person's answers to questions change in a mapping."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

from importer.deciding import decide
from importer.problems import ProblemCode, refuse
from importer.rows import validity
from importer.template import Template
from importer.values import Cell, FieldMapping, Operation, OperationName, Origin, Question, TableMapping

_ZONE = re.compile(r"UTC|[+-]\d{2}:\d{2}")
_NUMBERS = (OperationName.NUMBER, OperationName.INTEGER)
_DATES = (OperationName.DATE, OperationName.DATETIME)


def answer(
    mapping: TableMapping, answers: Mapping[str, str], template: Template, samples: Mapping[str, Sequence[Cell]]
) -> TableMapping:
    """The mapping with some of its questions answered, by their ids; the others stay.

    Raises:
        PermanentError: An answer is none of those that the question allows.
    """
    fields = {each.target: each for each in mapping.fields}
    left: list[Question] = []
    for question in mapping.questions:
        if question.id not in answers:
            left.append(question)
            continue
        made, more = _apply(question, answers[question.id].strip(), fields.get(question.target), template, samples)
        fields[question.target] = made
        left += more
    left = [question for question in left if not (_fills(question) and question.target in fields)]
    used = {column for each in fields.values() for column in each.columns}
    return TableMapping(
        fields=tuple(fields[name] for name in template.fields if name in fields),
        questions=tuple(left),
        unmapped=tuple(name for name in samples if name not in used),
        missing=tuple(name for name in template.fields if name in template.required and name not in fields),
    )


def _apply(
    question: Question,
    text: str,
    made: FieldMapping | None,
    template: Template,
    samples: Mapping[str, Sequence[Cell]],
) -> tuple[FieldMapping, tuple[Question, ...]]:
    if _fills(question):
        return _filled(question, text, template, samples)
    kind = question.id.partition(":")[0]
    if made is None:
        raise _not_allowed(question)
    if kind == "unit":
        return _scaled(made, text, question), ()
    if kind == "zone":
        if not _ZONE.fullmatch(text):
            raise _not_allowed(question)
        return _with(made, _DATES, {"zone": text}), ()
    if text not in question.options:
        raise _not_allowed(question)
    if kind == "decimal":
        return _with(made, _NUMBERS, {"decimal": text[0]}), ()
    if kind == "order":
        return _with(made, _DATES, {"order": text}), ()
    return _with(made, _NUMBERS, {"percent": "number" if text == "12" else "fraction"}), ()


def _filled(
    question: Question, text: str, template: Template, samples: Mapping[str, Sequence[Cell]]
) -> tuple[FieldMapping, tuple[Question, ...]]:
    if question.id.startswith("constant:"):
        constant = Operation(name=OperationName.CONST, arguments={"value": text})
        field = FieldMapping(target=question.target, columns=(), operations=(constant,), origin=Origin.PERSON)
        if validity(template, field, samples) < 1:
            raise _not_allowed(question)
        return field, ()
    if text not in samples:
        raise _not_allowed(question)
    decision = decide(template, question.target, text, samples[text])
    field = FieldMapping(target=question.target, columns=(text,), operations=decision.operations, origin=Origin.PERSON)
    return field, decision.questions


def _fills(question: Question) -> bool:
    """Whether its answer says where a field's values come from, and not how they are read."""
    return question.id.partition(":")[0] in ("column", "constant")


def _with(made: FieldMapping, names: Sequence[OperationName], arguments: Mapping[str, str]) -> FieldMapping:
    operations = tuple(
        operation.model_copy(update={"arguments": {**operation.arguments, **arguments}})
        if operation.name in names
        else operation
        for operation in made.operations
    )
    return made.model_copy(update={"operations": operations, "origin": Origin.PERSON, "confidence": 1.0})


def _scaled(made: FieldMapping, text: str, question: Question) -> FieldMapping:
    try:
        is_usable = Decimal(text).is_finite()
    except InvalidOperation:
        is_usable = False
    if not is_usable:
        raise _not_allowed(question)
    scale = Operation(name=OperationName.SCALE, arguments={"factor": text})
    operations = (*made.operations, scale) if Decimal(text) != 1 else made.operations
    return made.model_copy(update={"operations": operations, "origin": Origin.PERSON, "confidence": 1.0})


def _not_allowed(question: Question) -> Exception:
    return refuse(ProblemCode.NO_MAPPING, f"the answer to the question {question.id} is none that it allows")
