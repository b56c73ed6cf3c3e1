"""One table of a file becomes the output: mapping, parts with checkpoints, and the whole at the end."""

from collections.abc import Mapping

from core.errors import PermanentError
from core.imports import ImportStatus, ImportStep
from importer.engine import Outcome, check_etag, convert, outcome, stream_of
from importer.fanning import Joined, is_ranged, join_ranges
from importer.opening import OpenTable, plain_mapping, plain_template
from importer.outputs import PartStore, content_of, final_key, is_in_lines, write_from_spool
from importer.planning import plan, remember
from importer.problems import ProblemCode
from importer.rows import RowMaker
from importer.running import Ending, OutOfTimeError, Running
from importer.source import Source
from importer.template import Template
from importer.values import Checkpoint, Progress, TableMapping
from importer.writers import load_writer

_DONE = frozenset((ImportStatus.COMPLETED, ImportStatus.COMPLETED_WITH_ERRORS))
_NO_ROWS = "there is nothing below the header; where the first line is a row already, put names of columns above it"
_WHOLE_SECONDS = 240.0  # of an invocation, to begin a format that is written in one go

_STATUSES: Mapping[Outcome, ImportStatus] = {
    Outcome.COMPLETED: ImportStatus.COMPLETED,
    Outcome.COMPLETED_WITH_ERRORS: ImportStatus.COMPLETED_WITH_ERRORS,
    Outcome.FAILED: ImportStatus.FAILED,
}


def convert_table(running: Running, source: Source, opened: OpenTable, template: Template | None) -> Ending:
    """Convert a table and write its output; what is stored already is not done again.

    Returns:
        How the import ends, if there is nobody to hand it to.
    """
    running.save(input_format=opened.format, notices=opened.notices)
    wanted, mapping = template or plain_template(opened.table), plain_mapping(opened.table)
    if template is not None:
        planned = plan(running, opened, template)
        if isinstance(planned, Ending):
            return planned
        mapping = planned
    elif running.import_.options.is_dry_run:
        return Ending(ImportStatus.COMPLETED, {"step": ImportStep.DONE})
    if is_ranged(running, source, opened):
        ending = _write_ranged(running, source, opened, wanted)
    else:
        ending = _write_alone(running, source, opened, wanted, mapping)
    if template is not None and ending.status in _DONE:
        remember(running, opened.table.columns, template, mapping)
    return ending


def _write_ranged(running: Running, source: Source, opened: OpenTable, template: Template) -> Ending:
    """Write what other processes converted; an ending without output where they are not done, or failed."""
    joined = join_ranges(running, source, opened, template, is_spooled=needs_spool(running))
    if isinstance(joined, Ending):
        return joined
    return write_output(running, template, joined, is_spooled=joined.is_spooled)


def _write_alone(
    running: Running, source: Source, opened: OpenTable, template: Template, mapping: TableMapping
) -> Ending:
    """Convert and write in this process, from the last checkpoint on."""
    store = PartStore(running)
    try:
        is_spooled = _convert(running, source, opened, template, mapping, store)
    except PermanentError as exc:
        if exc.code != ProblemCode.TOO_MANY_ERRORS:
            raise
        return _stop(running, exc, store)
    return write_output(running, template, store, is_spooled=is_spooled)


def _stop(running: Running, problem: PermanentError, store: PartStore) -> Ending:
    """The end of an import with more rejects than its template allows: those that made it end are to be looked at."""
    failed = {
        "error_code": problem.code,
        "error_message": problem.message,
        "rows_read": running.progress.rows_ok + running.progress.rows_rejected,
        "rows_rejected": running.progress.rows_rejected,
        "rejects_file_url": store.join_rejects(),
    }
    store.drop_pending()
    return Ending(ImportStatus.FAILED, failed)


def _convert(
    running: Running,
    source: Source,
    opened: OpenTable,
    template: Template,
    mapping: TableMapping,
    store: PartStore,
) -> bool:
    import_ = running.import_
    writer = load_writer(import_.output_format)
    maker = RowMaker(template, mapping, opened.table.columns)
    is_spooled = store.begin(is_spooled=needs_spool(running), media_type=writer.media_type)
    start = store.last or Checkpoint(etag=source.etag)
    check_etag(start, source.etag)

    def report(progress: Progress) -> None:
        running.report(progress.bytes_done, progress.rows_ok, progress.rows_rejected)

    running.report(start.bytes_done, start.rows_ok, start.rows_rejected)
    for part in convert(
        opened.file,
        opened.table,
        template=template,
        maker=maker,
        writer=stream_of(writer, is_spooled=is_spooled),
        start=start,
        part_bytes=running.part_bytes,
        report=report,
    ):
        store.store(part)
    return is_spooled


def needs_spool(running: Running) -> bool:
    """Whether the output is made of lines that are written first.

    So are formats that exist only as a whole, and those from which the records that are handed over cannot be read.
    """
    import_ = running.import_
    if load_writer(import_.output_format).kind == "whole":
        return True
    is_submitted = running.collaborators.store.templates.get_commercial_api(import_.user_company_id) is not None
    return is_submitted and not is_in_lines(import_.output_format)


def write_output(running: Running, template: Template, store: PartStore | Joined, *, is_spooled: bool) -> Ending:
    """Make one file of the parts, and one of the rejects; how the import ends."""
    done = store.last
    assert done is not None  # noqa: S101 - a converted table has at least its last part
    rows: dict[str, object] = {
        "rows_read": done.rows_ok + done.rows_rejected,
        "rows_written": done.rows_ok,
        "rows_rejected": done.rows_rejected,
    }
    if not rows["rows_read"]:
        rows["notices"] = (*running.import_.notices, _NO_ROWS)
    running.save(step=ImportStep.WRITE)
    status = _STATUSES[outcome(done)]
    if status is ImportStatus.FAILED:
        failed = {
            "error_code": ProblemCode.TOO_MANY_ERRORS.value,
            "error_message": "more than one half of the rows do not fit the template: look at the rejects",
            "rejects_file_url": store.join_rejects(),
        }
        return Ending(status, {**rows, **failed})
    if is_spooled and running.has_advanced and running.remaining() < _WHOLE_SECONDS:
        raise OutOfTimeError
    store.complete()
    if is_spooled:
        write_from_spool(running, template)
    import_, bucket = running.import_, running.collaborators.bucket
    written = {
        "output_file_url": bucket.url(final_key(import_)),
        "output_content": content_of(bucket, import_),
        "rejects_file_url": store.join_rejects(),
    }
    return Ending(status, {**rows, **written})
