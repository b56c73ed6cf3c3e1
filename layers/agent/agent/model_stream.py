"""Server-sent events of both model APIs in; text, calls and one end out. Bounded, and without an object per chunk.

The vendor's client builds a pydantic object for each chunk, which takes most of the CPU of a turn; here a chunk is
parsed once as JSON and only what the answer needs is looked at.
https://platform.openai.com/docs/api-reference/responses-streaming
https://platform.openai.com/docs/api-reference/chat-streaming
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from agent.model_calls import CallCollector
from agent.model_errors import ModelFault
from agent.model_json import Json, JsonObject, as_list, as_object, as_text
from agent.model_values import Finished, ModelEvents, TextDelta
from core.errors import PermanentError, RetryableError
from core.models import ApiKind, Usage

MAX_TEXT_CHARACTERS = 1024 * 1024  # far above any model's longest answer
_MAX_EVENT_BYTES = 16 * MAX_TEXT_CHARACTERS  # the Responses API repeats the whole answer, escaped, in its last event

_INCOMPLETE_REASONS = {"max_output_tokens": "length"}
_CALLED = frozenset({"stop", "tool_calls", "function_call"})  # with calls, many servers end with plain "stop"
_BROKEN = "the model's stream broke off before the end of the answer"


def read_answer(api_kind: ApiKind, chunks: Iterable[bytes], *, model: str, request_id: str | None) -> ModelEvents:
    """The answer that arrives in `chunks`: its text piece by piece, and its end as the last event.

    Args:
        api_kind: Which API streams.
        chunks: The body, in whatever pieces the network delivers it.
        model: The model that was asked, for servers that do not name the one that answers.
        request_id: The call's id, if the answer's head named one.

    Raises:
        RetryableError: The stream ended before the answer, or the API failed.
        PermanentError: The API refuses, or sends more than an answer can be.
    """
    read = _read_responses if api_kind is ApiKind.RESPONSES else _read_chat
    size = 0
    for event in read(_read_objects(chunks), model, request_id):
        if isinstance(event, TextDelta):
            size += len(event.text)
            if size > MAX_TEXT_CHARACTERS:
                raise _flooded()
        yield event


def _read_responses(events: Iterator[JsonObject], model: str, request_id: str | None) -> ModelEvents:
    is_refusal = False
    calls = CallCollector()
    for event in events:
        kind = event.get("type")
        if kind in {"response.output_text.delta", "response.refusal.delta"}:
            is_refusal = is_refusal or kind == "response.refusal.delta"
            if text := as_text(event.get("delta")):
                yield TextDelta(text)
        elif kind == "response.function_call_arguments.delta":
            calls.take_response_delta(event)
        elif kind == "response.function_call_arguments.done":
            calls.take_response_arguments(event)
        elif kind in {"response.output_item.added", "response.output_item.done"}:
            calls.take_response_item(event)
        elif kind in {"response.completed", "response.incomplete"}:
            response = as_object(event.get("response"))
            if calls.is_empty:  # some servers name them at the end only
                calls.take_response_output(response.get("output"))
            finished = _finish_response(response, is_refusal, model, request_id)
            yield _with_calls(finished, calls)
            return
        elif kind in {"response.failed", "error"}:
            yield _finish_failed(_read_error(event), model, request_id)
            return
    raise RetryableError("model-stream-broken", _BROKEN)


def _read_chat(events: Iterator[JsonObject], model: str, request_id: str | None) -> ModelEvents:
    answer = _ChatAnswer(model, request_id)
    try:
        for event in events:
            if "error" in event or event.get("object") == "error":
                yield _finish_failed(_read_error(event), answer.model, answer.request_id)
                return
            yield from answer.take(event)
    except RetryableError:
        if not answer.reason:  # else the answer is complete, and only its usage is lost
            raise
    yield answer.finish()


class _ChatAnswer:
    """What the chunks of Chat Completions add up to beside the text."""

    def __init__(self, model: str, request_id: str | None) -> None:
        self.model = model
        self.request_id = request_id
        self.reason = ""
        self._usage: Usage | None = None
        self._is_refusal = False
        self._calls = CallCollector()

    def take(self, chunk: JsonObject) -> Iterator[TextDelta]:
        """The text in `chunk`."""
        self.model = as_text(chunk.get("model")) or self.model
        self.request_id = self.request_id or as_text(chunk.get("id")) or None
        self._usage = _read_usage(chunk.get("usage"), "prompt_tokens", "completion_tokens") or self._usage
        for choice in map(as_object, as_list(chunk.get("choices"))):  # none in the usage chunk and in Azure's first
            delta = as_object(choice.get("delta"))
            if text := as_text(delta.get("content")):
                yield TextDelta(text)
            if text := as_text(delta.get("refusal")):
                self._is_refusal = True
                yield TextDelta(text)
            if deltas := delta.get("tool_calls"):
                self._calls.take_chat(deltas)
            self.reason = as_text(choice.get("finish_reason")) or self.reason

    def finish(self) -> Finished:
        """The end. What proves it is a reason: not every server sends `[DONE]`, and one that fails may."""
        if not self.reason:
            raise RetryableError("model-stream-broken", _BROKEN)
        reason = "refusal" if self._is_refusal and self.reason == "stop" else self.reason
        return _with_calls(Finished(reason, self._usage, self.model, self.request_id), self._calls)


def _read_event_data(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The data of each server-sent event, however the network cut the bytes."""
    data: list[bytes] = []
    size = 0
    for line in _read_lines(chunks):
        if line.startswith(b"data:"):
            size += len(line)
            if size > _MAX_EVENT_BYTES:
                raise _flooded()
            data.append(line[5:].strip())
        elif not line and data:
            yield b"\n".join(data)
            data, size = [], 0
    if data:  # some servers close right after the last event, without its blank line
        yield b"\n".join(data)


