"""What a running import has at hand: who it works with, its claim, and a pulse that keeps the claim."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from core.errors import RetryableError
from core.events import ImportQueued, SignalReceived
from core.imports import Import, ImportPart, ImportProgress, ImportStatus
from core.models import Usage
from core.outside import OutsideHttp
from core.store import ClaimLostError, Store
from core.store.imports import ImportClaim
from core.telemetry import logger
from importer.asked import AskedModel, Completer
from importer.engine import PART_BYTES
from importer.objects import Bucket
from importer.problems import Limits

# Shorter than the time after which the queue delivers the message of a dead processor again: its successor never waits.
LEASE = timedelta(seconds=60)
SPARE_SECONDS = 60.0  # before the end of an invocation, at which an import is queued again
_MAX_PARTS = 9_000  # of the 10,000 that S3 takes for one object
_LARGER = 4  # times as long as the input an output is at most, for the size of parts


class Enqueue(Protocol):
    """Puts a message on ImportsQueue."""

    def __call__(self, contract: ImportQueued, *, delay: timedelta) -> None:
        """To be seen after `delay`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collaborators:
    """Who the imports of a process work with.

    Attributes:
        completer_of: Who answers for a company.
        go_on: Queues an import again.
        tell: Has the conversation told that an import came from.
        may_ask: Raises where the limits of a company, or of a person in it, leave no room for the model.
        ranged_from: Bytes from which on a file's ranges are worked on side by side.
        range_bytes: How large a range is.
        pulse_seconds: How often a running import says how far it is.
    """

    store: Store
    bucket: Bucket
    completer_of: Callable[[str], Completer]
    http: OutsideHttp
    read_secret: Callable[[str], str]
    go_on: Enqueue
    tell: Callable[[SignalReceived], None]
    may_ask: Callable[[str, str], None]
    clock: Callable[[], datetime]
    limits: Limits = field(default_factory=Limits)
    part_bytes: int = PART_BYTES
    ranged_from: int = 4 * 1024**3
    range_bytes: int = 256 * 1024**2
    pulse_seconds: float = 3.0

    def part_bytes_of(self, import_: Import) -> int:
        """How large a part of an import's output is."""
        return max(self.part_bytes, (import_.size or 0) * _LARGER // _MAX_PARTS)


class CanceledError(Exception):
    """Somebody asked the import to end."""


class OutOfTimeError(Exception):
    """The invocation is nearly over: the import goes on in another one."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an invocation leaves an import.

    Attributes:
        changes: Fields of `Import` by their names.
        ranges: Those that are to be worked on; the import waits for them, PROCESSING, in nobody's hands.
    """

    status: ImportStatus
    changes: Mapping[str, object] = field(default_factory=dict)
    ranges: tuple[int, ...] = ()


class Running:
    """An import in the hands of this process."""

    def __init__(
        self, claim: ImportClaim, import_: Import, collaborators: Collaborators, remaining: Callable[[], float]
    ) -> None:
        self.claim = claim
        self.import_ = import_
        self.collaborators = collaborators
        self.remaining = remaining
        self.progress = import_.progress
        self.has_advanced = False
        self.model = AskedModel(
            completer=collaborators.completer_of(import_.user_company_id),
            may_ask=lambda: collaborators.may_ask(import_.user_company_id, import_.user_id),
            max_cost=import_.options.max_cost,
            spent=import_.cost or Decimal(0),
        )
        self._counted = Usage()
        self._counted_cost: Decimal | None = Decimal(0)
        self._is_lost = False
        self._is_canceled = import_.is_cancel_requested

    @property
    def listener(self) -> AskedModel | None:
        """Who writes recordings down; None where the company's settings name nobody."""
        return self.model if self.model.completer.is_listening else None

    @property
    def part_bytes(self) -> int:
        """How large a part of the output is: the same for every process that works on this file."""
        return self.collaborators.part_bytes_of(self.import_)

    def check(self) -> None:
        """Return if there is a reason to go on.

        Raises:
            ClaimLostError: Another process works on it.
            CanceledError: It is to end.
            OutOfTimeError: The invocation is nearly over.
        """
        if self._is_lost:
            raise ClaimLostError
        if self._is_canceled:
            raise CanceledError
        if self.remaining() < SPARE_SECONDS:
            raise OutOfTimeError

    def save(self, **changes: object) -> Import:
        """Store what is known now, and what the model took since the last time. Raises what `check` raises."""
        given = {**self.take_costs(), **changes}
        now = self.collaborators.clock()
        self.import_ = self.collaborators.store.imports.save(self.claim, given, now=now)
        self._is_canceled = self.import_.is_cancel_requested
        self.check()
        return self.import_

    def save_part(self, part: ImportPart) -> None:
        """Store a part and how far the import is after it."""
        now = self.collaborators.clock()
        self.collaborators.store.imports.save_part(self.claim, part, self.progress, lease=LEASE, now=now)
        self.import_ = self.import_.model_copy(update={"parts": part.number})
        self.has_advanced = True

    def release(self, ending: Ending) -> Import:
        """Give the import up as `ending` says."""
        changes = {**self.take_costs(), "progress": self.progress, **ending.changes}
        imports = self.collaborators.store.imports
        self.import_ = imports.release(self.claim, ending.status, changes, now=self.collaborators.clock())
        return self.import_

    def beat(self) -> None:
        """Say how far it is, keep the claim, and hear whether it is to end."""
        try:
            standing = self.collaborators.store.imports.renew(
                self.claim, self.progress, lease=LEASE, now=self.collaborators.clock()
            )
        except ClaimLostError:
            self._is_lost = True
        except RetryableError as exc:
            logger.warning("the progress of an import could not be stored", extra={"code": exc.code})
        else:
            self._is_canceled = standing.is_cancel_requested

    def report(self, bytes_done: int, rows_ok: int, rows_rejected: int) -> None:
        """Note how far it is. Raises what `check` raises."""
        self.progress = ImportProgress(
            bytes_done=bytes_done,
            bytes_total=self.import_.size or 0,
            rows_ok=rows_ok,
            rows_rejected=rows_rejected,
        )
        self.check()

    def take_costs(self) -> dict[str, object]:
        """The import's totals with what the model took since they were stored."""
        usage, cost = self.model.usage, self.model.cost
        if (usage, cost) == (self._counted, self._counted_cost):
            return {}
        before = self._counted
        self._counted, counted_cost, self._counted_cost = usage, self._counted_cost, cost
        standing = self.import_
        is_known = standing.cost is not None or standing.price_version is None  # nothing was counted yet
        return {
            "total_input_tokens": (standing.total_input_tokens or 0) + usage.input_tokens - before.input_tokens,
            "total_output_tokens": (standing.total_output_tokens or 0) + usage.output_tokens - before.output_tokens,
            "total_tokens": (standing.total_tokens or 0) + usage.total_tokens - before.total_tokens,
            "cost": (standing.cost or 0) + cost - counted_cost
            if is_known and cost is not None and counted_cost is not None
            else None,
            "price_version": self.model.completer.price_version,
        }


class Beating(Protocol):
    """What a pulse keeps alive: an import, or a range of one."""

    @property
    def collaborators(self) -> Collaborators: ...  # noqa: D102 - who say how often

    def beat(self) -> None:
        """Say how far it is and keep the claim."""


class Pulse:
    """Lets a running import beat every few seconds, in a thread of its own, until the block is left."""

    def __init__(self, running: Beating) -> None:
        self._running = running
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._running.collaborators.pulse_seconds):
            self._running.beat()
