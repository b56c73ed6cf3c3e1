"""What the model is asked and what it answers, as values that know no vendor.

Import these wherever a turn is made; only `agent.model` knows the model's API.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.tools import ToolCall
from core.models import ApiKind, Role, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelImage:
    """A picture of the prompt.

    Attributes:
        url: Where it is kept.
        encoded: Its bytes in Base64, once they are read: they are in memory for the call alone.
    """

    url: str
    media_type: str
    encoded: str = field(default="", repr=False)

    @property
    def data_url(self) -> str:
        """The picture as it is sent: within the request, so that nobody else has to reach it."""
        return f"data:{self.media_type};base64,{self.encoded}"


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One message of the prompt.

    Attributes:
        role: Who says it.
        text: What is said; with `calls` it may be empty.
        calls: Of the assistant: the tools it asked for.
        call_id: Of a tool's result: the call that it answers; `text` is the result and `role` is SYSTEM.
        images: Of a person: the pictures shown with it.
    """

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    images: tuple[ModelImage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTool:
    """A tool as it is offered to the model; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One call of the model.

    Attributes:
        model: The model's name, as its API knows it.
        api_kind: Which of the two APIs to speak.
        messages: The prompt, in order, ending with the question or with the results of tools.
        max_output_tokens: Where the answer is cut off (`finish_reason` "length"). Reasoning counts.
        user: Opaque id of the person, for the vendor's abuse monitoring; never a name, an e-mail or a platform id.
            At most 64 characters (OpenAI's limit).
        prompt_cache_key: The same for requests whose prompts begin alike, so that the vendor's prompt cache finds
            them. At most 64 characters.
        temperature: None leaves it to the model.
        tools: What may be called; empty where no tool may be.
        output_schema: JSON Schema that the answer has to fit; None for free text.
    """

    model: str
    api_kind: ApiKind
    messages: tuple[ModelMessage, ...]
    max_output_tokens: int
    user: str
    prompt_cache_key: str
    temperature: float | None = None
    tools: tuple[ModelTool, ...] = ()
    output_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete. Always the last event, and there is exactly one.

    Attributes:
        finish_reason: "stop", "length" (cut off at `max_output_tokens`), "content_filter" (the vendor withheld the
            rest, or all of it), "refusal" (the text that came is the model's refusal), or the API's own word.
        usage: What the call took; None where the server does not say.
        model: The exact model that answered, as the server names it.
        request_id: The vendor's id of the call, for a support case.
        calls: The tools that the model asks for, in its order; then `finish_reason` is "tool_calls".
    """

    finish_reason: str
    usage: Usage | None
    model: str
    request_id: str | None
    calls: tuple[ToolCall, ...] = ()


type ModelEvent = TextDelta | Finished
type ModelEvents = Iterator[ModelEvent]
