"""How the columns of an import's table become fields: proposed, tried, answered by people, remembered."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import Field, ValidationError

from core.errors import PermanentError
from core.imports import ImportStatus, ImportStep
from importer.answers import answer
from importer.engine import preview, reject_line, sample
from importer.mapping import fingerprint, propose
from importer.opening import OpenTable
from importer.problems import Reject
from importer.repair import mend
from importer.rows import RowMaker
from importer.running import Ending, Running
from importer.template import Template
from importer.values import Cell, TableMapping

_PREVIEW_ROWS = 1_000
_SHOWN = 20  # records and rejects of a preview
_ROWS_PER_SECOND = 40_000  # of one processor that is not fast, for estimates
_REPAIR_TOKENS = 20_000
type Samples = Mapping[str, Sequence[Cell]]


class StoredMapping(TableMapping):
    """A mapping as an import keeps it, with a person's answers to its questions by their ids.

    Attributes:
        is_settled: Nothing more is asked or tried: rows are converted with it.
    """

    answers: dict[str, str] = Field(default_factory=dict)
    is_settled: bool = False


def read_template(running: Running) -> Template | None:
    """The template of an import in the version that it began with; None where it has none.

    Raises:
        PermanentError: There is no such template, or it makes no sense.
    """
    import_, templates = running.import_, running.collaborators.store.templates
    name = import_.options.template
    if name is None:
        return None
    company_id, version = import_.user_company_id, import_.template_version or import_.options.template_version
    found = (
        templates.get_template(company_id, name, version) if version else templates.current_template(company_id, name)
    )
    if found is None:
        raise PermanentError("template-unknown", "the company has no such template, or not in this version")
    template = make_template(found.document, name=name, version=found.version)
    if import_.template_version is None:
        running.save(template=name, template_version=found.version)
    return template


def make_template(document: Mapping[str, Any], *, name: str, version: int) -> Template:
    """The template that a stored document is.

    Raises:
        PermanentError: It makes no sense.
    """
    try:
        return Template.model_validate({**document, "name": name, "version": version})
    except ValidationError as exc:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors(include_input=False)
        )
        raise PermanentError("template-invalid", f"the template makes no sense: {wrong[:500]}") from None


def plan(running: Running, opened: OpenTable, template: Template) -> TableMapping | Ending:
    """The mapping to convert with; an ending where a person decides first, or where nothing but a look was wanted."""
    import_ = running.import_
    stored = StoredMapping.model_validate_json(import_.mapping) if import_.mapping else None
    if stored and stored.is_settled:
        return stored
    samples = sample(opened.file, opened.table)
    stored = stored or _propose(running, opened, template, samples)
    if import_.is_approved:
        known = {question.id for question in stored.questions}
        stored = _answer(stored, template, samples)
        needs_person = any(question.id not in known for question in stored.questions)
    else:
        needs_person = bool(stored.questions) or import_.options.is_reviewed
    if import_.options.is_dry_run:
        return Ending(ImportStatus.COMPLETED, {**_shown(running, opened, template, stored), "step": ImportStep.DONE})
    if needs_person:
        changes = {**_shown(running, opened, template, stored), "step": ImportStep.REVIEW, "is_approved": False}
        return Ending(ImportStatus.AWAITING_REVIEW, changes)
    settled = stored.model_copy(update={"is_settled": True})
    running.save(mapping=settled.model_dump_json(by_alias=True), step=ImportStep.CONVERT)
    return settled


def remember(running: Running, table_columns: Sequence[str], template: Template, mapping: TableMapping) -> None:
    """Let the next file with this header be mapped as this one was."""
    if mapping.questions:
        return
    kept = TableMapping(fields=mapping.fields, unmapped=mapping.unmapped, missing=mapping.missing)
    running.collaborators.store.templates.save_mapping(
        running.import_.user_company_id,
        template.name,
        template.version,
        fingerprint(table_columns, template),
        kept.model_dump_json(by_alias=True),
    )


def _propose(running: Running, opened: OpenTable, template: Template, samples: Samples) -> StoredMapping:
    import_, templates = running.import_, running.collaborators.store.templates
    running.save(step=ImportStep.MAP)
    known = templates.find_mapping(
        import_.user_company_id, template.name, template.version, fingerprint(opened.table.columns, template)
    )
    remembered = TableMapping.model_validate_json(known) if known else None
    mapping = propose(samples, template, remembered=remembered, model=running.model).mapping
    if import_.options.is_repaired and not mapping.missing:
        maker = RowMaker(template, mapping, opened.table.columns)
        seen = preview(opened.file, opened.table, template=template, maker=maker, rows=_PREVIEW_ROWS)
        mapping, _ = mend(seen.rejects, mapping, template, model=running.model, max_tokens=_REPAIR_TOKENS)
    stored = StoredMapping.model_validate(mapping.model_dump())
    running.save(mapping=stored.model_dump_json(by_alias=True))  # what was paid for is not asked again
    return stored


def _answer(stored: StoredMapping, template: Template, samples: Samples) -> StoredMapping:
    answered = answer(stored, stored.answers, template, samples)
    return StoredMapping.model_validate({**answered.model_dump(), "answers": {}})


def _shown(running: Running, opened: OpenTable, template: Template, stored: StoredMapping) -> dict[str, object]:
    """What people look at: the mapping, its questions, and what the first rows become."""
    questions = [question.model_dump(mode="json", by_alias=True) for question in stored.questions]
    return {
        "mapping": stored.model_dump_json(by_alias=True),
        "questions": json.dumps(questions, ensure_ascii=False) if questions else None,
        "preview": _preview(running, opened, template, stored),
    }


def _preview(running: Running, opened: OpenTable, template: Template, mapping: TableMapping) -> str:
    try:
        maker = RowMaker(template, mapping, opened.table.columns)
    except PermanentError as exc:
        return json.dumps({"problem": {"code": exc.code, "message": exc.message}})
    seen = preview(opened.file, opened.table, template=template, maker=maker, rows=_PREVIEW_ROWS)
    rows = _estimate_rows(running, opened, seen.rows)
    shown = {
        "rows": seen.rows,
        "records": seen.records[:_SHOWN],
        "rejected": len({reject.row for reject in seen.rejects}),
        "rejects": [_as_json(reject) for reject in seen.rejects[:_SHOWN]],
        "fill": seen.fill,
        "validity": seen.validity,
        "estimate": {"rows": rows, "seconds": round(rows / _ROWS_PER_SECOND, 1)},
    }
    return orjson.dumps(shown, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _as_json(reject: Reject) -> object:
    return orjson.loads(reject_line(reject))


def _estimate_rows(running: Running, opened: OpenTable, seen: int) -> int:
    """How many rows the table has: as it says, or as its beginning suggests."""
    if opened.table.row_count is not None:
        return opened.table.row_count
    chunk = next(iter(opened.file.read(opened.table, opened.table.start)), None)
    size = running.import_.size or 0
    if chunk is None or not chunk.bytes_done or not chunk.rows or chunk.bytes_done >= size:
        return seen
    return max(seen, size * len(chunk.rows) // chunk.bytes_done)
