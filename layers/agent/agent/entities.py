"""What a conversation is about, as the results of tools say: where the settings declare which part of them does."""

import json
import re
from collections.abc import Iterable, Sequence

from core.configuration import EntityMapping, Input
from core.models import ToolStatus, ToolUsage
from core.store import Entity

_ID = re.compile(r"[\w.:@/-]{1,64}", re.ASCII)  # it becomes a part of a key, written with every turn
_STATUS_LINE = re.compile(r"HTTP \d{3}\n")  # stands before the answer of an HTTP API


def find_entity(input_: Input, usages: Sequence[ToolUsage]) -> Entity | None:
    """The entity that the last result which names one names; None where none does."""
    longest_first = sorted(input_.tools, key=lambda definition: len(definition.name), reverse=True)
    for usage in reversed(usages):
        named = (each for each in longest_first if usage.name == each.name or usage.name.startswith(f"{each.name}_"))
        definition = next(named, None)
        if usage.status is not ToolStatus.COMPLETED or not definition or not definition.entity:
            continue
        if id_ := _read(usage.response or "", definition.entity):
            return Entity(type=definition.entity.type, id=id_)
    return None


def _read(response: str, mapping: EntityMapping) -> str | None:
    try:
        value: object = json.loads(_STATUS_LINE.sub("", response, count=1))
    except (ValueError, RecursionError):
        return None
    for step in _steps(mapping.id_pointer):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    id_ = str(value)
    return id_ if _ID.fullmatch(id_) else None


def _steps(pointer: str) -> Iterable[str]:
    """https://www.rfc-editor.org/rfc/rfc6901#section-3."""
    return (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])
