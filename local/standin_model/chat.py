"""Chat Completions on the wire: https://platform.openai.com/docs/api-reference/chat."""

from collections.abc import Iterator

from local.standin_model.prompt import (
    Entry,
    Prompt,
    check_tool_pairs,
    content_text,
    offered_tools,
    optional_count,
    required_text,
    tool_choice,
)
from local.standin_model.values import (
    Answer,
    ApiError,
    Frame,
    Json,
    JsonObject,
    Usage,
    argument_pieces,
    as_list,
    as_object,
    as_text,
    dump,
)

_FAILURE: JsonObject = {
    "error": {
        "message": "The stand-in model was told to fail in the middle of its answer.",
        "type": "server_error",
        "param": None,
        "code": "server_error",
    }
}


def read(body: JsonObject) -> Prompt:
    """The prompt of a request's body.

    Raises:
        ApiError: The body is not a valid request.
    """
    model = required_text(body, "model")
    messages = as_list(body.get("messages"))
    if not messages:
        raise ApiError(
            400, "'messages' must be a list of messages.", code="missing_required_parameter", param="messages"
        )
    entries = [entry for message in messages for entry in _entries(as_object(message))]
    check_tool_pairs(entries, param="messages", at_once=True)
    response_format = as_object(body.get("response_format"))
    schema = as_object(response_format.get("json_schema")).get("schema")
    return Prompt(
        model=model,
        entries=tuple(entries),
        tools=offered_tools(body.get("tools")),
        tool_choice=tool_choice(body.get("tool_choice")),
        json_schema=schema if response_format.get("type") == "json_schema" and isinstance(schema, dict) else None,
        wants_json=response_format.get("type") == "json_object",
        max_output_tokens=optional_count(body, "max_completion_tokens", "max_tokens"),
        reasoning_effort=as_text(body.get("reasoning_effort")),
        is_streaming=body.get("stream") is True,
        includes_usage=as_object(body.get("stream_options")).get("include_usage") is True,
        body=body,
    )


def _entries(message: JsonObject) -> Iterator[Entry]:
    role = as_text(message.get("role"))
    if role not in {"system", "developer", "user", "assistant", "tool"}:
        raise ApiError(400, f"A message cannot have the role '{role}'.", code="invalid_value", param="messages")
    text = content_text(message.get("content"))
    if role == "tool":
        yield Entry(kind="result", text=text, call_id=as_text(message.get("tool_call_id")))
        return
    calls = as_list(message.get("tool_calls"))
    if text or not calls:
        yield Entry(kind="message", role=role, text=text)
    for call in map(as_object, calls):
        function = as_object(call.get("function"))
        name, arguments = as_text(function.get("name")), as_text(function.get("arguments"))
        yield Entry(kind="call", name=name, text=arguments, call_id=as_text(call.get("id")))


def whole(prompt: Prompt, answer: Answer, number: int, created: int) -> JsonObject:
    """The body of an answer that is not streamed."""
    calls: list[Json] = [
        {
            "id": call.id_in(number, index),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments_text},
        }
        for index, call in enumerate(answer.tool_calls)
    ]
    message: JsonObject = {
        "role": "assistant",
        "content": None if answer.is_refusal or (calls and not answer.deltas) else answer.text,
        "refusal": answer.text if answer.is_refusal else None,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = calls
    choice: JsonObject = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(answer)}
    head = _head(prompt, number, created, "chat.completion")
    return {**head, "choices": [choice], "usage": _usage(answer.usage)}


def frames(prompt: Prompt, answer: Answer, number: int, created: int) -> Iterator[Frame]:
    """The server-sent events of a streamed answer, the closing one included."""
    head = _head(prompt, number, created, "chat.completion.chunk")
    if prompt.includes_usage:
        head["usage"] = None

    def frame(delta: JsonObject, finish: str | None = None, *, is_delta: bool = False) -> Frame:
        choice: JsonObject = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return Frame(_event({**head, "choices": [choice]}), is_delta)

    yield frame(
        {"role": "assistant", "content": None if answer.tool_calls and not answer.deltas else "", "refusal": None}
    )
    sent = 0
    for delta, is_delta in _deltas(answer, number):
        if answer.fail_after is not None and sent >= answer.fail_after:
            break
        yield frame(delta, is_delta=is_delta)
        sent += is_delta
    if answer.fail_after is not None:
        yield Frame(_event(_FAILURE))
        return
    yield frame({}, _finish_reason(answer))
    if prompt.includes_usage:
        yield Frame(_event({**head, "choices": [], "usage": _usage(answer.usage)}))
    yield Frame(b"data: [DONE]\n\n")


def _deltas(answer: Answer, number: int) -> Iterator[tuple[JsonObject, bool]]:
    """What each chunk adds, and whether that is a piece of the answer."""
    for text in answer.deltas:
        yield {"refusal" if answer.is_refusal else "content": text}, True
    for index, call in enumerate(answer.tool_calls):
        opening: JsonObject = {"name": call.name, "arguments": ""}
        yield (
            {
                "tool_calls": [
                    {"index": index, "id": call.id_in(number, index), "type": "function", "function": opening}
                ]
            },
            False,
        )
        for piece in argument_pieces(call.arguments_text):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, True


def _head(prompt: Prompt, number: int, created: int, kind: str) -> JsonObject:
    return {
        "id": f"chatcmpl-standin{number:06d}",
        "object": kind,
        "created": created,
        "model": prompt.model,
        "service_tier": "default",
        "system_fingerprint": "fp_standin",
    }


def _finish_reason(answer: Answer) -> str:
    return "tool_calls" if answer.tool_calls and answer.finish == "stop" else answer.finish


def _usage(usage: Usage) -> JsonObject:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _event(value: JsonObject) -> bytes:
    return f"data: {dump(value)}\n\n".encode("utf-8", "replace")
