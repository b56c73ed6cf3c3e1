"""A range in the hands of this process: its claim, a beat that keeps it, and what says that it is to end."""

from collections.abc import Callable, Sequence
from typing import Literal

from core.errors import RetryableError
from core.imports import Import, ImportProgress, ImportRange
from core.store import ClaimLostError
from core.store.import_ranges import ImportRanges, RangeClaim
from core.telemetry import logger
from importer.ranges import RangeWork, count_needed
from importer.running import LEASE, SPARE_SECONDS, CanceledError, Collaborators, OutOfTimeError

type RangeState = Literal["scanned", "done"]


class UnneededError(Exception):
    """The import fails before this range: nobody will look at it."""


def total(ranges: Sequence[ImportRange], size: int) -> ImportProgress:
    """How far all ranges together are."""
    return ImportProgress(
        bytes_done=sum(each.progress.bytes_done for each in ranges),
        bytes_total=size,
        rows_ok=sum(each.progress.rows_ok for each in ranges),
        rows_rejected=sum(each.progress.rows_rejected for each in ranges),
    )


class RunningRange:
    """A claimed range. Beats as `Running` does."""

    def __init__(
        self,
        claim: RangeClaim,
        range_: ImportRange,
        import_: Import,
        collaborators: Collaborators,
        remaining: Callable[[], float],
    ) -> None:
        self.claim = claim
        self.range = range_
        self.import_ = import_
        self.collaborators = collaborators
        self.max_errors: int | None = None
        self.has_advanced = False
        self._remaining = remaining
        self._is_lost = False
        self._is_canceled = import_.is_cancel_requested
        self._is_unneeded = False

    def check(self) -> None:
        """Return if there is a reason to go on.

        Raises:
            ClaimLostError: Another process works on it, or the import is over.
            CanceledError: The import is to end.
            UnneededError: The import fails before this range.
            OutOfTimeError: The invocation is nearly over.
        """
        if self._is_lost:
            raise ClaimLostError
        if self._is_canceled:
            raise CanceledError
        if self._is_unneeded:
            raise UnneededError
        if self._remaining() < SPARE_SECONDS:
            raise OutOfTimeError

    def report(self, bytes_done: int, rows_ok: int, rows_rejected: int) -> None:
        """Note how far it is. Raises what `check` raises."""
        progress = ImportProgress(bytes_done=bytes_done, rows_ok=rows_ok, rows_rejected=rows_rejected)
        self.range = self.range.model_copy(update={"progress": progress})
        self.check()

    def save(self, work: RangeWork, *, state: RangeState | None = None, is_kept: bool = True) -> None:
        """Store what is done of it, and keep it or give it up."""
        changed = self.range.model_copy(update={"document": work.model_dump_json(by_alias=True)})
        self.range = changed.model_copy(update={"state": state}) if state else changed
        lease_until = self.collaborators.clock() + LEASE if is_kept else None
        self._ranges.save(self.claim, self.range, lease_until=lease_until)
        self.has_advanced = True

    def free(self) -> None:
        """Give it up for the next process."""
        self._ranges.free(self.claim)

    def beat(self) -> None:
        """Say how far it and the import are, keep the claim, and hear whether it is to end."""
        store, now = self.collaborators.store.imports, self.collaborators.clock()
        company_id, import_id = self.claim.company_id, self.claim.import_id
        try:
            store.ranges.renew(self.claim, self.range.progress, lease_until=now + LEASE)
            ranges = store.ranges.list_of(company_id, import_id)
            progress = total(ranges, self.import_.size or 0)
            standing = store.note_progress(company_id, import_id, progress, now=now)
        except ClaimLostError:
            self._is_lost = True
        except RetryableError as exc:
            logger.warning("the progress of an import could not be stored", extra={"code": exc.code})
        else:
            self._is_canceled = standing.is_cancel_requested
            self._is_unneeded = self._is_after(ranges)

    def is_beyond_the_end(self) -> bool:
        """Whether, as all ranges stand now, the import fails before this one."""
        return self._is_after(self._ranges.list_of(self.claim.company_id, self.claim.import_id))

    def _is_after(self, ranges: Sequence[ImportRange]) -> bool:
        works = [RangeWork.model_validate_json(each.document) for each in ranges]
        rejected = [each.progress.rows_rejected for each in ranges]
        return self.claim.number >= count_needed(works, rejected, self.max_errors)

    @property
    def _ranges(self) -> ImportRanges:
        return self.collaborators.store.imports.ranges
