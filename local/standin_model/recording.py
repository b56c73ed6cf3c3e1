"""What was asked of the stand-in, and how each request ended."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from local.standin_model.values import JsonObject

type Outcome = Literal["open", "finished", "refused", "broken", "client_gone"]


@dataclass(slots=True, kw_only=True)
class RecordedRequest:
    """One request to the model, kept up to date while it is answered.

    Attributes:
        number: Counts from 1; the ids in the answer carry it.
        path: For example `/v1/responses`.
        headers: The request's headers, names in lower case.
        body: The parsed body, empty if it could not be parsed.
        question: The last user message.
        deltas_sent: Pieces of the answer that have left.
        is_held: It waits at a gate.
        outcome: "open" until it ends; "finished" (all was sent), "refused" (an error answer), "broken" (cut off because
            it was told to) or "client_gone" (the client closed the connection before the end).
    """

    number: int
    path: str
    headers: dict[str, str]
    body: JsonObject = field(default_factory=dict)
    question: str = ""
    deltas_sent: int = 0
    is_held: bool = False
    outcome: Outcome = "open"


class Recorder:
    """Keeps the latest requests and tells whoever waits about each change."""

    def __init__(self, most: int) -> None:
        self._requests: deque[RecordedRequest] = deque(maxlen=most)
        self._count = 0
        self._changed = threading.Condition()

    def begin(self, path: str, headers: dict[str, str]) -> RecordedRequest:
        """A new request."""
        with self._changed:
            self._count += 1
            request = RecordedRequest(number=self._count, path=path, headers=headers)
            self._requests.append(request)
            self._changed.notify_all()
            return request

    def understood(self, request: RecordedRequest, body: JsonObject, question: str) -> None:
        """Its body was read."""
        with self._changed:
            request.body, request.question = body, question
            self._changed.notify_all()

    def delta_sent(self, request: RecordedRequest) -> None:
        """One more piece has left."""
        with self._changed:
            request.deltas_sent += 1
            self._changed.notify_all()

    def held(self, request: RecordedRequest, *, is_held: bool) -> None:
        """It has come to its gate, or passed it."""
        with self._changed:
            request.is_held = is_held
            self._changed.notify_all()

    def end(self, request: RecordedRequest, outcome: Outcome) -> None:
        """It has ended."""
        with self._changed:
            request.outcome = outcome
            self._changed.notify_all()

    def requests(self) -> list[RecordedRequest]:
        """All that are kept, oldest first."""
        with self._changed:
            return list(self._requests)

    def clear(self) -> None:
        """Forget them; the numbers go on."""
        with self._changed:
            self._requests.clear()

    def wait_for(self, condition: Callable[[list[RecordedRequest]], bool], timeout: float) -> list[RecordedRequest]:
        """The requests, as soon as `condition` holds for them.

        Raises:
            TimeoutError: It did not within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(list(self._requests)), timeout):
                msg = f"The stand-in model's requests did not come to that within {timeout:g} s: " + ", ".join(
                    f"#{each.number} {each.path} {each.outcome}" for each in self._requests
                )
                raise TimeoutError(msg)
            return list(self._requests)
