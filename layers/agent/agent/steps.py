"""Model and tools by turns, until an answer stands: what the model asks for is recorded, run, recorded, and told.

A step is one call of the model. The tools it asks for are written down before they run and again before their results
are used, each time all of them in one request. After a crash the recorded steps are replayed: the model is not asked
again what it has answered, and a tool that has given its result is not called again. One that was started and has no
result is run again with the idempotency key of its first try.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Protocol

from agent.model_values import Finished, ModelEvent, ModelMessage, ModelRequest, ModelTool, TextDelta
from agent.prices import cost_of
from agent.tools import Tool, ToolCall, ToolContext, ToolResult
from agent.tools.answers import OUTCOME_UNKNOWN
from agent.tools.schema import check_arguments
from core.configuration import Limits
from core.errors import PermanentError, RetryableError, ServiceError
from core.models import Role, ToolStatus, ToolUsage, Usage
from core.telemetry import logger, place_of

_GRACE_SECONDS = 1.0  # more than the tool has: its own word on its time limit is the better one
_LAST_STEP_SECONDS = 15.0  # with less than this left the next call has to be the answer
_SHORT_RESULT_CHARACTERS = 4_000  # of a tool, where the prompt was too long
_MAX_RESULT_CHARACTERS = 40_000  # of one tool, as the model reads it
_CUT = "\n[The rest was cut: ask for less.]"
_LAST_STEP = (
    "You have reached this turn's limit and can call no more tools. Answer now with what you know, "
    "and say what you could not find out."
)


class Model(Protocol):
    """The language model: the vendor's API in production, a scripted one in tests."""

    def stream(self, request: ModelRequest, *, seconds: float) -> Iterable[ModelEvent]:
        """The answer's deltas and, last, how it finished."""


