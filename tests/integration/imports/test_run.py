"""A file is put into the bucket, S3 tells of it, and the wanted output is there: once, whatever comes twice."""

import json
from decimal import Decimal
from typing import Any

import pytest

from core.imports import Import, ImportStatus
from tests.integration.imports.stack import COMPANY, CONTACTS, TRIES, Imports, s3_event

_FILE = "Name;E-Mail;Age\nAda;ada@example.com;36\nBob;bob@example.com;41\n"
_BAD = "Name;E-Mail\nAda;ada@example.com\n;bob@example.com\nEve;y\n;eve@example.com\n"
_WANTED = [
    {"name": "Ada", "email": "ada@example.com", "age": 36},
    {"name": "Bob", "email": "bob@example.com", "age": 41},
]


def _records(imports: Imports, import_: Import) -> list[dict[str, Any]]:
    return [json.loads(line) for line in imports.read(import_.output_file_url).splitlines()]


def test_a_file_becomes_records_of_its_template(imports: Imports) -> None:
    imports.add_template()

    done = imports.run(_FILE, metadata={"template": "contacts"})

    assert done.processing_status is ImportStatus.COMPLETED
    assert _records(imports, done) == _WANTED
    assert (done.rows_read, done.rows_written, done.rows_rejected) == (2, 2, 0)
    assert (done.template, done.template_version, done.input_format) == ("contacts", 1, "csv")
    assert done.output_content == imports.read(done.output_file_url).decode()
    assert done.rejects_file_url is None
    assert done.error_code is None
    assert done.checksum
    assert done.total_tokens is None  # names alone were enough


def test_without_a_template_a_format_becomes_another(imports: Imports) -> None:
    done = imports.run(_FILE, metadata={"output-format": "json"})

    assert done.processing_status is ImportStatus.COMPLETED
    assert json.loads(imports.read(done.output_file_url)) == [
        {"Name": "Ada", "E-Mail": "ada@example.com", "Age": "36"},
        {"Name": "Bob", "E-Mail": "bob@example.com", "Age": "41"},
    ]
    assert imports.model.requests == []


@pytest.mark.parametrize("output_format", ["xlsx", "parquet", "csv", "markdown", "json", "jsonl"])
def test_every_format_is_written(imports: Imports, output_format: str) -> None:
    imports.add_template()

    done = imports.run(_FILE, metadata={"template": "contacts", "output-format": output_format})

    assert done.processing_status is ImportStatus.COMPLETED
    assert imports.read(done.output_file_url)
    assert "ada@example.com" in (done.output_content or "")
    assert [key for key in imports.keys("outputs/") if "spool" in key] == []


@pytest.mark.parametrize("content", ["Name,E-Mail\n", "Ada,ada@example.com"])
def test_a_header_without_rows_is_no_silent_success(imports: Imports, content: str) -> None:
    done = imports.run(content)
    assert (done.processing_status, done.rows_read) == (ImportStatus.COMPLETED, 0)
    (notice,) = done.notices
    assert notice.startswith("there is nothing below the header")


def test_bad_rows_are_rejected_with_their_reasons(imports: Imports) -> None:
    imports.add_template()

    done = imports.run(_FILE + "Eve;no address;12\n", metadata={"template": "contacts"})

    assert done.processing_status is ImportStatus.COMPLETED_WITH_ERRORS
    assert _records(imports, done) == _WANTED
    (reject,) = [json.loads(line) for line in imports.read(done.rejects_file_url).splitlines()]
    assert (reject["row"], reject["target"], reject["code"]) == (3, "email", "constraint")
    assert imports.keys("rejects/") == [f"rejects/{COMPANY}/{done.id}/rejects.jsonl"]


def test_a_file_of_which_most_does_not_fit_fails_and_shows_why(imports: Imports) -> None:
    imports.add_template()

    done = imports.run(_BAD, metadata={"template": "contacts"})

    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "too-many-errors")
    assert done.output_file_url is None
    assert len(imports.read(done.rejects_file_url).splitlines()) == 3


def test_a_file_with_more_errors_than_the_template_allows_fails_and_shows_them(imports: Imports) -> None:
    imports.add_template({**CONTACTS, "max_errors": 2})

    done = imports.run(_FILE + ";bob@example.com;1\nEve;y;2\n;eve@example.com;3\n", metadata={"template": "contacts"})

    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "too-many-errors")
    assert done.output_file_url is None
    assert (done.rows_read, done.rows_rejected) == (5, 3)
    assert [json.loads(line)["row"] for line in imports.read(done.rejects_file_url).splitlines()] == [3, 4, 5]
    assert imports.keys("rejects/") == [f"rejects/{COMPANY}/{done.id}/rejects.jsonl"]


