"""Failures on purpose: errors, broken answers, lost answers and rate limits."""

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class FailureMode(StrEnum):
    """How a call fails."""

    ANSWER = "answer"  # an error in JSON, or whatever `http_status` says
    HTML = "html"  # a page where JSON belongs
    DROP = "drop"  # the connection ends without an answer
    HANG = "hang"  # no answer, until the caller gives up


@dataclass(slots=True)
class Failure:
    """The next `times` calls of a method fail, after `skip` calls that pass.

    With `effect_first` the call does its work and fails afterwards: the caller cannot know whether it happened.
    """

    method: str
    error: str = "internal_error"
    mode: FailureMode = FailureMode.ANSWER
    http_status: int | None = None
    retry_after: int | None = None
    times: int = 1
    skip: int = 0
    effect_first: bool = False

    @property
    def status(self) -> int:
        """The HTTP status of the answer: 429 where Slack says so, else 200 even for an error."""
        if self.http_status is not None:
            return self.http_status
        return 429 if self.error in {"ratelimited", "rate_limited"} else 200


@dataclass(slots=True)
class RateLimit:
    """At most `calls` in `seconds`, for all channels together or for each."""

    calls: int
    seconds: float
    by_channel: bool


class Faults:
    """The failures still to come and the rate limits in force. Guarded by the server's lock."""

    def __init__(self) -> None:
        self._failures: list[Failure] = []
        self._limits: dict[str, RateLimit] = {}
        self._passed: dict[tuple[str, str], deque[float]] = {}
        self.disabled: set[str] = set()

    def add(self, failure: Failure) -> None:
        """Script one more failure; several of one method follow each other."""
        self._failures.append(failure)

    def clear(self) -> None:
        """Forget the failures still to come."""
        self._failures.clear()

    def limit(self, method: str, limit: RateLimit) -> None:
        """Put a rate limit on a method, in the place of an earlier one."""
        self._limits[method] = limit

    def next_failure(self, method: str) -> Failure | None:
        """The failure this call meets."""
        for failure in self._failures:
            if failure.method != method:
                continue
            if failure.skip:
                failure.skip -= 1
                return None
            failure.times -= 1
            if failure.times <= 0:
                self._failures.remove(failure)
            return failure
        return None

    def seconds_to_wait(self, method: str, channel: str, now: float) -> int | None:
        """How long Slack asks the caller to wait; None lets the call pass and counts it."""
        limit = self._limits.get(method)
        if limit is None:
            return None
        passed = self._passed.setdefault((method, channel if limit.by_channel else ""), deque())
        while passed and now - passed[0] >= limit.seconds:
            passed.popleft()
        if len(passed) >= limit.calls:
            return max(1, math.ceil(passed[0] + limit.seconds - now))
        passed.append(now)
        return None
