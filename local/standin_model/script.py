"""What the stand-in is told to do: scripted behaviours for tests, directives in a message for people."""

import contextlib
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

from local.standin_model.values import ApiError, Json, JsonObject, ToolCall, Usage, as_list, as_object, as_text

_MOST_COUNTED_TEXTS = 10_000

DIRECTIVES = """\
[[slow 5]]            seconds before the first piece of the answer
[[delay 200]]         milliseconds before each further piece
[[fail 500]]          this HTTP status; with an error code: [[fail 429 insufficient_quota]]
[[rate-limit 3]]      429 with Retry-After: 3
[[hang-up]]           closes the connection without a word
[[break 4]]           closes the connection after 4 pieces, without an end
[[fail-after 4]]      an error event after 4 pieces
[[refuse]]            a refusal instead of an answer
[[filter]]            cut off by the content filter
[[truncate]]          cut off by the token limit
[[help]]              this list
Any of them may end in xN ([[fail 500 x1]]): only the first N requests with that same message.
call NAME {"a": 1}    on a line of its own: calls an offered tool (several lines: several calls)
write 500 words       a long answer"""

# The fields a directive's arguments stand for; without arguments it is a switch.
_FIELDS: dict[str, tuple[str, ...]] = {
    "slow": ("slow_seconds",),
    "delay": ("delay_ms",),
    "fail": ("fail_status", "fail_code"),
    "rate-limit": ("retry_after",),
    "break": ("break_after",),
    "fail-after": ("fail_after",),
}
_SWITCHES = {"hang-up": "hang_up", "refuse": "refuse", "filter": "filter", "truncate": "truncate", "help": "help"}
_DIRECTIVE = re.compile(r"\[\[\s*([a-z-]+)((?:\s+[\w.-]+)*)\s*\]\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What to do with one request. With nothing set, the stand-in answers by its own rules.

    Attributes:
        when: Only for a request whose last user message contains this; otherwise it waits for one that does. After
            `speech:` for a transcription, and then of all fields those that fail or slow down count.
        text: Exact answer, streamed word by word.
        deltas: Exact answer in exactly these pieces.
        tool_calls: Tools the answer calls, after its text if it has one.
        usage: Exact token counts.
        slow_seconds: Wait before the first delta (or before a whole answer).
        delay_ms: Wait before each further delta.
        fail_status: Answer with this HTTP status and an error body.
        fail_code: The `code` of that body.
        retry_after: Answer 429 and this Retry-After, in seconds.
        hang_up: Close the connection without an answer.
        break_after: Close the connection after so many deltas, without an end event.
        fail_after: End the stream after so many deltas with an error event.
        refuse: A refusal instead of an answer.
        filter: The content filter ends the answer.
        truncate: The token limit ends the answer.
        help: Answer with the list of directives.
        gate: The stream is held until this is set.
        hold_at: How many deltas go out before it is held.
    """

    when: str = ""
    text: str | None = None
    deltas: Sequence[str] | None = None
    tool_calls: Sequence[ToolCall] = ()
    usage: Usage | None = None
    slow_seconds: float = 0
    delay_ms: float = 0
    fail_status: int | None = None
    fail_code: str | None = None
    retry_after: float | None = None
    hang_up: bool = False
    break_after: int | None = None
    fail_after: int | None = None
    refuse: bool = False
    filter: bool = False
    truncate: bool = False
    help: bool = False
    gate: threading.Event | None = None
    hold_at: int = 0


class Script:
    """The behaviours still to come, and how often each message with a limited directive was seen."""

    def __init__(self) -> None:
        self._queue: list[Behaviour] = []
        self._seen: OrderedDict[int, int] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, behaviours: Iterable[Behaviour]) -> None:
        """Queue these for the next requests, one each."""
        with self._lock:
            self._queue.extend(behaviours)

    def clear(self) -> None:
        """Forget what is queued."""
        with self._lock:
            self._queue.clear()

    def behaviour_for(self, question: str) -> Behaviour:
        """The first queued behaviour meant for this message, else what the message itself says."""
        directives = list(_directives(question))
        with self._lock:
            for index, behaviour in enumerate(self._queue):
                if behaviour.when in question:
                    return self._queue.pop(index)
            times = self._count(question) if any(limit is not None for _, limit in directives) else 0
        told: JsonObject = {}
        for each, limit in directives:
            if limit is None or times <= limit:
                told |= each
        return behaviour_from_json(told)

    def behaviour_for_speech(self, transcript: str) -> Behaviour:
        """The first queued behaviour that is meant for speech: its `when` is `speech:` and words of the transcript."""
        with self._lock:
            for index, behaviour in enumerate(self._queue):
                word, _, wanted = behaviour.when.partition(":")
                if word == "speech" and wanted in transcript:
                    return self._queue.pop(index)
        return Behaviour()

    def _count(self, question: str) -> int:
        key = hash(question)
        seen = self._seen.pop(key, 0) + 1
        self._seen[key] = seen
        if len(self._seen) > _MOST_COUNTED_TEXTS:
            self._seen.popitem(last=False)
        return seen


def _directives(question: str) -> Iterator[tuple[JsonObject, int | None]]:
    """The fields each directive sets and its xN; what is no valid directive is ordinary text."""
    for name, rest in _DIRECTIVE.findall(question):
        arguments = rest.split()
        limit = int(arguments.pop()[1:]) if arguments and re.fullmatch(r"x\d{1,6}", arguments[-1]) else None
        if name in _SWITCHES and not arguments:
            yield {_SWITCHES[name]: True}, limit
        elif len(arguments) in range(1, len(_FIELDS.get(name, ())) + 1):
            told: JsonObject = {field: _argument(text) for field, text in zip(_FIELDS[name], arguments, strict=False)}
            with contextlib.suppress(ApiError):
                behaviour_from_json(told)
                yield told, limit


def _argument(text: str) -> Json:
    if re.fullmatch(r"\d{1,9}", text):
        return int(text)
    return float(text) if re.fullmatch(r"\d{1,9}\.\d{1,9}", text) else text


def behaviours_from_json(value: Json) -> list[Behaviour]:
    """Behaviours from a JSON list of objects with Behaviour's fields (all but the gate).

    Raises:
        ApiError: Something in it is not a behaviour.
    """
    if not isinstance(value, list):
        raise ApiError(400, "A script is a JSON list of behaviours.")
    return [behaviour_from_json(each) for each in value]


def behaviour_from_json(value: Json) -> Behaviour:
    """One behaviour from its JSON object.

    Raises:
        ApiError: A field is unknown or has a value it cannot have.
    """
    if not isinstance(value, dict):
        raise ApiError(400, "A behaviour is a JSON object.")
    unknown = value.keys() - {field.name for field in fields(Behaviour)} | value.keys() & {"gate", "hold_at"}
    if unknown:
        raise ApiError(400, f"A behaviour has no field {', '.join(sorted(unknown))} here.")
    deltas = value.get("deltas")
    return Behaviour(
        when=_text(value, "when") or "",
        text=_text(value, "text"),
        deltas=None if deltas is None else tuple(as_text(delta) for delta in as_list(deltas)),
        tool_calls=tuple(_tool_call(call) for call in as_list(value.get("tool_calls"))),
        usage=_usage(as_object(value["usage"])) if value.get("usage") is not None else None,
        slow_seconds=_number(value, "slow_seconds", most=600) or 0,
        delay_ms=_number(value, "delay_ms", most=60_000) or 0,
        fail_status=_count(value, "fail_status", least=400, most=599),
        fail_code=_text(value, "fail_code"),
        retry_after=_number(value, "retry_after", most=86_400),
        hang_up=_switch(value, "hang_up"),
        break_after=_count(value, "break_after"),
        fail_after=_count(value, "fail_after"),
        refuse=_switch(value, "refuse"),
        filter=_switch(value, "filter"),
        truncate=_switch(value, "truncate"),
        help=_switch(value, "help"),
    )


def _number(value: JsonObject, name: str, *, least: float = 0, most: float = 1_000_000) -> float | None:
    number = value.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not least <= number <= most:
        raise ApiError(400, f"'{name}' must be a number from {least:g} to {most:g}.", param=name)
    return number


def _count(value: JsonObject, name: str, *, least: int = 0, most: int = 1_000_000) -> int | None:
    number = _number(value, name, least=least, most=most)
    if number is not None and number != int(number):
        raise ApiError(400, f"'{name}' must be a whole number.", param=name)
    return None if number is None else int(number)


def _text(value: JsonObject, name: str) -> str | None:
    text = value.get(name)
    if text is not None and not isinstance(text, str):
        raise ApiError(400, f"'{name}' must be a text.", param=name)
    return text


def _switch(value: JsonObject, name: str) -> bool:
    switch = value.get(name, False)
    if not isinstance(switch, bool):
        raise ApiError(400, f"'{name}' must be true or false.", param=name)
    return switch


def _tool_call(value: Json) -> ToolCall:
    call = as_object(value)
    arguments = call.get("arguments", "{}")
    if not as_text(call.get("name")) or not isinstance(arguments, str | dict):
        raise ApiError(400, "A tool call has a name and arguments.", param="tool_calls")
    return ToolCall(as_text(call.get("name")), arguments, _text(call, "call_id"))


def _usage(value: JsonObject) -> Usage:
    return Usage(
        input_tokens=_count(value, "input_tokens") or 0,
        output_tokens=_count(value, "output_tokens") or 0,
        cached_tokens=_count(value, "cached_tokens") or 0,
        reasoning_tokens=_count(value, "reasoning_tokens") or 0,
    )
