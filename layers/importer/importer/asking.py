"""How a model is asked about columns and values: a fixed schema of the answer, operations from a closed list."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from importer.model import Completion
from importer.operations import is_usable
from importer.values import Operation, OperationName

_PROMPTS = Path(__file__).parent / "prompts"
_CHARACTERS_PER_TOKEN = 3  # fewer than models need for most languages: an estimate that is not too low


@cache
def prompt(name: str) -> str:
    """The instructions of prompts/<name>.md."""
    return (_PROMPTS / f"{name}.md").read_text(encoding="utf-8")


def estimate_tokens(*texts: str) -> int:
    """How many tokens texts are, rather too many than too few; known before a call."""
    return sum(len(text.encode()) for text in texts) // _CHARACTERS_PER_TOKEN + 1


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_OPERATION: Final = _object(
    name={"type": "string", "enum": [name.value for name in OperationName]},
    arguments={"type": "array", "items": _object(name={"type": "string"}, value={"type": "string"})},
)
_OPERATIONS: Final = {"type": "array", "items": _OPERATION}
# The same for every import: providers compile a schema once.
MAPPING_ANSWER: Final[Mapping[str, Any]] = _object(
    fields={
        "type": "array",
        "items": _object(
            target={"type": "string"},
            columns={"type": "array", "items": {"type": "string"}},
            operations=_OPERATIONS,
            confidence={"type": "number"},
        ),
    }
)
REPAIR_ANSWER: Final[Mapping[str, Any]] = _object(
    repairs={"type": "array", "items": _object(group={"type": "integer"}, operations=_OPERATIONS)}
)


def read_answer(completion: Completion, key: str) -> list[dict[str, Any]]:
    """The items of an answer; none where it is not whole or not what was asked for. It is never mended."""
    if completion.finish_reason != "stop":
        return []
    try:
        answer = json.loads(completion.text)
    except (ValueError, RecursionError):
        return []
    items = answer.get(key) if isinstance(answer, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def read_operations(items: object) -> tuple[Operation, ...] | None:
    """The operations of an answer; None where one of them is none of ours or makes no sense."""
    if not isinstance(items, list) or len(items) > len(OperationName):
        return None
    found = []
    for item in items:
        operation = _read_operation(item)
        if operation is None or not is_usable(operation):
            return None
        found.append(operation)
    return tuple(found)


def _read_operation(item: object) -> Operation | None:
    if not isinstance(item, dict) or item.get("name") not in [name.value for name in OperationName]:
        return None
    pairs: Sequence[Any] = item.get("arguments") or []
    arguments: dict[str, str] = {}
    for pair in pairs:
        if (
            not isinstance(pair, dict)
            or not isinstance(pair.get("name"), str)
            or not isinstance(pair.get("value"), str)
        ):
            return None
        arguments[pair["name"]] = pair["value"]
    return Operation(name=OperationName(item["name"]), arguments=arguments)
