"""The Responses API on the wire: https://platform.openai.com/docs/api-reference/responses."""

from collections.abc import Iterator
from itertools import count

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
    ToolCall,
    Usage,
    argument_pieces,
    as_list,
    as_object,
    as_text,
    dump,
)

_FAILURE: JsonObject = {
    "code": "server_error",
    "message": "The stand-in model was told to fail in the middle of its answer.",
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def read(body: JsonObject) -> Prompt:
    """The prompt of a request's body.

    Raises:
        ApiError: The body is not a valid request.
    """
    model = required_text(body, "model")
    if previous := as_text(body.get("previous_response_id")):
        message = f"Previous response '{previous}' was not found: the stand-in keeps none."
        raise ApiError(400, message, code="previous_response_not_found", param="previous_response_id")
    given = body.get("input")
    if not given or not isinstance(given, str | list):
        raise ApiError(400, "'input' must be a text or a list.", code="missing_required_parameter", param="input")
    items: list[Json] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    entries = [Entry(kind="message", role="system", text=text)] if (text := as_text(body.get("instructions"))) else []
    entries += [entry for item in items if (entry := _entry(as_object(item))) is not None]
    check_tool_pairs(entries, param="input", at_once=False)
    text_format = as_object(as_object(body.get("text")).get("format"))
    schema = text_format.get("schema")
    return Prompt(
        model=model,
        entries=tuple(entries),
        tools=offered_tools(body.get("tools")),
        tool_choice=tool_choice(body.get("tool_choice")),
        json_schema=schema if text_format.get("type") == "json_schema" and isinstance(schema, dict) else None,
        wants_json=text_format.get("type") == "json_object",
        max_output_tokens=optional_count(body, "max_output_tokens"),
        reasoning_effort=as_text(as_object(body.get("reasoning")).get("effort")),
        is_streaming=body.get("stream") is True,
        includes_usage=True,
        body=body,
    )


def _entry(item: JsonObject) -> Entry | None:
    """What an input item is to the stand-in; reasoning items and references say nothing to it."""
    kind = as_text(item.get("type")) or "message"
    call_id = as_text(item.get("call_id"))
    if kind == "function_call":
        name, arguments = as_text(item.get("name")), as_text(item.get("arguments"))
        return Entry(kind="call", name=name, text=arguments, call_id=call_id)
    if kind == "function_call_output":
        return Entry(kind="result", text=content_text(item.get("output")), call_id=call_id)
    if kind != "message":
        return None
    role = as_text(item.get("role"))
    if role not in {"system", "developer", "user", "assistant"}:
        raise ApiError(400, f"A message cannot have the role '{role}'.", code="invalid_value", param="input")
    return Entry(kind="message", role=role, text=content_text(item.get("content")))


def whole(prompt: Prompt, answer: Answer, number: int, created: int) -> JsonObject:
    """The body of an answer that is not streamed."""
    output: list[Json] = [item for item, _ in _items(answer, number)]
    return _response(prompt, number, created) | _ending(answer, output, created)


def frames(prompt: Prompt, answer: Answer, number: int, created: int) -> Iterator[Frame]:
    """The server-sent events of a streamed answer, the closing one included."""
    sequence = count()

    def frame(kind: str, fields: JsonObject) -> Frame:
        data = dump({"type": kind, **fields, "sequence_number": next(sequence)})
        return Frame(f"event: {kind}\ndata: {data}\n\n".encode("utf-8", "replace"), kind.endswith(".delta"))

    response = _response(prompt, number, created)
    yield frame("response.created", {"response": response})
    yield frame("response.in_progress", {"response": response})
    sent = 0
    output: list[Json] = []
    for index, (item, call) in enumerate(_items(answer, number)):
        for kind, fields in _call_events(item, call) if call else _message_events(item, answer):
            if answer.fail_after is not None and sent >= answer.fail_after:
                yield frame("response.failed", {"response": response | _failed()})
                return
            yield frame(kind, {**fields, "output_index": index})
            sent += kind.endswith(".delta")
        output.append(item)
    if answer.fail_after is not None:
        yield frame("response.failed", {"response": response | _failed()})
        return
    ending = _ending(answer, output, created)
    yield frame(f"response.{as_text(ending['status'])}", {"response": response | ending})


def _items(answer: Answer, number: int) -> Iterator[tuple[JsonObject, ToolCall | None]]:
    """The finished output items: the message if there is one, then each call."""
    if answer.deltas or not answer.tool_calls:
        yield (
            {
                "id": f"msg_standin{number:06d}",
                "type": "message",
                "status": "completed" if answer.finish == "stop" else "incomplete",
                "role": "assistant",
                "content": [_part(answer, answer.text)],
            },
            None,
        )
    for index, call in enumerate(answer.tool_calls):
        yield (
            {
                "id": f"fc_standin{number:06d}{index:02d}",
                "type": "function_call",
                "status": "completed",
                "call_id": call.id_in(number, index),
                "name": call.name,
                "arguments": call.arguments_text,
            },
            call,
        )


def _part(answer: Answer, text: str) -> JsonObject:
    if answer.is_refusal:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _message_events(item: JsonObject, answer: Answer) -> Iterator[tuple[str, JsonObject]]:
    place: JsonObject = {"item_id": item["id"], "content_index": 0}
    kind = "response.refusal" if answer.is_refusal else "response.output_text"
    extra: JsonObject = {} if answer.is_refusal else {"logprobs": []}
    yield "response.output_item.added", {"item": {**item, "status": "in_progress", "content": []}}
    yield "response.content_part.added", {**place, "part": _part(answer, "")}
    for delta in answer.deltas:
        yield f"{kind}.delta", {**place, **extra, "delta": delta}
    yield f"{kind}.done", {**place, **extra, "refusal" if answer.is_refusal else "text": answer.text}
    yield "response.content_part.done", {**place, "part": _part(answer, answer.text)}
    yield "response.output_item.done", {"item": item}


def _call_events(item: JsonObject, call: ToolCall) -> Iterator[tuple[str, JsonObject]]:
    place: JsonObject = {"item_id": item["id"]}
    yield "response.output_item.added", {"item": {**item, "status": "in_progress", "arguments": ""}}
    for piece in argument_pieces(call.arguments_text):
        yield "response.function_call_arguments.delta", {**place, "delta": piece}
    yield "response.function_call_arguments.done", {**place, "arguments": call.arguments_text}
    yield "response.output_item.done", {"item": item}


def _response(prompt: Prompt, number: int, created: int) -> JsonObject:
    """The response object as it opens: in progress, nothing said yet."""
    body = prompt.body
    tools: list[Json] = [{"strict": True, "parameters": None, **as_object(tool)} for tool in as_list(body.get("tools"))]
    return {
        "id": f"resp_standin{number:06d}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "max_output_tokens": prompt.max_output_tokens,
        "max_tool_calls": None,
        "metadata": as_object(body.get("metadata")),
        "model": prompt.model,
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": prompt.reasoning_effort or None, "summary": None},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}, "verbosity": "medium", **as_object(body.get("text"))},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": tools,
        "top_logprobs": 0,
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def _ending(answer: Answer, output: list[Json], created: int) -> JsonObject:
    """What the closing event changes in the response object."""
    usage = _usage(answer.usage)
    if answer.finish == "stop":
        return {"status": "completed", "completed_at": created, "output": output, "usage": usage}
    details: JsonObject = {"reason": _INCOMPLETE[answer.finish]}
    return {"status": "incomplete", "incomplete_details": details, "output": output, "usage": usage}


def _failed() -> JsonObject:
    return {"status": "failed", "error": _FAILURE}


def _usage(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