def test_a_file_that_cannot_be_used_fails_and_takes_nothing_else_down(imports: Imports) -> None:
    bad, good = imports.put(b"", "empty.csv"), imports.put(_FILE)

    events = [s3_event(imports.bucket_name, imports.key_of(each)) for each in (bad, good)]
    assert imports.deliver(events) == []

    assert (imports.get(bad).processing_status, imports.get(bad).error_code) == (ImportStatus.FAILED, "empty-file")
    assert imports.get(good).processing_status is ImportStatus.COMPLETED


def test_another_file_under_an_import_that_waits_for_its_own_is_set_aside(imports: Imports) -> None:
    first = imports.put(_FILE, "mine.csv")
    assert imports.tell(first)
    waiting = imports.get(first).model_copy(
        update={"id": "imp_waiting000000001", "processing_status": ImportStatus.PENDING, "fencing_token": 0}
    )
    assert imports.store.imports.create(waiting)
    imports.put(_FILE, "other.csv", import_id=waiting.id)

    assert imports.tell(waiting.id)

    standing = imports.get(waiting.id)
    assert (standing.processing_status, standing.fencing_token) == (ImportStatus.PENDING, 0)


def test_an_event_that_comes_again_changes_nothing(imports: Imports) -> None:
    done = imports.run(_FILE)

    assert imports.tell(done.id)

    assert imports.get(done.id) == done


def test_the_same_file_again_is_refused_unless_it_is_forced(imports: Imports) -> None:
    first = imports.run(_FILE)

    second = imports.run(_FILE, "other-name.csv")
    forced = imports.run(_FILE, metadata={"force": "true"})
    other = imports.run(_FILE, metadata={"output-format": "csv"})

    assert (second.processing_status, second.error_code) == (ImportStatus.FAILED, "duplicate-file")
    assert second.duplicate_of == first.id
    assert forced.processing_status is ImportStatus.COMPLETED
    assert other.processing_status is ImportStatus.COMPLETED


def test_a_file_whose_import_failed_may_come_again(imports: Imports) -> None:
    imports.add_template()
    failed = imports.run("Name\nAda\n", metadata={"template": "nothing"})
    again = imports.run("Name\nAda\n")
    assert failed.error_code == "template-unknown"
    assert again.processing_status is ImportStatus.COMPLETED

    broken = imports.run(_BAD, metadata={"template": "contacts"})
    once_more = imports.run(_BAD, metadata={"template": "contacts"})
    assert [broken.error_code, once_more.error_code] == ["too-many-errors", "too-many-errors"]


def test_what_is_no_import_is_set_aside_without_noise(imports: Imports) -> None:
    test_event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": imports.bucket_name}
    keys = ("imports/", "imports/acme/x.csv", "imports/globex/usr_x/imp_0000000000000009/x.csv", "outputs/acme/x")

    assert imports.deliver([test_event, s3_event(imports.bucket_name, *keys)]) == []

    assert imports.store.imports.list_of(COMPANY) == ()
    assert imports.store.imports.list_of("globex") == ()


def test_a_second_file_in_the_folder_of_an_import_is_set_aside(imports: Imports) -> None:
    done = imports.run(_FILE)
    imports.put("a\n1\n", "more.csv", import_id=done.id)
    key = f"imports/{COMPANY}/usr_alice/{done.id}/more.csv"

    assert imports.deliver([s3_event(imports.bucket_name, key)]) == []

    assert imports.get(done.id) == done


def test_a_dry_run_writes_nothing_but_what_it_saw(imports: Imports) -> None:
    imports.add_template()

    done = imports.run(_FILE + "Eve;x;1\n", metadata={"template": "contacts", "dry-run": "true"})

    assert done.processing_status is ImportStatus.COMPLETED
    seen = json.loads(done.preview or "")
    assert seen["records"] == _WANTED
    assert (seen["rows"], seen["rejected"], seen["estimate"]["rows"]) == (3, 1, 3)
    assert seen["validity"]["email"] == pytest.approx(2 / 3)
    assert json.loads(done.mapping or "")["fields"]
    assert done.output_file_url is None
    assert imports.keys("outputs/") + imports.keys("rejects/") == []
    assert imports.run(_FILE + "Eve;x;1\n", metadata={"template": "contacts"}).output_file_url