class Records(Protocol):
    """Where uses of tools are written down, all of one step in one request."""

    def start(self, usages: Sequence[ToolUsage]) -> None: ...  # noqa: D102 - before the tools run
    def finish(self, usages: Sequence[ToolUsage]) -> None: ...  # noqa: D102 - before their results are used


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
        tools: By the names that the model calls them.
        records: Writes uses of tools down; what it raises ends the run.
        make_context: A tool's context, of its idempotency key.
        remaining: Seconds that the run may still take, asked anew at each call.
        show: Called with each piece of text; what it raises ends the run.
        check: Called between pieces and between tools; what it raises ends the run.
    """

    model: Model
    request: ModelRequest
    tools: Mapping[str, Tool]
    limits: Limits
    task_id: str
    question_id: str
    records: Records
    make_context: Callable[[str], ToolContext]
    remaining: Callable[[], float]
    show: Callable[[str], None]
    clock: Callable[[], datetime]
    check: Callable[[], None] = lambda: None
    monotonic: Callable[[], float] = time.monotonic
    fallback_model: str | None = None
    said: list[str] = field(default_factory=list)
    usage: Usage | None = None
    cost: Decimal = Decimal(0)
    is_priced: bool = True

    @property
    def known_cost(self) -> Decimal | None:
        """What all calls so far cost; None where one of them has no known price."""
        return self.cost if self.is_priced and self.usage else None

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
            is_last = self._is_last(step)
            said_before = len(self.said)
            finished = None
            for event in self._ask(messages, is_last=is_last):
                if isinstance(event, TextDelta):
                    first = first if first is not None else self.monotonic()
                    self._say(event.text)
                else:
                    finished = event
                self.check()
            if finished is None:
                raise RetryableError("model-broken-off", "the model's answer ended without its end")
            self._count(finished.model, finished.usage)
            if not finished.calls or is_last:
                break
            said = "".join(self.said[said_before:])
            messages.append(ModelMessage(Role.ASSISTANT, said, calls=finished.calls))
            messages += self._use_tools(self._plan(step, said, finished))
            if said:
                self._say("\n\n")
            step += 1
        ended = self.monotonic()
        return Ended(
            text="".join(self.said),
            finished=finished,
            usage=self.usage,
            cost=self.known_cost,
            steps=step + 1,
            time_to_first_token_ms=round(((first or ended) - started) * 1000),
            duration_ms=round((ended - started) * 1000),
        )

    def _count(self, model: str, usage: Usage | None) -> None:
        """Add one model call; its price depends on that call alone."""
        self.usage = _add(self.usage, usage)
        price = cost_of(model, usage) if usage else None
        if price is None:
            self.is_priced = False
        else:
            self.cost += price[0]

    def _say(self, text: str) -> None:
        self.said.append(text)
        self.show(text)

    # The model

    def _is_last(self, step: int) -> bool:
        """Whether the next call is the last one that the limits allow."""
        if step >= self.limits.max_steps - 1:
            return True
        used = self.usage or Usage()
        if self.limits.max_turn_tokens is not None and used.total_tokens >= self.limits.max_turn_tokens:
            return True
        if step and self.remaining() < _LAST_STEP_SECONDS:
            return True
        return self.limits.max_turn_cost is not None and self.cost >= self.limits.max_turn_cost

    def _ask(self, messages: Sequence[ModelMessage], *, is_last: bool) -> Iterable[ModelEvent]:
        told = (
            [*messages, ModelMessage(Role.SYSTEM, _LAST_STEP)] if is_last and self.tools and len(messages) else messages
        )
        offered = () if is_last else tuple(_offer(tool) for tool in self.tools.values())
        request = replace(self.request, messages=tuple(told), tools=offered)
        is_yielded = False
        try:
            for event in self.model.stream(request, seconds=self.remaining()):
                is_yielded = True
                yield event
        except RetryableError:
            if is_yielded or not self.fallback_model or request.model == self.fallback_model:
                raise
            self.request = replace(self.request, model=self.fallback_model)
        except PermanentError as exc:
            if exc.code != "context-too-long" or is_yielded or not _can_shorten(messages):
                raise
            self.request = replace(self.request, messages=_shorten(self.request.messages))
            told = _shorten(tuple(told))
        else:
            return
        yield from self.model.stream(
            replace(self.request, messages=tuple(told), tools=offered), seconds=self.remaining()
        )

    # The tools

    def _plan(self, step: int, said: str, finished: Finished) -> list[ToolUsage]:
        """The records of what the model asks for, written down as started."""
        planned = []
        for place, call in enumerate(finished.calls):
            tool = self.tools.get(call.name)
            key = hashlib.sha256(f"{self.task_id}/{step}/{place}".encode()).hexdigest()[:32]
            planned.append(
                ToolUsage(
                    name=call.name[:128],
                    call_id=call.call_id,
                    type=tool.type if tool else None,
                    step=step,
                    place=place,
                    said=said if place == 0 else "",
                    step_usage=finished.usage if place == 0 else None,
                    request=call.arguments,
                    message_id=self.question_id,
                    status=ToolStatus.STARTED,
                    started_at=self.clock(),
                    idempotency_key=key,
                )
            )
        self.records.start(planned)
        return planned

    def _use_tools(self, planned: Sequence[ToolUsage]) -> list[ModelMessage]:
        """Run what has no result yet, write the results down, and give them to the model in the order of the calls."""
        done = {usage.call_id: usage for usage in planned if usage.status is not ToolStatus.STARTED}
        unwritten: list[ToolUsage] = []
        try:
            for batch in self._batches([usage for usage in planned if usage.call_id not in done]):
                self.check()
                ended = self._run_together(batch)
                done |= {usage.call_id: usage for usage in ended}
                unwritten += ended
                if self._runs_alone(batch[0]):  # what was written outside is noted before anything else happens
                    self.records.finish(unwritten)
                    unwritten = []
        finally:
            if unwritten:
                self.records.finish(unwritten)
        results = (done[usage.call_id] for usage in planned)
        return [ModelMessage(Role.SYSTEM, each.response or "", call_id=each.call_id) for each in results]

    def _batches(self, usages: Sequence[ToolUsage]) -> Iterator[list[ToolUsage]]:
        """What may run at the same time: neighbours that only read; whatever writes runs alone."""
        reads: list[ToolUsage] = []
        for usage in usages:
            if not self._runs_alone(usage):
                reads.append(usage)
                continue
            if reads:
                yield reads
                reads = []
            yield [usage]
        if reads:
            yield reads

    def _runs_alone(self, usage: ToolUsage) -> bool:
        tool = self.tools.get(usage.name)
        return tool is not None and tool.is_write

    def _run_together(self, usages: Sequence[ToolUsage]) -> list[ToolUsage]:
        threads = ThreadPoolExecutor(max_workers=len(usages), thread_name_prefix="tool")
        try:
            running = [(usage, self.monotonic(), threads.submit(self._run_one, usage)) for usage in usages]
            return [self._await(usage, started, future) for usage, started, future in running]
        finally:
            threads.shutdown(wait=False)  # one that outlives its time limit is left behind, not waited for

    def _await(self, usage: ToolUsage, started: float, future: Future[ToolResult]) -> ToolUsage:
        tool = self.tools.get(usage.name)
        seconds = min(tool.timeout_seconds if tool else 1.0, max(self.remaining(), 0.0))
        try:
            result = future.result(timeout=max(seconds + _GRACE_SECONDS - (self.monotonic() - started), 0.0))
        except FutureTimeoutError:
            unknown = f" {OUTCOME_UNKNOWN}" if tool and tool.is_write else ""
            result = ToolResult(text=f"The tool gave no result within {seconds:.0f} seconds.{unknown}", is_error=True)
        took = round((self.monotonic() - started) * 1000)
        text = result.text
        if len(text) > _MAX_RESULT_CHARACTERS:
            text = text[:_MAX_RESULT_CHARACTERS] + _CUT
        return usage.model_copy(
            update={
                "status": ToolStatus.FAILED if result.is_error else ToolStatus.COMPLETED,
                "response": text,
                "duration_ms": took,
                "error": text[:500] if result.is_error else None,
            }
        )

    def _run_one(self, usage: ToolUsage) -> ToolResult:
        tool = self.tools.get(usage.name)
        if tool is None:
            known = ", ".join(sorted(self.tools)) or "none"
            return ToolResult(text=f"There is no tool of this name. The tools are: {known}.", is_error=True)
        arguments = check_arguments(tool.parameters, usage.request)
        if isinstance(arguments, str):
            return ToolResult(text=arguments, is_error=True)
        try:
            return tool.run(arguments, self.make_context(usage.idempotency_key))
        except ServiceError as exc:
            return ToolResult(text=f"The tool failed: {exc.message}", is_error=True)
        # What a foreign service answers must not end a turn, whatever it is.
        except Exception as exc:  # noqa: BLE001
            logger.error("tool broke", extra={"tool": tool.name, "code": type(exc).__name__, "where": place_of(exc)})
            unknown = f" {OUTCOME_UNKNOWN}" if tool.is_write else ""
            return ToolResult(text=f"The tool broke.{unknown}", is_error=True)

    def _replay(self, messages: list[ModelMessage], recorded: Sequence[ToolUsage]) -> int:
        """Add the recorded steps to `messages`, finishing the last one; the number of the next step."""
        step = 0
        for number, group in groupby(sorted(recorded, key=lambda usage: usage.step), key=lambda usage: usage.step):
            usages = list(group)
            said = usages[0].said
            calls = tuple(ToolCall(call_id=u.call_id, name=u.name, arguments=u.request) for u in usages)
            messages.append(ModelMessage(Role.ASSISTANT, said, calls=calls))
            self._count(self.request.model, usages[0].step_usage)
            messages += self._use_tools(usages)
            if said:
                self._say(said + "\n\n")
            step = number + 1
        return step


def _offer(tool: Tool) -> ModelTool:
    return ModelTool(name=tool.name, description=tool.description, parameters=tool.parameters)


def _add(one: Usage | None, other: Usage | None) -> Usage | None:
    if one is None or other is None:
        return one or other
    mine, theirs = one.model_dump(), other.model_dump()
    return Usage(**{name: mine[name] + theirs[name] for name in mine})


def _can_shorten(messages: Sequence[ModelMessage]) -> bool:
    return _shorten(tuple(messages)) != tuple(messages)


def _shorten(messages: tuple[ModelMessage, ...]) -> tuple[ModelMessage, ...]:
    """The instructions and the later half of what was said, never less than the last question with its tools' results.

    Long results are cut, so that the model can still read what its own calls gave.
    """
    leading = [m for m in messages if m.role is Role.SYSTEM and m.call_id is None]
    said = [m for m in messages if not (m.role is Role.SYSTEM and m.call_id is None)]
    questions = [place for place, message in enumerate(said) if message.role is Role.USER]
    if not questions:
        return messages
    start = next(place for place in questions if place >= min(len(said) // 2, questions[-1]))
    rest = (
        replace(m, text=m.text[:_SHORT_RESULT_CHARACTERS] + _CUT)
        if m.call_id and len(m.text) > _SHORT_RESULT_CHARACTERS + len(_CUT)
        else m
        for m in said[start:]
    )
    return (*leading, *rest)
