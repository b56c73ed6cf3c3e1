"""Time that passes for a turn where a test says so: with each call of the model, and never by itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from agent.model import OpenAIModel
from agent.model_errors import ModelTimeoutError
from agent.model_values import Finished, ModelEvent, ModelRequest
from tests.integration.turns.stack import Record, Stack

KEPT = 20.0  # seconds that a turn keeps free of its invocation


@dataclass(slots=True)
class Passing:
    """A turn's clock.

    Attributes:
        takes: Seconds that each further call of the model takes.
        takes_to_call: Seconds that any other takes that asks for tools.
        cut_after: The next call is cut off after so many pieces, when all of the invocation's time has passed.
    """

    stack: Stack
    seconds: float = 0.0
    takes: list[float] = field(default_factory=list)
    takes_to_call: float = 0.0
    cut_after: int | None = None

    def deliver(self, records: list[Record], *, seconds: float) -> list[Record]:
        """One invocation with so many seconds for the model; what was given back."""
        collaborators = self.stack.processor.collaborators
        object.__setattr__(collaborators, "monotonic", lambda: self.seconds)  # frozen, and never otherwise changed
        return self.stack.deliver(records, seconds=seconds + KEPT)

    def stream(self, events: Iterator[ModelEvent]) -> Iterator[ModelEvent]:
        """A call of the model that takes its time."""
        cut_after, self.cut_after = self.cut_after, None
        for number, event in enumerate(events):
            if number == cut_after:
                self.seconds += 900
                raise ModelTimeoutError("cut off")
            if isinstance(event, Finished):
                self.seconds += self.takes.pop(0) if self.takes else self.takes_to_call if event.calls else 0.0
            yield event


def let_pass(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Passing:
    """Hold the turn's clock."""
    passing = Passing(stack)
    to_model: Callable[..., Iterator[ModelEvent]] = OpenAIModel.stream

    def stream(self: OpenAIModel, request: ModelRequest, *, seconds: float) -> Iterator[ModelEvent]:
        yield from passing.stream(to_model(self, request, seconds=max(seconds, 10.0)))

    monkeypatch.setattr(OpenAIModel, "stream", stream)
    return passing
