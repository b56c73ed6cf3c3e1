"""What the model reads: instructions first, then as much of the conversation as fits, then the question."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from agent.model_values import ModelMessage
from agent.pictures import with_pictures
from core.configuration import Input
from core.models import Message, PromptManifest, Role

_TEMPLATE = "conversation@1"  # renamed with every change of how a prompt is put together


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The messages of one model call, and the manifest that stands for them in the table."""

    messages: tuple[ModelMessage, ...]
    manifest: PromptManifest


def render_prompt(input_: Input, input_hash: str, history: Sequence[Message], question: Message) -> Prompt:
    """Put a prompt together; the same arguments always give the same text.

    The newest messages that fit into the input's limits are taken, whole, in order. A reply whose question no longer
    fits goes with it, so that the window starts with a person. Static parts come first, for the model's prompt cache.
    """
    window = _window(history, input_.limits.history_characters - len(question.text))
    messages = (
        *(ModelMessage(role=Role.SYSTEM, text=prompt) for prompt in input_.prompts),
        *(ModelMessage(role=message.role, text=message.text) for message in window),
        ModelMessage(role=Role.USER, text=question.text),
    )
    messages = with_pictures(messages, window, question, input_.limits)
    manifest = PromptManifest(
        template=_TEMPLATE,
        input=input_hash,
        first_message_id=(window[0] if window else question).id,
        message_count=len(window) + 1,
        sha256=_hash(messages),
    )
    return Prompt(messages=messages, manifest=manifest)


def _window(history: Sequence[Message], budget: int) -> list[Message]:
    kept: list[Message] = []
    for message in reversed(history):
        if message.role is Role.SYSTEM or not message.text:
            continue
        budget -= len(message.text)
        if budget < 0:
            break
        kept.append(message)
    while kept and kept[-1].role is Role.ASSISTANT:
        kept.pop()
    return kept[::-1]


def _hash(messages: Sequence[ModelMessage]) -> str:
    plain = [[message.role, message.text, *(image.url for image in message.images)] for message in messages]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
