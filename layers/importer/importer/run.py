"""The use case of ImportsQueue: a file that was put into the bucket becomes the wanted output, exactly once.

S3 tells of each file; the import was made before by who uploaded it, or is made now. An import is claimed, goes through
its steps, stores each part for good, and is queued again before the invocation ends. Whatever dies or is delivered
twice, the output is the same to the byte and nobody is handed a record twice.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from urllib.parse import unquote_plus

from pydantic import ValidationError

from core.errors import PermanentError, RetryableError, ServiceError
from core.events import ImportQueued
from core.import_keys import InputKey, read_input_key
from core.import_notices import make_signal
from core.imports import ENDED, Import, ImportOptions, ImportStatus, ImportStep
from core.queues import Delivery
from core.store import ClaimLostError
from core.store.import_ranges import ImportBusyError
from core.telemetry import logger, metrics
from importer.converting import convert_table
from importer.duplicates import check_duplicate, free_guard
from importer.extracting import chunk_keys, extract_documents
from importer.fanning import drop_ranges
from importer.opening import OpenTable, open_file
from importer.outputs import PartStore, spool_key
from importer.planning import read_template
from importer.problems import ProblemCode, refuse
from importer.range_run import run_range
from importer.running import LEASE, CanceledError, Collaborators, Ending, OutOfTimeError, Pulse, Running
from importer.submitting import submit

_BUSY_SPARE = timedelta(seconds=1)
_GAVE_UP = "gave-up"
_DEFAULT_TEMPLATE = "default"
_FAILED = frozenset((ImportStatus.FAILED, ImportStatus.CANCELED))


def run_imports(delivery: Delivery[ImportQueued], *, collaborators: Collaborators) -> None:
    """Work on what a message of ImportsQueue tells of.

    Raises:
        RetryableError: Deliver the message again.
    """
    if delivery.message.range_number is not None:
        run_range(delivery, collaborators=collaborators)
        return
    for company_id, import_id in _targets(delivery.message, collaborators):
        _Run(company_id, import_id, delivery, collaborators).run()


def _targets(message: ImportQueued, collaborators: Collaborators) -> Iterator[tuple[str, str]]:
    if message.import_id:
        yield message.company_id, message.import_id
    for record in message.records:
        found = read_input_key(record.s3.object.key)
        key = unquote_plus(record.s3.object.key)
        if found is None or not _is_expected(found, key, collaborators):
            logger.info("a file that is no import is set aside")
            metrics.count("ImportsSetAside")
            continue
        yield found.company_id, found.import_id


def _is_expected(found: InputKey, key: str, collaborators: Collaborators) -> bool:
    """Whether the file is one that an import is, or can be made, for."""
    store, url = collaborators.store, collaborators.bucket.url(key)
    standing = store.imports.get(found.company_id, found.import_id)
    if standing is not None:
        return standing.input_file_url == url
    if store.directory.get_company(found.company_id) is None:
        return False
    return store.imports.create(_make_import(found, key, collaborators)) or _is_expected(found, key, collaborators)


def _make_import(found: InputKey, key: str, collaborators: Collaborators) -> Import:
    """The import of a file that nobody announced: as its metadata says, else as the company's default template does."""
    now = collaborators.clock()
    noted = collaborators.bucket.metadata(key)
    given: dict[str, object] = {
        name: noted[word]
        for name, word in (("template", "template"), ("output_format", "output-format"), ("table", "table"))
        if noted.get(word)
    }
    flags = (("is_dry_run", "dry-run"), ("is_reviewed", "review"), ("is_forced", "force"), ("is_repaired", "repair"))
    given |= {name: True for name, word in flags if noted.get(word) == "true"}
    templates = collaborators.store.templates
    if "template" not in given and templates.current_template(found.company_id, _DEFAULT_TEMPLATE):
        given["template"] = _DEFAULT_TEMPLATE
    wrong: dict[str, object] = {}
    options = ImportOptions()
    try:
        given["max_cost"] = Decimal(noted["max-cost"]) if noted.get("max-cost") else None
        options = ImportOptions.model_validate(given)
    except (ValidationError, InvalidOperation):
        message = "the file's metadata ask for something that imports do not know"
        wrong = {"processing_status": ImportStatus.FAILED, "error_code": "options", "error_message": message}
    return Import.model_validate(
        {
            "id": found.import_id,
            "user_id": found.user_id,
            "user_company_id": found.company_id,
            "input_file_name": found.name,
            "input_file_url": collaborators.bucket.url(key),
            "options": options,
            "output_format": options.output_format,
            "created_at": now,
            "updated_at": now,
            **wrong,
        }
    )


