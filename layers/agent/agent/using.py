"""The tools that a step asks for: written down, run, written down again, and told to the model.

What only reads runs side by side, what writes runs alone. Whatever goes wrong with a tool is a result; only what ends
the turn is raised.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Protocol

from agent import parking
from agent.handing_on import CUT_SECONDS, STEP_SECONDS
from agent.model_values import Finished, ModelMessage
from agent.shortening import CUT
from agent.spending import Spending
from agent.stopping import Watch
from agent.tools import Tool, ToolContext, ToolResult, TurnInterruptedError
from agent.tools.answers import OUTCOME_UNKNOWN
from agent.tools.schema import check_arguments
from core.errors import RetryableError, ServiceError
from core.models import Approval, Role, ToolStatus, ToolType, ToolUsage, Usage
from core.telemetry import logger, place_of

_GRACE_SECONDS = 1.0  # more than the tool has: its own word on its time limit is the better one
_MAX_RESULT_CHARACTERS = 40_000  # of one tool, as the model reads it
_LEFT_BEHIND = "The turn ended before the tool gave its result."

type Rest = tuple[int | None, Decimal | None]
type Spend = Callable[[Usage | None, Decimal | None], None]


class Records(Protocol):
    """Where uses of tools are written down, all of one step in one request."""

    def start(self, usages: Sequence[ToolUsage]) -> None: ...  # noqa: D102 - before the tools run
    def finish(self, usages: Sequence[ToolUsage]) -> None: ...  # noqa: D102 - before their results are used


@dataclass(kw_only=True)
class Using:
    """The tools of one task.

    Attributes:
        tools: By the names that the model calls them.
        records: Writes uses of tools down; what it raises ends the run.
        make_context: A tool's context, of its use, of the rest of the limits, and of what counts a tool's own calls.
        remaining: Seconds that the run may still take, asked anew at each call.
        check_time: Called before something that takes so many seconds, and where something took too long; what it
            raises ends the run.
        watch: Ends the run from outside, also while a tool reads. A tool that writes is waited for, as long as it may
            take: what it did has to be known.
        under: The place of the use that asks for this run, where it is a sub-agent's.
        approval: What a call waits with that needs an approval.
        used: Whole, in the order of their steps and places.
    """

    tools: Mapping[str, Tool]
    task_id: str
    question_id: str
    records: Records
    make_context: Callable[[ToolUsage, Callable[[], Rest], Spend], ToolContext]
    remaining: Callable[[], float]
    check_time: Callable[[float], None]
    spending: Spending
    clock: Callable[[], datetime]
    watch: Watch = field(default_factory=Watch)
    monotonic: Callable[[], float] = time.monotonic
    under: str = ""
    approval: Approval | None = None
    used: list[ToolUsage] = field(default_factory=list)
    _spent: dict[str, tuple[Usage | None, Decimal | None]] = field(default_factory=dict)  # by idempotency key

    def plan(self, step: int, said: str, finished: Finished) -> list[ToolUsage]:
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

    def run(self, planned: Sequence[ToolUsage]) -> list[ModelMessage]:
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
                self.check_time(self._needed(batch[0]))
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

    def _needed(self, usage: ToolUsage) -> float:
        """Seconds that there have to be: for a write all that it may take, so that nothing cuts it off.

        A sub-agent looks at the time by itself.
        """
        tool = self.tools.get(usage.name)
        return STEP_SECONDS if tool is None or tool.type is ToolType.AI or not tool.is_write else tool.timeout_seconds

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
            result = self._wait_for(future, left, tool)
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
                self.spending.add(*spent)
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

    def _wait_for(self, future: Future[ToolResult], seconds: float, tool: Tool | None) -> ToolResult:
        """A tool's result. What the invocation's end cut off is none, where the turn goes on after it."""
        if tool and tool.is_write:
            return future.result(timeout=seconds)
        try:
            result = self.watch.wait_for(future, seconds)
        except FutureTimeoutError:
            self.check_time(CUT_SECONDS)
            raise
        if result.is_error:
            self.check_time(CUT_SECONDS)
        return result

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
            return tool.run(arguments, self.make_context(usage, self.spending.rest, partial(self._note_spent, usage)))
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
