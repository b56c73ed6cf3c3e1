"""The ranges of large files in the table: each taken by one processor at a time, each write under its fencing token.

A range is stored whole whenever a piece of it is: whatever dies or is delivered twice, a piece counts once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.expressions.update import Action

from core.errors import RetryableError
from core.imports import ImportProgress, ImportRange
from core.store import keys
from core.store.claims import ClaimLostError
from core.store.faults import ConditionFailedError
from core.store.import_items import ImportRangeItem
from core.store.table import Table

_WAITING = ("new", "ready")


class ImportBusyError(RetryableError):
    """Another processor works on this import, or on this range of it; `retry_after` is what is left of its lease."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("import-busy", "another processor works on this import", retry_after=retry_after)


@dataclass(frozen=True, slots=True)
class RangeClaim:
    """The right to work on a range until the lease is over or a later processor claims it."""

    company_id: str
    import_id: str
    number: int
    fencing_token: int


class ImportRanges:
    """The ranges of imports. Safe to share between threads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create(self, company_id: str, import_id: str, ranges: Iterable[ImportRange]) -> None:
        """Store new ranges; one that is there stays as it is."""
        for each in ranges:
            pk, sk = keys.import_range_key(company_id, import_id, each.number)
            progress = each.progress.model_dump_json(by_alias=True)
            self._table.put_new(
                ImportRangeItem(
                    pk,
                    sk,
                    number=each.number,
                    state=each.state,
                    document=each.document,
                    progress=progress,
                    fencing_token=0,
                )
            )

    def list_of(self, company_id: str, import_id: str) -> tuple[ImportRange, ...]:
        """The ranges of an import's file, in order, as they stand."""
        places = ImportRangeItem.sk.startswith(keys.IMPORT_RANGES)
        partition = keys.import_partition(company_id, import_id)
        items = self._table.query(ImportRangeItem, partition, places, consistent=True)
        return tuple(_as_range(item) for item in items)

    def claim(
        self, company_id: str, import_id: str, number: int, *, lease: timedelta, now: datetime
    ) -> tuple[RangeClaim, ImportRange]:
        """Take a range to work on it.

        Raises:
            ImportBusyError: Another processor's lease is not over.
            ClaimLostError: There is nothing to do on it.
        """
        is_free = ImportRangeItem.lease_until.does_not_exist() | (ImportRangeItem.lease_until <= now)
        actions = [ImportRangeItem.fencing_token.add(1), ImportRangeItem.lease_until.set(now + lease)]
        key = keys.import_range_key(company_id, import_id, number)
        try:
            item = self._table.change(ImportRangeItem, key, actions, ImportRangeItem.state.is_in(*_WAITING) & is_free)
        except ConditionFailedError as exc:
            standing = exc.find(ImportRangeItem)
            if standing and standing.state in _WAITING and standing.lease_until:
                raise ImportBusyError(standing.lease_until - now) from exc
            raise ClaimLostError from exc
        found = _as_range(item)
        return RangeClaim(company_id, import_id, number, found.fencing_token), found

    def save(self, claim: RangeClaim, changed: ImportRange, *, lease_until: datetime | None) -> None:
        """Store how far a range is, and keep it or (without a lease) give it up.

        Raises:
            ClaimLostError: A later processor works on it.
        """
        self._change(claim, _actions(changed, lease_until))

    def renew(self, claim: RangeClaim, progress: ImportProgress, *, lease_until: datetime) -> None:
        """Keep the lease, and say how far the range's rows are.

        Raises:
            ClaimLostError: A later processor works on it.
        """
        told = progress.model_dump_json(by_alias=True)
        self._change(claim, [ImportRangeItem.progress.set(told), ImportRangeItem.lease_until.set(lease_until)])

    def free(self, claim: RangeClaim) -> None:
        """Give a range up as it stands, for the next processor.

        Raises:
            ClaimLostError: A later processor works on it.
        """
        self._change(claim, [ImportRangeItem.lease_until.remove()])

    def replace(self, company_id: str, import_id: str, changed: ImportRange) -> None:
        """Make a range what whoever holds the import says; a processor that still works on it loses its claim.

        Raises:
            ClaimLostError: It was replaced meanwhile.
        """
        actions = [*_actions(changed, None), ImportRangeItem.fencing_token.add(1)]
        key = keys.import_range_key(company_id, import_id, changed.number)
        try:
            self._table.change(ImportRangeItem, key, actions, ImportRangeItem.fencing_token == changed.fencing_token)
        except ConditionFailedError as exc:
            raise ClaimLostError from exc

    def delete(self, company_id: str, import_id: str) -> None:
        """Remove the ranges of an import that is over."""
        places = ImportRangeItem.sk.startswith(keys.IMPORT_RANGES)
        self._table.write_batch(self._table.query_keys(keys.import_partition(company_id, import_id), places))

    def _change(self, claim: RangeClaim, actions: list[Action]) -> None:
        key = keys.import_range_key(claim.company_id, claim.import_id, claim.number)
        try:
            self._table.change(ImportRangeItem, key, actions, ImportRangeItem.fencing_token == claim.fencing_token)
        except ConditionFailedError as exc:
            raise ClaimLostError from exc


def _actions(changed: ImportRange, lease_until: datetime | None) -> list[Action]:
    lease = ImportRangeItem.lease_until
    return [
        ImportRangeItem.state.set(changed.state),
        ImportRangeItem.document.set(changed.document),
        ImportRangeItem.progress.set(changed.progress.model_dump_json(by_alias=True)),
        lease.remove() if lease_until is None else lease.set(lease_until),
    ]


def _as_range(item: ImportRangeItem) -> ImportRange:
    stored = item.fields()
    return ImportRange.model_validate({**stored, "progress": ImportProgress.model_validate_json(stored["progress"])})