class _Run:
    """One import in one invocation."""

    def __init__(
        self, company_id: str, import_id: str, delivery: Delivery[ImportQueued], collaborators: Collaborators
    ) -> None:
        self._company_id = company_id
        self._import_id = import_id
        self._delivery = delivery
        self._collaborators = collaborators

    def run(self) -> None:
        """Claim the import, work on it, and give it up as that ended.

        Raises:
            RetryableError: Deliver the message again.
        """
        imports, now = self._collaborators.store.imports, self._collaborators.clock()
        try:
            claim, import_ = imports.claim(self._company_id, self._import_id, lease=LEASE, now=now)
        except ImportBusyError as exc:
            # Not given back: a long import would wear its own second message out.
            self._go_on((exc.retry_after or LEASE) + _BUSY_SPARE)
            return
        except ClaimLostError:  # over, waiting for a person, or unknown
            if standing := imports.get(self._company_id, self._import_id):
                self._tell(standing)  # who left it so may have died before
            return
        running = Running(claim, import_, self._collaborators, self._delivery.remaining)
        with suppress(ClaimLostError):
            self._settle(running, self._end(running))

    def _end(self, running: Running) -> Ending:
        """How the work ended, whatever it ended with."""
        if self._delivery.is_last:
            message = "every attempt to import the file failed"
            return _failed(running.import_.error_code or _GAVE_UP, running.import_.error_message or message)
        try:
            with Pulse(running):
                return _work(running)
        except CanceledError:
            return Ending(ImportStatus.CANCELED)
        except OutOfTimeError:
            if running.has_advanced:
                return Ending(ImportStatus.PENDING)
            self._give_back(running, "no-progress")
            raise RetryableError("no-progress", "an invocation was too short for any progress") from None
        except PermanentError as exc:
            return _failed(exc.code, exc.message)
        except ClaimLostError:
            raise
        except Exception as exc:
            self._give_back(running, exc.code if isinstance(exc, ServiceError) else type(exc).__name__)
            raise

    def _give_back(self, running: Running, code: str) -> None:
        """Let the next delivery begin at once; what went wrong stays visible."""
        with suppress(ServiceError):
            running.release(Ending(ImportStatus.PENDING, {"error_code": code}))

    def _settle(self, running: Running, ending: Ending) -> None:
        is_over = ending.status in ENDED
        changes = dict(ending.changes)
        if ending.status not in (*_FAILED, ImportStatus.COMPLETED_WITH_ERRORS):
            changes |= {"error_code": None, "error_message": None}
        if is_over:
            changes["step"] = ImportStep.DONE
        released = running.release(Ending(ending.status, changes))
        metrics.count("Imports", status=ending.status.value)
        about = {"importId": released.id, "status": released.processing_status.value, "code": released.error_code}
        logger.info("import given up", extra=about)
        self._tell(released)
        if ending.status is ImportStatus.PENDING:
            self._go_on(timedelta(0))
        for number in ending.ranges:
            self._go_on(timedelta(0), number)
        if is_over:
            with suppress(ServiceError):  # the bucket's lifecycle removes what is left
                _clean_up(running)

    def _tell(self, import_: Import) -> None:
        if signal := make_signal(import_, self._collaborators.clock()):
            self._collaborators.tell(signal)

    def _go_on(self, delay: timedelta, range_number: int | None = None) -> None:
        message = ImportQueued(company_id=self._company_id, import_id=self._import_id, range_number=range_number)
        self._collaborators.go_on(message, delay=delay)


def _work(running: Running) -> Ending:
    running.check()
    ending = _after_write(running) or _convert(running)
    if ending.status not in (ImportStatus.COMPLETED, ImportStatus.COMPLETED_WITH_ERRORS):
        return ending
    if running.import_.options.is_dry_run:
        return ending
    if ending.changes:
        running.save(**ending.changes, step=ImportStep.SUBMIT)
    return submit(running, ending)


def _after_write(running: Running) -> Ending | None:
    """How an import ends whose output an earlier process wrote; None where it is not written yet."""
    import_ = running.import_
    if import_.step is not ImportStep.SUBMIT:
        return None
    has_errors = bool(import_.rows_rejected or import_.rejects_file_url)
    return Ending(ImportStatus.COMPLETED_WITH_ERRORS if has_errors else ImportStatus.COMPLETED)


def _convert(running: Running) -> Ending:
    import_, collaborators = running.import_, running.collaborators
    key = collaborators.bucket.key_of(import_.input_file_url)
    source = collaborators.bucket.source(key, import_.input_file_name)
    if import_.etag is None:
        running.save(etag=source.etag, size=source.size)
    elif import_.etag != source.etag:
        raise refuse(ProblemCode.FILE_CHANGED, "the file was replaced while it was imported: start again")
    template = read_template(running)
    check_duplicate(running, source)
    secret = import_.options.password_secret_name
    password = collaborators.read_secret(secret) if secret else ""
    with open_file(source, import_.options, limits=collaborators.limits, password=password) as opened:
        if isinstance(opened, OpenTable):
            return convert_table(running, source, opened, template)
        return extract_documents(running, opened, template)


def _failed(code: str, message: str) -> Ending:
    return Ending(ImportStatus.FAILED, {"error_code": code, "error_message": message})


def _clean_up(running: Running) -> None:
    """Remove what was needed only on the way; a failed import leaves the file free to be imported again."""
    import_, bucket = running.import_, running.collaborators.bucket
    if import_.options.is_dry_run:
        return
    if import_.processing_status in _FAILED:
        free_guard(running)
        if import_.upload_id and import_.upload_key and import_.output_file_url is None:
            bucket.abort_upload(import_.upload_key, import_.upload_id)
    if import_.ranges:
        drop_ranges(import_, running.collaborators)
    elif import_.upload_id:
        PartStore(running).drop_pieces()
    else:
        bucket.delete(chunk_keys(import_))
    if import_.upload_key == spool_key(import_):
        bucket.delete([spool_key(import_)])
