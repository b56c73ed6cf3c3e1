"""Processors die while they work on the ranges of a file: the output is the same, and nothing is handed over twice."""

import random
from collections import deque
from datetime import timedelta
from typing import Any

import boto3
import pytest

from core.events import ImportQueued
from core.imports import CommercialApi, Import, ImportStatus
from local.fake_commercial import TOKEN, FakeCommercialApi
from tests.integration.imports.stack import COMPANY, CONTACTS, Imports, s3_event
from tests.integration.turns.border import Border, watch_border
from tests.integration.turns.stack import Killed

_ROWS = 360
_POINTS = 20


def _content() -> str:
    """Quoted line ends, rejects, and quotes that make parity lie about one border."""
    rows = [
        f'P{n},{"" if n % 19 == 0 else f"p{n}@example.com"},{n % 80},"two\nlines of {n}"'
        if n % 3
        else f"P{n},p{n}@example.com,{n % 80},{'5' + chr(34) if n == 60 else 'plain'}"
        for n in range(_ROWS)
    ]
    return "\n".join(["Name,E-Mail,Age,Note", *rows]) + "\n"


def _run(imports: Imports, import_id: str, border: Border, deaths: list[tuple[int, bool]]) -> Import:
    """Deliver until nothing is queued; whose delivery dies is delivered again. Crossings are counted over all."""
    waiting: deque[dict[str, Any]] = deque([s3_event(imports.bucket_name, imports.key_of(import_id))])
    left = list(deaths)
    border.crossings = 0
    while waiting:
        border.die_at, border.is_after = left[0] if left else (0, False)
        try:
            if imports.deliver([waiting[0]]) == []:
                waiting.popleft()
        except Killed:
            left = left[1:]
            border.crossings = 0
        border.die_at = 0
        before = border.crossings
        waiting += imports.queued()
        border.crossings = before
    return imports.get(import_id)


def test_a_processor_that_dies_before_it_wakes_the_import_is_made_good_by_its_redelivery(imports: Imports) -> None:
    imports.add_template(CONTACTS)
    collaborators = imports.work_with(ranged_from=1, range_bytes=4_000, part_bytes=2_000, pulse_seconds=3600.0)
    died: list[ImportQueued] = []

    def dying(contract: ImportQueued, *, delay: timedelta) -> None:
        if contract.range_number is None and len(died) < 3:
            died.append(contract)
            raise Killed
        collaborators.go_on(contract, delay=delay)

    imports.work_with(ranged_from=1, range_bytes=4_000, part_bytes=2_000, pulse_seconds=3600.0, go_on=dying)
    import_id = imports.put(_content(), metadata={"template": "contacts"})

    done = _run(imports, import_id, Border(), [])

    assert done.processing_status is ImportStatus.COMPLETED_WITH_ERRORS
    assert len(died) == 3


def test_killed_anywhere_ranges_give_the_same_bytes_and_hand_over_once(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports.add_template(CONTACTS)
    boto3.client("secretsmanager").create_secret(Name="parley/test/tools/commercial", SecretString=TOKEN)
    for name in ("run", "running", "range_run", "range_running"):  # leases are over at once, as if time had passed
        monkeypatch.setattr(f"importer.{name}.LEASE", timedelta(seconds=-1))
    imports.work_with(ranged_from=1 << 60, pulse_seconds=3600.0)
    options = {"template": "contacts", "force": "true"}
    whole = imports.run(_content(), metadata=options)
    output, rejects = imports.read(whole.output_file_url), imports.read(whole.rejects_file_url)
    imports.work_with(ranged_from=1, range_bytes=4_000, part_bytes=2_000, pulse_seconds=3600.0)
    border, chosen, crossings = watch_border(monkeypatch), random.Random(5), 0
    for point in range(_POINTS + 1):
        deaths = [(chosen.randint(1, crossings), chosen.random() < 0.5) for _ in range(3)] if point else []
        with FakeCommercialApi() as api:
            imports.store.templates.set_commercial_api(
                COMPANY, CommercialApi(url=api.url, batch_size=100, secret_name="parley/test/tools/commercial")
            )
            import_id = imports.put(_content(), metadata=options)

            done = _run(imports, import_id, border, deaths)

            crossings = crossings or border.crossings
            assert done.processing_status is ImportStatus.COMPLETED_WITH_ERRORS, (deaths, done.error_code)
            assert done.ranges
            assert imports.read(done.output_file_url) == output, deaths
            assert imports.read(done.rejects_file_url) == rejects, deaths
            assert (done.rows_written, done.rows_rejected) == (whole.rows_written, whole.rows_rejected), deaths
            assert len(api.records) == done.rows_written, deaths
            assert len({record["name"] for record in api.records}) == done.rows_written, deaths
            assert done.submission == "done"
    assert crossings > 100
