"""Texts that are good for a while, access tokens above all: one cache for a whole process."""

import threading
import time
from collections.abc import Callable, Hashable

_MOST_KEPT = 1_000


class Kept:
    """Keeps each text until its time is up. Safe to share between threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._values: dict[Hashable, tuple[float, str]] = {}

    def __repr__(self) -> str:
        return f"Kept({len(self._values)})"  # what is kept is secret

    def get(self, key: Hashable, make: Callable[[], tuple[str, float]]) -> str:
        """The text kept under `key`, else what `make` gives: a text, and for how many seconds it is good.

        Two threads that miss at once both make it: nobody waits for somebody else's slow call.
        """
        now = self._monotonic()
        with self._lock:
            kept = self._values.get(key)
        if kept and now < kept[0]:
            return kept[1]
        value, seconds = make()
        with self._lock:
            if len(self._values) >= _MOST_KEPT:
                self._values.clear()
            self._values[key] = (now + seconds, value)
        return value

    def forget(self, key: Hashable) -> None:
        """Make it anew the next time, because somebody refused it."""
        with self._lock:
            self._values.pop(key, None)
