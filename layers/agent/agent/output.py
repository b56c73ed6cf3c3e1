"""An answer of a fixed shape: found in the model's text, checked against the output configuration, asked for again."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.tools import Json
from agent.tools.schema import explain_misfit

MAX_REPAIRS = 2  # a model that misses the shape three times has not understood it, and each try costs a whole answer
MAX_OUTPUT_CHARACTERS = 256 * 1024
_MAX_FENCES = 8
_FENCE = re.compile(r"^ {0,3}```[^\n`]*\n(.*?)^ {0,3}```", re.DOTALL | re.MULTILINE)
_BEGINNING = re.compile(r"[{\[]")


@dataclass(frozen=True, slots=True)
class Parsed:
    """The value in an answer; it fits the schema."""

    value: Json


@dataclass(frozen=True, slots=True)
class Misfit:
    """An answer that is not what was asked for; `problems` say why, in words for the model."""

    problems: tuple[str, ...]


def parse_output(text: str, schema: Mapping[str, Any]) -> Parsed | Misfit:
    """The value in the model's answer `text`, if it fits `schema`.

    A code fence or sentences around the JSON do not matter. JSON that is broken is not mended, and nothing is taken out
    of its inside: half of an answer could fit by chance.

    Raises:
        PermanentError: The schema itself cannot be used.
    """
    if len(text) > MAX_OUTPUT_CHARACTERS:
        return Misfit((f"The answer is over {MAX_OUTPUT_CHARACTERS} characters: write less.",))
    problem = ""
    for candidate in _candidates(text):
        try:
            value = _decode(candidate)
        except (ValueError, RecursionError) as exc:
            problem = _explain(exc)
            continue
        misfit = explain_misfit(schema, value)
        return Misfit(tuple(misfit.splitlines())) if misfit else Parsed(value)
    return Misfit((problem,))


def repair_request(problems: Sequence[str]) -> str:
    """What the model is told when its answer did not fit. Ask at most `MAX_REPAIRS` times."""
    return "\n".join(
        (
            "Your answer cannot be used:",
            *problems,
            "Write the whole answer again as one JSON value that fits the schema, without any text around it.",
        )
    )


def _candidates(text: str) -> Iterator[str]:
    """What may be the JSON, likeliest first."""
    yield text.strip()
    for number, fenced in enumerate(_FENCE.finditer(text)):
        if number == _MAX_FENCES:
            break
        yield fenced[1].strip()
    if beginning := _BEGINNING.search(text):
        yield text[beginning.start() :]


def _decode(candidate: str) -> Json:
    """The JSON value at the beginning of `candidate`, which has to fill it unless it is an object or a list."""
    value: Json
    value, end = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(candidate)
    if end < len(candidate) and not isinstance(value, dict | list):
        message = "the answer is text"
        raise ValueError(message)
    json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is valid JSON and no text
    return value


def _explain(exc: Exception) -> str:
    where = f" at character {exc.pos}: {exc.msg}" if isinstance(exc, json.JSONDecodeError) else ""
    return f"It holds no valid JSON{where}."


def _refuse_constant(name: str) -> float:
    message = f"{name} is no JSON"
    raise ValueError(message)