def _read_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        if b"\n" not in chunk:
            pending.append(chunk)  # joined once its end is here: cheap however small the pieces of a long line are
            size += len(chunk)
            if size > _MAX_EVENT_BYTES:
                raise _flooded()
            continue
        *lines, rest = b"".join([*pending, chunk]).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
        pending, size = [rest], len(rest)
    yield b"".join(pending)


def _read_objects(chunks: Iterable[bytes]) -> Iterator[JsonObject]:
    for data in _read_event_data(chunks):
        if data == b"[DONE]":
            return
        try:
            value: Json = json.loads(data)
        except (ValueError, RecursionError):  # it holds the answer, so it is not chained
            raise RetryableError("model-stream-broken", "the model's stream holds what is not JSON") from None
        yield as_object(value)


def _finish_response(response: JsonObject, is_refusal: bool, model: str, request_id: str | None) -> Finished:
    reason = as_text(as_object(response.get("incomplete_details")).get("reason"))
    reason = _INCOMPLETE_REASONS.get(reason, reason) or ("refusal" if is_refusal else "stop")
    usage = _read_usage(response.get("usage"), "input_tokens", "output_tokens")
    request_id = request_id or as_text(response.get("id")) or None
    return Finished(reason, usage, as_text(response.get("model")) or model, request_id)


def _with_calls(finished: Finished, calls: CallCollector) -> Finished:
    """The end with its calls. An answer that was cut off calls nothing: its last call may be cut, too."""
    if finished.finish_reason not in _CALLED:
        return finished
    if calls.is_empty:
        return replace(finished, finish_reason="stop")
    return replace(finished, finish_reason="tool_calls", calls=calls.finish())


def _finish_failed(fault: ModelFault, model: str, request_id: str | None) -> Finished:
    if fault.is_filtered:
        return Finished("content_filter", None, model, request_id)
    raise fault.as_error()


def _read_error(event: JsonObject) -> ModelFault:
    """Servers put the error at the top, under `error`, or under `response.error`."""
    response = as_object(event.get("response"))
    error = as_object(event.get("error")) or as_object(response.get("error")) or event
    code = error.get("code")
    return ModelFault(
        status=code if isinstance(code, int) else None,  # vLLM gives the HTTP status as its code
        code=as_text(code) or None,
        kind=as_text(error.get("type")) or None,
        param=as_text(error.get("param")) or None,
    )


def _read_usage(value: Json, input_name: str, output_name: str) -> Usage | None:
    if not value:
        return None
    usage = as_object(value)
    input_tokens, output_tokens = _count(usage.get(input_name)), _count(usage.get(output_name))
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=_count(usage.get("total_tokens")) or input_tokens + output_tokens,
        cached_tokens=_count(as_object(usage.get(f"{input_name}_details")).get("cached_tokens")),
        reasoning_tokens=_count(as_object(usage.get(f"{output_name}_details")).get("reasoning_tokens")),
    )


def _count(value: Json) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _flooded() -> PermanentError:
    return PermanentError("model-flood", "the model sends more than an answer can be")
