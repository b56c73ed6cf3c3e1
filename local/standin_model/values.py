"""Values the stand-in model's modules hand to each other, whichever of the two APIs was called."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type JsonObject = dict[str, Json]
type Finish = Literal["stop", "length", "content_filter"]


class ApiError(Exception):
    """A refusal in the vendor's own error shape."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.body: JsonObject = {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of one answer; cached is part of input, reasoning is part of output."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input plus output."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the answer calls; arguments given as a string are sent as they are, valid JSON or not."""

    name: str
    arguments: Mapping[str, Json] | str = "{}"
    call_id: str | None = None

    @property
    def arguments_text(self) -> str:
        """The arguments as they travel."""
        return self.arguments if isinstance(self.arguments, str) else dump(dict(self.arguments))

    def id_in(self, number: int, index: int) -> str:
        """The call's id in the answer to request `number`."""
        return self.call_id or f"call_standin{number:06d}{index:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is said, before either API gives it a shape.

    `deltas` are the pieces of the text (or of the refusal) in the order they stream. `fail_after` counts deltas of any
    kind, argument deltas included, after which the stream ends in an error event.
    """

    deltas: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    is_refusal: bool = False
    finish: Finish = "stop"
    fail_after: int | None = None
    usage: Usage

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.deltas)


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event; a delta is one that carries a piece of the answer."""

    data: bytes
    is_delta: bool = False


def dump(value: Json) -> str:
    """Compact JSON with non-ASCII text as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def as_object(value: Json) -> JsonObject:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def argument_pieces(arguments: str) -> list[str]:
    """The pieces in which a call's arguments stream, about three tokens each."""
    return [arguments[start : start + 12] for start in range(0, len(arguments), 12)]
