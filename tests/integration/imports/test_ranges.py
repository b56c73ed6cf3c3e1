"""A large file is worked on in ranges, side by side: the output is that of one processor, to the byte."""

import gzip
import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from core.imports import CommercialApi, Import, ImportStatus
from core.store import ClaimLostError
from core.store.import_ranges import ImportBusyError
from local.fake_commercial import TOKEN, FakeCommercialApi
from tests.integration.imports.stack import COMPANY, CONTACTS, TRIES, Imports

_RANGE = 8_000  # bytes
_FORCED = {"template": "contacts", "force": "true"}


def _people(count: int, *, seed: int = 7, newline: str = "\n") -> str:
    """People with notes: quoted cells over several lines, commas and quotes in them, blank lines, rejects."""
    chance = random.Random(seed)
    lines = ["Name,E-Mail,Age,Note"]
    for number in range(count):
        note = chance.choice(
            [
                "",
                '"two\nlines, one cell"',
                '"said ""no"", left"',
                '"a,b@example.com,3,\nx,y@example.com,4,\n"',
                'a 5" pipe, no' if number % 50 == 0 else "plain",
                '""',
            ]
        ).replace("\n", newline)
        email = "" if number % 23 == 0 else f"p{number}@example.com"
        lines.append(f"P{number},{email},{chance.randrange(99)},{note}")
        if chance.random() < 0.02:
            lines.append("")
    return newline.join(lines) + newline


_NOTES: Mapping[str, Any] = {
    "record": {
        "type": "object",
        "properties": {**CONTACTS["record"]["properties"], "note": {"type": ["string", "null"]}},
        "required": ["name", "email"],
    }
}


def _alone(imports: Imports) -> None:
    imports.work_with(ranged_from=1 << 60, pulse_seconds=3600.0)


def _in_ranges(imports: Imports, size: int = _RANGE, part_bytes: int = 4_000) -> None:
    imports.work_with(ranged_from=1, range_bytes=size, part_bytes=part_bytes, pulse_seconds=3600.0)


def _finish(imports: Imports, import_id: str, *, order: random.Random | None = None) -> Import:
    """Deliver what is queued, in any order, until the import is over."""
    waiting: list[dict[str, Any]] = []
    for _ in range(2_000):
        waiting += imports.queued()
        if imports.get(import_id).is_over and not waiting:
            return imports.get(import_id)
        assert waiting, "an import that is not over is on the queue"
        message = waiting.pop(order.randrange(len(waiting)) if order else 0)
        assert imports.deliver([message]) == []
    raise AssertionError


def _run(imports: Imports, content: bytes | str, name: str = "people.csv", **more: Any) -> Import:
    import_id = imports.put(content, name, **more)
    assert imports.tell(import_id)
    return _finish(imports, import_id)


def _outcome(imports: Imports, done: Import) -> Sequence[object]:
    """All that people see of how an import ended."""
    rejects = imports.read(done.rejects_file_url) if done.rejects_file_url else b""
    output = imports.read(done.output_file_url) if done.output_file_url else b""
    counts = (done.rows_read, done.rows_written, done.rows_rejected)
    return (done.processing_status, done.error_code, counts, output, rejects, done.output_content)


def _compare(imports: Imports, content: bytes | str, name: str = "people.csv", **metadata: str) -> Import:
    options = {**_FORCED, **metadata}
    _alone(imports)
    one = _run(imports, content, name, metadata=options)
    _in_ranges(imports)
    many = _run(imports, content, name, metadata=options)

    assert one.ranges is None
    assert many.ranges
    assert many.ranges > 3
    assert _outcome(imports, many) == _outcome(imports, one)
    assert imports.keys("ranges/") == []
    assert imports.store.imports.ranges.list_of(COMPANY, many.id) == ()
    return many


@pytest.mark.parametrize("output_format", ["jsonl", "json", "csv", "markdown", "xlsx", "parquet"])
def test_ranges_give_the_bytes_of_one_processor(imports: Imports, output_format: str) -> None:
    imports.add_template(_NOTES)

    done = _compare(imports, _people(3_000), **{"output-format": output_format})

    assert done.processing_status is ImportStatus.COMPLETED_WITH_ERRORS
    assert done.rows_read
    assert done.rows_read >= 3_000


