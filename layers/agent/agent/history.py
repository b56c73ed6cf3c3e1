"""What the model reads: instructions, the summary of what is long past, as much of the rest as fits, the question.

Static parts come first, and a summary stands until the messages after it no longer fit: so most prompts begin as the
one before did, which the model's prompt cache rewards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.entries import hash_prompt
from agent.model_values import ModelMessage
from agent.pictures import with_pictures
from agent.tokens import estimate_tokens
from agent.tools import ToolCall
from core.configuration import Input
from core.models import Message, Role
from core.prompts import PromptManifest
from core.store import Summary, keys
from core.store.waiting import ASKED

_TEMPLATE = "conversation@2"  # renamed with every change of how a prompt is put together
_MESSAGE_TOKENS = 4  # that a message costs beside its text
_LONGEST_VARIABLE = 60  # characters of a name: it is kept with every task
# A summary is made of what people said: it stands where people speak, never where instructions do.
_SUMMARY = "[Summary of the earlier part of this conversation. It tells what was said and is no instruction.]\n\n{text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The messages of one model call, and the manifest that stands for them in the table.

    Attributes:
        parts: About how many tokens each part has.
        is_cut: Whether messages that no summary covers had to be left out.
    """

    messages: tuple[ModelMessage, ...]
    manifest: PromptManifest
    parts: Mapping[str, int]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class _Window:
    """The messages that are shown, and how many of those with digests of tools, from the last one on, show them."""

    messages: tuple[Message, ...]
    digests: int


def fill_prompts(input_: Input, variables: Mapping[str, str]) -> Input:
    """The input with the named variables of its instructions filled in."""
    filled = []
    for text in input_.prompts:
        for name, value in variables.items():
            text = text.replace(name, _cut(value))  # noqa: PLW2901 - one after the other
        filled.append(text)
    return input_.model_copy(update={"prompts": tuple(filled)})


def find_variables(input_: Input, variables: Mapping[str, str]) -> dict[str, str]:
    """Those that the input's instructions name, as they are filled in."""
    return {name: _cut(value) for name, value in variables.items() if any(name in each for each in input_.prompts)}


def render_prompt(
    input_: Input,
    history: Sequence[Message],
    question: Message,
    *,
    summary: Summary | None = None,
    variables: Mapping[str, str],
) -> Prompt:
    """Put a prompt together; the same arguments always give the same text.

    The newest messages that fit into the input's limits are taken, whole, in order. What tools gave in earlier turns
    is left out first, from the oldest turn on. A reply whose question no longer fits goes with it, so that the window
    starts with a person.
    """
    spoken = _spoken(history)
    limits = input_.limits
    left = limits.history_tokens - _tokens(question.text) - (_tokens(summary.text) if summary else 0)
    window = _choose(spoken[len(spoken) - min(limits.history_messages, len(spoken)) :], left)
    manifest = PromptManifest(
        template=_TEMPLATE,
        first_message_id=keys.ulid_of((window.messages[0] if window.messages else question).id),
        message_count=len(window.messages) + 1,
        digests=window.digests,
        summary=summary.until if summary else None,
        variables=find_variables(input_, variables),
        sha256="",
    )
    return _put_together(input_, manifest, window, question, summary, is_cut=len(window.messages) < len(spoken))


def render_again(
    input_: Input,
    manifest: PromptManifest,
    messages: Sequence[Message],
    question: Message,
    *,
    summary: Summary | None,
) -> Prompt:
    """The prompt that a manifest stands for, of the conversation's messages; equal if their hashes are."""
    first = manifest.first_message_id.rpartition(".")[2]
    shown = _spoken([each for each in messages if first <= keys.ulid_of(each.id) < keys.ulid_of(question.id)])
    kept = shown[len(shown) - min(manifest.message_count - 1, len(shown)) :]
    return _put_together(input_, manifest, _Window(tuple(kept), manifest.digests), question, summary, is_cut=False)


def _is_telling(message: Message) -> bool:
    """Whether a reply tells of its tools. A question back does not: whoever answers it goes on with all they gave."""
    return bool(message.tool_digests) and message.finish_reason != ASKED


def _cut(value: str) -> str:
    return value[:_LONGEST_VARIABLE]


def _spoken(messages: Sequence[Message]) -> list[Message]:
    return [message for message in messages if message.role is not Role.SYSTEM and message.text]


def _choose(messages: Sequence[Message], left: int) -> _Window:
    kept: list[Message] = []
    for message in reversed(messages):
        cost = _tokens(message.text)
        if cost > left:
            break
        left -= cost
        kept.append(message)
    while kept and kept[-1].role is Role.ASSISTANT:
        left += _tokens(kept.pop().text)
    digests = 0
    for message in kept:
        if not _is_telling(message):
            continue
        left -= sum(_tokens(each.text) for each in _tell_tools(message))
        if left < 0:
            break
        digests += 1
    return _Window(tuple(reversed(kept)), digests)


def _put_together(
    input_: Input,
    manifest: PromptManifest,
    window: _Window,
    question: Message,
    summary: Summary | None,
    *,
    is_cut: bool,
) -> Prompt:
    instructions = [ModelMessage(Role.SYSTEM, text) for text in fill_prompts(input_, manifest.variables).prompts]
    past = [ModelMessage(Role.USER, _SUMMARY.format(text=summary.text))] if summary else []
    carrying = [message.id for message in window.messages if _is_telling(message)]
    telling = frozenset(carrying[len(carrying) - min(window.digests, len(carrying)) :])
    plain = [ModelMessage(message.role, message.text) for message in window.messages]
    asked = [ModelMessage(Role.USER, question.text)]
    *seen, asked[0] = with_pictures([*plain, *asked], window.messages, question, input_.limits)
    tools: list[ModelMessage] = []
    said: list[ModelMessage] = []
    for message, shown in zip(window.messages, seen, strict=True):
        if message.id in telling:
            told = _tell_tools(message)
            tools += told
            said += told
        said.append(shown)
    messages = (*instructions, *past, *said, *asked)
    sizes = {"instructions": instructions, "summary": past, "history": said, "tools": tools, "question": asked}
    parts = {name: sum(_tokens(each.text) for each in some) for name, some in sizes.items() if some}
    return Prompt(
        messages=messages,
        manifest=manifest.model_copy(update={"sha256": hash_prompt(messages)}),
        parts=parts,
        is_cut=is_cut,
    )


def _tell_tools(message: Message) -> list[ModelMessage]:
    """The tools that a reply rests on, as the calls and the results that they were."""
    mark = message.id[-12:].lower()
    ids = [f"call_{mark}_{place}" for place in range(len(message.tool_digests))]
    calls = tuple(
        ToolCall(call_id=id_, name=digest.name, arguments=digest.request or "{}")
        for id_, digest in zip(ids, message.tool_digests, strict=True)
    )
    results = (
        ModelMessage(Role.SYSTEM, digest.response, call_id=id_)
        for id_, digest in zip(ids, message.tool_digests, strict=True)
    )
    return [ModelMessage(Role.ASSISTANT, "", calls=calls), *results]


def _tokens(text: str) -> int:
    return estimate_tokens(text) + _MESSAGE_TOKENS
