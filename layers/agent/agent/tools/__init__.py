"""Tools: what the model may call. Each kind is one file that makes `Tool`s of its definitions in the settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from core.models import ToolType, Usage

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
        place: Where the call stands among all uses of tools for its question.
        check_time: Called before something that takes so many seconds: raises what lets the turn go on with the next
            delivery of its message, where that is better.
        rest: What the turn's limits leave of tokens and of money; None: as much as it takes.
        spend: Counts model calls that the tool makes, and their cost where it is known, into the turn.
    """

    company_id: str
    user_id: str
    conversation_id: str
    idempotency_key: str
    remaining: Callable[[], float]
    place: str = ""
    check_time: Callable[[float], None] = lambda _needed: None
    rest: Callable[[], tuple[int | None, Decimal | None]] = lambda: (None, None)
    spend: Callable[[Usage | None, Decimal | None], None] = lambda _usage, _cost: None


class TurnInterruptedError(Exception):
    """Ends a turn for now, wherever it is raised below it: no model is told, and it never leaves the turn."""


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
            RetryableError: It may work later; the model is told so, with the error's message (of a sub-agent: the turn
                is tried again, and goes on where it was).
            PermanentError: It will not; the model is told so, with the error's message.
        """
