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
from functools import partial
from itertools import groupby
from typing import Protocol

from agent import parking
from agent.model_values import Finished, ModelEvent, ModelMessage, ModelRequest, ModelTool, TextDelta
from agent.prices import cost_of
from agent.shortening import CUT, can_shorten, shorten
from agent.stopping import Watch
from agent.tools import Tool, ToolCall, ToolContext, ToolResult, TurnInterruptedError
from agent.tools.answers import OUTCOME_UNKNOWN
from agent.tools.schema import check_arguments
from core.configuration import Limits
from core.errors import PermanentError, RetryableError, ServiceError
from core.models import Approval, Role, ToolStatus, ToolType, ToolUsage, Usage
from core.telemetry import logger, place_of

_GRACE_SECONDS = 1.0  # more than the tool has: its own word on its time limit is the better one
_LAST_STEP_SECONDS = 15.0  # with less than this left the next call has to be the answer
_MAX_RESULT_CHARACTERS = 40_000  # of one tool, as the model reads it
_LEFT_BEHIND = "The turn ended before the tool gave its result."
_LAST_STEP = (
    "You have reached this turn's limit and can call no more tools. Answer now with what you know, "
    "and say what you could not find out."
)


type Rest = tuple[int | None, Decimal | None]
type Spend = Callable[[Usage | None, Decimal | None], None]


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
        make_context: A tool's context, of its use, of the rest of the limits, and of what counts a tool's own calls.
        remaining: Seconds that the run may still take, asked anew at each call.
        show: Called with each piece of text; what it raises ends the run.
        watch: Ends the run from outside, also while the model is silent or a tool reads. A tool that writes is waited
            for, as long as it may take: what it did has to be known.
        first_step: Number of the first model call; an earlier run that an edit ended has the ones before.
        under: The place of the use that asks for this run, where it is a sub-agent's.
        approval: What a call waits with that needs an approval.
        silent_steps: How many recorded steps said what they had to say in a message of its own already.
    """

    model: Model
    request: ModelRequest
    tools: Mapping[str, Tool]
    limits: Limits
    task_id: str
    question_id: str
    records: Records
    make_context: Callable[[ToolUsage, Callable[[], Rest], Spend], ToolContext]
    remaining: Callable[[], float]
    show: Callable[[str], None]
    clock: Callable[[], datetime]
    watch: Watch = field(default_factory=Watch)
    first_step: int = 0
    monotonic: Callable[[], float] = time.monotonic
    fallback_model: str | None = None
    under: str = ""
    approval: Approval | None = None
    silent_steps: int = 0
    said: list[str] = field(default_factory=list)
    used: list[ToolUsage] = field(default_factory=list)  # whole, in the order of their steps and places
    usage: Usage | None = None
    cost: Decimal = Decimal(0)
    is_priced: bool = True
    _spent: dict[str, tuple[Usage | None, Decimal | None]] = field(default_factory=dict)  # by idempotency key

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
        price = cost_of(model, usage) if usage else None
        self._add_spent(usage, price[0] if price else None)

    def _add_spent(self, usage: Usage | None, cost: Decimal | None) -> None:
        self.usage = _add(self.usage, usage)
        if cost is None:
            self.is_priced = False
        else:
            self.cost += cost

    def _rest(self) -> tuple[int | None, Decimal | None]:
        """What the limits leave of tokens and of money."""
        tokens, cost = self.limits.max_turn_tokens, self.limits.max_turn_cost
        used = self.usage or Usage()
        return tokens and tokens - used.total_tokens, cost and cost - self.cost

    def _say(self, text: str) -> None:
        self.said.append(text)
        self.show(text)

    # The model

    def _is_last(self, step: int) -> bool:
        """Whether the next call is the last one that the limits allow."""
        if step - self.first_step >= self.limits.max_steps - 1:
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
                    under=self.under,
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
        marked = parking.mark(planned, self.tools, self.approval)
        self.records.start(marked)
        return marked

    def _use_tools(self, planned: Sequence[ToolUsage]) -> list[ModelMessage]:
        """Run what has no result yet, write the results down, and give them to the model in the order of the calls.

        What waits for a person lets the others run first: the calls of a step do not depend on each other.
        """
        done = {usage.call_id: usage for usage in planned if usage.status is not ToolStatus.STARTED}
        calls = parking.sort([usage for usage in planned if usage.call_id not in done], self.tools, self.clock())
        unwritten = list(calls.settled)
        done |= {usage.call_id: usage for usage in unwritten}
        try:
            for batch in self._batches(calls.free):
                self.watch.check()
                ended = self._run_together(batch)
                done |= {usage.call_id: usage for usage in ended}
                unwritten += ended
                if self._runs_alone(batch[0]):  # what was written outside is noted before anything else happens
                    self.records.finish(unwritten)
                    unwritten = []
        finally:
            if unwritten:
                self.records.finish(unwritten)
        calls.hold()
        results = [done[usage.call_id] for usage in planned]
        self.used += results
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
        left = max(seconds + _GRACE_SECONDS - (self.monotonic() - started), 0.0)
        try:
            result = future.result(timeout=left) if tool and tool.is_write else self.watch.wait_for(future, left)
        except TurnInterruptedError:
            if future.done():
                raise  # by the tool itself
            result = ToolResult(text=_LEFT_BEHIND, is_error=True)  # the next look ends the run
        except FutureTimeoutError:
            unknown = f" {OUTCOME_UNKNOWN}" if tool and tool.is_write else ""
            result = ToolResult(text=f"The tool gave no result within {seconds:.0f} seconds.{unknown}", is_error=True)
        finally:
            spent = self._spent.pop(usage.idempotency_key, None)  # counted in any case, also where the turn ends here
            if spent:
                self._add_spent(*spent)
        took = round((self.monotonic() - started) * 1000)
        text = result.text
        if len(text) > _MAX_RESULT_CHARACTERS:
            text = text[:_MAX_RESULT_CHARACTERS] + CUT
        return parking.forget_message(usage).model_copy(
            update={
                "status": ToolStatus.FAILED if result.is_error else ToolStatus.COMPLETED,
                "response": text,
                "duration_ms": took,
                "error": text[:500] if result.is_error else None,
                "spent": spent and spent[0],
                "spent_cost": spent and spent[1],
            }
        )

    def _run_one(self, usage: ToolUsage) -> ToolResult:
        tool = self.tools.get(usage.name)
        if tool is None and usage.type is not None:  # was there when the model asked for it, before a crash
            return ToolResult(text=f"The tool cannot be used any more. {OUTCOME_UNKNOWN}", is_error=True)
        if tool is None:
            known = ", ".join(sorted(self.tools)) or "none"
            return ToolResult(text=f"There is no tool of this name. The tools are: {known}.", is_error=True)
        arguments = check_arguments(tool.parameters, usage.request)
        if isinstance(arguments, str):
            return ToolResult(text=arguments, is_error=True)
        try:
            return tool.run(arguments, self.make_context(usage, self._rest, partial(self._note_spent, usage)))
        except TurnInterruptedError:
            raise
        except ServiceError as exc:
            if tool.type is ToolType.AI and isinstance(exc, RetryableError):
                raise  # what a sub-agent did so far is recorded: it goes on there when the turn is tried again
            return ToolResult(text=f"The tool failed: {exc.message}", is_error=True)
        # What a foreign service answers must not end a turn, whatever it is.
        except Exception as exc:  # noqa: BLE001
            logger.error("tool broke", extra={"tool": tool.name, "code": type(exc).__name__, "where": place_of(exc)})
            unknown = f" {OUTCOME_UNKNOWN}" if tool.is_write else ""
            return ToolResult(text=f"The tool broke.{unknown}", is_error=True)

    def _note_spent(self, usage: ToolUsage, tokens: Usage | None, cost: Decimal | None) -> None:
        self._spent[usage.idempotency_key] = tokens, cost

    def _replay(self, messages: list[ModelMessage], recorded: Sequence[ToolUsage]) -> int:
        """Add the recorded steps to `messages`, finishing the last one; the number of the next step."""
        step = self.first_step
        for number, group in groupby(sorted(recorded, key=lambda usage: usage.step), key=lambda usage: usage.step):
            usages = list(group)
            said = usages[0].said
            calls = tuple(ToolCall(call_id=u.call_id, name=u.name, arguments=u.request) for u in usages)
            messages.append(ModelMessage(Role.ASSISTANT, said, calls=calls))
            self._count(self.request.model, usages[0].step_usage)
            for usage in usages:
                if usage.spent and usage.status is not ToolStatus.STARTED:
                    self._add_spent(usage.spent, usage.spent_cost)
            messages += self._use_tools(usages)
            if said and number >= self.silent_steps:
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
