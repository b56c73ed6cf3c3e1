"""A question back that the person answers: the turn that asked goes on, with what its tools gave before."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from agent.entries import hash_prompt
from agent.history import Prompt
from agent.model_values import ModelMessage
from agent.parking import WAIT
from agent.records import ClaimRecords
from agent.revisions import sort_out
from agent.tools import ToolCall
from core.models import Message, Role, ToolStatus, ToolUsage
from core.store import Claim, Store
from core.store.waiting import ASKED

RESUMED = "resumed@1"  # renamed with every change of how such a prompt is put together
_MOST_QUESTIONS = 5  # back, one after the other
_PICTURES = "The pictures of that answer."
_NO_ANSWER = "There was no result."


def resume(prompt: Prompt, history: Sequence[Message], question: Message, store: Store, claim: Claim) -> Prompt:
    """`prompt`, where `question` answers a question back: from the calls that led to that on, the answer as its result.

    The calls' tokens were counted with the message that they were made for. Anything else is an ordinary message: one
    that somebody else wrote, that was sent before the question was, or that comes after more than seven days.
    """
    return _resume(prompt, history, question, store, claim.conversation.user_company_id, ClaimRecords(store, claim))


def resume_again(
    prompt: Prompt, history: Sequence[Message], question: Message, store: Store, company_id: str
) -> Prompt:
    """The same for a prompt that was rendered again: nothing is written."""
    return _resume(prompt, history, question, store, company_id, None)


def _resume(
    prompt: Prompt,
    history: Sequence[Message],
    question: Message,
    store: Store,
    company_id: str,
    records: ClaimRecords | None,
) -> Prompt:
    asked = _find_asked(history, question)
    if not asked or not _is_end(prompt.messages, [*(m for pair in asked for m in pair), question]):
        return prompt
    answers = [*(pair[0] for pair in asked[1:]), question]
    resumed: list[ModelMessage] = []
    for (first, _), answer in zip(asked, answers, strict=True):
        usages, _ = sort_out(store.list_tool_usages(company_id, first.id), first)
        given = [_give(usage, answer) for usage in usages if not usage.under]
        if not given:
            return prompt
        if records and (changed := [usage for usage in given if usage not in usages]):
            records.finish(changed)
        resumed += _render(given)
    kept = prompt.messages[: -2 * len(asked)]  # up to the message that was asked about
    pictures = [replace(m, text=_PICTURES) for m in prompt.messages[-1:] if m.images]  # a result holds text alone
    messages = (*kept, *resumed, *pictures)
    manifest = prompt.manifest.model_copy(update={"template": RESUMED, "sha256": hash_prompt(messages)})
    return replace(prompt, messages=messages, manifest=manifest)


def _find_asked(history: Sequence[Message], question: Message) -> list[tuple[Message, Message]]:
    """The person's messages that ended in questions back, each with that question, up to right before `question`."""
    asked: list[tuple[Message, Message]] = []
    answer, rest = question, list(history)
    while len(rest) >= 2 and len(asked) < _MOST_QUESTIONS:
        first, reply = rest[-2:]
        is_asked = reply.finish_reason == ASKED and reply.parent_message_id == first.id
        waited = answer.created_at - reply.created_at
        if not is_asked or first.user_id != answer.user_id or not 0 <= waited.total_seconds() < WAIT.total_seconds():
            break
        asked.insert(0, (first, reply))
        answer, rest = first, rest[:-2]
    return asked


def _is_end(messages: Sequence[ModelMessage], said: Sequence[Message]) -> bool:
    """Whether a prompt ends with exactly what was said: it may be cut, or hold something else in between."""
    ending = messages[-len(said) :]
    return [(m.role, m.text) for m in ending] == [(m.role, m.text) for m in said]


def _give(usage: ToolUsage, answer: Message) -> ToolUsage:
    if usage.status is not ToolStatus.STARTED:
        return usage
    return usage.model_copy(update={"status": ToolStatus.COMPLETED, "response": answer.text})


def _render(usages: Sequence[ToolUsage]) -> list[ModelMessage]:
    messages: list[ModelMessage] = []
    for _, group in groupby(sorted(usages, key=lambda usage: usage.step), key=lambda usage: usage.step):
        step = list(group)
        calls = tuple(ToolCall(call_id=u.call_id, name=u.name, arguments=u.request) for u in step)
        messages.append(ModelMessage(Role.ASSISTANT, step[0].said, calls=calls))
        messages += [ModelMessage(Role.SYSTEM, u.response or _NO_ANSWER, call_id=u.call_id) for u in step]
    return messages
