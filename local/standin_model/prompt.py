"""What a request asks, in one shape for both APIs."""

import base64
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from local.standin_model.values import ApiError, Json, JsonObject, as_list, as_object, as_text, dump

_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing in the input: a message, a tool call the model made, or a tool's result."""

    kind: Literal["message", "call", "result"]
    text: str
    role: str = ""
    call_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A function the request lets the model call."""

    name: str
    parameters: JsonObject


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A request to either API."""

    model: str
    entries: tuple[Entry, ...]
    tools: tuple[OfferedTool, ...]
    tool_choice: str  # "auto", "none", "required" or the name of the one tool to call
    json_schema: JsonObject | None
    wants_json: bool
    max_output_tokens: int | None
    reasoning_effort: str
    is_streaming: bool
    includes_usage: bool
    body: JsonObject

    @cached_property
    def _last_user_index(self) -> int:
        spoken = [index for index, entry in enumerate(self.entries) if entry.role == "user"]
        return spoken[-1] if spoken else -1

    @property
    def question(self) -> str:
        """The last user message, directives included."""
        return self.entries[self._last_user_index].text if self._last_user_index >= 0 else ""

    @property
    def earlier_messages(self) -> int:
        """How many user and assistant messages come before the last user message."""
        before = self.entries[: max(self._last_user_index, 0)]
        return sum(entry.kind == "message" and entry.role in {"user", "assistant"} for entry in before)

    @property
    def calls_made(self) -> int:
        """How many tools were called since the last user message."""
        return sum(entry.kind == "call" for entry in self.entries[self._last_user_index + 1 :])

    @property
    def tool_results(self) -> list[Entry]:
        """The results that end the input, each with its tool's name; none if a message came after them."""
        names = {entry.call_id: entry.name for entry in self.entries if entry.kind == "call"}
        results: list[Entry] = []
        for entry in reversed(self.entries):
            if entry.kind != "result":
                break
            name = names[entry.call_id]
            results.insert(0, Entry(kind="result", text=entry.text, call_id=entry.call_id, name=name))
        return results

    @cached_property
    def rendered(self) -> str:
        """The whole input as one text, stable parts first: what input tokens and cached prefixes are counted on."""
        tools = "".join(f"{tool.name}{dump(tool.parameters)}\n" for tool in self.tools)
        schema = dump(self.json_schema) if self.json_schema is not None else ""
        return (
            tools + schema + "".join(f"{entry.role or entry.kind}:{entry.name}{entry.text}\n" for entry in self.entries)
        )


def required_text(body: JsonObject, name: str) -> str:
    """A non-empty string parameter.

    Raises:
        ApiError: It is missing or something else.
    """
    value = body.get(name)
    if isinstance(value, str) and value:
        return value
    raise ApiError(400, f"This request needs the parameter '{name}'.", code="missing_required_parameter", param=name)


def optional_count(body: JsonObject, *names: str) -> int | None:
    """The first of these parameters that is set.

    Raises:
        ApiError: It is not a positive whole number.
    """
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ApiError(400, f"'{name}' must be a whole number above 0.", code="invalid_value", param=name)
        return value
    return None


def content_text(content: Json) -> str:
    """The text of a message's content; images and files leave a mark, since they are not looked at.

    Raises:
        ApiError: A picture is not whole.
    """
    if isinstance(content, str):
        return content
    pieces: list[str] = []
    for part in as_list(content):
        fields = as_object(part)
        text = as_text(fields.get("text")) or as_text(fields.get("refusal"))
        kind = as_text(fields.get("type"))
        given = fields.get("image_url")
        if kind in {"input_image", "image_url"}:
            text = _describe_image(as_text(given) or as_text(as_object(given).get("url")))
        pieces.append(text or f"[{kind.removeprefix('input_') or 'part'}]")
    return "\n".join(pieces)


def _describe_image(url: str) -> str:
    """A picture's type and size; the real API, too, refuses what is not a picture's bytes in Base64."""
    if not url.startswith("data:"):
        return "[image]"
    head, _, encoded = url.removeprefix("data:").partition(",")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        data = b""
    media_type, _, coding = head.partition(";")
    if not data or coding != "base64" or media_type not in _IMAGE_TYPES:
        raise ApiError(400, "The picture is not one the stand-in takes.", code="invalid_image_format", param="input")
    return f"[image {media_type}, {len(data)} bytes]"


def offered_tools(tools: Json) -> tuple[OfferedTool, ...]:
    """The functions among the request's tools, in the shape of either API."""
    found: list[OfferedTool] = []
    for tool in as_list(tools):
        fields = as_object(tool)
        function = as_object(fields.get("function")) or fields
        if fields.get("type") == "function" and as_text(function.get("name")):
            found.append(OfferedTool(as_text(function.get("name")), as_object(function.get("parameters"))))
    return tuple(found)


def tool_choice(choice: Json) -> str:
    """`auto`, `none`, `required`, or the name of the tool that must be called."""
    if isinstance(choice, dict):
        return as_text(as_object(choice.get("function")).get("name")) or as_text(choice.get("name")) or "auto"
    return as_text(choice) or "auto"


def check_tool_pairs(entries: list[Entry], *, param: str, at_once: bool) -> None:
    """Let pass only an input in which each tool call has one result after it, as the real API does.

    Args:
        entries: The input.
        param: The request's parameter it came in.
        at_once: No message may stand between a call and its result.

    Raises:
        ApiError: A call has no result, or a result no call.
    """
    waiting: set[str] = set()
    for entry in entries:
        if entry.kind == "call":
            waiting.add(entry.call_id)
        elif entry.kind == "result":
            if entry.call_id not in waiting:
                raise ApiError(400, f"No tool call came before the result of '{entry.call_id}'.", param=param)
            waiting.discard(entry.call_id)
        elif waiting and at_once:
            break
    if waiting:
        raise ApiError(400, f"No tool result found for {', '.join(sorted(waiting))}.", param=param)
