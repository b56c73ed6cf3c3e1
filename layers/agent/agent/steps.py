"""Model and tools by turns, until an answer stands: what the model asks for is recorded, run, recorded, and told.

A step is one call of the model. The tools it asks for are written down before they run and again before their results
are used, each time all of them in one request. After a crash the recorded steps are replayed: the model is not asked
again what it has answered, and a tool that has given its result is not called again. One that was started and has no
result is run again with the idempotency key of its first try.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby
from typing import Protocol

from agent.handing_on import STEP_SECONDS
from agent.model_values import Finished, ModelEvent, ModelMessage, ModelRequest, ModelTool, TextDelta
from agent.shortening import can_shorten, shorten
from agent.spending import Spending
from agent.stopping import Watch
from agent.tools import Tool, ToolCall
from agent.using import Using
from core.errors import PermanentError, RetryableError
from core.models import Role, ToolStatus, ToolUsage, Usage

_LAST_STEP_SECONDS = 15.0  # with less than this left the next call has to be the answer
_LAST_STEP = (
    "You have reached this turn's limit and can call no more tools. Answer now with what you know, "
    "and say what you could not find out."
)


class Model(Protocol):
    """The language model: the vendor's API in production, a scripted one in tests."""

    def stream(self, request: ModelRequest, *, seconds: float) -> Iterable[ModelEvent]:
        """The answer's deltas and, last, how it finished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the steps ended. `text` is everything that was said, `usage` what all steps took together."""

    text: str
    finished: Finished
    usage: Usage | None
    cost: Decimal | None
    steps: int
    time_to_first_token_ms: int
    duration_ms: int


@dataclass(kw_only=True)
class Steps:
    """One run of model and tools.

    Attributes:
        request: The first call; each further one has more messages.
        using: Runs what the model asks for.
        spending: Counts what it takes, within its limits.
        remaining: Seconds that the run may still take, asked anew at each call.
        check_time: Called before something that takes so many seconds; what it raises ends the run.
        show: Called with each piece of text; what it raises ends the run.
        watch: Ends the run from outside, also while the model is silent.
        first_step: Number of the first model call; an earlier run that an edit ended has the ones before.
        silent_steps: How many recorded steps said what they had to say in a message of its own already.
    """

    model: Model
    request: ModelRequest
    using: Using
    spending: Spending
    remaining: Callable[[], float]
    check_time: Callable[[float], None]
    show: Callable[[str], None]
    watch: Watch = field(default_factory=Watch)
    first_step: int = 0
    monotonic: Callable[[], float] = time.monotonic
    fallback_model: str | None = None
    silent_steps: int = 0
    said: list[str] = field(default_factory=list)

    def run(self, recorded: Sequence[ToolUsage] = ()) -> Ended:
        """Go on until the model answers without asking for a tool; `recorded` is what an earlier try wrote down.

        Raises:
            RetryableError: The model or its tools' records failed; run again later with what was recorded.
            PermanentError: The model refuses.
        """
        started = self.monotonic()
        first: float | None = None
        messages = list(self.request.messages)
        step = self._replay(messages, recorded)
        while True:
            self.check_time(STEP_SECONDS)
            is_last = self._is_last(step)
            said_before = len(self.said)
            finished = None
            for event in self._ask(messages, is_last=is_last):
                if isinstance(event, TextDelta):
                    first = first if first is not None else self.monotonic()
                    self._say(event.text)
                else:
                    finished = event
            if finished is None:
                raise RetryableError("model-broken-off", "the model's answer ended without its end")
            self.spending.count(finished.model, finished.usage)
            if not finished.calls or is_last:
                break
            said = "".join(self.said[said_before:])
            messages.append(ModelMessage(Role.ASSISTANT, said, calls=finished.calls))
            messages += self.using.run(self.using.plan(step, said, finished))
            if said:
                self._say("\n\n")
            step += 1
        ended = self.monotonic()
        return Ended(
            text="".join(self.said),
            finished=finished,
            usage=self.spending.usage,
            cost=self.spending.known_cost,
            steps=step + 1,
            time_to_first_token_ms=round(((first or ended) - started) * 1000),
            duration_ms=round((ended - started) * 1000),
        )

    def _say(self, text: str) -> None:
        self.said.append(text)
        self.show(text)

    def _is_last(self, step: int) -> bool:
        """Whether the next call is the last one that the limits allow."""
        if step - self.first_step >= self.spending.limits.max_steps - 1:
            return True
        return self.spending.is_over or bool(step and self.remaining() < _LAST_STEP_SECONDS)

    def _ask(self, messages: Sequence[ModelMessage], *, is_last: bool) -> Iterable[ModelEvent]:
        tools = self.using.tools
        told = [*messages, ModelMessage(Role.SYSTEM, _LAST_STEP)] if is_last and tools and len(messages) else messages
        offered = () if is_last else tuple(_offer(tool) for tool in tools.values())
        request = replace(self.request, messages=tuple(told), tools=offered)
        self.watch.check()
        is_yielded = False
        try:
            for event in self.watch.follow(self.model.stream(request, seconds=self.remaining())):
                is_yielded = True
                yield event
        except RetryableError:
            if is_yielded or not self.fallback_model or request.model == self.fallback_model:
                raise
            self.request = replace(self.request, model=self.fallback_model)
        except PermanentError as exc:
            if exc.code != "context-too-long" or is_yielded or not can_shorten(messages):
                raise
            self.request = replace(self.request, messages=shorten(self.request.messages))
            told = shorten(tuple(told))
        else:
            return
        again = replace(self.request, messages=tuple(told), tools=offered)
        yield from self.watch.follow(self.model.stream(again, seconds=self.remaining()))

    def _replay(self, messages: list[ModelMessage], recorded: Sequence[ToolUsage]) -> int:
        """Add the recorded steps to `messages`, finishing the last one; the number of the next step."""
        step = self.first_step
        for number, group in groupby(sorted(recorded, key=lambda usage: usage.step), key=lambda usage: usage.step):
            usages = list(group)
            said = usages[0].said
            calls = tuple(ToolCall(call_id=u.call_id, name=u.name, arguments=u.request) for u in usages)
            messages.append(ModelMessage(Role.ASSISTANT, said, calls=calls))
            self.spending.count(self.request.model, usages[0].step_usage)
            for usage in usages:
                if usage.spent and usage.status is not ToolStatus.STARTED:
                    self.spending.add(usage.spent, usage.spent_cost)
            messages += self.using.run(usages)
            if said and number >= self.silent_steps:
                self._say(said + "\n\n")
            step = number + 1
        return step


def _offer(tool: Tool) -> ModelTool:
    return ModelTool(name=tool.name, description=tool.description, parameters=tool.parameters)
