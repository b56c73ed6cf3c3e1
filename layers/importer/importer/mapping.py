"""Which column becomes which field: remembered, named alike, or asked of a model once; then tried on a sample.

In this order: the mapping of an earlier file with the same header; names that are equal or alike in any language; one
call of a model for what is left. Each field is then tried on the sample. What could be read in two ways becomes a
question, whoever proposed it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.models import Usage
from importer.asking import MAPPING_ANSWER, prompt, read_answer, read_operations
from importer.deciding import decide, fill_of_kind, make_question, texts_of
from importer.model import Model, Prompt
from importer.names import concepts, likeness, plain
from importer.problems import shorten
from importer.rows import validity
from importer.template import Template
from importer.values import Cell, FieldMapping, Operation, OperationName, Origin, Question, TableMapping

type Samples = Mapping[str, Sequence[Cell]]
"""The values of each column in a sample, by the column's name."""

_ALIKE = 0.72  # names that are alike enough
_APART = 0.06  # and the next best is so much less alike
_KIN = 0.5  # names of which one says more than the other
_KIN_APART = 0.15
_FITTING = 0.5  # of the values; else the column is another
_EXAMPLES = 5
_LONGEST_EXAMPLE = 60  # characters
_MOST_COLUMNS = 300  # that a model is shown
_MAX_OUTPUT_TOKENS = 8_000
_AMBIGUOUS = {
    OperationName.NUMBER: "decimal",
    OperationName.INTEGER: "decimal",
    OperationName.DATE: "order",
    OperationName.DATETIME: "order",
}


@dataclass(slots=True)
class Proposal:
    """A mapping, and what the model took to find it; None where it was not asked or does not say."""

    mapping: TableMapping
    usage: Usage | None = None


def fingerprint(columns: Sequence[str], template: Template) -> str:
    """The same for files whose header and template are the same: the key under which a mapping is remembered."""
    parts = [[plain(name) or name for name in columns], template.name, template.version, template.record]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def propose(
    samples: Samples, template: Template, *, remembered: TableMapping | None = None, model: Model | None = None
) -> Proposal:
    """The mapping of a table to a template.

    Args:
        samples: A sample of the table, by column, in the table's order.
        template: What is made.
        remembered: The mapping of an earlier file with the same fingerprint.
        model: Is asked at most once, and only for what names leave open; None is never asked.
    """
    if remembered and (fields := _checked_again(remembered, samples, template)):
        return Proposal(_finish(fields, [], samples, template))
    fields, questions = _by_names(samples, template)
    open_targets = [name for name in template.fields if name not in {each.target for each in fields}]
    unused = [name for name in samples if name not in {column for each in fields for column in each.columns}]
    usage: Usage | None = None
    if model and open_targets and unused:
        answered, asked, usage = _by_model(open_targets, unused, samples, template, model)
        fields += answered
        questions += asked
    return Proposal(_finish(fields, questions, samples, template), usage)


def _finish(
    fields: list[FieldMapping], questions: list[Question], samples: Samples, template: Template
) -> TableMapping:
    """Name what is left over, and ask for the column of what is required."""
    order = {name: place for place, name in enumerate(template.fields)}
    fields.sort(key=lambda each: order[each.target])
    used = {column for each in fields for column in each.columns}
    unmapped = tuple(name for name in samples if name not in used)
    missing = tuple(name for name in template.fields if name in template.required - {each.target for each in fields})
    for target in missing:
        asked = f"Which column holds “{target}”?"
        questions.append(make_question("column", target, "", asked, unmapped, []))
    return TableMapping(fields=tuple(fields), questions=tuple(questions), unmapped=unmapped, missing=missing)


def _by_names(samples: Samples, template: Template) -> tuple[list[FieldMapping], list[Question]]:
    """Fields whose column is named alike, the most alike first; where two could be meant, neither is taken."""
    scores = _scores(samples, template)
    pairs: dict[str, tuple[str, float]] = {}
    # Last come columns whose name says less or more than the field's ("Betrag" for total_amount): if nothing rivals.
    for enough, apart in ((_ALIKE, _APART), (_KIN, _KIN_APART)):
        for (target, column), score in sorted(scores.items(), key=lambda item: -item[1]):
            used = {name for name, _ in pairs.values()}
            if score < enough or target in pairs or column in used:
                continue
            rivals = [
                other
                for (wanted, name), other in scores.items()
                if (wanted == target) != (name == column) and wanted not in pairs and name not in used
            ]
            if score == 1 or all(other <= score - apart for other in rivals):
                pairs[target] = (column, score)
    fields: list[FieldMapping] = []
    questions: list[Question] = []
    for target, (column, score) in pairs.items():
        decision = decide(template, target, column, samples[column])
        origin = Origin.EXACT if score == 1 else Origin.FUZZY
        made = FieldMapping(target=target, columns=(column,), operations=decision.operations, origin=origin)
        fields.append(made.model_copy(update={"confidence": round(score, 2)}))
        questions += decision.questions
    return fields, questions


def _scores(samples: Samples, template: Template) -> dict[tuple[str, str], float]:
    """How likely a column is a field's, for the pairs that are likely at all: by their names, if the values fit."""
    scores: dict[tuple[str, str], float] = {}
    for target in template.fields:
        wanted = (target, *template.hint_of(target).aliases)
        for column, values in samples.items():
            score, name = max((likeness(column, name), name) for name in wanted)
            is_kin = concepts(column) <= concepts(name) or concepts(name) <= concepts(column)
            if score >= _ALIKE or (score >= _KIN and is_kin):
                is_fitting = fill_of_kind(template, target, values) >= _FITTING
                scores[target, column] = score if is_fitting else score * 0.3
    return scores


