"""One task: a question's prompt and tools, the model's steps, and an answer in the shape that was asked for."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from agent.entries import Answered
from agent.handing_on import CUT_SECONDS, STEP_SECONDS, Allowance, TurnTime
from agent.model_values import ModelMessage, ModelRequest
from agent.output import MAX_REPAIRS, Misfit, Parsed, parse_output, repair_request
from agent.parking import PersonAskedError
from agent.spending import Spending, Totals
from agent.steps import Ended, Model, Steps
from agent.stopping import Watch
from agent.tools import Tool, ToolContext
from agent.using import Records, Rest, Spend, Using
from core.configuration import Input
from core.errors import PermanentError, RetryableError
from core.models import Approval, Role, ToolUsage, Usage
from core.store.waiting import ASKED

_DELIVERY_SECONDS = 20.0  # kept free of the model's time: to commit, and to finish the delivery
_LEAST_MODEL_SECONDS = 5.0


@dataclass(kw_only=True)
class TaskRun:
    """What one task works with.

    Attributes:
        prompt: The messages of the first model call.
        remaining: Seconds that the invocation has left, asked anew at each call.
        show: Shows a piece of the answer; an answer that has to fit a schema is not shown before it does.
        watch: Ends the task from outside.
        first_step: Number of its first model call.
        before: What was spent on the question already: on its files, and by an earlier run that an edit of it ended.
        said: What was said so far, also when the task ends in an error.
        under: The place of the use that asks for this task, where it is a sub-agent's.
        approval: What a call waits with that needs an approval.
        silent_steps: How many recorded steps said what they had to say in a message of its own already.
        kept_seconds: What is kept free of the invocation's time, to commit and to finish the delivery.
        allowance: What it has of time beside this invocation.
        check_time: Of the run that asks for this one, where it is a sub-agent's.
    """

    model: Model
    tools: Mapping[str, Tool]
    input_: Input
    prompt: Sequence[ModelMessage]
    company_id: str
    user_id: str
    conversation_id: str
    question_id: str
    task_id: str
    records: Records
    remaining: Callable[[], float]
    show: Callable[[str], None]
    watch: Watch
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    said: list[str] = field(default_factory=list)
    under: str = ""
    approval: Approval | None = None
    silent_steps: int = 0
    kept_seconds: float = _DELIVERY_SECONDS
    allowance: Allowance = field(default_factory=Allowance)
    check_time: Callable[[float], None] | None = None
    first_step: int = 0
    before: Totals = field(default_factory=Totals)
    steps: Steps | None = field(default=None, init=False)
    time: TurnTime = field(init=False)

    def __post_init__(self) -> None:
        """Time counts from here on."""
        self.time = TurnTime(
            here=self.remaining() - self.kept_seconds,
            limit=self.input_.limits.max_seconds - self.allowance.took_seconds,
            began=self.monotonic(),
            monotonic=self.monotonic,
            may_hand_on=self.allowance.may_hand_on,
        )

    def run(self, recorded: Sequence[ToolUsage]) -> Answered:
        """The answer; `recorded` is what an earlier try wrote down of its tools.

        Raises:
            RetryableError: Try again later.
            PermanentError: There will be no answer.
            TurnHandedOnError: Go on with the next delivery.
        """
        self._check_time(STEP_SECONDS)
        if self.time.here < _LEAST_MODEL_SECONDS:
            raise RetryableError("no-time", "the invocation has no time left for the model", retry_after=timedelta(0))
        self.steps = self._make_steps()
        try:
            return self._answer(self.steps, recorded)
        except PersonAskedError as exc:
            return self._ask_back(self.steps, exc.question, round(self.time.took * 1000))
        except RetryableError as exc:
            if exc.code == "model-timeout":
                self._check_time(CUT_SECONDS)
                if self.time.remaining() <= 0:
                    raise PermanentError("limit-turn-seconds", "the turn took as long as its limits allow") from exc
            raise

    def spent(self) -> tuple[Usage | None, Decimal | None]:
        """The tokens of the model calls that ended, and their cost where all have a price."""
        return (self.steps.spending.usage, self.steps.spending.known_cost) if self.steps else (None, None)

    def used(self) -> Sequence[ToolUsage]:
        """The uses of tools that the answer rests on, in their order."""
        return self.steps.using.used if self.steps else ()

    def totals(self) -> Totals:
        """The same, for a run that goes on with them."""
        return self.steps.spending.totals if self.steps else self.before

    def _answer(self, steps: Steps, recorded: Sequence[ToolUsage]) -> Answered:
        ended = steps.run(recorded)
        schema = self.input_.output_configuration
        if schema is None:
            return _answered(ended)
        for tries_left in range(MAX_REPAIRS, -1, -1):
            parsed = parse_output(ended.text, schema)
            if isinstance(parsed, Parsed):
                return _answered(ended, parsed)
            if tries_left:
                ended = self._repair(self.steps or steps, ended, parsed)
        raise PermanentError("output-misfit", "the model's answer does not fit the output configuration")

    def _check_time(self, needed: float) -> None:
        (self.check_time or self.time.check)(needed)

    def _make_context(self, usage: ToolUsage, rest: Callable[[], Rest], spend: Spend) -> ToolContext:
        return ToolContext(
            company_id=self.company_id,
            user_id=self.user_id,
            conversation_id=self.conversation_id,
            idempotency_key=usage.idempotency_key,
            remaining=self.time.remaining,
            check_time=self._check_time,
            place=usage.place_of_use,
            rest=rest,
            spend=spend,
        )

    def _ask_back(self, steps: Steps, question: str, took: int) -> Answered:
        """The question back is the answer; what the person says next goes on from here."""
        said = "".join(steps.said).rstrip()
        text = question if self.input_.output_configuration or not said else f"{said}\n\n{question}"
        return Answered(
            text=text,
            raw=text,
            finish_reason=ASKED,
            usage=steps.spending.usage,
            cost=steps.spending.known_cost,
            model=steps.request.model,
            request_id=None,
            time_to_first_token_ms=took,
            duration_ms=took,
        )

    def _make_steps(self) -> Steps:
        input_ = self.input_
        request = ModelRequest(
            model=input_.model,
            api_kind=input_.api_kind,
            messages=tuple(self.prompt),
            max_output_tokens=input_.limits.max_output_tokens,
            user=hide_user(self.company_id, self.user_id),
            prompt_cache_key=self.conversation_id,
            temperature=input_.temperature,
            output_schema=input_.output_configuration,
        )
        is_shaped = input_.output_configuration is not None
        spending = Spending.after(self.before, input_.limits)
        return Steps(
            model=self.model,
            request=request,
            using=self._make_using(spending),
            spending=spending,
            remaining=self.time.remaining,
            check_time=self._check_time,
            show=(lambda _text: None) if is_shaped else self.show,
            watch=self.watch,
            first_step=self.first_step,
            monotonic=self.monotonic,
            fallback_model=input_.fallback_model,
            silent_steps=self.silent_steps,
            said=[] if is_shaped else self.said,
        )

    def _make_using(self, spending: Spending) -> Using:
        return Using(
            tools=self.tools,
            task_id=self.task_id,
            question_id=self.question_id,
            records=self.records,
            make_context=self._make_context,
            remaining=self.time.remaining,
            check_time=self._check_time,
            spending=spending,
            clock=self.clock,
            watch=self.watch,
            monotonic=self.monotonic,
            under=self.under,
            approval=self.approval,
        )

    def _repair(self, steps: Steps, ended: Ended, misfit: Misfit) -> Ended:
        """Ask for the whole answer again, saying what was wrong; no tools are offered any more."""
        told = (
            *self.prompt,
            ModelMessage(Role.ASSISTANT, ended.text),
            ModelMessage(Role.USER, repair_request(misfit.problems)),
        )
        again = replace(
            steps,
            request=replace(steps.request, messages=told),
            using=replace(steps.using, tools={}),
            said=[],
        )
        self.steps = again
        repaired = again.run()
        took, count = ended.duration_ms + repaired.duration_ms, ended.steps + repaired.steps
        return replace(repaired, duration_ms=took, steps=count)


def hide_user(company_id: str, user_id: str) -> str:
    """A person's id as the model's vendor may know it."""
    return hashlib.sha256(f"{company_id}/{user_id}".encode()).hexdigest()[:32]


def _answered(ended: Ended, parsed: Parsed | None = None) -> Answered:
    text = ended.text if parsed is None else json.dumps(parsed.value, ensure_ascii=False, indent=2)
    if not text.strip():
        is_refused = ended.finished.finish_reason in {"content_filter", "refusal"}
        raise PermanentError("content-refused" if is_refused else "empty-answer", "the model gave no text")
    return Answered(
        text=text,
        raw=ended.text,
        is_json=parsed is not None,
        finish_reason=ended.finished.finish_reason,
        usage=ended.usage,
        cost=ended.cost,
        model=ended.finished.model,
        request_id=ended.finished.request_id,
        time_to_first_token_ms=ended.time_to_first_token_ms,
        duration_ms=ended.duration_ms,
    )
