"""A turn that its invocation has no time for: handed on to the next delivery of its message, which goes on there.

Whoever begins something that takes time asks first. What an invocation's end cuts off is not recorded, and so begun
again: a call of the model, a tool that reads. A tool that writes is not begun unless there is time for all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from agent.tools import TurnInterruptedError
from core.models import Task
from core.store import Claim, Store
from core.telemetry import metrics
from core.tries import HandedOnError

STEP_SECONDS = 30.0  # as long as most calls of a model and most tools take: with less none is begun
CUT_SECONDS = 5.0  # with less left, what ran out of time was cut off by the invocation
MOST_HAND_OVERS = 5  # the queue has a delivery for each
_GAIN_SECONDS = 10.0  # a next delivery with no more time than this beside what is left here is worth nothing


class TurnHandedOnError(TurnInterruptedError):
    """The turn goes on with the next delivery of its message."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a turn has of time beside this invocation.

    Attributes:
        took_seconds: Of its own limit, in earlier deliveries.
        may_hand_on: It may go on with another one.
    """

    took_seconds: float = 0.0
    may_hand_on: bool = False

    @classmethod
    def of(cls, task: Task, *, is_final: bool) -> "Allowance":
        """The allowance of a task in a delivery, which the queue's last one may be."""
        may_hand_on = not is_final and (task.hand_overs or 0) < MOST_HAND_OVERS
        return cls(took_before(task) / 1000, may_hand_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTime:
    """How long a run may still take, counted from now on.

    Attributes:
        here: Seconds that the invocation has for it.
        limit: Seconds that its own limit leaves.
    """

    here: float
    limit: float
    began: float
    monotonic: Callable[[], float]
    may_hand_on: bool

    @property
    def took(self) -> float:
        """Seconds until now."""
        return self.monotonic() - self.began

    def remaining(self) -> float:
        """Seconds that are left, by whichever ends first."""
        return min(self.here, self.limit) - self.took

    def check(self, needed: float) -> None:
        """Return if something that takes `needed` seconds may begin: there is time for it, or no more to be had.

        Raises:
            TurnHandedOnError: It is to begin with the next delivery.
        """
        if self.may_hand_on and self.here - self.took < needed and self.limit - self.here > _GAIN_SECONDS:
            raise TurnHandedOnError("the invocation has no time for this")


def hand_on(store: Store, claim: Claim, task: Task, *, took_seconds: float, now: datetime) -> HandedOnError:
    """Note that a turn goes on with the next delivery, and what it took until now; the conversation is given up.

    Returns:
        What ends this delivery.

    Raises:
        ClaimLostError: A later delivery took the conversation over.
    """
    took = {"hand_overs": (task.hand_overs or 0) + 1, "duration_ms": took_before(task) + round(took_seconds * 1000)}
    store.hand_overs.note(claim, task.model_copy(update=took), now=now)
    metrics.count("TurnsHandedOn")
    return HandedOnError()


def took_before(task: Task) -> int:
    """Milliseconds that a task took before it was handed on to this delivery."""
    return (task.duration_ms or 0) if task.hand_overs else 0