def test_ranges_of_other_texts_give_the_bytes_of_one_processor(imports: Imports) -> None:
    imports.add_template(_NOTES)
    people = _people(1_500)
    records = [
        json.dumps({"Name": f"P{n}", "E-Mail": f"p{n}@example.com" if n % 9 else "", "Age": n % 90, "Note": "x\ny"})
        for n in range(1_500)
    ]
    _compare(imports, "\n".join([records[0], "", "no json", *records]) + "\n", "people.jsonl")
    _compare(imports, people.replace("\n", "\r\n"))
    _compare(imports, b"\xef\xbb\xbf" + people.encode())
    _compare(imports, people.replace("plain", "größer").encode("cp1252"))
    _compare(imports, people + "Total,,99,\n")
    rows = "\n".join(f"P{n}\tp{n}@example.com\t{n % 80}\t-" for n in range(1_500))
    _compare(imports, f"Name\tE-Mail\tAge\tNote\n{rows}\n", "people.tsv")


def test_ranges_before_the_first_record_leave_a_json_list_whole(imports: Imports) -> None:
    imports.add_template(_NOTES)
    bad, good = "Ada,,1,x\n" * 1_500, "Ada,ada@example.com,1,x\n" * 1_600
    done = _compare(imports, "Name,E-Mail,Age,Note\n" + bad + good, **{"output-format": "json"})
    assert len(json.loads(imports.read(done.output_file_url))) == 1_600


def test_without_a_template_ranges_give_the_bytes_of_one_processor(imports: Imports) -> None:
    content = _people(2_000)
    _alone(imports)
    one = _run(imports, content, metadata={"force": "true"})
    _in_ranges(imports)
    many = _run(imports, content, metadata={"force": "true"})
    assert many.ranges
    assert _outcome(imports, many) == _outcome(imports, one)


