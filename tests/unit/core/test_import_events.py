"""What waits on ImportsQueue: S3's own events, its test event, and imports that go on."""

from pathlib import Path

from core.events import ImportQueued
from core.import_keys import InputKey, read_input_key

_ROOT = Path(__file__).parents[3]


def test_an_event_of_s3_names_its_file() -> None:
    queued = ImportQueued.model_validate_json((_ROOT / "events/s3/object_created.json").read_bytes())

    assert [read_input_key(record.s3.object.key) for record in queued.records] == [
        InputKey(company_id="acme", user_id="usr_alice", import_id="imp_0123456789abcdef", name="Kontakte (März).csv")
    ]
    assert queued.import_id == ""


def test_the_test_event_of_s3_says_nothing() -> None:
    queued = ImportQueued.model_validate_json((_ROOT / "events/s3/test_event.json").read_bytes())

    assert queued == ImportQueued()


def test_an_import_that_goes_on_is_still_understood() -> None:
    path = Path(__file__).parent / "contracts" / "import_queued_v1.json"

    queued = ImportQueued.model_validate_json(path.read_bytes())

    assert (queued.company_id, queued.import_id, queued.records) == ("acme", "imp_0123456789abcdef", ())
    assert ImportQueued.model_validate_json(queued.model_dump_json(by_alias=True)) == queued
