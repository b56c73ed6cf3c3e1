"""A prompt that was too long for the model, made shorter."""

from collections.abc import Sequence
from dataclasses import replace

from agent.model_values import ModelMessage
from core.models import Role

_SHORT_RESULT_CHARACTERS = 4_000  # of a tool
CUT = "\n[The rest was cut: ask for less.]"


def can_shorten(messages: Sequence[ModelMessage]) -> bool:
    """Whether there is anything that may be left out."""
    return shorten(tuple(messages)) != tuple(messages)


def shorten(messages: tuple[ModelMessage, ...]) -> tuple[ModelMessage, ...]:
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
        replace(m, text=m.text[:_SHORT_RESULT_CHARACTERS] + CUT)
        if m.call_id and len(m.text) > _SHORT_RESULT_CHARACTERS + len(CUT)
        else m
        for m in said[start:]
    )
    return (*leading, *rest)
