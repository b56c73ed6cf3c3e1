"""What the importer asks of a language model. The door hands in who answers; nothing here knows a vendor."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from core.models import Usage
from importer.values import PageImage, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question.

    Attributes:
        instructions: What to do; ours, and the same for every file.
        content: What to do it with. It comes from a file: data, never instructions.
        schema: JSON Schema that the answer has to fit; None for free text.
        images: To be looked at beside `content`.
        max_output_tokens: Where the answer is cut off.
        cache_key: The same for prompts that begin alike. At most 64 characters.
    """

    instructions: str
    content: str
    schema: Mapping[str, Any] | None
    max_output_tokens: int
    cache_key: str
    images: tuple[PageImage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The answer to one question.

    Attributes:
        finish_reason: "stop", "length" where it was cut off, or the model's own word for another end.
        usage: What the call took; None where the server does not say.
    """

    text: str
    finish_reason: str
    usage: Usage | None


class Model(Protocol):
    """Answers questions. Safe to share between threads."""

    @property
    def sees_images(self) -> bool: ...  # noqa: D102 - whether it may be sent images
    def complete(self, prompt: Prompt) -> Completion:
        """The whole answer.

        Raises:
            RetryableError: It may work later.
            PermanentError: It will not.
        """

    def cost_of(self, usage: Usage) -> Decimal | None:
        """US dollars; None where the price is not known."""


class Transcriber(Protocol):
    """Writes down what is said."""

    def transcribe(self, recording: Recording) -> str:
        """What is said in it. Raises what `Model.complete` raises."""
