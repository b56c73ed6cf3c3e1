"""Imports on the command line: files go up, questions are answered, templates have versions, people are forgotten."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from core.events import ImportQueued, SignalKind, SignalReceived
from core.imports import Import, ImportOptions, ImportOrigin, ImportStatus
from core.models import Address, Company, User
from core.store import Store, keys
from importer.planning import StoredMapping
from importer.values import Question
from tests.integration.cloud import BUCKET_NAME
from tests.integration.ops.conftest import CommandLine

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_ID = "imp_0123456789abcdef"
_QUESTION = Question(id="order:day", target="day", column="Day", text="Which?", options=("dmy", "mdy"))


@pytest.fixture(autouse=True)
def company(store: Store) -> None:
    store.directory.add_company(Company(id="acme", name="Acme", created_at=_NOW))
    store.directory.add_user(User(id="usr_a", company_id="acme", email="a@acme.example", name="A", created_at=_NOW))


def _import(**fields: object) -> Import:
    least = {
        "id": _ID,
        "user_id": "usr_a",
        "user_company_id": "acme",
        "input_file_name": "a.csv",
        "input_file_url": f"s3://{BUCKET_NAME}/imports/acme/usr_a/{_ID}/a.csv",
        "created_at": _NOW,
        "updated_at": _NOW,
    }
    return Import.model_validate({**least, **fields})


def _of_a_conversation(store: Store, **fields: object) -> Import:
    """An import that somebody began in a thread."""
    address = Address(platform="slack", workspace_id="T1", channel_id="C1", thread_id="1.1")
    question_id = keys.message_id("cnv_1", keys.question_ulid(address, "1.1", _NOW))
    origin = ImportOrigin(
        address=address, question_id=question_id, external_message_id="1.1", external_user_id="U1", language="de"
    )
    return store.imports.begun.create("cnv_1", _import(origin=origin, **fields), None)


def test_the_thread_is_told_of_an_import_that_operations_cancel(
    ops: CommandLine, store: Store, sqs: "SQSClient", queue_urls: dict[str, str]
) -> None:
    _of_a_conversation(store, processing_status=ImportStatus.AWAITING_REVIEW)

    ops.done("imports", "cancel", _ID, "--company", "acme")

    (published,) = sqs.receive_message(QueueUrl=queue_urls["signals"])["Messages"]
    signal = SignalReceived.model_validate_json(published["Body"])
    assert (signal.kind, signal.reference, signal.address.thread_id) == (SignalKind.IMPORT, _ID, "1.1")
    assert signal.external_id == f"{_ID}:CANCELED:0"


def test_nobody_is_told_of_an_import_without_a_conversation(
    ops: CommandLine, store: Store, sqs: "SQSClient", queue_urls: dict[str, str]
) -> None:
    store.imports.create(_import(processing_status=ImportStatus.AWAITING_REVIEW))

    ops.done("imports", "cancel", _ID, "--company", "acme")

    assert "Messages" not in sqs.receive_message(QueueUrl=queue_urls["signals"])


def test_a_file_is_uploaded_to_an_import_that_waits_for_it(ops: CommandLine, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "Kontakte (März).csv"
    file.write_text("a\n1\n")

    words = ("--template", "contacts", "--format", "csv", "--dry-run", "--max-cost", "0.5", "--user", "a@acme.example")
    done = ops.done("import", str(file), *words, "--company", "acme", "--no-wait", "--json").json

    made = store.imports.get("acme", done["id"])
    assert made
    assert made.options == ImportOptions.model_validate(
        {"template": "contacts", "output_format": "csv", "is_dry_run": True, "max_cost": "0.5"}
    )
    key = f"imports/acme/usr_a/{made.id}/Kontakte (März).csv"
    assert made.input_file_url == f"s3://{BUCKET_NAME}/{key}"
    assert boto3.client("s3").get_object(Bucket=BUCKET_NAME, Key=key)["Body"].read() == b"a\n1\n"


def test_what_makes_no_sense_is_told_before_anything_is_sent(ops: CommandLine, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")

    assert ops("import", str(file), "--company", "acme", "--format", "floppy").code == 2
    assert "template" in ops("import", str(file), "--company", "acme", "--template", "No Name").err
    assert store.imports.list_of("acme") == ()


def test_an_answer_lets_an_import_go_on(
    ops: CommandLine, store: Store, sqs: "SQSClient", queue_urls: dict[str, str]
) -> None:
    mapping = StoredMapping(fields=(), questions=(_QUESTION,)).model_dump_json(by_alias=True)
    store.imports.create(_import(processing_status=ImportStatus.AWAITING_REVIEW, mapping=mapping))

    assert ops("imports", "approve", _ID, "--company", "acme", "--answer", "order:day=ymd").code == 2
    assert ops("imports", "approve", _ID, "--company", "acme", "--answer", "order:sum=dmy").code == 2
    ops.done("imports", "approve", _ID, "--company", "acme", "--answer", "order:day=dmy")

    standing = store.imports.get("acme", _ID)
    assert standing
    assert (standing.processing_status, standing.is_approved) == (ImportStatus.PENDING, True)
    assert json.loads(standing.mapping or "")["answers"] == {"order:day": "dmy"}
    (message,) = sqs.receive_message(QueueUrl=queue_urls["imports"])["Messages"]
    assert json.loads(message["Body"])["importId"] == _ID
    assert ops("imports", "approve", _ID, "--company", "acme").code == 1


def test_an_import_is_shown_and_canceled(ops: CommandLine, store: Store) -> None:
    store.imports.create(_import(questions=json.dumps([_QUESTION.model_dump(mode="json", by_alias=True)])))

    assert _ID in ops.done("imports", "list", "--company", "acme").out
    assert "order:day" in ops.done("imports", "show", _ID, "--company", "acme").out
    assert ops.done("imports", "show", _ID, "--company", "acme", "--json").json["processingStatus"] == "PENDING"
    assert "canceled" in ops.done("imports", "cancel", _ID, "--company", "acme").out
    assert ops("imports", "cancel", _ID, "--company", "acme").code == 1
    assert "imports list" in ops("imports", "show", "imp_none", "--company", "acme").err


def test_an_import_that_nobody_works_on_any_more_is_looked_at_when_it_is_canceled(
    ops: CommandLine, store: Store, sqs: "SQSClient", queue_urls: dict[str, str]
) -> None:
    store.imports.create(_import(processing_status=ImportStatus.PROCESSING))

    assert "asked to end" in ops.done("imports", "cancel", _ID, "--company", "acme").out

    (queued,) = sqs.receive_message(QueueUrl=queue_urls["imports"])["Messages"]
    assert ImportQueued.model_validate_json(queued["Body"]) == ImportQueued(company_id="acme", import_id=_ID)


def test_a_template_has_versions(ops: CommandLine, store: Store, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("record:\n  type: object\n  properties:\n    name: {type: string}\n")
    ops.done("templates", "set", "contacts", str(file), "--company", "acme")
    assert "stays version 1" in ops.done("templates", "set", "contacts", str(file), "--company", "acme").out
    file.write_text(file.read_text().replace("string", "integer"))
    ops.done("templates", "set", "contacts", str(file), "--company", "acme")

    assert [row[0] for row in ops.done("templates", "versions", "contacts", "--company", "acme").rows] == ["2", "1"]
    assert "integer" in ops.done("templates", "show", "contacts", "--company", "acme").out
    assert "+" in ops.done("templates", "diff", "contacts", "1", "--company", "acme").out
    assert ops.done("templates", "list", "--company", "acme").rows[0][0] == "contacts"
    file.write_text("record: {type: array}\n")
    assert "record" in ops("templates", "set", "contacts", str(file), "--company", "acme").err


def test_the_commercial_api_is_set_and_removed(ops: CommandLine, store: Store) -> None:
    words = ("--secret", "parley/local/tools/crm", "--batch-size", "7", "--company", "acme")
    ops.done("commercial-api", "set", "https://api.example.com/records", *words)
    assert "api.example.com" in ops.done("commercial-api", "show", "--company", "acme").out
    found = store.templates.get_commercial_api("acme")
    assert found
    assert found.batch_size == 7
    assert ops("commercial-api", "set", "https://x.example", "--secret", "other", "--company", "acme").code == 2
    ops.done("commercial-api", "remove", "--company", "acme")
    assert store.templates.get_commercial_api("acme") is None


def test_who_is_forgotten_leaves_no_import(ops: CommandLine, store: Store) -> None:
    s3 = boto3.client("s3")
    store.imports.create(_import(output_content="x" * 20_000))
    store.imports.create(_import(id="imp_other0000000000", user_id="usr_b"))
    theirs = (f"imports/acme/usr_a/{_ID}/a.csv", f"outputs/acme/{_ID}/a.jsonl", f"rejects/acme/{_ID}/rejects.jsonl")
    for key in (*theirs, "outputs/acme/imp_other0000000000/a.jsonl"):
        s3.put_object(Bucket=BUCKET_NAME, Key=key, Body=b"x")

    ops.done("users", "forget", "--user", "usr_a", "--company", "acme", "--yes")

    assert [each.user_id for each in store.imports.list_of("acme")] == ["usr_b"]
    left = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET_NAME)["Contents"]]
    assert left == ["outputs/acme/imp_other0000000000/a.jsonl"]
