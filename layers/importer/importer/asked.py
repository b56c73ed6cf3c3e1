"""The model as an import asks it: what it took is counted, and no question is asked beyond what the import may cost."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from core.errors import PermanentError
from core.models import Usage
from importer.asking import estimate_tokens
from importer.model import Completion, Prompt
from importer.problems import ProblemCode, refuse
from importer.values import Recording


class Completer(Protocol):
    """Who answers, in words that belong to no room."""

    @property
    def price_version(self) -> str: ...  # noqa: D102 - of the prices that `cost_of` knows
    def complete(
        self,
        *,
        instructions: str,
        content: str,
        schema: Mapping[str, Any] | None,
        images: Sequence[tuple[str, bytes]],
        max_output_tokens: int,
        cache_key: str,
    ) -> tuple[str, str, Usage | None]:
        """The text of the answer, why it ended, what it took; raises as a model does."""

    @property
    def is_listening(self) -> bool: ...  # noqa: D102 - whether `transcribe` may be asked
    def transcribe(self, *, data: bytes, media_type: str) -> tuple[str, Usage | None, Decimal | None]:
        """What is said, the tokens that it took, and US dollars; raises as a model does."""

    def cost_of(self, usage: Usage) -> Decimal | None: ...  # noqa: D102 - US dollars


@dataclass(slots=True, kw_only=True)
class AskedModel:
    """A `Model` and `Transcriber` for one import.

    Attributes:
        completer: Who answers.
        may_ask: Called before each question; raises where the company's limits leave no room.
        max_cost: US dollars that the import may cost; None: no limit of its own.
        usage: What it took so far in this process.
        cost: US dollars so far; None where a price is not known.
    """

    completer: Completer
    may_ask: Callable[[], None]
    max_cost: Decimal | None = None
    spent: Decimal = Decimal(0)
    usage: Usage = field(default_factory=Usage)
    cost: Decimal | None = Decimal(0)
    sees_images: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def complete(self, prompt: Prompt) -> Completion:
        """See `importer.model.Model`.

        Raises:
            PermanentError: `cost-cap`, or what `may_ask` raises.
        """
        with self.lock:
            self._check_cap(prompt)
        self.may_ask()
        text, finish_reason, usage = self.completer.complete(
            instructions=prompt.instructions,
            content=prompt.content,
            schema=prompt.schema,
            images=[(image.media_type, image.load()) for image in prompt.images],
            max_output_tokens=prompt.max_output_tokens,
            cache_key=prompt.cache_key,
        )
        if usage:
            with self.lock:
                self._count(usage, self.cost_of(usage))
        return Completion(text=text, finish_reason=finish_reason, usage=usage)

    def transcribe(self, recording: Recording) -> str:
        """See `importer.model.Transcriber`."""
        with self.lock:
            if self.max_cost is not None and self.spent + (self.cost or 0) >= self.max_cost:
                raise _too_expensive()
        self.may_ask()
        text, usage, cost = self.completer.transcribe(data=recording.load(), media_type=recording.media_type)
        with self.lock:
            self._count(usage or Usage(), cost)
        return text

    def cost_of(self, usage: Usage) -> Decimal | None:
        """US dollars; None where the price is not known."""
        return self.completer.cost_of(usage)

    def _check_cap(self, prompt: Prompt) -> None:
        if self.max_cost is None:
            return
        tokens = estimate_tokens(prompt.instructions, prompt.content, json.dumps(prompt.schema))
        output = min(prompt.max_output_tokens, tokens)
        coming = self.cost_of(Usage(input_tokens=tokens, output_tokens=output, total_tokens=tokens + output))
        if coming is not None and self.spent + (self.cost or 0) + coming > self.max_cost:
            raise _too_expensive()

    def _count(self, usage: Usage, cost: Decimal | None) -> None:
        self.usage = Usage(**{name: getattr(self.usage, name) + getattr(usage, name) for name in Usage.model_fields})
        self.cost = None if cost is None or self.cost is None else self.cost + cost


def _too_expensive() -> PermanentError:
    return refuse(ProblemCode.COST_CAP, "the import would cost more than it may: raise its maximum cost")