def test_pieces_of_a_size_that_s3_copies_are_copied(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "name;text\n" + "".join(f"n{number};{'x' * 1_500}{number}\n" for number in range(15_000))
    _alone(imports)
    one = _run(imports, content, metadata={"force": "true"})
    bucket = imports.work_with(ranged_from=1, range_bytes=12_000_000, part_bytes=5_600_000).bucket
    copied: list[int] = []
    copy_part = bucket.copy_part

    def counting(key: str, upload_id: str, number: int, source: str, start: int, end: int) -> str:
        copied.append(end - start)
        return copy_part(key, upload_id, number, source, start, end)

    monkeypatch.setattr(bucket, "copy_part", counting)
    many = _run(imports, content, metadata={"force": "true"})

    assert _outcome(imports, many) == _outcome(imports, one)
    assert many.ranges == 2
    assert len(copied) == 4
    assert sum(copied) > 20_000_000


def test_small_files_archives_and_wide_texts_have_no_ranges(imports: Imports) -> None:
    imports.work_with(ranged_from=100_000, range_bytes=_RANGE)
    assert _run(imports, _people(100)).ranges is None
    imports.work_with(ranged_from=1, range_bytes=_RANGE)
    assert _run(imports, _people(2_000).encode("utf-16"), metadata={"force": "true"}).ranges is None
    assert _run(imports, gzip.compress(_people(2_000).encode()), "people.csv.gz").ranges is None
    assert _run(imports, json.dumps([{"a": 1}] * 5_000), "list.json").ranges is None


def test_ranges_may_be_worked_on_in_any_order_and_as_often_as_it_comes(imports: Imports) -> None:
    imports.add_template(_NOTES)
    content = _people(2_000)
    _alone(imports)
    one = _run(imports, content, metadata=_FORCED)
    _in_ranges(imports)
    import_id = imports.put(content, metadata=_FORCED)
    assert imports.tell(import_id)
    first = imports.queued()
    assert imports.tell(import_id)  # S3 says it again
    for message in [*first, *first]:
        assert imports.deliver([message]) == []

    many = _finish(imports, import_id, order=random.Random(3))

    assert _outcome(imports, many) == _outcome(imports, one)
    for message in first:  # long after
        assert imports.deliver([message]) == []
    assert imports.queued() == []
    assert _outcome(imports, imports.get(import_id)) == _outcome(imports, one)


def test_a_range_is_worked_on_by_one_processor_at_a_time(imports: Imports) -> None:
    imports.add_template(_NOTES)
    _in_ranges(imports)
    import_id = imports.put(_people(1_000), metadata=_FORCED)
    assert imports.tell(import_id)
    messages = imports.queued()
    ranges, lease = imports.store.imports.ranges, timedelta(seconds=60)
    claim, standing = ranges.claim(COMPANY, import_id, 1, lease=lease, now=datetime.now(UTC))

    assert imports.deliver([messages[1]]) == []  # taken off the queue, and on it again for later

    assert ranges.list_of(COMPANY, import_id)[1].state == "new"
    with pytest.raises(ImportBusyError):
        ranges.claim(COMPANY, import_id, 1, lease=lease, now=datetime.now(UTC))
    later, _ = ranges.claim(COMPANY, import_id, 1, lease=lease, now=datetime.now(UTC) + 2 * lease)
    assert later.fencing_token == claim.fencing_token + 1
    with pytest.raises(ClaimLostError):
        ranges.save(claim, standing, lease_until=None)
    with pytest.raises(ClaimLostError):
        ranges.renew(claim, standing.progress, lease_until=datetime.now(UTC))


def test_what_all_ranges_did_is_the_progress_of_the_import(imports: Imports) -> None:
    imports.add_template(_NOTES)
    _in_ranges(imports)
    imports.work_with(ranged_from=1, range_bytes=_RANGE, part_bytes=4_000, pulse_seconds=0.001)
    import_id = imports.put(_people(3_000), metadata=_FORCED)
    assert imports.tell(import_id)
    for _ in range(2):
        for message in imports.queued():
            imports.deliver([message])
    running = imports.get(import_id)
    assert running.processing_status is ImportStatus.PROCESSING
    assert running.progress.bytes_total == running.size
    done = _finish(imports, import_id)
    assert done.progress.rows_ok == done.rows_written
    assert done.progress.rows_rejected == done.rows_rejected


def test_the_model_is_asked_once_for_all_ranges(imports: Imports) -> None:
    fields = {**_NOTES["record"]["properties"], "q7": {"type": ["string", "null"]}}
    asking = {"record": {**_NOTES["record"], "properties": fields}}
    imports.add_template(asking)
    _alone(imports)
    content = _people(1_000).replace("Note", "Zyx")
    _run(imports, content, metadata={**_FORCED, "repair": "true"})
    asked = len(imports.model.requests)
    imports.add_template(asking)  # a version that knows no mapping
    _in_ranges(imports)
    done = _run(imports, content, metadata={**_FORCED, "repair": "true"})
    assert done.ranges
    assert asked
    assert len(imports.model.requests) == 2 * asked


def test_too_many_errors_in_all_ranges_end_the_import_and_are_shown(imports: Imports) -> None:
    imports.add_template({**_NOTES, "max_errors": 40})
    _in_ranges(imports)
    done = _run(imports, _people(3_000), metadata=_FORCED)
    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "too-many-errors")
    rejects = [json.loads(line) for line in imports.read(done.rejects_file_url).splitlines()]
    assert len({reject["row"] for reject in rejects}) > 40
    assert [reject["row"] for reject in rejects] == sorted(reject["row"] for reject in rejects)
    assert imports.keys("ranges/") == []
    assert imports.keys("outputs/") == []


def test_a_file_of_which_most_does_not_fit_fails_as_with_one_processor(imports: Imports) -> None:
    imports.add_template(_NOTES)
    good, bad = "Ada,ada@example.com,1,x\n", "Ada,,1,x\n"
    done = _compare(imports, "Name,E-Mail,Age,Note\n" + good * 1_000 + bad * 1_200)
    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "too-many-errors")


