"""What follows an answer that was delivered: the conversation's title after its first, a new summary now and then.

Nobody waits for it, and nothing depends on it: where it fails, or the process dies, a later turn does it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from agent.model_values import Finished, ModelMessage, ModelRequest, TextDelta
from agent.prices import cost_of
from agent.revisions import leave_out_erased
from agent.steps import Model
from agent.task_run import hide_user
from agent.tokens import cut_to_tokens, estimate_tokens
from core.configuration import Input, Limits
from core.errors import ServiceError
from core.models import Conversation, Message, Role
from core.store import Spent, Store, Summary, keys
from core.telemetry import logger, metrics

_LEAST_SECONDS = 30.0  # that the invocation must have left
_MOST_SECONDS = 25.0  # of one call
_TITLE_TOKENS = 400  # of output: a model that reasons needs most of them for that
_SUMMARY_TOKENS = 1_200  # of the text; the output may have as many again for reasoning
_SUMMARY_BYTES = 6_000  # so that it stays in its item, which every turn reads
_EXCERPT_TOKENS = 400  # of the question and of the answer, for the title
_FEWEST_MESSAGES = 6  # that are worth a summary
_MOST_MESSAGES = 100  # that one summary takes up; the rest waits for the next one
_TRANSCRIPT_TOKENS = 12_000
_LINE_TOKENS = 1_000  # of one message
_SHARE = 3  # a summary may have one third of what the history may have
_UNTOLD = "(Nothing is known of the earlier part.)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Afterwards:
    """One turn that was answered, and what it leaves to do.

    Attributes:
        history: The messages before the question, as far as they were read.
        summary: What stands for those before them.
        is_cut: Whether some of `history` had no room in the prompt.
        written: What the person wrote, without what was made of files.
        check_budget: Raises where no more may be spent; asked before each call of the model.
    """

    store: Store
    model: Model
    input_: Input
    conversation: Conversation
    history: Sequence[Message]
    summary: Summary | None
    is_cut: bool
    written: str
    question: Message
    reply: Message
    retention_days: int | None
    check_budget: Callable[[], None]

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do; most turns leave nothing."""
        return self._wants_title or self._wants_summary

    @property
    def _wants_title(self) -> bool:
        is_first = not self.history and self.summary is None
        return is_first and self.conversation.title != " ".join(self.written.split())

    @property
    def _wants_summary(self) -> bool:
        return self.is_cut and self.input_.limits.history_messages > 0

    def run(self, *, seconds: float, now: datetime) -> None:
        """Do it, within `seconds`; a failure is logged and no more."""
        if seconds < _LEAST_SECONDS:
            return
        try:
            if self._wants_title:
                self._name(now)
            if self._wants_summary:
                self._summarise(now)
        except ServiceError as exc:
            logger.warning("nothing was done after the turn", extra={"code": exc.code})

    # The title

    def _name(self, now: datetime) -> None:
        said = (cut_to_tokens(each.text, _EXCERPT_TOKENS) for each in (self.question, self.reply))
        told = "Person: {}\n\nAssistant: {}".format(*said)
        text, spent = self._ask(_read_prompt("title"), told, _TITLE_TOKENS)
        title = " ".join(text.split()).strip("\"'“”„«»*#. ") or self.conversation.title
        user_id = self.question.user_id
        self.store.recollections.save_title(self.conversation, title, spent, user_id=user_id, now=now)
        metrics.count("TitlesMade")

    # The summary

    def _summarise(self, now: datetime) -> None:
        limits, standing = self.input_.limits, self.summary
        until = find_boundary(self.history, limits)
        if until is None:
            return
        after = standing.until if standing else None
        found = self.store.recollections.list_messages(
            self.conversation, after=after, until=until, limit=_MOST_MESSAGES
        )
        taken, transcript = _transcribe(leave_out_erased(found))
        if not taken:
            return
        most = min(_SUMMARY_TOKENS, limits.history_tokens // _SHARE)
        told = f"Memory so far:\n{standing.text if standing else '(none)'}\n\nSaid since:\n{transcript}"
        text, spent = self._ask(_read_prompt("summary").replace("{words}", str(most // 2)), told, 2 * most)
        # A model that refuses would refuse again: what stands goes on, and the next part gets its own chance.
        text = text or (standing.text if standing else _UNTOLD)
        summary = Summary(
            until=keys.ulid_of(taken[-1].id),
            text=_cut_to_bytes(cut_to_tokens(text, most)),
            since=standing.since if standing else taken[0].created_at,
            created_at=now,
        )
        self.store.recollections.save_summary(
            self.conversation,
            summary,
            spent,
            user_id=self.question.user_id,
            now=now,
            retention_days=self.retention_days,
        )
        metrics.count("SummariesMade")

    def _ask(self, instruction: str, told: str, max_output_tokens: int) -> tuple[str, Spent]:
        """What the model writes, empty where it refuses, and what that took.

        Raises:
            PermanentError: Nothing more may be spent; or as the model does.
        """
        self.check_budget()
        conversation = self.conversation
        request = ModelRequest(
            model=self.input_.model,
            api_kind=self.input_.api_kind,
            messages=(ModelMessage(Role.SYSTEM, instruction), ModelMessage(Role.USER, told)),
            max_output_tokens=max_output_tokens,
            user=hide_user(conversation.user_company_id, self.question.user_id),
            prompt_cache_key=conversation.id,
        )
        pieces: list[str] = []
        finished: Finished | None = None
        for event in self.model.stream(request, seconds=_MOST_SECONDS):
            if isinstance(event, TextDelta):
                pieces.append(event.text)
            else:
                finished = event
        if finished is None or finished.usage is None:
            return "".join(pieces).strip(), Spent()
        usage, price = finished.usage, cost_of(finished.model, finished.usage)
        is_refused = finished.finish_reason in {"content_filter", "refusal"}
        return "" if is_refused else "".join(pieces).strip(), Spent(
            total_input_tokens=usage.input_tokens,
            total_output_tokens=usage.output_tokens,
            total_tokens=usage.total_tokens,
            cost=price[0] if price else None,
        )


def find_boundary(history: Sequence[Message], limits: Limits) -> str | None:
    """ULID of the last message that a new summary covers; None where none is to be covered.

    What is left has half of the room that there is, so that the next turns fit and their prompts begin alike. Little
    is not worth a call: it waits for more.
    """
    spoken = [message for message in history if message.role is not Role.SYSTEM and message.text]
    tokens, start = limits.history_tokens // 2, len(spoken)
    for place in range(len(spoken) - 1, max(len(spoken) - limits.history_messages // 2, 0) - 1, -1):
        tokens -= estimate_tokens(spoken[place].text)
        if tokens < 0:
            break
        if spoken[place].role is Role.USER:
            start = place
    is_much = sum(estimate_tokens(message.text) for message in spoken[:start]) >= limits.history_tokens
    is_many = start >= min(_FEWEST_MESSAGES, limits.history_messages // 2)
    return keys.ulid_of(spoken[start - 1].id) if start and (is_many or is_much) else None


def _transcribe(messages: Sequence[Message]) -> tuple[list[Message], str]:
    """As many of the messages, from the first one on, as a model is asked to read at once, and what they say."""
    left = _TRANSCRIPT_TOKENS
    taken: list[Message] = []
    lines: list[str] = []
    for message in messages:
        line = _transcribe_one(message)
        left -= estimate_tokens(line)
        if left < 0 and taken:
            break
        taken.append(message)
        if line:
            lines.append(line)
    return taken, "\n".join(lines)


def _transcribe_one(message: Message) -> str:
    if message.role is Role.SYSTEM or not message.text:
        return ""
    who = "Person" if message.role is Role.USER else "Assistant"
    used = [f"(Used {each.name}: {each.response})\n" for each in message.tool_digests]
    return f"{''.join(used)}{who}: {cut_to_tokens(message.text, _LINE_TOKENS)}"


def _cut_to_bytes(text: str) -> str:
    return text.encode("utf-8", "replace")[:_SUMMARY_BYTES].decode("utf-8", "ignore")


@cache
def _read_prompt(name: str) -> str:
    return (Path(__file__).parent / "prompts" / f"{name}.md").read_text(encoding="utf-8")
