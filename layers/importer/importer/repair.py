"""Mending rejects with a model: one example for each kind of value, within a budget of tokens."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.models import Usage
from importer.asking import REPAIR_ANSWER, estimate_tokens, prompt, read_answer, read_operations
from importer.model import Model, Prompt
from importer.problems import ProblemCode, Reject, shorten
from importer.rows import repaired
from importer.shapes import shape_of
from importer.template import Template
from importer.values import OperationName, Repair, TableMapping

_REPAIRABLE = frozenset((ProblemCode.TYPE_ERROR, ProblemCode.CONSTRAINT))  # an ambiguous value is a person's to read
_LONGEST_EXAMPLE = 120  # characters
_OUTPUT_PER_GROUP = 150  # tokens


@dataclass(frozen=True, slots=True)
class _Group:
    target: str
    shape: str
    example: str
    message: str
    count: int


def groups_of(rejects: Iterable[Reject]) -> list[_Group]:
    """Rejects that look alike, the largest group first."""
    found: dict[tuple[str, str], _Group] = {}
    for reject in rejects:
        if reject.code not in _REPAIRABLE or not reject.target or not isinstance(reject.value, str):
            continue
        key = (reject.target, shape_of(reject.value))
        count = found[key].count + 1 if key in found else 1
        example = found[key].example if key in found else reject.value
        found[key] = _Group(*key, example, reject.message, count)
    return sorted(found.values(), key=lambda group: (-group.count, group.target, group.shape))


def mend(
    rejects: Iterable[Reject], mapping: TableMapping, template: Template, *, model: Model, max_tokens: int
) -> tuple[TableMapping, Usage | None]:
    """The mapping with what else to try for the values that were rejected.

    Args:
        rejects: Of a preview or of an import.
        mapping: That rejected them.
        template: What is made.
        model: Is asked once.
        max_tokens: Input and output together; groups beyond it are not asked about, and nothing is asked where not
            even one fits.
    """
    groups = _affordable(groups_of(rejects), template, max_tokens)
    if not groups:
        return mapping, None
    completion = model.complete(
        Prompt(
            instructions=prompt("repair"),
            content=_question(groups, template),
            schema=REPAIR_ANSWER,
            max_output_tokens=_OUTPUT_PER_GROUP * len(groups),
            cache_key="import-repair",
        )
    )
    repairs: dict[str, list[Repair]] = {}
    for item in read_answer(completion, "repairs"):
        number, operations = item.get("group"), read_operations(item.get("operations"))
        if not isinstance(number, int) or not 0 <= number < len(groups) or not operations:
            continue
        if any(operation.name is OperationName.CONST for operation in operations):
            continue  # that would invent a value
        group = groups[number]
        repair = Repair(shape=group.shape, operations=operations)
        if repaired(template, group.target, repair, group.example) is not None:
            repairs.setdefault(group.target, []).append(repair)
    fields = tuple(
        each.model_copy(update={"repairs": (*each.repairs, *repairs.get(each.target, ()))}) for each in mapping.fields
    )
    return mapping.model_copy(update={"fields": fields}), completion.usage


def _affordable(groups: Sequence[_Group], template: Template, max_tokens: int) -> list[_Group]:
    chosen: list[_Group] = []
    for group in groups:
        tried = [*chosen, group]
        cost = estimate_tokens(prompt("repair"), _question(tried, template)) + _OUTPUT_PER_GROUP * len(tried)
        if cost > max_tokens:
            break
        chosen = tried
    return chosen


def _question(groups: Sequence[_Group], template: Template) -> str:
    items: list[Mapping[str, object]] = [
        {
            "group": number,
            "field": group.target,
            "schema": template.schema_of(group.target),
            "example": shorten(group.example, _LONGEST_EXAMPLE),
            "wrong": group.message,
        }
        for number, group in enumerate(groups)
    ]
    return json.dumps({"groups": items}, ensure_ascii=False)
