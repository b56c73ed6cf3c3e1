"""The processor dies anywhere and is delivered again: the output is the same to the byte, and nothing is done twice."""

import hashlib
import random
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from core.imports import CommercialApi, Import, ImportStatus
from core.store import Store
from core.store.import_ranges import ImportBusyError
from importer.running import Collaborators
from local.fake_commercial import TOKEN, FakeCommercialApi, Trouble
from tests.integration.imports.stack import COMPANY, Imports
from tests.integration.turns.border import Border, watch_border
from tests.integration.turns.stack import Killed

_PART = 5 * 1024 * 1024  # S3's least
_ROWS = 9_000
_TEXT = "x" * 1_500


@pytest.fixture(scope="module")
def large() -> str:
    """Three parts of output, and a reject every hundred rows."""
    lines = [
        f"{number};{'' if number % 100 == 0 else f'p{number}@example.com'};{_TEXT}{number}" for number in range(_ROWS)
    ]
    return "\n".join(["Name;E-Mail;Age", *lines]) + "\n"


_NOTES = {
    "record": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "email": {"type": "string"}, "age": {"type": "string"}},
        "required": ["name", "email"],
    }
}


def _steady(imports: Imports) -> Collaborators:
    """Parts as small as may be, and no pulse."""
    return imports.work_with(part_bytes=_PART, pulse_seconds=3600.0)


