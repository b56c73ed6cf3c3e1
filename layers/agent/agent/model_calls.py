"""The tools a model asks for, put together from the pieces of a stream. Bounded.

Servers with a compatible API differ: some send a call whole, some without an id or an index, some repeat the name in
every piece, some give all calls the same index (https://github.com/ollama/ollama/issues/7881,
https://github.com/vllm-project/vllm/issues/18412).
"""

import json
import re
import uuid
from dataclasses import dataclass, field

from agent.model_json import Json, JsonObject, as_list, as_object, as_text
from agent.tools import ToolCall
from core.errors import PermanentError, RetryableError

MAX_CALLS = 32
MAX_ARGUMENT_CHARACTERS = 64 * 1024
_MAX_ID_CHARACTERS = 1024  # some gateways put a model's signature into it
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")  # sent back with such a character, the API refuses the whole prompt
_MAX_NAME_CHARACTERS = 64


@dataclass(slots=True)
class _Call:
    call_id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    size: int = 0

    def append(self, piece: str) -> None:
        self.size += len(piece)
        if self.size > MAX_ARGUMENT_CHARACTERS:
            raise _flooded()
        if piece:
            self.pieces.append(piece)

    def set_arguments(self, arguments: str) -> None:
        self.pieces, self.size = [], 0
        self.append(arguments)

    @property
    def is_complete(self) -> bool:
        if not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        try:
            json.loads("".join(self.pieces))
        except (ValueError, RecursionError):
            return False
        return True


class CallCollector:
    """The calls of one answer, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._places: dict[int | str, _Call] = {}

    @property
    def is_empty(self) -> bool:
        """Whether the answer calls no tool."""
        return not self._calls

    def take_chat(self, deltas: Json) -> None:
        """Take the `tool_calls` of one Chat Completions delta."""
        for delta in map(as_object, as_list(deltas)):
            function = as_object(delta.get("function"))
            call_id, name = as_text(delta.get("id")), as_text(function.get("name"))
            arguments = _arguments(function.get("arguments"))
            if not (call_id or name or arguments):
                continue
            index = delta.get("index")
            place = index if isinstance(index, int) else ""
            call = self._places.get(place)
            if call is None or _is_another(call, call_id, name, arguments):
                call = self._begin(place)
            call.call_id = call.call_id or call_id
            call.name = call.name or name
            call.append(arguments)

    def take_response_delta(self, event: JsonObject) -> None:
        """Take a piece of a call's arguments in the Responses API."""
        self._at(_place(event)).append(as_text(event.get("delta")))

    def take_response_arguments(self, event: JsonObject) -> None:
        """Take the whole of a call's arguments in the Responses API; they stand for all of their pieces."""
        if arguments := _arguments(event.get("arguments")):
            self._at(_place(event)).set_arguments(arguments)

    def take_response_item(self, event: JsonObject) -> None:
        """Take a begun or finished output item of the Responses API; any but a call is left alone."""
        item = as_object(event.get("item"))
        if item.get("type") != "function_call":
            return
        call = self._at(_place(event))
        call.call_id = as_text(item.get("call_id")) or call.call_id
        call.name = as_text(item.get("name")) or call.name
        if arguments := _arguments(item.get("arguments")):
            call.set_arguments(arguments)

    def take_response_output(self, items: Json) -> None:
        """Take the calls of a finished response's output."""
        for index, item in enumerate(as_list(items)):
            self.take_response_item({"output_index": index, "item": item})

    def finish(self) -> tuple[ToolCall, ...]:
        """The calls, each with a name and with an id that no other has.

        Raises:
            RetryableError: A call names no tool.
        """
        taken: set[str] = set()
        finished: list[ToolCall] = []
        for call in self._calls:
            if not call.name:
                raise RetryableError("model-stream-broken", "the model calls a tool without naming it")
            is_usable = 0 < len(call.call_id) <= _MAX_ID_CHARACTERS and call.call_id not in taken
            call_id = call.call_id if is_usable else f"call_{uuid.uuid4().hex[:24]}"
            taken.add(call_id)
            name = _NOT_IN_A_NAME.sub("_", call.name[:_MAX_NAME_CHARACTERS])
            finished.append(ToolCall(call_id=call_id, name=name, arguments="".join(call.pieces)))
        return tuple(finished)

    def _at(self, place: int | str) -> _Call:
        return self._places.get(place) or self._begin(place)

    def _begin(self, place: int | str) -> _Call:
        if len(self._calls) == MAX_CALLS:
            raise _flooded()
        call = _Call()
        self._calls.append(call)
        self._places[place] = call
        return call


def _is_another(call: _Call, call_id: str, name: str, arguments: str) -> bool:
    """Whether a delta at the place of `call` begins a call of its own. One that goes on may repeat its name."""
    if not name or not call.name:
        return False
    if name != call.name or (call_id and call.call_id and call_id != call.call_id):
        return True
    return bool(arguments) and call.is_complete


def _place(event: JsonObject) -> int | str:
    index = event.get("output_index")
    item_id = event.get("item_id") or as_object(event.get("item")).get("id")
    return index if isinstance(index, int) else as_text(item_id)


def _arguments(value: Json) -> str:
    """Some servers send the arguments as the object itself."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else as_text(value)


def _flooded() -> PermanentError:
    return PermanentError("model-flood", "the model asks for more than a turn can do")
