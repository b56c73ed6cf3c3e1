"""Server-sent events of both model APIs in, text and one end out. Bounded, and without an object per chunk.

The vendor's client builds a pydantic object for each chunk, which takes most of the CPU of a turn; here a chunk is
parsed once as JSON and only what the answer needs is looked at.
https://platform.openai.com/docs/api-reference/responses-streaming
https://platform.openai.com/docs/api-reference/chat-streaming
https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

import json
from collections.abc import Iterable, Iterator

from agent.model_errors import Refusal
from agent.model_values import Finished, ModelEvents, TextDelta
from core.errors import PermanentError, RetryableError
from core.models import Usage

MAX_TEXT_BYTES = 1024 * 1024  # far above any model's longest answer
_MAX_EVENT_BYTES = 16 * MAX_TEXT_BYTES  # the last event of the Responses API repeats the whole answer, escaped, twice

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type JsonObject = dict[str, Json]

_CHAT_REASONS = {"max_tokens": "length", "eos": "stop", "eos_token": "stop"}
_INCOMPLETE_REASONS = {"max_output_tokens": "length", "max_tokens": "length"}


def read_responses(chunks: Iterable[bytes], *, model: str, request_id: str | None) -> ModelEvents:
    """The answer in a stream of the Responses API.

    Raises:
        RetryableError: The stream ended before the answer, or the API failed.
        PermanentError: The API refuses, or sends more than an answer can be.
    """
    is_refusal = False
    for event in _bounded(_read_objects(chunks)):
        kind = event.get("type")
        if kind == "response.output_text.delta" or kind == "response.refusal.delta":  # noqa: PLR1714 - twice as fast
            is_refusal = is_refusal or kind == "response.refusal.delta"
            if text := as_text(event.get("delta")):
                yield TextDelta(text)
        elif kind in {"response.completed", "response.incomplete"}:
            yield _finish_response(as_object(event.get("response")), is_refusal, model, request_id)
            return
        elif kind in {"response.failed", "error"}:
            yield _finish_refused(_read_error(event), model, request_id)
            return
    raise _broken()


def read_chat(chunks: Iterable[bytes], *, model: str, request_id: str | None) -> ModelEvents:
    """The answer in a stream of Chat Completions. Raises as `read_responses` does."""
    reason = usage = None
    is_refusal = False
    for event in _bounded(_read_objects(chunks)):
        if "error" in event or event.get("object") == "error":
            yield _finish_refused(_read_error(event), model, request_id)
            return
        model = as_text(event.get("model")) or model
        request_id = request_id or as_text(event.get("id")) or None
        usage = _read_chat_usage(as_object(event.get("usage"))) or usage
        for choice in map(as_object, as_list(event.get("choices"))):  # none in the usage chunk and in Azure's first
            delta = as_object(choice.get("delta"))
            if text := as_text(delta.get("content")):
                yield TextDelta(text)
            if text := as_text(delta.get("refusal")):
                is_refusal = True
                yield TextDelta(text)
            reason = as_text(choice.get("finish_reason")) or reason
    # The end is what names a reason: `[DONE]` alone proves nothing, and not every server sends it.
    if reason is None:
        raise _broken()
    reason = _CHAT_REASONS.get(reason, reason)
    yield Finished("refusal" if is_refusal and reason == "stop" else reason, usage, model, request_id)


def read_event_data(chunks: Iterable[bytes]) -> Iterator[bytes]:
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
    for data in read_event_data(chunks):
        if data == b"[DONE]":
            return
        try:
            value: Json = json.loads(data)
        except ValueError:
            raise RetryableError("model-stream-broken", "the model's stream holds what is not JSON") from None
        yield as_object(value)


def _bounded(events: Iterable[JsonObject]) -> Iterator[JsonObject]:
    """The same events, as long as what they can hold of text stays within bounds."""
    size = 0
    for event in events:
        delta = event.get("delta")
        if isinstance(delta, str):
            size += len(delta)
        for choice in as_list(event.get("choices")):
            delta = as_object(as_object(choice).get("delta"))
            size += len(as_text(delta.get("content")))
        if size > MAX_TEXT_BYTES:
            raise _flooded()
        yield event


def _finish_response(response: JsonObject, is_refusal: bool, model: str, request_id: str | None) -> Finished:
    reason = as_text(as_object(response.get("incomplete_details")).get("reason"))
    reason = _INCOMPLETE_REASONS.get(reason, reason) or ("refusal" if is_refusal else "stop")
    usage = _read_responses_usage(as_object(response.get("usage")))
    request_id = request_id or as_text(response.get("id")) or None
    return Finished(reason, usage, as_text(response.get("model")) or model, request_id)


def _finish_refused(refusal: Refusal, model: str, request_id: str | None) -> Finished:
    if refusal.is_filtered:
        return Finished("content_filter", None, model, request_id)
    raise refusal.as_error()


def _read_error(event: JsonObject) -> Refusal:
    """Servers put the error at the top, under `error`, or under `response.error`."""
    response = as_object(event.get("response"))
    error = as_object(event.get("error")) or as_object(response.get("error")) or event
    code = error.get("code")
    return Refusal(
        status=code if isinstance(code, int) else None,  # vLLM gives the HTTP status as its code
        code=as_text(code) or None,
        kind=as_text(error.get("type")) or None,
        param=as_text(error.get("param")) or None,
    )


def _read_responses_usage(usage: JsonObject) -> Usage | None:
    return _read_usage(usage, "input_tokens", "output_tokens")


def _read_chat_usage(usage: JsonObject) -> Usage | None:
    return _read_usage(usage, "prompt_tokens", "completion_tokens")


def _read_usage(usage: JsonObject, input_name: str, output_name: str) -> Usage | None:
    if not usage:
        return None
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


def as_object(value: Json) -> JsonObject:
    """`value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    """`value` if it is a JSON list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def _broken() -> RetryableError:
    return RetryableError("model-stream-broken", "the model's stream broke off before the end of the answer")


def _flooded() -> PermanentError:
    return PermanentError("model-flood", "the model sends more than an answer can be")
