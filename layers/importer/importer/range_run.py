"""Works on one range of a large file: scans it, or converts it piece by piece; any process, any number side by side."""

from contextlib import suppress
from datetime import timedelta

from core.errors import PermanentError, RetryableError, ServiceError
from core.events import ImportQueued
from core.imports import Import, ImportStatus
from core.queues import Delivery
from core.store import ClaimLostError
from core.store.import_ranges import ImportBusyError
from core.telemetry import metrics
from importer.bordered import BorderedFile
from importer.engine import check_etag, convert, stream_of
from importer.fanning import is_settled
from importer.opening import OpenTable, open_file, plain_mapping, plain_template
from importer.pieces import PieceStore, RangeWriter
from importer.planning import StoredMapping, make_template
from importer.problems import ProblemCode, refuse
from importer.range_running import RunningRange, UnneededError
from importer.ranges import RangeWork
from importer.rows import RowMaker
from importer.running import LEASE, CanceledError, Collaborators, OutOfTimeError, Pulse
from importer.scanning import scan
from importer.source import Source
from importer.template import Template
from importer.values import Checkpoint, Progress
from importer.writers import load_writer

_BUSY_SPARE = timedelta(seconds=1)
# Between two tries of whoever decides it is PENDING: its ranges are worked on all the same.
_GOING_ON = frozenset((ImportStatus.PENDING, ImportStatus.PROCESSING))


def run_range(delivery: Delivery[ImportQueued], *, collaborators: Collaborators) -> None:
    """Work on the range that a message of ImportsQueue names.

    Raises:
        RetryableError: Deliver the message again.
    """
    message, imports = delivery.message, collaborators.store.imports
    import_ = imports.get(message.company_id, message.import_id)
    if import_ is None or import_.processing_status not in _GOING_ON or message.range_number is None:
        return
    try:
        claim, found = imports.ranges.claim(
            message.company_id, message.import_id, message.range_number, lease=LEASE, now=collaborators.clock()
        )
    except ImportBusyError as exc:
        collaborators.go_on(message, delay=(exc.retry_after or LEASE) + _BUSY_SPARE)
        return
    except ClaimLostError:
        _wake(import_, collaborators)  # whoever did it may have died before this
        return
    running = RunningRange(claim, found, import_, collaborators, delivery.remaining)
    with suppress(ClaimLostError):
        _work(running, delivery)
        _wake(import_, collaborators)


def _work(running: RunningRange, delivery: Delivery[ImportQueued]) -> None:
    """Scan or convert the range, and give it up as that ended."""
    work = RangeWork.model_validate_json(running.range.document)
    if delivery.is_last:
        problem = ("gave-up", "every attempt to import a range of the file failed")
        running.save(work.model_copy(update={"problem": problem}), state="done", is_kept=False)
        return
    try:
        with Pulse(running):
            done = _scan_or_convert(running, work)
    except CanceledError:
        running.free()
        _go_on(running.import_, running.collaborators)
    except UnneededError:
        running.free()
        if not running.is_beyond_the_end():  # any more: one before it was begun anew meanwhile
            running.collaborators.go_on(delivery.message, delay=timedelta(0))
    except OutOfTimeError:
        running.free()
        if not running.has_advanced:
            raise RetryableError("no-progress", "an invocation was too short for any progress") from None
        running.collaborators.go_on(delivery.message, delay=timedelta(0))
    except PermanentError as exc:
        running.save(work.model_copy(update={"problem": (exc.code, exc.message)}), state="done", is_kept=False)
    except Exception:
        with suppress(ServiceError):
            running.free()
        raise
    else:
        is_scan = running.range.state == "new"
        running.save(done, state="scanned" if is_scan else "done", is_kept=False)
        metrics.count("ImportRanges", state="scanned" if is_scan else "done")


def _scan_or_convert(running: RunningRange, work: RangeWork) -> RangeWork:
    """The range's work with what was done."""
    running.check()
    import_, collaborators = running.import_, running.collaborators
    source = collaborators.bucket.source(collaborators.bucket.key_of(import_.input_file_url), import_.input_file_name)
    check_etag(Checkpoint(etag=import_.etag or ""), source.etag)
    template = _template_of(import_, collaborators)
    running.max_errors = template.max_errors if template else None
    with open_file(source, import_.options, limits=collaborators.limits) as opened:
        if not isinstance(opened, OpenTable):
            raise refuse(ProblemCode.FILE_CHANGED, "the file is no table any more")
        if running.range.state == "new":
            is_first = running.range.number == 0
            return work.model_copy(update={"scan": scan(source, work, opened.file, opened.table, is_first=is_first)})
        return _convert(running, work, source, opened, template)


def _convert(
    running: RunningRange, work: RangeWork, source: Source, opened: OpenTable, template: Template | None
) -> RangeWork:
    import_, number = running.import_, running.range.number
    stored = StoredMapping.model_validate_json(import_.mapping) if template and import_.mapping else None
    wanted = template or plain_template(opened.table)
    writer = stream_of(load_writer(import_.output_format), is_spooled=work.is_spooled)
    pieces = PieceStore(running.collaborators.bucket, import_, number, work)

    def report(progress: Progress) -> None:
        running.report(progress.bytes_done - work.start["offset"], progress.rows_ok, progress.rows_rejected)

    parts = convert(
        opened.file if work.border is None else BorderedFile(opened.file, work.border),
        opened.table,
        template=wanted,
        maker=RowMaker(wanted, stored or plain_mapping(opened.table), opened.table.columns),
        writer=RangeWriter(writer, is_first=number == 0),
        start=work.reached or Checkpoint(etag=source.etag, position=work.start),
        part_bytes=running.collaborators.part_bytes_of(import_),
        report=report,
    )
    try:
        for part in parts:
            if pieces.store(part):
                running.save(pieces.work)
    except PermanentError as exc:
        pieces.fail(exc.code, exc.message)
    return pieces.work


def _template_of(import_: Import, collaborators: Collaborators) -> Template | None:
    """The template that the import began with."""
    if import_.template is None or import_.template_version is None:
        return None
    templates = collaborators.store.templates
    found = templates.get_template(import_.user_company_id, import_.template, import_.template_version)
    if found is None:
        raise PermanentError("template-unknown", "the company has no such template any more")
    return make_template(found.document, name=found.name, version=found.version)


def _wake(import_: Import, collaborators: Collaborators) -> None:
    """Let the import go on if nothing is missing."""
    ranges = collaborators.store.imports.ranges.list_of(import_.user_company_id, import_.id)
    template = _template_of(import_, collaborators)
    if ranges and is_settled(ranges, template.max_errors if template else None):
        _go_on(import_, collaborators)


def _go_on(import_: Import, collaborators: Collaborators) -> None:
    collaborators.go_on(ImportQueued(company_id=import_.user_company_id, import_id=import_.id), delay=timedelta(0))
