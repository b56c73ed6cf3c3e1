"""Stopping a turn: the flag that somebody sets on the conversation, looked at while the answer arrives."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.tools import TurnInterruptedError
from core.store import Claim, Store

_SECONDS_BETWEEN = 1.5  # while text arrives a stop counts within two seconds; a short answer never pays for a look


class TurnStoppedError(TurnInterruptedError):
    """Somebody asked this turn to stop."""


@dataclass
class StopCheck:
    """Looks whether to stop, as often as it is worth a read."""

    store: Store
    claim: Claim
    monotonic: Callable[[], float]
    _looked_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._looked_at = self.monotonic()

    def __call__(self) -> None:
        """Return if the turn may go on.

        Raises:
            TurnStoppedError: It may not.
            ClaimLostError: A later delivery took the conversation over.
        """
        now = self.monotonic()
        if now - self._looked_at < _SECONDS_BETWEEN:
            return
        self._looked_at = now
        if self.store.interruptions.is_cancel_requested(self.claim):
            raise TurnStoppedError