def _checked_again(remembered: TableMapping, samples: Samples, template: Template) -> list[FieldMapping]:
    """The fields of an earlier mapping, if this file's values agree with all that was decided then."""
    fields = []
    for each in remembered.fields:
        if each.target not in template.fields or any(column not in samples for column in each.columns):
            return []
        if each.columns and validity(template, each, samples) < _FITTING:
            return []
        if len(each.columns) == 1 and _contradicts(each, template, samples[each.columns[0]]):
            return []
        fields.append(each.model_copy(update={"origin": Origin.CACHE}))
    return fields


def _contradicts(each: FieldMapping, template: Template, values: Sequence[Cell]) -> bool:
    now = decide(template, each.target, each.columns[0], values)
    for operation in each.operations:
        name = _AMBIGUOUS.get(operation.name)
        told = next((op.arguments.get(name, "") for op in now.operations if name and op.name is operation.name), "")
        if name and told and told != operation.arguments.get(name, told):
            return True
    return False


def model_question(targets: Sequence[str], columns: Sequence[str], samples: Samples, template: Template) -> str:
    """What a model is asked: the fields that are open and the columns that are left, each with a few examples."""
    fields = []
    for target in targets:
        hint = template.hint_of(target)
        told = {"description": hint.description, "unit": hint.unit, "aliases": list(hint.aliases)}
        fields.append(
            {
                "name": target,
                "schema": template.schema_of(target),
                "required": target in template.required,
                **{name: value for name, value in told.items() if value},
            }
        )
    shown = []
    for column in columns[:_MOST_COLUMNS]:
        texts = texts_of(str(value) for value in samples[column] if value is not None)
        examples = [shorten(text, _LONGEST_EXAMPLE) for text in list(dict.fromkeys(texts))[:_EXAMPLES]]
        shown.append({"name": column, "examples": examples})
    return json.dumps({"fields": fields, "columns": shown}, ensure_ascii=False)


def _by_model(
    targets: Sequence[str], columns: Sequence[str], samples: Samples, template: Template, model: Model
) -> tuple[list[FieldMapping], list[Question], Usage | None]:
    completion = model.complete(
        Prompt(
            instructions=prompt("mapping"),
            content=model_question(targets, columns, samples, template),
            schema=MAPPING_ANSWER,
            max_output_tokens=_MAX_OUTPUT_TOKENS,
            cache_key="import-mapping",
        )
    )
    fields: list[FieldMapping] = []
    questions: list[Question] = []
    taken: set[str] = set()
    for item in read_answer(completion, "fields"):
        made = _read_field(item, targets, columns)
        if made is None or made.target in taken:
            continue
        taken.add(made.target)
        if constant := next((each for each in made.operations if each.name is OperationName.CONST), None):
            questions.append(_constant_question(made.target, constant))
            continue
        made, asked = _settle(made, template, samples)
        if validity(template, made, samples) >= _FITTING or asked:
            fields.append(made)
            questions += asked
    return fields, questions, completion.usage


def _read_field(item: Mapping[str, Any], targets: Sequence[str], columns: Sequence[str]) -> FieldMapping | None:
    """A field of the model's answer, if all of it is something that it was offered."""
    names, operations = item.get("columns"), read_operations(item.get("operations"))
    if item.get("target") not in targets or not isinstance(names, list) or operations is None:
        return None
    is_constant = any(operation.name is OperationName.CONST for operation in operations)
    if any(name not in columns for name in names) or not (names or is_constant):
        return None
    confidence = item.get("confidence")
    sure = min(max(float(confidence), 0.0), 1.0) if isinstance(confidence, int | float) else 0.5
    return FieldMapping(
        target=item["target"], columns=tuple(names), operations=operations, origin=Origin.MODEL, confidence=sure
    )


def _constant_question(target: str, constant: Operation) -> Question:
    """What no column holds only a person can say: a file could have talked the model into it."""
    asked = f"Does “{target}” hold the same value in every row, and which?"
    return make_question("constant", target, "", asked, (constant.arguments.get("value", ""),), [])


def _settle(made: FieldMapping, template: Template, samples: Samples) -> tuple[FieldMapping, tuple[Question, ...]]:
    """Take back what the model decided and only the values or a person can: the meaning of `1.234` and `03/04/2024`."""
    if len(made.columns) != 1:
        return made, ()
    decision = decide(template, made.target, made.columns[0], samples[made.columns[0]])
    own = {operation.name: operation for operation in decision.operations}
    if not made.operations:
        return made.model_copy(update={"operations": decision.operations}), decision.questions
    operations = []
    for operation in made.operations:
        name = _AMBIGUOUS.get(operation.name)
        if name and operation.name in own:
            kept = {key: value for key, value in operation.arguments.items() if key != name}
            operations.append(Operation(name=operation.name, arguments=kept | own[operation.name].arguments))
        else:
            operations.append(operation)
    asked = decision.questions if any(operation.name in _AMBIGUOUS for operation in made.operations) else ()
    return made.model_copy(update={"operations": tuple(operations)}), asked
