"""AI: another of the company's AI configurations as a sub-agent, with a task, prompts, tools and limits of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from agent import entries
from agent.history import fill_prompts, find_variables
from agent.model_values import ModelMessage
from agent.parking import NeedsApproval
from agent.records import ClaimRecords
from agent.steps import Model
from agent.stopping import QuestionChangedError, TurnStoppedError, Watch
from agent.task_run import TaskRun
from agent.tools import Tool, ToolContext, ToolResult
from agent.tools.ask_person import AskPerson
from core.configuration import Input, Limits, SubAgentTool
from core.errors import PermanentError
from core.models import Approval, Message, Role, Task, TaskStatus, ToolType, ToolUsage
from core.prompts import PromptManifest
from core.store import Claim, Store, keys

SUB_AGENT = "sub-agent@1"  # renamed with every change of how a prompt is put together
_MOST_CHARACTERS = 20_000  # of what a sub-agent is asked
_KEPT_SECONDS = 2.0  # of the time that a call has: the sub-agent's own word on a time limit is the better one
_LEAST_SECONDS = 5.0


class Collaborators(Protocol):
    """What a sub-agent takes from those that the turn works with."""

    @property
    def store(self) -> Store: ...  # noqa: D102 - where its task is
    @property
    def open_tools(self) -> Callable[[Input], Mapping[str, Tool]]: ...  # noqa: D102 - makes what an input names
    @property
    def clock(self) -> Callable[[], datetime]: ...  # noqa: D102 - the time
    @property
    def monotonic(self) -> Callable[[], float]: ...  # noqa: D102 - seconds


@dataclass(frozen=True, slots=True)
class SubAgents:
    """The sub-agents of one turn.

    Attributes:
        recorded: What an earlier try of the turn wrote down of its tools, those of sub-agents included.
        variables: What an input's prompts are filled in with.
        watch: Ends the turn from outside.
        approval: What a call waits with that needs an approval.
        own: Tools of the asking agent alone.
    """

    use: Collaborators
    model: Model
    claim: Claim
    question: Message
    recorded: Sequence[ToolUsage]
    variables: Mapping[str, str]
    watch: Watch
    approval: Approval | None = None
    own: Mapping[str, Tool] = field(default_factory=dict)

    def open(self, input_: Input) -> dict[str, Tool]:
        """All tools that an input names, sub-agents among them."""
        agents: dict[str, Tool] = {}
        for definition in input_.tools:
            if isinstance(definition, SubAgentTool) and definition.name in input_.sub_agents:
                agent = SubAgent(definition, input_.sub_agents[definition.name], self)
                is_free = not definition.requires_approval
                agents[definition.name] = agent if is_free else NeedsApproval(agent, definition.approvers)
        return {**self.use.open_tools(input_), **agents}


class SubAgent:
    """One sub-agent. It runs alone, so that what it may take is exactly what the asking agent's limits leave."""

    type = ToolType.AI
    is_write = True
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {
            "task": {
                "type": "string",
                "minLength": 1,
                "maxLength": _MOST_CHARACTERS,
                "description": "What is to be done, with all that has to be known for it: nothing else is passed on.",
            }
        },
        "required": ["task"],
        "additionalProperties": False,
    }

    def __init__(self, definition: SubAgentTool, input_hash: str, agents: SubAgents) -> None:
        self.name = definition.name
        self.description = definition.description
        self.timeout_seconds = definition.timeout_seconds
        self._input_hash = input_hash
        self._agents = agents

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Let it answer, once: what it did in an earlier try is replayed, what it answered then is given again."""
        allowed = self._allow(context)
        if allowed is None:
            return ToolResult(text="The limits of this turn leave nothing for this.", is_error=True)
        prompt = render_task(allowed, arguments["task"], self._agents.variables)
        task = self._start_task(allowed, prompt, context)
        if task.status is TaskStatus.COMPLETED:
            context.spend(entries.usage_of(task), task.cost)
            return ToolResult(text=task.llm_structured_output or "")
        run = self._make_run(allowed, prompt, task, context)
        try:
            answered = run.run([usage for usage in self._agents.recorded if usage.under == context.place])
        except (PermanentError, TurnStoppedError, QuestionChangedError) as exc:
            spent = entries.count_spent(task, *run.spent())
            if isinstance(exc, PermanentError):
                self._end(entries.fail_task(spent, code=exc.code, reason=exc.message, now=self._agents.use.clock()))
                return ToolResult(text=f"The sub-agent failed: {exc.message}", is_error=True)
            self._end(spent.model_copy(update={"status": TaskStatus.CANCELED, "updated_at": self._agents.use.clock()}))
            raise
        finally:
            context.spend(*run.spent())
        self._end(entries.complete_task(task, answered, now=self._agents.use.clock()))
        return ToolResult(text=answered.text)

    def _allow(self, context: ToolContext) -> Input | None:
        """The sub-agent's input, its limits cut to what is left; None where nothing is."""
        input_ = self._agents.use.store.get_input(context.company_id, self._input_hash)
        tokens, cost = context.rest()
        seconds = min(self.timeout_seconds, context.remaining()) - _KEPT_SECONDS
        if seconds < _LEAST_SECONDS or (tokens is not None and tokens <= 0) or (cost is not None and cost <= 0):
            return None
        return input_.model_copy(update={"limits": _cut(input_.limits, seconds, tokens, cost)})

    def _start_task(self, input_: Input, prompt: tuple[ModelMessage, ...], context: ToolContext) -> Task:
        agents = self._agents
        manifest = PromptManifest(
            template=SUB_AGENT,
            input=self._input_hash,
            first_message_id=agents.question.id,
            message_count=1,
            variables=find_variables(input_, agents.variables),
            sha256=entries.hash_prompt(prompt),
        )
        asking = context.place.rpartition("#")[0]
        parent = keys.sub_task_id(agents.question.id, asking) if asking else agents.question.llm_task_id
        named = {"id": keys.sub_task_id(agents.question.id, context.place), "parent_task_id": parent}
        task = entries.make_task(agents.question, input_, manifest, now=agents.use.clock()).model_copy(update=named)
        return agents.use.store.start_task(agents.claim, task)

    def _make_run(self, input_: Input, prompt: tuple[ModelMessage, ...], task: Task, context: ToolContext) -> TaskRun:
        agents = self._agents
        tools = {name: tool for name, tool in agents.open(input_).items() if not isinstance(tool, AskPerson)}
        return TaskRun(
            model=agents.model,
            tools=tools,
            input_=input_,
            prompt=prompt,
            company_id=context.company_id,
            user_id=context.user_id,
            conversation_id=context.conversation_id,
            question_id=agents.question.id,
            task_id=task.id,
            records=ClaimRecords(agents.use.store, agents.claim, agents.question.edited_at),
            remaining=context.remaining,
            show=lambda _text: None,
            watch=agents.watch,
            clock=agents.use.clock,
            monotonic=agents.use.monotonic,
            under=context.place,
            approval=agents.approval,
            kept_seconds=0.0,
            check_time=context.check_time,
        )

    def _end(self, task: Task) -> None:
        self._agents.use.store.end_sub_task(self._agents.claim, task)


def render_task(input_: Input, asked: str, variables: Mapping[str, str]) -> tuple[ModelMessage, ...]:
    """The prompt of a sub-agent that is asked this; the same arguments always give the same text."""
    instructions = (ModelMessage(Role.SYSTEM, prompt) for prompt in fill_prompts(input_, variables).prompts)
    return (*instructions, ModelMessage(Role.USER, asked))


def _cut(limits: Limits, seconds: float, tokens: int | None, cost: Decimal | None) -> Limits:
    def least[T: (int, float, Decimal)](one: T | None, other: T | None) -> T | None:
        return min(one, other) if one is not None and other is not None else one if other is None else other

    return limits.model_copy(
        update={
            "max_seconds": min(limits.max_seconds, seconds),
            "max_turn_tokens": least(limits.max_turn_tokens, tokens),
            "max_turn_cost": least(limits.max_turn_cost, cost),
        }
    )
