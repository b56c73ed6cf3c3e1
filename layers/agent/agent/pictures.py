"""Pictures in a prompt: which of them are shown, read when the model is asked, left out for one that refuses them."""

import base64
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from agent.model_values import ModelEvents, ModelImage, ModelMessage, ModelRequest, TextDelta
from agent.steps import Model
from core.configuration import Limits
from core.errors import PermanentError, RetryableError
from core.models import Message
from core.store import Files
from core.telemetry import logger

# A model that takes no pictures refuses the whole request, most servers without a code of their own for it.
_REFUSALS = frozenset({"images-refused", "model-request"})
# Prompts with pictures that a function holds at once: 45 MB each, of the 512 MB that ten conversations share.
_PLACES = threading.BoundedSemaphore(4)
_NOT_SHOWN = "[Pictures of this message are not shown to you.]"


def with_pictures(
    messages: Sequence[ModelMessage], window: Sequence[Message], question: Message, limits: Limits
) -> tuple[ModelMessage, ...]:
    """A prompt's messages, which end with those of `window` and `question`, with their pictures.

    The question's come first, then those of earlier messages, newest first, as far as the limits go. A message that
    has a picture which is not shown says so.
    """
    left_bytes, left_earlier = limits.max_image_bytes, limits.history_images
    seen = list(messages)
    for back, message in enumerate((question, *reversed(window)), 1):
        images = [part.image for part in message.content if part.image]
        shown = []
        for image in images:
            is_earlier = message is not question
            if image.size > left_bytes or (is_earlier and not left_earlier):
                continue
            left_bytes -= image.size
            left_earlier -= is_earlier
            shown.append(ModelImage(url=image.url, media_type=image.media_type))
        if images:
            seen[-back] = replace(_tell(seen[-back], len(shown) < len(images)), images=tuple(shown))
    return tuple(seen)


class SeeingModel:
    """A model that is given the pictures of its prompt; one that refuses them is asked again without.

    Attributes:
        is_refused: Whether the model would not take the pictures.
    """

    def __init__(self, model: Model, files: Files, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._model = model
        self._files = files
        self._monotonic = monotonic
        self._read: dict[str, str] = {}
        self.is_refused = False

    def stream(self, request: ModelRequest, *, seconds: float) -> ModelEvents:
        """The answer's deltas and, last, how it finished. Raises as the model itself does."""
        if not any(message.images for message in request.messages):
            yield from self._model.stream(request, seconds=seconds)
            return
        until = self._monotonic() + seconds
        if not _PLACES.acquire(timeout=max(seconds, 0)):
            raise RetryableError("no-time", "too many prompts with pictures at once", retry_after=timedelta(0))
        try:
            yield from self._stream(request, until)
        finally:
            _PLACES.release()

    def _stream(self, request: ModelRequest, until: float) -> ModelEvents:
        if not self.is_refused:
            is_begun = False
            try:
                for event in self._model.stream(self._show(request), seconds=until - self._monotonic()):
                    is_begun = is_begun or isinstance(event, TextDelta)
                    yield event
            except PermanentError as exc:
                if is_begun or exc.code not in _REFUSALS:
                    raise
                logger.warning("the model refuses pictures", extra={"code": exc.code})
                self.is_refused = True
            else:
                return
        blind = replace(request, messages=tuple(map(_hide, request.messages)))
        yield from self._model.stream(blind, seconds=until - self._monotonic())

    def _show(self, request: ModelRequest) -> ModelRequest:
        return replace(request, messages=tuple(map(self._fill, request.messages)))

    def _fill(self, message: ModelMessage) -> ModelMessage:
        filled = []
        for image in message.images:
            if image.url not in self._read:
                data = self._files.read(image.url)
                self._read[image.url] = base64.b64encode(data).decode() if data else ""
            if encoded := self._read[image.url]:
                filled.append(replace(image, encoded=encoded))
        return replace(_tell(message, len(filled) < len(message.images)), images=tuple(filled))


def _hide(message: ModelMessage) -> ModelMessage:
    return replace(_tell(message, bool(message.images)), images=())


def _tell(message: ModelMessage, is_missing: bool) -> ModelMessage:
    if not is_missing or message.text.endswith(_NOT_SHOWN):
        return message
    return replace(message, text=f"{message.text}\n\n{_NOT_SHOWN}".lstrip())
