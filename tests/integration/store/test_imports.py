"""Imports in the table: one processor at a time, each part once, and everything that a person may do to one."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.errors import PermanentError
from core.imports import (
    CommercialApi,
    Import,
    ImportOptions,
    ImportOrigin,
    ImportPart,
    ImportProgress,
    ImportStatus,
    ImportStep,
    ImportTemplate,
)
from core.models import Address
from core.store import ClaimLostError, Store
from core.store.import_ranges import ImportBusyError
from core.store.imports import ImportClaim

_NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_LEASE = timedelta(minutes=15)
_LATER = _NOW + timedelta(minutes=16)
_ID = "imp_0123456789abcdef"


def _import(**fields: object) -> Import:
    least = {
        "id": _ID,
        "user_id": "usr_alice",
        "user_company_id": "acme",
        "input_file_name": "contacts.csv",
        "input_file_url": f"s3://data/imports/acme/usr_alice/{_ID}/contacts.csv",
        "created_at": _NOW,
        "updated_at": _NOW,
    }
    return Import.model_validate({**least, **fields})


def _claim(store: Store, now: datetime = _NOW) -> ImportClaim:
    return store.imports.claim("acme", _ID, lease=_LEASE, now=now)[0]


def _part(number: int) -> ImportPart:
    return ImportPart(number=number, etag=f"e{number}", checkpoint=f'{{"part":{number}}}')


def test_an_import_comes_back_as_it_was_stored(store: Store) -> None:
    origin = ImportOrigin(
        address=Address(platform="slack", workspace_id="T1", channel_id="C1"),
        question_id="cnv_1.m.01KAAAAAAAAAAAAAAAAAAAAAAA",
        external_message_id="1.2",
        external_user_id="U1",
    )
    import_ = _import(
        options=ImportOptions(template="contacts", max_cost=Decimal("0.50"), is_reviewed=True),
        output_format="csv",
        origin=origin,
        mapping='{"fields":[]}',
        output_content="é" * 9_000,
        notices=("macros",),
        cost=Decimal("0.0012"),
        total_tokens=12,
    )

    assert store.imports.create(import_) is True

    assert store.imports.get("acme", _ID) == import_
    assert store.imports.list_of("acme") == (import_,)
    assert store.imports.get("globex", _ID) is None
    assert store.imports.list_of("globex") == ()


def test_the_same_import_is_made_once(store: Store) -> None:
    store.imports.create(_import())

    assert store.imports.create(_import(input_file_name="other.csv")) is False
    found = store.imports.get("acme", _ID)
    assert found is not None
    assert found.input_file_name == "contacts.csv"


def test_of_two_processors_one_wins(store: Store) -> None:
    store.imports.create(_import())
    _claim(store)

    with pytest.raises(ImportBusyError) as refused:
        _claim(store, _NOW + timedelta(minutes=1))

    assert refused.value.retry_after == timedelta(minutes=14)


def test_a_processor_that_died_is_followed_and_refused_when_it_comes_back(store: Store) -> None:
    store.imports.create(_import())
    dead = _claim(store)
    store.imports.save_part(dead, _part(1), ImportProgress(rows_ok=10), lease=_LEASE, now=_NOW)
    _claim(store, _LATER)

    with pytest.raises(ClaimLostError):
        store.imports.save_part(dead, _part(2), ImportProgress(rows_ok=20), lease=_LEASE, now=_LATER)
    with pytest.raises(ClaimLostError):
        store.imports.release(dead, ImportStatus.COMPLETED, {}, now=_LATER)

    assert [part.number for part in store.imports.list_parts("acme", _ID)] == [1]


def test_a_part_counts_once_and_none_is_left_out(store: Store) -> None:
    store.imports.create(_import())
    claim = _claim(store)
    for number in (1, 1, 2):
        store.imports.save_part(claim, _part(number), ImportProgress(rows_ok=number), lease=_LEASE, now=_NOW)

    with pytest.raises(ClaimLostError):
        store.imports.save_part(claim, _part(4), ImportProgress(), lease=_LEASE, now=_NOW)

    found = store.imports.get("acme", _ID)
    assert found is not None
    assert (found.parts, found.progress.rows_ok) == (2, 2)
    assert store.imports.list_parts("acme", _ID) == (_part(1), _part(2))


def test_what_is_known_is_stored_and_removed_again(store: Store) -> None:
    store.imports.create(_import())
    claim = _claim(store)
    long_mapping = '{"x":"' + "y" * 20_000 + '"}'

    saved = store.imports.save(claim, {"mapping": long_mapping, "step": ImportStep.MAP, "rows_read": 3}, now=_NOW)
    assert (saved.mapping, saved.step, saved.rows_read) == (long_mapping, ImportStep.MAP, 3)

    saved = store.imports.save(claim, {"mapping": "{}", "rows_read": None}, now=_NOW)
    assert (saved.mapping, saved.rows_read) == ("{}", None)
    assert store.imports.get("acme", _ID) == saved


def test_an_import_that_is_over_is_not_taken_again_and_its_tokens_are_counted_once(store: Store) -> None:
    store.imports.create(_import())
    claim = _claim(store)
    store.imports.save(claim, {"total_input_tokens": 7, "total_output_tokens": 3, "total_tokens": 10}, now=_NOW)

    ended = store.imports.release(claim, ImportStatus.COMPLETED, {"rows_written": 5}, now=_NOW)

    assert (ended.processing_status, ended.rows_written, ended.lease_until) == (ImportStatus.COMPLETED, 5, None)
    assert store.imports.get("acme", _ID) == ended
    for again in (
        lambda: _claim(store, _LATER),
        lambda: store.imports.release(claim, ImportStatus.FAILED, {}, now=_NOW),
    ):
        with pytest.raises(ClaimLostError):
            again()
    assert store.month_usage("acme", "2026-03")[0].total_tokens == 10


def test_an_import_that_goes_on_later_waits_for_the_next_processor(store: Store) -> None:
    store.imports.create(_import())
    store.imports.release(_claim(store), ImportStatus.PENDING, {}, now=_NOW)

    assert _claim(store).fencing_token == 2


def test_a_person_says_yes_with_another_mapping(store: Store) -> None:
    store.imports.create(_import())
    store.imports.release(_claim(store), ImportStatus.AWAITING_REVIEW, {"mapping": "{}", "questions": "[]"}, now=_NOW)
    with pytest.raises(ClaimLostError):
        _claim(store)

    approved = store.imports.approve("acme", _ID, mapping='{"a":1}', now=_NOW)

    assert (approved.is_approved, approved.mapping, approved.questions) == (True, '{"a":1}', None)
    assert _claim(store)
    with pytest.raises(PermanentError, match="not waiting"):
        store.imports.approve("acme", _ID, now=_NOW)
    with pytest.raises(PermanentError, match="no such import"):
        store.imports.approve("globex", _ID, now=_NOW)


def test_a_waiting_import_is_canceled_at_once_and_a_running_one_is_asked(store: Store) -> None:
    store.imports.create(_import())
    claim = _claim(store)

    assert store.imports.request_cancel("acme", _ID, now=_NOW).processing_status is ImportStatus.PROCESSING
    assert store.imports.renew(claim, ImportProgress(), lease=_LEASE, now=_NOW).is_cancel_requested
    store.imports.release(claim, ImportStatus.CANCELED, {}, now=_NOW)
    with pytest.raises(PermanentError, match="CANCELED already"):
        store.imports.request_cancel("acme", _ID, now=_NOW)

    other = "imp_fedcba9876543210"
    store.imports.create(_import(id=other))
    assert store.imports.request_cancel("acme", other, now=_NOW).processing_status is ImportStatus.CANCELED


def test_the_same_file_becomes_the_same_output_once(store: Store) -> None:
    first, second = _import(), _import(id="imp_fedcba9876543210")

    assert store.imports.take_guard(first, "a" * 64) == first.id
    assert store.imports.take_guard(second, "a" * 64) == first.id
    assert store.imports.take_guard(second.model_copy(update={"output_format": "csv"}), "a" * 64) == second.id
    assert store.imports.take_guard(second.model_copy(update={"user_company_id": "globex"}), "a" * 64) == second.id

    store.imports.free_guard(second, "a" * 64)  # it was never its own
    assert store.imports.take_guard(second, "a" * 64) == first.id
    store.imports.free_guard(first, "a" * 64)
    assert store.imports.take_guard(second, "a" * 64) == second.id


def test_a_forgotten_persons_import_leaves_nothing(store: Store) -> None:
    import_ = _import(mapping="{" + " " * 20_000 + "}")
    store.imports.create(import_)
    store.imports.save_part(_claim(store), _part(1), ImportProgress(), lease=_LEASE, now=_NOW)

    assert store.imports.forget_person("acme", import_.user_id) == 1

    assert store.imports.get("acme", _ID) is None
    assert store.imports.list_parts("acme", _ID) == ()
    assert store.imports.list_of("acme") == ()


def _template(version: int, **document: object) -> ImportTemplate:
    return ImportTemplate(company_id="acme", name="contacts", version=version, document=document, created_at=_NOW)


def test_templates_have_versions(store: Store) -> None:
    first, second = _template(1, record={"type": "object"}, price=0.5), _template(2, record={"x": "y" * 10_000})
    store.templates.put_template(first)
    store.templates.put_template(second)

    assert store.templates.current_template("acme", "contacts") == second
    assert store.templates.get_template("acme", "contacts", 1) == first
    assert store.templates.list_template_versions("acme", "contacts") == (second, first)
    assert store.templates.list_templates("acme") == (second,)
    assert store.templates.list_templates("globex") == ()
    with pytest.raises(PermanentError, match="next version of this template is 3"):
        store.templates.put_template(second)


def test_a_mapping_is_found_by_its_header(store: Store) -> None:
    store.templates.save_mapping("acme", "contacts", 1, "f" * 64, '{"a":1}')

    assert store.templates.find_mapping("acme", "contacts", 1, "f" * 64) == '{"a":1}'
    assert store.templates.find_mapping("acme", "contacts", 2, "f" * 64) is None
    assert store.templates.find_mapping("globex", "contacts", 1, "f" * 64) is None


def test_a_company_has_one_commercial_api_or_none(store: Store) -> None:
    api = CommercialApi(url="https://api.example.com/imports", secret_name="parley/prod/tools/erp", batch_size=100)
    store.templates.set_commercial_api("acme", api)

    assert store.templates.get_commercial_api("acme") == api
    assert store.templates.get_commercial_api("globex") is None

    store.templates.set_commercial_api("acme", None)
    assert store.templates.get_commercial_api("acme") is None
