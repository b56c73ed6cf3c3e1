"""An import in ranges is never left to nobody: what a processor gives up is queued, or somebody finds it."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import RetryableError
from core.imports import ImportProgress, ImportStatus
from core.store import ClaimLostError
from importer.objects import Bucket, ObjectSource
from importer.range_running import RunningRange
from tests.integration.imports.stack import COMPANY, CONTACTS, Imports

_PEOPLE = "Name,E-Mail,Age\n" + "".join(f"P{n},p{n}@example.com,{n % 90}\n" for n in range(1_000))
_PATIENCE = 5.0  # seconds that a test waits for another thread before it fails


def _scan(imports: Imports, template: dict[str, Any], content: str = _PEOPLE) -> tuple[str, list[dict[str, Any]]]:
    """An import whose ranges are to be converted, and the messages that say so."""
    imports.add_template(template)
    imports.work_with(ranged_from=1, range_bytes=8_000, part_bytes=2_000, pulse_seconds=3600.0)
    import_id = imports.put(content, metadata={"template": "contacts"})
    assert imports.tell(import_id)
    assert imports.deliver(imports.queued()) == []
    wakes = imports.queued()
    assert imports.deliver(wakes[:1]) == []
    return import_id, sorted(imports.queued(), key=lambda each: int(each["rangeNumber"]))


def _finish(imports: Imports, import_id: str, waiting: list[dict[str, Any]]) -> ImportStatus:
    while not imports.get(import_id).is_over:
        assert waiting, "an import that is not over is on the queue"
        assert imports.deliver(waiting) == []
        waiting = imports.queued()
    return imports.get(import_id).processing_status


def _when_a_piece_is_put(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen in the middle of a range, once."""
    put, is_first = Bucket.put, True
    monkeypatch.setattr("importer.readers.csv.CHUNK_ROWS", 50)

    def putting(self: Bucket, key: str, body: bytes, *, media_type: str) -> None:
        nonlocal is_first
        put(self, key, body, media_type=media_type)
        if is_first and key.startswith("ranges/"):
            is_first = False
            happens()

    monkeypatch.setattr(Bucket, "put", putting)


def test_an_import_that_rests_for_a_moment_loses_none_of_the_ranges_that_are_worked_on(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id, ready = _scan(imports, dict(CONTACTS))
    imports.work_with(ranged_from=1, range_bytes=8_000, part_bytes=2_000, pulse_seconds=0.01)
    woken: dict[str, Any] = {"companyId": COMPANY, "importId": import_id}
    beaten, beat = threading.Event(), RunningRange.beat

    def beating(running: RunningRange) -> None:
        beat(running)
        if imports.get(import_id).processing_status is ImportStatus.PENDING:
            beaten.set()

    def unavailable(_self: Bucket, _key: str, _name: str) -> ObjectSource:
        raise RetryableError("s3-unavailable", "S3 answered SlowDown")

    def rest() -> None:
        """It is woken once more than it had to be, and S3 does not answer then."""
        with monkeypatch.context() as s3:
            s3.setattr(Bucket, "source", unavailable)
            assert imports.deliver([woken]) == ["m0"]
        assert imports.deliver(ready[1:2]) == []  # comes in the meantime
        monkeypatch.setattr(RunningRange, "beat", beating)
        assert beaten.wait(_PATIENCE)

    monkeypatch.setattr(RunningRange, "beat", lambda _: None)
    _when_a_piece_is_put(monkeypatch, rest)
    assert imports.deliver(ready[:1]) == []
    assert imports.deliver([woken], attempt=2) == []

    assert _finish(imports, import_id, [*imports.queued(), *ready[2:]]) is ImportStatus.COMPLETED


def test_a_range_that_is_needed_after_all_is_queued_by_who_gave_it_up(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id, ready = _scan(imports, {**CONTACTS, "max_errors": 10})
    imports.work_with(ranged_from=1, range_bytes=8_000, part_bytes=2_000, pulse_seconds=0.01)
    ranges, beaten, beat = imports.store.imports.ranges, threading.Event(), RunningRange.beat
    now, lease = datetime.now(UTC), timedelta(seconds=60)
    claim, first = ranges.claim(COMPANY, import_id, 0, lease=lease, now=now)
    ranges.renew(claim, ImportProgress(rows_rejected=11), lease_until=now + lease)

    def beating(running: RunningRange) -> None:
        """What ends the import is seen, and right after that it is made to begin elsewhere."""
        if not beaten.is_set():
            beat(running)
            ranges.replace(COMPANY, import_id, first)
            beaten.set()

    monkeypatch.setattr(RunningRange, "beat", beating)
    _when_a_piece_is_put(monkeypatch, lambda: beaten.wait(_PATIENCE))
    assert imports.deliver(ready[1:2]) == []
    assert ranges.list_of(COMPANY, import_id)[1].state == "ready"
    with pytest.raises(ClaimLostError):
        ranges.save(claim, first, lease_until=None)  # who worked on what was replaced

    assert _finish(imports, import_id, [*imports.queued(), ready[0], *ready[2:]]) is ImportStatus.COMPLETED


def test_an_import_ends_at_too_many_errors_without_the_ranges_after_them(imports: Imports) -> None:
    bad = "".join(f"{line}\n" if n % 5 else "Eve,,1\n" for n, line in enumerate(_PEOPLE.splitlines(), start=4))
    import_id, ready = _scan(imports, {**CONTACTS, "max_errors": 10}, bad)
    assert imports.deliver(ready[:1]) == []

    assert _finish(imports, import_id, imports.queued()) is ImportStatus.FAILED

    assert imports.get(import_id).error_code == "too-many-errors"
