"""What a conversation is told of an import: in every language, with a stranger's names tamed, and when."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

import pytest

from core.events import SignalKind
from core.import_notices import button_reference, make_signal, split_button_reference, state_of
from core.import_reasons import explain_file, explain_row
from core.import_reports import link_line, report
from core.import_texts import Said, words
from core.imports import Import, ImportNotice, ImportOptions, ImportOrigin, ImportStatus
from core.models import Address
from importer.problems import ProblemCode

LANGUAGES = ("en", "de", "fr", "es", "pt", "ja")
_SAID: tuple[Said, ...] = get_args(Said.__value__)
_NOW = datetime(2026, 11, 22, tzinfo=UTC)
_ORIGIN = ImportOrigin(
    address=Address(platform="slack", workspace_id="T1", channel_id="C1", thread_id="1.1"),
    question_id="cnv_1.m.01KAAAAAAAAAAAAAAAAAAAAAAA",
    external_message_id="1.1",
    external_user_id="U1",
)

in_every_language = pytest.mark.parametrize("language", LANGUAGES)


def _import(status: ImportStatus = ImportStatus.COMPLETED, **fields: object) -> Import:
    least = {
        "id": "imp_0123456789abcdef",
        "user_id": "usr_a",
        "user_company_id": "acme",
        "input_file_name": "people.csv",
        "input_file_url": "s3://bucket/imports/acme/usr_a/imp_0123456789abcdef/people.csv",
        "processing_status": status,
        "origin": _ORIGIN,
        "fencing_token": 2,
        "created_at": _NOW,
        "updated_at": _NOW,
    }
    return Import.model_validate({**least, **fields})


@in_every_language
def test_every_text_is_there_once_with_its_placeholders(language: str) -> None:
    texts = [words(said, language) for said in _SAID]
    assert len(set(texts)) == len(texts)
    for said, text in zip(_SAID, texts, strict=True):
        assert set(re.findall(r"\{\w*\}", text)) == set(re.findall(r"\{\w*\}", words(said))), said
        assert language == "en" or text != words(said), said


@in_every_language
def test_every_problem_is_explained(language: str) -> None:
    files = {explain_file(code, language) for code in (*ProblemCode, "duplicate-file", "cost-cap", "gave-up", None)}
    rows = {explain_row(code, language) for code in ProblemCode}
    assert len(files) >= 9
    assert len(rows) == 7
    assert language == "en" or not (files | rows) & {explain_file(None), explain_row("type-error")}


def test_a_code_of_nobodys_doing_is_our_fault() -> None:
    assert "our side" in explain_file("s3-denied")
    assert "password" in explain_file("password-required")
    assert "empty" in explain_file("nothing-found")


def test_how_it_went_is_said_with_the_first_problems() -> None:
    done = _import(
        ImportStatus.COMPLETED_WITH_ERRORS, rows_written=10, rows_rejected=5, notices=("1 row was left out",)
    )
    rejects = [{"row": n, "column": "E-Mail", "code": "type-error"} for n in range(1, 6)] + [
        {"row": 9, "code": "quote"}
    ]
    assert report(done, rejects, None) == (
        "**Imported in part:** `people.csv`. 10 rows are good, 5 are not.\n\n"
        "The first problems:\n"
        "- Row 1, `E-Mail`: the value is of another kind than it has to be\n"
        "- Row 2, `E-Mail`: the value is of another kind than it has to be\n"
        "- Row 3, `E-Mail`: the value is of another kind than it has to be\n\n"
        "Also:\n- 1 row was left out"
    )


def test_a_hand_over_is_told() -> None:
    assert "took it as `COM-1`" in report(_import(rows_written=1, commercial_import_id="COM-1"), (), None)
    refused = _import(ImportStatus.COMPLETED_WITH_ERRORS, rows_written=1, submission="refused", error_code="x")
    assert "did not take it" in report(refused, (), None)


def test_names_of_a_stranger_cannot_leave_their_place() -> None:
    name = "a`**b**\n<!channel> [x](https://evil.example)\u202e" + "y" * 200
    said = report(_import(input_file_name=name, rows_written=1), [{"row": 1, "column": name, "code": "quote"}], None)
    assert said.count("`") == 4
    assert not set("\u202e<[") & set(said)
    assert max(map(len, said.splitlines())) < 160


def test_what_a_person_decides_is_shown_with_the_mapping_and_the_questions() -> None:
    waiting = _import(
        ImportStatus.AWAITING_REVIEW,
        mapping='{"fields": [{"target": "email", "columns": ["E-Mail"]}, {"target": "kind", "columns": []}]}',
        questions='[{"id": "order:since", "text": "Day first?", "options": ["dmy", "mdy"], "examples": ["01/02"]}]',
    )
    said = report(waiting, (), "de")
    assert "- `email` ← `E-Mail`\n- `kind` ← ·" in said
    assert "- `order:since`: Day first? `dmy` | `mdy`" in said
    assert "imports approve imp_0123456789abcdef --answer" in said


def test_links_say_how_long_they_work() -> None:
    assert link_line("https://a", None, "de") == "[Ergebnis](https://a)\n_Die Links gelten eine Stunde._"
    assert link_line("https://a", "https://b", None).startswith("[Result](https://a) · [Rejected rows](https://b)\n")
    assert link_line(None, None, None) == ""


def test_each_state_is_told_once_and_only_where_it_came_from() -> None:
    done = _import()
    signal = make_signal(done, _NOW)
    assert signal is not None
    assert (signal.kind, signal.reference, signal.address) == (SignalKind.IMPORT, done.id, _ORIGIN.address)
    assert signal == make_signal(done, _NOW), "sent again it is the same"
    told = ImportNotice(state=state_of(done) or "", is_told=True)
    assert make_signal(done.model_copy(update={"notice": told}), _NOW) is None
    again = done.model_copy(update={"notice": told, "fencing_token": 3})
    assert make_signal(again, _NOW), "another claim ended in the same status"
    assert make_signal(done.model_copy(update={"origin": None}), _NOW) is None
    for status in (ImportStatus.PENDING, ImportStatus.PROCESSING):
        assert make_signal(_import(status), _NOW) is None


def test_a_buttons_reference_is_told_from_others() -> None:
    assert split_button_reference(button_reference(_import())) == ("imp_0123456789abcdef", 2)
    for other in ("", "cnv_1.m.01KAAAAAAAAAAAAAAAAAAAAAAA/000000", "imp_0123456789abcdef", "imp_0123456789abcdef:x"):
        assert split_button_reference(other) is None


def test_options_and_costs_are_no_part_of_it() -> None:
    dry = _import(options=ImportOptions(is_dry_run=True), cost=Decimal(1))
    assert report(dry, (), None) == "**Only looked at:** `people.csv`. Nothing was written."
