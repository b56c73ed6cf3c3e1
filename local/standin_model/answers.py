"""What the stand-in says: always the same to the same question, and always that it is a stand-in."""

import json
import re

from local.standin_model.prompt import OfferedTool, Prompt
from local.standin_model.schema import fill_as_text
from local.standin_model.script import DIRECTIVES, Behaviour
from local.standin_model.tokens import PrefixCache, count_tokens, first_tokens, reasoning_tokens
from local.standin_model.values import Answer, ApiError, Finish, ToolCall, Usage, dump

_NOTICE = "**I am a stand-in model.** No language model is connected, so this answer follows fixed rules."
_REFUSAL = "I am a stand-in model, and I was told to refuse this."
_QUOTED_CHARACTERS = 300
_QUOTED_RESULT_CHARACTERS = 500
_MOST_WORDS = 20_000

_CALL = re.compile(r"^[ \t]*call[ \t]+([\w.-]+)[ \t]*(.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_WRITE = re.compile(r"\bwrite\s+(\d{1,6})\s+words\b", re.IGNORECASE)
_WORD = re.compile(r"\S{1,24}\s*|\s+")


def compose(prompt: Prompt, behaviour: Behaviour, cache: PrefixCache) -> Answer:
    """The answer to `prompt`, or the one `behaviour` dictates.

    Raises:
        ApiError: The request's JSON schema cannot be filled.
    """
    deltas, calls = _said(prompt, behaviour)
    finish: Finish = "content_filter" if behaviour.filter else "length" if behaviour.truncate else "stop"
    is_exact = behaviour.text is not None or behaviour.deltas is not None
    if finish != "stop" and not is_exact:
        deltas, calls = deltas[: max(1, len(deltas) // 2)], ()
    thinking = reasoning_tokens(prompt.reasoning_effort, prompt.max_output_tokens)
    limit = None if prompt.max_output_tokens is None or is_exact else prompt.max_output_tokens - thinking
    if limit is not None and count_tokens("".join(deltas)) > limit:
        finish, deltas, calls = "length", _pieces(first_tokens("".join(deltas), limit)), ()
    spoken = "".join(deltas) + "".join(call.name + call.arguments_text for call in calls)
    usage = Usage(
        input_tokens=count_tokens(prompt.rendered),
        output_tokens=count_tokens(spoken) + thinking,
        cached_tokens=cache.cached_tokens(prompt.rendered),
        reasoning_tokens=thinking,
    )
    return Answer(
        deltas=deltas,
        tool_calls=calls,
        is_refusal=behaviour.refuse,
        finish=finish,
        fail_after=behaviour.fail_after,
        usage=behaviour.usage or usage,
    )


def _said(prompt: Prompt, behaviour: Behaviour) -> tuple[tuple[str, ...], tuple[ToolCall, ...]]:
    """Text and tool calls, before any limit cuts them."""
    if behaviour.deltas is not None or behaviour.text is not None or behaviour.tool_calls:
        deltas = behaviour.deltas if behaviour.deltas is not None else _pieces(behaviour.text or "")
        return tuple(deltas), tuple(behaviour.tool_calls)
    if behaviour.refuse:
        return _pieces(_REFUSAL), ()
    if behaviour.help:
        return _pieces(f"{_NOTICE}\n\nIn a message I understand:\n\n```\n{DIRECTIVES}\n```"), ()
    if calls := _wanted_calls(prompt):
        return (), calls
    return _pieces(_own_text(prompt)), ()


def _own_text(prompt: Prompt) -> str:
    if prompt.json_schema is not None:
        return fill_as_text(prompt.json_schema)
    if prompt.wants_json:
        return dump({"model": "stand-in", "asked": _quoted(prompt.question, _QUOTED_CHARACTERS)})
    if prompt.tool_results:
        return _about_results(prompt)
    if asked := _WRITE.search(prompt.question):
        return _long_text(min(int(asked[1]), _MOST_WORDS))
    return _plain_text(prompt)


def _plain_text(prompt: Prompt) -> str:
    count = prompt.earlier_messages
    seen = "no earlier message" if count == 0 else f"{count} earlier message{'s' if count > 1 else ''}"
    lines = [
        _NOTICE,
        "",
        "You asked:",
        "",
        f"> {_quoted(prompt.question, _QUOTED_CHARACTERS) or '(nothing)'}",
        "",
    ]
    lines.append(f"I can see {seen} of this conversation.")
    lines += [f"I could not call `{name}`: {why}." for name, why in _impossible_calls(prompt)]
    return "\n".join(lines)


def _about_results(prompt: Prompt) -> str:
    lines = [_NOTICE, "", "The tools answered:", ""]
    lines += [f"- `{result.name}`: {_quoted(result.text, _QUOTED_RESULT_CHARACTERS)}" for result in prompt.tool_results]
    return "\n".join(lines)


def _long_text(words: int) -> str:
    """Numbered sentences of eight words in paragraphs, lists and code blocks, so that a missing part shows."""
    sentences: list[str] = []
    for start in range(0, words, 8):
        sentence = f"Sentence {start // 8 + 1} of this text says nothing new.".split()
        sentences.append(" ".join(sentence[: words - start]))
    blocks = [_NOTICE, f"## {words} words"]
    for number, start in enumerate(range(0, len(sentences), 6), 1):
        block = sentences[start : start + 6]
        if number % 5 == 0:
            blocks.append("```\n" + "\n".join(block) + "\n```")
        elif number % 3 == 0:
            blocks.append("\n".join(f"- {sentence}" for sentence in block))
        else:
            blocks.append(" ".join(block))
    return "\n\n".join(blocks)


def _wanted_calls(prompt: Prompt) -> tuple[ToolCall, ...]:
    """The calls that the message or `tool_choice` asks for and that were not made yet."""
    if prompt.tool_choice == "none" or not prompt.tools:
        return ()
    offered = {tool.name: tool for tool in prompt.tools}
    wanted = [call for name, rest in _asked_calls(prompt) if (call := _call(offered.get(name), rest)) is not None]
    if not wanted and prompt.tool_choice != "auto":
        wanted = [_filled_call(offered.get(prompt.tool_choice, prompt.tools[0]))]
    rest_of_them = wanted[prompt.calls_made :]
    return tuple(rest_of_them if prompt.body.get("parallel_tool_calls") is not False else rest_of_them[:1])


def _asked_calls(prompt: Prompt) -> list[tuple[str, str]]:
    return _CALL.findall(prompt.question)


def _call(tool: OfferedTool | None, rest: str) -> ToolCall | None:
    """The call, its arguments filled from the tool's schema if none are given; nothing if it cannot be made."""
    if tool is None:
        return None
    if not rest:
        return _filled_call(tool)
    return ToolCall(tool.name, rest) if _is_json_object(rest) else None


def _filled_call(tool: OfferedTool) -> ToolCall:
    return ToolCall(tool.name, fill_as_text({"type": "object", **tool.parameters}))


def _impossible_calls(prompt: Prompt) -> list[tuple[str, str]]:
    """Lines that read like a call but are none; "call me later" is ordinary text."""
    offered = {tool.name for tool in prompt.tools}
    impossible: list[tuple[str, str]] = []
    for name, rest in _asked_calls(prompt):
        if name not in offered and (not rest or rest.startswith("{")):
            impossible.append((name, "no such tool was offered"))
        elif rest.startswith("{") and not _is_json_object(rest):
            impossible.append((name, "its arguments are not a JSON object"))
    return impossible


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _pieces(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text))


def _quoted(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def failure(behaviour: Behaviour) -> ApiError | None:
    """The error that `behaviour` answers with instead of an answer."""
    if behaviour.retry_after is not None:
        message = "The stand-in model was told to limit the rate."
        limit_code = behaviour.fail_code or "rate_limit_exceeded"
        return ApiError(429, message, kind="requests", code=limit_code, retry_after=behaviour.retry_after)
    if behaviour.fail_status is None:
        return None
    known = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
    code = behaviour.fail_code or known.get(behaviour.fail_status)
    kind = "server_error" if behaviour.fail_status >= 500 else "invalid_request_error"
    if behaviour.fail_status == 429:
        kind = "insufficient_quota" if behaviour.fail_code == "insufficient_quota" else "requests"
    return ApiError(behaviour.fail_status, "The stand-in model was told to fail.", kind=kind, code=code)
