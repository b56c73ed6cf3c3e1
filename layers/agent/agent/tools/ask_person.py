"""OBTAIN_MORE_INFORMATION: a question back to the person. The turn ends with it; the next message is the result."""

from collections.abc import Mapping
from typing import Any

from agent.tools import ToolContext, ToolResult
from core.configuration import AskPersonTool
from core.models import ToolType

_MOST_CHARACTERS = 4_000


class AskPerson:
    """Asks what only the person knows. It is never run: a turn that gets to it ends, and goes on with the answer."""

    type = ToolType.OBTAIN_MORE_INFORMATION
    is_write = False
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {"question": {"type": "string", "minLength": 1, "maxLength": _MOST_CHARACTERS}},
        "required": ["question"],
        "additionalProperties": False,
    }

    def __init__(self, definition: AskPersonTool) -> None:
        self.name = definition.name
        self.description = definition.description
        self.timeout_seconds = definition.timeout_seconds

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:  # noqa: ARG002 - as every tool
        """What is said where there is nobody to ask."""
        return ToolResult(text="Nobody can be asked here.", is_error=True)
