"""Imports in the table: begun, taken by one processor at a time, checkpointed part by part, ended.

Every write of a running import is a condition on its fencing token, and a part is stored together with how far the
import is after it: whatever dies or is delivered twice, a part counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from core.errors import PermanentError
from core.imports import Import, ImportPart, ImportProgress, ImportStatus
from core.store import keys
from core.store.claims import ClaimLostError
from core.store.conversation_imports import ConversationImports
from core.store.counters import count_import
from core.store.faults import ConditionFailedError
from core.store.import_contents import ImportContents, touch
from core.store.import_files import ImportFiles
from core.store.import_items import ImportGuardItem, ImportItem, ImportPartItem
from core.store.import_ranges import ImportBusyError, ImportRanges
from core.store.messages import Messages
from core.store.overflow import Overflow
from core.store.table import Change, Delete, Put, Table

_WAITING = (ImportStatus.PENDING.value, ImportStatus.PROCESSING.value)


@dataclass(frozen=True, slots=True)
class ImportClaim:
    """The right to work on an import until the lease is over or a later processor claims it."""

    company_id: str
    import_id: str
    fencing_token: int


class Imports:
    """The imports of every company. Safe to share between threads.

    Attributes:
        ranges: The ranges of large files.
        files: Their files, as a conversation meets them.
        begun: Those that conversations began.
    """

    def __init__(self, table: Table, overflow: Overflow, messages: Messages) -> None:
        self._table = table
        self._overflow = overflow
        self.ranges = ImportRanges(table)
        self.files = ImportFiles(overflow)
        self._contents = ImportContents(overflow)
        self.begun = ConversationImports(table, self._contents, messages, forget=self.forget)

    # Imports

    def create(self, import_: Import) -> bool:
        """Store a new import; False where its id is taken already, which stays as it is."""
        return self._table.put_new(self._contents.pack_new(import_))

    def get(self, company_id: str, import_id: str) -> Import | None:
        """An import as it stands."""
        item = self._table.get(ImportItem, keys.import_key(company_id, import_id), consistent=True)
        return self._contents.unpack(item) if item else None

    def list_of(self, company_id: str, limit: int = 50) -> tuple[Import, ...]:
        """A company's imports, the last one changed first."""
        found = self._table.query_index("GSI1", keys.imports_partition(company_id), limit=limit, newest_first=True)
        return tuple(self._contents.unpack(item) for item in self._table.get_many(ImportItem, found))

    def claim(self, company_id: str, import_id: str, *, lease: timedelta, now: datetime) -> tuple[ImportClaim, Import]:
        """Take an import to work on it.

        Raises:
            ImportBusyError: Another processor's lease is not over.
            ClaimLostError: It is over, or waits for a person.
        """
        is_free = ImportItem.lease_until.does_not_exist() | (ImportItem.lease_until <= now)
        actions = [
            ImportItem.processing_status.set(ImportStatus.PROCESSING.value),
            ImportItem.fencing_token.add(1),
            ImportItem.lease_until.set(now + lease),
            *touch(now),
        ]
        try:
            item = self._table.change(
                ImportItem,
                keys.import_key(company_id, import_id),
                actions,
                ImportItem.processing_status.is_in(*_WAITING) & is_free,
            )
        except ConditionFailedError as exc:
            standing = exc.find(ImportItem)
            if standing and standing.processing_status in _WAITING and standing.lease_until:
                raise ImportBusyError(standing.lease_until - now) from exc
            raise ClaimLostError from exc
        claim = ImportClaim(company_id, import_id, int(item.fencing_token))
        return claim, self._contents.unpack(item)

    def save(self, claim: ImportClaim, changes: Mapping[str, object], *, now: datetime) -> Import:
        """Store what is known now: fields of `Import` by their names; None removes one. The lease stays.

        Raises:
            ClaimLostError: A later processor works on it, or it is over.
        """
        actions = [*self._contents.changes(claim.company_id, claim.import_id, changes), *touch(now)]
        try:
            item = self._table.change(
                ImportItem, keys.import_key(claim.company_id, claim.import_id), actions, _is_held(claim)
            )
        except ConditionFailedError as exc:
            raise ClaimLostError from exc
        return self._contents.unpack(item)

    def renew(self, claim: ImportClaim, progress: ImportProgress, *, lease: timedelta, now: datetime) -> Import:
        """Say how far it is and keep the lease; what comes back says whether it is to be canceled.

        Raises:
            ClaimLostError: A later processor works on it, or it is over.
        """
        return self.save(claim, {"progress": progress, "lease_until": now + lease}, now=now)

    def save_part(
        self, claim: ImportClaim, part: ImportPart, progress: ImportProgress, *, lease: timedelta, now: datetime
    ) -> None:
        """Store a part and how far the import is after it; the same part again changes nothing.

        Raises:
            ClaimLostError: A later processor works on it, or the part before is not stored.
        """
        item = ImportPartItem.from_value(part, keys.import_part_key(claim.company_id, claim.import_id, part.number))
        changes: dict[str, object] = {"parts": part.number, "progress": progress, "lease_until": now + lease}
        actions = [*self._contents.changes(claim.company_id, claim.import_id, changes), *touch(now)]
        follows = (ImportItem.parts == part.number - 1) | (ImportItem.parts == part.number)
        if part.number == 1:
            follows |= ImportItem.parts.does_not_exist()
        key = keys.import_key(claim.company_id, claim.import_id)
        try:
            self._table.transact([Put(item), Change(key, actions, _is_held(claim) & follows)])
        except ConditionFailedError as exc:
            raise ClaimLostError from exc

    def note_progress(self, company_id: str, import_id: str, progress: ImportProgress, *, now: datetime) -> Import:
        """Say how far the ranges of an import are; nobody has to hold it.

        Raises:
            ClaimLostError: It is over.
        """
        actions = [*self._contents.changes(company_id, import_id, {"progress": progress}), *touch(now)]
        goes_on = ImportItem.processing_status.is_in(*_WAITING)
        try:
            item = self._table.change(ImportItem, keys.import_key(company_id, import_id), actions, goes_on)
        except ConditionFailedError as exc:
            raise ClaimLostError from exc
        return self._contents.unpack(item)

    def list_parts(self, company_id: str, import_id: str) -> tuple[ImportPart, ...]:
        """The stored parts, in order."""
        partition = keys.import_partition(company_id, import_id)
        items = self._table.query(
            ImportPartItem, partition, ImportPartItem.sk.startswith(keys.IMPORT_PARTS), consistent=True
        )
        return tuple(ImportPart.model_validate(item.fields()) for item in items)

    def release(
        self, claim: ImportClaim, status: ImportStatus, changes: Mapping[str, object], *, now: datetime
    ) -> Import:
        """Give an import up: to go on later (PENDING), to wait for a person (AWAITING_REVIEW), or because it is over.

        The tokens of an import that is over are counted in the same write.

        Raises:
            ClaimLostError: A later processor works on it, or it is over.
        """
        given = {**changes, "processing_status": status, "lease_until": None}
        actions = [*self._contents.changes(claim.company_id, claim.import_id, given), *touch(now)]
        key = keys.import_key(claim.company_id, claim.import_id)
        writes: list[Put | Change | Delete] = [Change(key, actions, _is_held(claim))]
        standing = self.get(claim.company_id, claim.import_id)
        if standing is None:
            raise ClaimLostError
        released = standing.model_copy(update={**given, "updated_at": now})
        if released.is_over and (released.total_tokens or released.cost):
            writes += count_import(released, now)
        try:
            self._table.transact(writes)
        except ConditionFailedError as exc:
            raise ClaimLostError from exc
        return released

    def request_cancel(self, company_id: str, import_id: str, *, now: datetime) -> Import:
        """Ask a running import to end; one that waits ends at once.

        Raises:
            PermanentError: `not-found`, there is no such import; `over`, it has ended.
        """
        standing = self.get(company_id, import_id)
        if standing is None:
            raise PermanentError("not-found", "the company has no such import")
        if standing.is_over:
            raise PermanentError("over", f"the import is {standing.processing_status.value} already")
        is_idle = standing.processing_status is not ImportStatus.PROCESSING
        actions: list[Action] = [ImportItem.is_cancel_requested.set(True), *touch(now)]
        if is_idle:
            actions.append(ImportItem.processing_status.set(ImportStatus.CANCELED.value))
        same = ImportItem.processing_status == standing.processing_status.value
        return self._change_as_person(company_id, import_id, actions, same)

    def approve(self, company_id: str, import_id: str, *, now: datetime, mapping: str | None = None) -> Import:
        """Let an import that waits for a person go on, with another mapping where one is given.

        Raises:
            PermanentError: `not-found`, there is no such import; `not-waiting`, it does not wait for anybody.
        """
        changes: dict[str, object] = {"is_approved": True, "questions": None}
        if mapping is not None:
            changes["mapping"] = mapping
        actions = [
            *self._contents.changes(company_id, import_id, changes),
            ImportItem.processing_status.set(ImportStatus.PENDING.value),
            *touch(now),
        ]
        waits = ImportItem.processing_status == ImportStatus.AWAITING_REVIEW.value
        return self._change_as_person(company_id, import_id, actions, waits)

    def forget_person(self, company_id: str, user_id: str) -> int:
        """Remove a person's imports with their files, outputs and rejects; one that runs loses its claim.

        Returns:
            How many imports there were.
        """
        found = self._table.query_index("GSI1", keys.imports_partition(company_id), newest_first=True)
        items = [item for item in self._table.get_many(ImportItem, found) if item.user_id == user_id]
        self._overflow.delete_below(f"imports/{company_id}/{user_id}/")
        for item in items:
            self.forget(company_id, user_id, item.id)
        return len(items)

    def forget(self, company_id: str, user_id: str, import_id: str) -> None:
        """Remove an import with its file, output and rejects; one that runs loses its claim."""
        self._overflow.delete_below(f"imports/{company_id}/{user_id}/{import_id}/")
        for folder in ("outputs", "rejects", "ranges"):
            self._overflow.delete_below(f"{folder}/{company_id}/{import_id}/")
        self._contents.forget_texts(company_id, import_id)
        self._table.write_batch(self._table.query_keys(keys.import_partition(company_id, import_id)))

    def _change_as_person(
        self, company_id: str, import_id: str, actions: Sequence[Action], condition: Condition
    ) -> Import:
        try:
            item = self._table.change(ImportItem, keys.import_key(company_id, import_id), actions, condition)
        except ConditionFailedError as exc:
            if exc.find(ImportItem) is None and self.get(company_id, import_id) is None:
                raise PermanentError("not-found", "the company has no such import") from exc
            raise PermanentError("not-waiting", "the import is not waiting any more: look at it again") from exc
        return self._contents.unpack(item)

    # The same file again

    def take_guard(self, import_: Import, sha256: str) -> str:
        """Note that this import makes this output of this file; the id of the import that does, or did so first."""
        item = ImportGuardItem(*_guard_key(import_, sha256), import_id=import_.id)
        if self._table.put_new(item):
            return import_.id
        standing = self._table.get(ImportGuardItem, (item.pk, item.sk), consistent=True)
        return standing.import_id if standing else import_.id

    def move_guard(self, import_: Import, sha256: str) -> None:
        """Make this import the one that made this output of this file, whichever did before."""
        self._table.put(ImportGuardItem(*_guard_key(import_, sha256), import_id=import_.id))

    def free_guard(self, import_: Import, sha256: str) -> None:
        """Let the same file be imported again: this import came to nothing."""
        self._table.delete(Delete(_guard_key(import_, sha256), ImportGuardItem.import_id == import_.id))


def _guard_key(import_: Import, sha256: str) -> keys.Key:
    version = import_.template_version or 0
    return keys.import_guard_key(
        import_.user_company_id, sha256, import_.template or "", version, import_.output_format
    )


def _is_held(claim: ImportClaim) -> Condition:
    held: Condition = (ImportItem.fencing_token == claim.fencing_token) & (
        ImportItem.processing_status == ImportStatus.PROCESSING.value
    )
    return held
