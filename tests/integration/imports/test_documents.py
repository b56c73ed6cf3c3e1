"""Documents in an import: pages, records out of chunks that are paid for once, archives of several files."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from core.imports import ImportStatus
from tests.integration.imports.stack import COMPANY, Imports
from tests.integration.turns.stack import Killed

_TITLES = {
    "record": {
        "type": "object",
        "properties": {"title": {"type": "string"}, "number": {"type": ["integer", "null"]}},
        "required": ["title"],
    }
}
_TEXT = "\n\n".join(f"# Chapter {number}\n\n{'Some words of this chapter. ' * 400}" for number in range(3))


def test_a_template_takes_records_out_of_a_document(imports: Imports) -> None:
    imports.add_template(_TITLES)

    done = imports.run(_TEXT, "book.md", metadata={"template": "contacts", "output-format": "csv"})

    assert done.processing_status in (ImportStatus.COMPLETED, ImportStatus.COMPLETED_WITH_ERRORS), done.error_code
    asked = len(imports.model.requests)
    assert asked >= 2
    assert done.rows_written
    assert imports.read(done.output_file_url).startswith(b"title,number\r\n")
    assert done.total_tokens
    evidence = imports.read(f"s3://{imports.bucket_name}/outputs/{COMPANY}/{done.id}/evidence.jsonl")
    assert json.loads(evidence.splitlines()[0])["record"] == 1
    assert [key for key in imports.keys("outputs/") if "chunk" in key or "spool" in key] == []


def test_a_document_called_evidence_keeps_its_records(imports: Imports) -> None:
    imports.add_template(_TITLES)

    done = imports.run(_TEXT, "evidence.md", metadata={"template": "contacts"})

    records = [json.loads(line) for line in imports.read(done.output_file_url).splitlines()]
    assert len(records) == done.rows_written
    assert [list(record) for record in records] == [["title", "number"]] * len(records)


def test_what_a_chunk_gave_is_paid_for_once(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    imports.add_template(_TITLES)
    bucket = imports.work_with(pulse_seconds=3600.0).bucket
    monkeypatch.setattr("importer.extraction._AT_ONCE", 1)
    options = {"template": "contacts", "force": "true"}
    whole = imports.run(_TEXT, "book.md", metadata=options)
    asked = len(imports.model.requests)
    import_id = imports.put(_TEXT, "book.md", metadata=options)
    put = bucket.put

    def dies_at_the_second_chunk(key: str, body: bytes, *, media_type: str) -> None:
        if key.endswith("chunk.000002"):
            raise Killed
        put(key, body, media_type=media_type)

    with monkeypatch.context() as death:
        death.setattr(bucket, "put", dies_at_the_second_chunk)
        with pytest.raises(Killed):
            imports.tell(import_id)
    assert imports.get(import_id).parts == 1
    _end_lease(imports, import_id)

    assert imports.tell(import_id)

    assert imports.read(imports.get(import_id).output_file_url) == imports.read(whole.output_file_url)
    assert len(imports.model.requests) == asked + asked + 1  # only the answer that was lost is asked for again


def _end_lease(imports: Imports, import_id: str) -> None:
    later = datetime.now(UTC) + timedelta(minutes=5)
    imports.work_with(clock=lambda: later)
    assert imports.get(import_id).processing_status is ImportStatus.PROCESSING


def test_an_archive_of_documents_names_the_tables_that_it_leaves_out(imports: Imports) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.md", "# A\n\nFirst words.\n")
        archive.writestr("people.csv", "Name,Age\nAda,36\nBob,41\n")
        archive.writestr("b.txt", "Second words of another file.\n")

    pages = imports.run(packed.getvalue(), "all.zip")
    table = imports.run(packed.getvalue(), "all.zip", metadata={"table": "people.csv"})

    read = [json.loads(line)["file"] for line in imports.read(pages.output_file_url).splitlines()]
    assert read == ["all.zip/a.md", "all.zip/b.txt"]
    assert any(notice.startswith("all.zip/people.csv: left out") for notice in pages.notices)
    assert [json.loads(line) for line in imports.read(table.output_file_url).splitlines()] == [
        {"Name": "Ada", "Age": "36"},
        {"Name": "Bob", "Age": "41"},
    ]