def test_an_import_in_ranges_is_canceled(imports: Imports) -> None:
    imports.add_template(_NOTES)
    _in_ranges(imports)
    import_id = imports.put(_people(3_000), metadata=_FORCED)
    assert imports.tell(import_id)
    for message in imports.queued():
        imports.deliver([message])
    imports.store.imports.request_cancel(COMPANY, import_id, now=datetime.now(UTC))

    done = _finish(imports, import_id)

    assert done.processing_status is ImportStatus.CANCELED
    assert done.output_file_url is None
    assert imports.keys("ranges/") == []
    assert "Uploads" not in imports.s3.list_multipart_uploads(Bucket=imports.bucket_name)


def test_a_range_that_every_attempt_fails_on_fails_the_import(imports: Imports) -> None:
    imports.add_template(_NOTES)
    _in_ranges(imports)
    import_id = imports.put(_people(1_000), metadata=_FORCED)
    assert imports.tell(import_id)
    messages = imports.queued()
    assert imports.deliver([messages[2]], attempt=TRIES) == []
    for message in messages[:2] + messages[3:]:
        imports.deliver([message])

    done = _finish(imports, import_id)

    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "gave-up")
    assert imports.keys("ranges/") == []


def test_a_file_that_is_replaced_in_the_middle_fails(imports: Imports) -> None:
    imports.add_template(_NOTES)
    _in_ranges(imports)
    import_id = imports.put(_people(1_000), metadata=_FORCED)
    assert imports.tell(import_id)
    imports.s3.put_object(Bucket=imports.bucket_name, Key=imports.key_of(import_id), Body=_people(900).encode())
    done = _finish(imports, import_id)
    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "file-changed")


def test_the_commercial_api_gets_the_joined_records_once(imports: Imports) -> None:
    imports.add_template(_NOTES)
    boto3.client("secretsmanager").create_secret(Name="parley/test/tools/commercial", SecretString=TOKEN)
    with FakeCommercialApi() as api:
        imports.store.templates.set_commercial_api(
            COMPANY, CommercialApi(url=api.url, batch_size=200, secret_name="parley/test/tools/commercial")
        )
        _in_ranges(imports)
        done = _run(imports, _people(1_000), metadata={**_FORCED, "output-format": "csv"})
        assert done.submission == "done"
        assert len(api.records) == done.rows_written
        assert len({record["name"] for record in api.records}) == done.rows_written


def test_shortly_before_the_end_a_range_is_queued_again_and_goes_on(
    imports: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    imports.add_template(_NOTES)
    content = _people(2_000)
    _alone(imports)
    one = _run(imports, content, metadata=_FORCED)
    _in_ranges(imports, 60_000)
    monkeypatch.setattr("importer.readers.csv.CHUNK_ROWS", 50)
    import_id = imports.put(content, metadata=_FORCED)
    assert imports.tell(import_id)
    deliveries, asked, is_range = 0, 0, False

    def remaining(_context: object) -> int:
        nonlocal asked
        asked += 1
        return 30_000 if is_range and asked % 12 == 0 else 900_000

    with monkeypatch.context() as clock:
        while not imports.get(import_id).is_over:
            for message in imports.queued():
                is_range = message["rangeNumber"] is not None
                deliveries += is_range
                asked = 0
                clock.setattr("tests.integration.turns.stack.Context.get_remaining_time_in_millis", remaining)
                assert imports.deliver([message]) == []
    many = imports.get(import_id)
    assert many.ranges
    assert deliveries > 4 * many.ranges
    assert _outcome(imports, many) == _outcome(imports, one)


def test_a_persons_ranges_are_forgotten_with_the_person(imports: Imports) -> None:
    imports.add_template(_NOTES)
    _in_ranges(imports)
    import_id = imports.put(_people(2_000), metadata=_FORCED)
    assert imports.tell(import_id)
    for _ in range(3):
        for message in imports.queued():
            imports.deliver([message])
    assert imports.keys("ranges/")

    imports.store.imports.forget_person(COMPANY, "usr_alice")

    assert imports.keys("ranges/") == []
    assert imports.store.imports.ranges.list_of(COMPANY, import_id) == ()
