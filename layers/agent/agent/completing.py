"""One question to the model and its whole answer, for who has no conversation: the importer."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from agent.budget import check_budget
from agent.model import OpenAIModel
from agent.model_speech import Recording
from agent.model_values import Finished, ModelImage, ModelMessage, ModelRequest, TextDelta
from agent.prices import PRICE_VERSION, cost_of, cost_of_transcript
from core.configuration import DEFAULT_TRANSCRIPTION_MODEL
from core.errors import PermanentError
from core.models import ApiKind, Role, Usage
from core.store import Store

_USER = "imports"  # for the vendor's abuse monitoring: no person wrote the question
_SECONDS = 240.0
_TRANSCRIPTION_SECONDS = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completer:
    """Asks one model of one API. Safe to share between threads."""

    client: OpenAIModel
    model: str
    api_kind: ApiKind
    transcription_model: str | None = DEFAULT_TRANSCRIPTION_MODEL
    price_version: str = PRICE_VERSION

    @property
    def is_listening(self) -> bool:
        """Whether recordings are written down at all."""
        return self.transcription_model is not None

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
        """The answer's text, why it ended, and what it took. Raises as the model does.

        Args:
            instructions: What to do.
            content: What to do it with.
            schema: JSON Schema that the answer has to fit; None for free text.
            images: Media type and bytes of each picture beside the content.
            max_output_tokens: Where the answer is cut off.
            cache_key: The same for questions that begin alike.
        """
        shown = tuple(
            ModelImage(url="", media_type=media_type, encoded=base64.b64encode(data).decode())
            for media_type, data in images
        )
        request = ModelRequest(
            model=self.model,
            api_kind=self.api_kind,
            messages=(ModelMessage(Role.SYSTEM, instructions), ModelMessage(Role.USER, content, images=shown)),
            max_output_tokens=max_output_tokens,
            user=_USER,
            prompt_cache_key=cache_key,
            output_schema=json.loads(json.dumps(schema)) if schema is not None else None,
        )
        pieces: list[str] = []
        finish_reason, usage = "", None
        for event in self.client.stream(request, seconds=_SECONDS):
            match event:
                case TextDelta(text):
                    pieces.append(text)
                case Finished():
                    finish_reason, usage = event.finish_reason, event.usage
        return "".join(pieces), finish_reason, usage

    def transcribe(self, *, data: bytes, media_type: str) -> tuple[str, Usage | None, Decimal | None]:
        """What is said in a recording, the tokens that it took, and US dollars; None where they are not known.

        Raises as the model does.
        """
        model = self.transcription_model
        if model is None:
            raise PermanentError("no-provider", "the company's settings name no model that transcribes")
        recording = Recording(model=model, data=data, media_type=media_type)
        transcript = self.client.transcribe(recording, seconds=_TRANSCRIPTION_SECONDS)
        cost = cost_of_transcript(model, transcript.usage, transcript.seconds)
        return transcript.text, transcript.usage, cost

    def cost_of(self, usage: Usage) -> Decimal | None:
        """US dollars; None where the model's price is not known."""
        found = cost_of(self.model, usage)
        return found[0] if found else None


def complete_for(store: Store, default: Completer, company_id: str) -> Completer:
    """Who answers for a company: the models of its own configuration, else `default`."""
    settings = store.directory.current_settings(company_id)
    if settings is None:
        return default
    listening = settings.transcription_model or None
    return replace(default, model=settings.model, api_kind=settings.api_kind, transcription_model=listening)


def check_company_budget(store: Store, clock: Callable[[], datetime], company_id: str, user_id: str) -> None:
    """Return if the limits of the company's own configuration leave room for a question.

    Raises:
        PermanentError: `limit-user-day` or `limit-company-month`.
    """
    settings = store.directory.current_settings(company_id, "default")
    if settings:
        check_budget(settings.limits, store, company_id=company_id, user_id=user_id, now=clock())