def _without_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that are over at once, as if their time had passed."""
    monkeypatch.setattr("importer.run.LEASE", timedelta(seconds=-1))
    monkeypatch.setattr("importer.running.LEASE", timedelta(seconds=-1))


def _api(api: FakeCommercialApi) -> CommercialApi:
    return CommercialApi(url=api.url, batch_size=4, secret_name="parley/test/tools/commercial")


def _digest(imports: Imports, done: Import) -> tuple[str, str]:
    return (
        hashlib.sha256(imports.read(done.output_file_url)).hexdigest(),
        hashlib.sha256(imports.read(done.rejects_file_url)).hexdigest(),
    )


def _run_through(imports: Imports, import_id: str, border: Border, deaths: list[tuple[int, bool]]) -> Import:
    """Deliver the file until it is done; the process dies as often as there are `deaths`."""
    for die_at, is_after in deaths:
        border.crossings, border.die_at, border.is_after = 0, die_at, is_after
        try:
            imports.tell(import_id)
        except Killed:
            continue
    border.die_at = 0
    for _ in range(20):
        assert imports.tell(import_id)
        for message in imports.queued():
            imports.deliver([message])
        if imports.get(import_id).is_over:
            break
    return imports.get(import_id)


def test_killed_anywhere_it_gives_the_same_bytes(imports: Imports, large: str, monkeypatch: pytest.MonkeyPatch) -> None:
    imports.add_template(_NOTES)
    _steady(imports)
    options = {"template": "contacts", "force": "true"}
    whole = imports.run(large, metadata=options)
    assert whole.parts == 3
    assert (whole.rows_written, whole.rows_rejected) == (_ROWS - 90, 90)
    _without_lease(monkeypatch)
    border = watch_border(monkeypatch)
    counted = imports.put(large, metadata=options)
    border.crossings = 0
    assert imports.tell(counted)
    crossings = border.crossings
    chosen = random.Random(7)

    for _ in range(12):
        deaths = [(chosen.randint(1, crossings), chosen.random() < 0.5) for _ in range(3)]
        import_id = imports.put(large, metadata=options)
        done = _run_through(imports, import_id, border, deaths)

        assert done.processing_status is ImportStatus.COMPLETED_WITH_ERRORS, deaths
        assert _digest(imports, done) == _digest(imports, whole), deaths
        assert (done.rows_written, done.rows_rejected) == (_ROWS - 90, 90), deaths


def test_killed_anywhere_nothing_is_handed_over_twice(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    imports.add_template(_NOTES)
    _steady(imports)
    _without_lease(monkeypatch)
    boto3.client("secretsmanager").create_secret(Name="parley/test/tools/commercial", SecretString=TOKEN)
    border = watch_border(monkeypatch)
    file = "Name;E-Mail\n" + "".join(f"n{number};e{number}\n" for number in range(10))
    looked = 0
    for die_at in range(1, 60, 2):
        with FakeCommercialApi() as api:
            imports.store.templates.set_commercial_api(COMPANY, _api(api))
            import_id = imports.put(file, metadata={"template": "contacts", "force": "true", "output-format": "csv"})

            done = _run_through(imports, import_id, border, [(die_at, die_at % 4 == 1)])

            assert done.processing_status is ImportStatus.COMPLETED, (die_at, done.error_code, done.error_message)
            assert [record["name"] for record in api.records] == [f"n{number}" for number in range(10)], die_at
            assert (done.submission, done.commercial_import_id) == ("done", "COM-0001"), die_at
            looked += sum(method == "GET" for method, _ in api.calls)
    assert looked  # after some of the deaths it was asked what had arrived


def test_another_batch_size_in_the_middle_of_a_hand_over_loses_and_doubles_nothing(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports.add_template(_NOTES)
    _steady(imports)
    _without_lease(monkeypatch)
    boto3.client("secretsmanager").create_secret(Name="parley/test/tools/commercial", SecretString=TOKEN)
    file = "Name;E-Mail\n" + "".join(f"n{number};e{number}\n" for number in range(10))
    with FakeCommercialApi() as api:
        imports.store.templates.set_commercial_api(COMPANY, _api(api))
        busy = Trouble(status=429, headers={"Retry-After": "3600"})
        monkeypatch.setattr(api, "next_trouble", lambda method: busy if method == "POST" and api.taken else None)
        import_id = imports.put(file, metadata={"template": "contacts", "output-format": "csv"})
        imports.tell(import_id)
        assert (imports.get(import_id).submission, imports.get(import_id).submitted_batches) == ("intended", 1)

        monkeypatch.setattr(api, "next_trouble", lambda _method: None)
        imports.store.templates.set_commercial_api(COMPANY, _api(api).model_copy(update={"batch_size": 7}))
        _run_through(imports, import_id, watch_border(monkeypatch), [])

        assert [record["name"] for record in api.records] == [f"n{number}" for number in range(10)]


def test_shortly_before_the_end_an_import_is_queued_again_and_goes_on(imports: Imports, large: str) -> None:
    imports.add_template(_NOTES)
    _steady(imports)
    options = {"template": "contacts", "force": "true"}
    whole = imports.run(large, metadata=options)
    import_id = imports.put(large, metadata=options)
    parts: list[int] = []

    # As soon as one part is stored, the time is nearly over.
    def remaining(self: object) -> int:
        return 50_000 if imports.get(import_id).parts > len(parts) else 900_000

    with pytest.MonkeyPatch.context() as clock:
        clock.setattr("tests.integration.turns.stack.Context.get_remaining_time_in_millis", remaining)
        assert imports.tell(import_id)
        while not imports.get(import_id).is_over:
            assert imports.get(import_id).processing_status is ImportStatus.PENDING
            parts.append(imports.get(import_id).parts)
            (message,) = imports.queued()
            assert message["importId"] == import_id
            imports.deliver([message])

    assert parts == [1, 2, 3]
    assert _digest(imports, imports.get(import_id)) == _digest(imports, whole)


def test_an_invocation_without_progress_counts_as_a_failure(imports: Imports) -> None:
    import_id = imports.put("a\n1\n")

    assert imports.deliver([{"companyId": COMPANY, "importId": import_id}]) == []
    event_done = imports.tell(import_id, seconds=10.0)

    assert not event_done
    assert imports.get(import_id).error_code == "no-progress"
    assert imports.queued() == []


def test_a_busy_import_is_looked_at_again_when_its_lease_is_over(imports: Imports, store: Store) -> None:
    import_id = imports.put("a\n1\n")
    imports.tell(import_id, seconds=10.0)  # made, and given back
    store.imports.claim(COMPANY, import_id, lease=timedelta(seconds=60), now=datetime.now(UTC))

    assert imports.tell(import_id)  # taken off the queue, and on it again for later

    delayed = imports.sqs.get_queue_attributes(
        QueueUrl=imports.queue_url, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )
    assert delayed["Attributes"]["ApproximateNumberOfMessagesDelayed"] == "1"
    assert imports.get(import_id).processing_status is ImportStatus.PROCESSING
    with pytest.raises(ImportBusyError):
        store.imports.claim(COMPANY, import_id, lease=timedelta(seconds=60), now=datetime.now(UTC))


def test_a_processor_that_lost_its_claim_writes_nothing_more(
    imports: Imports, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports.add_template(_NOTES)
    bucket = _steady(imports).bucket
    _without_lease(monkeypatch)
    import_id = imports.put(large, metadata={"template": "contacts"})
    is_taken = False
    put_part = bucket.put_part

    def taken_over(key: str, upload_id: str, number: int, body: bytes) -> str:
        nonlocal is_taken
        if not is_taken:
            is_taken = True
            imports.store.imports.claim(COMPANY, import_id, lease=timedelta(seconds=-1), now=datetime.now(UTC))
        return put_part(key, upload_id, number, body)

    monkeypatch.setattr(bucket, "put_part", taken_over)

    assert imports.tell(import_id)

    assert imports.get(import_id).processing_status is ImportStatus.PROCESSING
    assert imports.get(import_id).parts == 0
    assert imports.tell(import_id)
    assert imports.get(import_id).processing_status is ImportStatus.COMPLETED_WITH_ERRORS


def test_a_running_import_is_canceled(imports: Imports, large: str, monkeypatch: pytest.MonkeyPatch) -> None:
    imports.add_template(_NOTES)
    collaborators = imports.work_with(part_bytes=_PART, pulse_seconds=0.05)
    import_id = imports.put(large, metadata={"template": "contacts"})
    put_part = collaborators.bucket.put_part

    def canceled(key: str, upload_id: str, number: int, body: bytes) -> str:
        imports.store.imports.request_cancel(COMPANY, import_id, now=datetime.now(UTC))
        return put_part(key, upload_id, number, body)

    monkeypatch.setattr(collaborators.bucket, "put_part", canceled)

    assert imports.tell(import_id)

    done = imports.get(import_id)
    assert done.processing_status is ImportStatus.CANCELED
    assert done.output_file_url is None
    assert "Uploads" not in imports.s3.list_multipart_uploads(Bucket=imports.bucket_name)
    assert imports.keys("rejects/") == []
