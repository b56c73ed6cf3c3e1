"""How often a message was really tried: a queue counts every delivery, also those that were no failure of its own.

A message that is handed on, and whatever stands behind it or behind a failing one in its group, is delivered again
without having failed. The queue allows for that with more deliveries than a message has tries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from pydantic import ValidationError

from core.errors import RetryableError, ServiceError
from core.telemetry import logger


class HandedOnError(RetryableError):
    """No failure: the work goes on with the next delivery of its message, which is to come at once."""

    def __init__(self) -> None:
        super().__init__("handed-on", "the work goes on with the next delivery", retry_after=timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Where one delivery of a message stands among its tries.

    Attributes:
        delivery: Its number, from 1.
        number: Of this try, as far as it is known, from 1.
        is_last: What fails now is given up.
        is_over: All tries ended without a word, so that there is to be none: what it does kills its processor.
        is_doubtful: Deliveries were counted that were none of its tries, or may have been none.
        is_final: The queue itself delivers it no more.
    """

    delivery: int
    number: int
    is_last: bool = False
    is_over: bool = False
    is_doubtful: bool = False
    is_final: bool = False


class Queue(Protocol):
    """What a queue and its consumer allow."""

    @property
    def max_receive_count(self) -> int: ...  # noqa: D102 - deliveries
    @property
    def received_before(self) -> int: ...  # noqa: D102 - deliveries by the queue that a dead letter came from
    @property
    def max_tries(self) -> int: ...  # noqa: D102 - that failed; 0: as many as deliveries


def count_tries(received: int, position: int, *, queue: Queue, tried: Callable[[], int | None]) -> Tries:
    """The try that a delivery is.

    Args:
        received: The queue's count, this delivery included.
        position: In its group in this batch: what is not the first may never have been tried.
        queue: Where it comes from.
        tried: Asked only where the queue's count leaves it open: how often the message was tried before, as far as that
            was noted; None where nothing was.
    """
    delivery = max(received - queue.received_before, 1)
    if received >= queue.max_receive_count:
        return Tries(delivery=delivery, number=delivery, is_last=True, is_doubtful=position > 0, is_final=True)
    if not queue.max_tries or received < queue.max_tries:
        return Tries(delivery=delivery, number=delivery)
    before, is_noted = _count_before(received, position, tried)
    return Tries(
        delivery=delivery,
        number=before + 1,
        is_last=before >= queue.max_tries - 1,
        is_over=is_noted and before >= queue.max_tries,
        is_doubtful=position > 0 or received > queue.max_tries,
    )


def _count_before(received: int, position: int, tried: Callable[[], int | None]) -> tuple[int, bool]:
    """How many tries there were, and whether that was noted."""
    try:
        noted = tried()
    except ValidationError:
        noted = None
    except ServiceError as exc:
        logger.warning("tries could not be counted", extra={"code": exc.code})
        return 0, False  # nothing is given up on a guess
    if noted is not None:
        return min(noted, received - 1), True
    return 0 if position else received - 1, False
