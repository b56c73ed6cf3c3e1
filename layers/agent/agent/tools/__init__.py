"""Tools: what the model may call. Each kind is one file that makes `Tool`s of its definitions in the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from core.models import ToolType

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The model asks for a tool. `arguments` is what it wrote: JSON, if the model keeps to it."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """For whom and how a tool runs.

    Attributes:
        idempotency_key: The same for every try of this call; sent along, so that what is done twice counts once.
        remaining: Seconds that the turn has left, asked anew at each call.
    """

    company_id: str
    user_id: str
    conversation_id: str
    idempotency_key: str
    remaining: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the model is told. An error is told, too: the model may do something about it."""

    text: str
    is_error: bool = False


class Tool(Protocol):
    """One thing the model may call."""

    @property
    def name(self) -> str: ...  # noqa: D102 - what the model calls it
    @property
    def type(self) -> ToolType: ...  # noqa: D102 - of its record
    @property
    def description(self) -> str: ...  # noqa: D102 - when to use it, for the model
    @property
    def parameters(self) -> Mapping[str, Any]: ...  # noqa: D102 - JSON Schema of the arguments
    @property
    def is_write(self) -> bool: ...  # noqa: D102 - whether it runs alone
    @property
    def timeout_seconds(self) -> float: ...  # noqa: D102 - of one call

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it; `arguments` fit `parameters`.

        Raises:
            RetryableError: It may work later; the model is told so, with the error's message.
            PermanentError: It will not; the model is told so, with the error's message.
        """
