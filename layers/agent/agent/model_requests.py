"""The body of a model call, in the dialect of the server that takes it.

What differs between servers with an OpenAI-compatible API, as of late 2026:

- The output limit of Chat Completions. OpenAI and Azure refuse `max_tokens` for reasoning models and want
  `max_completion_tokens`; vLLM and llama.cpp take both; Ollama knows `max_tokens` only and ignores the other without
  a word, so that an answer would have no limit at all (https://github.com/ollama/ollama/issues/7125).
- The person's id. OpenAI: `safety_identifier`, in place of `user`, which everyone else takes or ignores.
- `prompt_cache_key` is OpenAI's and Azure's.
- Reasoning models of OpenAI refuse a `temperature`.

The Responses API has one name for its limit everywhere. A server that states in its error that it does not take a
parameter for a model is not sent it again for that model.

What a reasoning model thought before it called a tool is not given back with the tool's result, although the Responses
API takes it: it is encrypted for one model, would be lost with a crashed process, and a fallback model refuses it. So
each step of a turn thinks afresh, which costs reasoning tokens and is right all the same. No ids of output items are
given back either: with one, the API would ask for the thought that belongs to it.
https://developers.openai.com/api/docs/guides/function-calling
"""

import json
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from agent.model_json import Json, JsonObject
from agent.model_schemas import is_strict
from agent.model_values import ModelMessage, ModelRequest, ModelTool
from agent.tools import ToolCall
from core.models import ApiKind

_OPENAI_DOMAINS = ("openai.com",)
_AZURE_DOMAINS = ("azure.com", "azure.us", "azure.cn")
_OPTIONAL = frozenset({"prompt_cache_key", "safety_identifier", "store", "stream_options", "temperature", "user"})
_SCHEMA_NAME = "answer"


class Dialect:
    """Which parameters one server understands. Safe to share between threads: what it learns only ever grows."""

    def __init__(self, base_url: str) -> None:
        host = urlsplit(base_url).hostname or ""
        is_openai, is_azure = _is_within(host, _OPENAI_DOMAINS), _is_within(host, _AZURE_DOMAINS)
        self._user_name = "safety_identifier" if is_openai else "user"
        self._chat_limit_names = ["max_tokens", "max_completion_tokens"]
        if is_openai or is_azure:
            self._chat_limit_names.reverse()
        self._has_cache_key = is_openai or is_azure
        self._lock = threading.Lock()
        self._refused: frozenset[tuple[str, str]] = frozenset()  # model, parameter

    def leave_out(self, parameter: str, model: str) -> bool:
        """Never send `parameter` for `model` again; False where the request would lose its meaning or its limit."""
        with self._lock:
            others = {(model, name) for name in self._chat_limit_names if name != parameter}
            is_replaceable = parameter in self._chat_limit_names and not others <= self._refused
            if parameter not in _OPTIONAL and not is_replaceable:
                return False
            self._refused |= {(model, parameter)}
            return True

    def write(self, request: ModelRequest) -> JsonObject:
        """The JSON body that asks for a streamed answer to `request`."""
        body: JsonObject = {"model": request.model, "stream": True, self._user_name: request.user}
        if self._has_cache_key:
            body["prompt_cache_key"] = request.prompt_cache_key
        if request.temperature is not None:
            body["temperature"] = request.temperature
        body |= _write_responses(request) if request.api_kind is ApiKind.RESPONSES else self._write_chat(request)
        return {name: value for name, value in body.items() if (request.model, name) not in self._refused}

    def _write_chat(self, request: ModelRequest) -> JsonObject:
        limit_name = next(name for name in self._chat_limit_names if (request.model, name) not in self._refused)
        body: JsonObject = {
            "messages": [_chat_message(each) for each in request.messages],
            limit_name: request.max_output_tokens,
            "stream_options": {"include_usage": True},
        }
        if request.tools:
            body["tools"] = [{"type": "function", "function": _chat_function(tool)} for tool in request.tools]
        if request.output_schema is not None:
            schema = dict(request.output_schema)
            named: JsonObject = {"name": _SCHEMA_NAME, "schema": schema, "strict": is_strict(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body


def _write_responses(request: ModelRequest) -> JsonObject:
    body: JsonObject = {
        "input": [item for message in request.messages for item in _response_items(message)],
        "max_output_tokens": request.max_output_tokens,
        "store": False,  # the vendor keeps no copy: the conversation is ours to keep and to delete
    }
    if request.tools:
        # Without `strict` this API would rewrite a schema that does not fit strict mode.
        body["tools"] = [
            {"type": "function", **_function(tool), "strict": is_strict(tool.parameters)} for tool in request.tools
        ]
    if request.output_schema is not None:
        schema = dict(request.output_schema)
        body["text"] = {
            "format": {"type": "json_schema", "name": _SCHEMA_NAME, "schema": schema, "strict": is_strict(schema)}
        }
    return body


def _response_items(message: ModelMessage) -> Iterator[JsonObject]:
    if message.call_id is not None:
        yield {"type": "function_call_output", "call_id": message.call_id, "output": message.text}
        return
    if message.text or not message.calls:
        yield {"role": message.role.value, "content": _response_content(message)}
    for call in message.calls:
        yield {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": _arguments(call)}


def _chat_message(message: ModelMessage) -> JsonObject:
    if message.call_id is not None:
        return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
    written: JsonObject = {"role": message.role.value, "content": _chat_content(message)}
    if message.calls:
        written["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
            for call in message.calls
        ]
    return written


def _response_content(message: ModelMessage) -> Json:
    if not message.images:
        return message.text
    images: list[Json] = [{"type": "input_image", "image_url": image.data_url} for image in message.images]
    return [{"type": "input_text", "text": message.text}, *images]


def _chat_content(message: ModelMessage) -> Json:
    if not message.images:
        return message.text
    images: list[Json] = [{"type": "image_url", "image_url": {"url": image.data_url}} for image in message.images]
    return [{"type": "text", "text": message.text}, *images]


def _chat_function(tool: ModelTool) -> JsonObject:
    """Strict is said only where it is true: not every server knows the word."""
    return _function(tool) | ({"strict": True} if is_strict(tool.parameters) else {})


def _function(tool: ModelTool) -> JsonObject:
    return {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}


def _arguments(call: ToolCall) -> str:
    """A call's arguments as they may be sent back.

    Some servers refuse a prompt with a call whose arguments are no JSON object. The call's result says what was wrong
    with them.
    """
    try:
        is_object = isinstance(json.loads(call.arguments), dict)
    except (ValueError, RecursionError):
        is_object = False
    return call.arguments if is_object else "{}"


def _is_within(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith("." + domain) for domain in domains)