def test_a_review_waits_for_a_yes(imports: Imports) -> None:
    imports.add_template()
    waiting = imports.run(_FILE, metadata={"template": "contacts", "review": "true"})
    assert waiting.processing_status is ImportStatus.AWAITING_REVIEW
    assert json.loads(waiting.preview or "")["records"] == _WANTED

    imports.store.imports.approve(COMPANY, waiting.id, now=waiting.updated_at)
    imports.deliver([{"companyId": COMPANY, "importId": waiting.id}])

    assert imports.get(waiting.id).processing_status is ImportStatus.COMPLETED
    assert _records(imports, imports.get(waiting.id)) == _WANTED


def test_a_file_that_was_replaced_meanwhile_is_not_imported(imports: Imports) -> None:
    imports.add_template()
    waiting = imports.run(_FILE, metadata={"template": "contacts", "review": "true"})
    imports.put(_FILE + "Eve;eve@example.com;5\n", import_id=waiting.id)
    assert imports.tell(waiting.id)
    imports.store.imports.approve(COMPANY, waiting.id, now=waiting.updated_at)

    imports.deliver([{"companyId": COMPANY, "importId": waiting.id}])

    done = imports.get(waiting.id)
    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "file-changed")


def test_a_question_is_asked_answered_and_remembered(imports: Imports) -> None:
    imports.add_template(
        {"record": {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}, "required": ["day"]}}
    )
    file = "Day\n03/04/2024\n05/06/2024\n"
    waiting = imports.run(file, metadata={"template": "contacts"})
    assert waiting.processing_status is ImportStatus.AWAITING_REVIEW
    (question,) = json.loads(waiting.questions or "")

    mapping = {**json.loads(waiting.mapping or ""), "answers": {question["id"]: "dmy"}}
    imports.store.imports.approve(COMPANY, waiting.id, now=waiting.updated_at, mapping=json.dumps(mapping))
    imports.deliver([{"companyId": COMPANY, "importId": waiting.id}])

    assert _records(imports, imports.get(waiting.id)) == [{"day": "2024-04-03"}, {"day": "2024-06-05"}]
    next_one = imports.run("Day\n07/08/2024\n", metadata={"template": "contacts"})
    assert _records(imports, next_one) == [{"day": "2024-08-07"}]


def test_the_model_is_asked_once_and_what_it_took_is_counted(imports: Imports) -> None:
    imports.add_template()

    waiting = imports.run("xyz;abc\nAda;ada@example.com\n", metadata={"template": "contacts"})

    assert len(imports.model.requests) == 1
    assert waiting.total_tokens
    imports.store.imports.request_cancel(COMPANY, waiting.id, now=waiting.updated_at)
    assert imports.tell(waiting.id)
    assert imports.get(waiting.id).processing_status is ImportStatus.CANCELED


def test_nothing_is_asked_that_would_cost_too_much(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    imports.add_template()
    monkeypatch.setattr("agent.completing.cost_of", lambda *_: (Decimal(1), "test"))

    done = imports.run("xyz;abc\nAda;ada@example.com\n", metadata={"template": "contacts", "max-cost": "0.50"})

    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "cost-cap")
    assert imports.model.requests == []


def test_metadata_that_make_no_sense_are_told(imports: Imports) -> None:
    done = imports.run(_FILE, metadata={"output-format": "floppy"})

    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "options")


def test_a_lone_file_is_imported_with_the_companys_default_template(imports: Imports) -> None:
    imports.add_template(name="default")

    assert _records(imports, imports.run(_FILE)) == _WANTED


def test_the_last_delivery_only_records_the_failure(imports: Imports) -> None:
    import_id = imports.put(_FILE)

    assert imports.tell(import_id, attempt=TRIES)

    done = imports.get(import_id)
    assert (done.processing_status, done.error_code) == (ImportStatus.FAILED, "gave-up")


def test_documents_become_pages(imports: Imports) -> None:
    done = imports.run("# Title\n\nSome words of a text.\n", "notes.md")

    assert done.processing_status is ImportStatus.COMPLETED
    (page,) = _records(imports, done)
    assert page["file"] == "notes.md"
    assert "Some words" in page["text"]
