"""A large file as ranges that other processes work on, and their pieces as one output.

Whoever holds the import decides: what the ranges are, where they begin once all are scanned, which have to be done
again, and, when they fit together, the join. In between nobody holds it; the processor that finishes the last range
that is missing wakes it up. Each decision is made of what is stored, so that it may be made twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched

from core.import_keys import rejects_key
from core.imports import Import, ImportPart, ImportRange, ImportStatus, ImportStep
from importer import dialect as dialects
from importer import encoding as encodings
from importer.engine import output_fields, stream_of
from importer.joining import JoinedPart, Span, plan_parts, renumbered
from importer.opening import OpenTable
from importer.outputs import LINES, begin_output, read_whole, write_joined
from importer.pieces import count_between, piece_key, piece_keys, rejects_piece_key
from importer.problems import ProblemCode
from importer.range_running import total
from importer.ranges import Misplaced, RangeWork, Whole, count_needed, cut, fit, place, replaced
from importer.running import Collaborators, Ending, Running
from importer.source import Source
from importer.template import Template
from importer.values import Dialect
from importer.writers import load_writer

_FORMATS = frozenset(("csv", "jsonl"))  # whose records are lines, or lines with quotes
_HEAD = 64 * 1024
_AT_ONCE = 8  # parts that S3 copies at the same time


def is_ranged(running: Running, source: Source, opened: OpenTable) -> bool:
    """Whether the file's ranges are worked on side by side: as it was begun, else by its size and format.

    Not what is inside another file (it has no places to begin at), and no text whose newline is more than one byte.
    """
    import_ = running.import_
    if import_.ranges:
        return True
    if import_.upload_id or opened.source is not source or opened.format not in _FORMATS:
        return False
    is_large = source.size >= running.collaborators.ranged_from
    return is_large and (opened.format != "csv" or not encodings.detect(source).is_wide)


def join_ranges(
    running: Running, source: Source, opened: OpenTable, template: Template, *, is_spooled: bool
) -> "Joined | Ending":
    """The output of a file's ranges; an ending where they are to be worked on first, or failed."""
    store, import_ = running.collaborators.store.imports.ranges, running.import_
    if not import_.ranges:
        made = _cut(source, opened, running.collaborators.range_bytes, is_spooled=is_spooled)
        store.create(import_.user_company_id, import_.id, made)
        running.save(ranges=len(made), step=ImportStep.CONVERT)
    ranges = store.list_of(import_.user_company_id, import_.id)
    running.progress = total(ranges, source.size)
    works = works_of(ranges)
    if any(each.state == "new" for each in ranges):
        return _wait(running, ranges)
    if any(each.state == "scanned" for each in ranges) and not any(work.problem for work in works):
        placed = dict(enumerate(place(works, opened.table.start)))
        return _wait(running, _replace(running, ranges, placed, state="scanned"))
    if not is_settled(ranges, template.max_errors):
        return _wait(running, ranges)
    found = fit(works, opened.table.start, source.etag, template.max_errors)
    if isinstance(found, Misplaced):
        again = replaced(works, found)
        ranges = _replace(running, ranges, again, state="done")
        _drop(import_, running.collaborators, {number: works[number] for number in again})
        return _wait(running, ranges)
    joined = Joined(running, works, found, template)
    return joined.failure(found.problem) if found.problem else joined


def is_settled(ranges: Sequence[ImportRange], max_errors: int | None) -> bool:
    """Whether whoever holds the import has something to decide: ranges wait for it, or all that count are done."""
    if any(each.state == "new" for each in ranges):
        return False
    if any(each.state == "scanned" for each in ranges):
        return True
    works = works_of(ranges)
    needed = count_needed(works, [work.rows_rejected for work in works], max_errors)
    return all(each.state == "done" for each in ranges[:needed])


def works_of(ranges: Sequence[ImportRange]) -> list[RangeWork]:
    """What is stored of ranges."""
    return [RangeWork.model_validate_json(each.document) for each in ranges]


def drop_ranges(import_: Import, collaborators: Collaborators) -> None:
    """Remove what ranges were needed for on the way."""
    store = collaborators.store.imports.ranges
    _drop(import_, collaborators, dict(enumerate(works_of(store.list_of(import_.user_company_id, import_.id)))))
    store.delete(import_.user_company_id, import_.id)


def _cut(source: Source, opened: OpenTable, size: int, *, is_spooled: bool) -> list[ImportRange]:
    start, end = opened.table.start["offset"], opened.table.start.get("end", source.size)
    dialect = _dialect_of(source) if opened.format == "csv" else Dialect(quote="")
    made = []
    for number, (begin, stop) in enumerate(cut(start, end, size)):
        work = RangeWork(begin=begin, end=stop, quote=dialect.quote, escape=dialect.escape, is_spooled=is_spooled)
        made.append(ImportRange(number=number, document=work.model_dump_json(by_alias=True)))
    return made


def _dialect_of(source: Source) -> Dialect:
    """How the file is written, to guess where its records begin: the reader's own view decides in the end."""
    encoding = encodings.detect(source)
    head = source.read_at(encoding.mark, _HEAD).rpartition(b"\n")[0]
    return dialects.detect(head.decode(encoding.name, "replace").splitlines())


def _replace(
    running: Running, ranges: Sequence[ImportRange], works: Mapping[int, RangeWork], *, state: str
) -> tuple[ImportRange, ...]:
    """Let ranges that are in a state be worked on as `works` says, from their beginnings; all as they are then."""
    store, import_ = running.collaborators.store.imports.ranges, running.import_
    for number, work in works.items():
        standing = ranges[number]
        if standing.state != state:
            continue  # an earlier process was here
        fresh = {
            "state": "ready" if work.start else "done",
            "document": work.model_dump_json(by_alias=True),
            "progress": total((), 0),
        }
        store.replace(import_.user_company_id, import_.id, standing.model_copy(update=fresh))
    return store.list_of(import_.user_company_id, import_.id)


def _wait(running: Running, ranges: Sequence[ImportRange]) -> Ending:
    """Let the ranges be worked on that nobody works on."""
    now = running.collaborators.clock()
    running.progress = total(ranges, running.import_.size or 0)
    free = [each for each in ranges if each.lease_until is None or each.lease_until <= now]
    return Ending(ImportStatus.PROCESSING, ranges=tuple(e.number for e in free if e.state in ("new", "ready")))


def _drop(import_: Import, collaborators: Collaborators, works: Mapping[int, RangeWork]) -> None:
    collaborators.bucket.delete([key for number, work in works.items() for key in piece_keys(import_, number, work)])


class Joined:
    """The output of ranges that fit together."""

    def __init__(self, running: Running, works: Sequence[RangeWork], whole: Whole, template: Template) -> None:
        self._running = running
        self._bucket = running.collaborators.bucket
        self._works = works[: whole.count]
        self._whole = whole
        self._fields = output_fields(template)
        self.is_spooled = works[0].is_spooled
        self.last = whole.last

    def complete(self) -> None:
        """Make the pieces one object. Twice is once."""
        import_ = self._running.import_
        writer = load_writer(import_.output_format)
        begin_output(self._running, is_spooled=self.is_spooled, media_type=writer.media_type)
        import_ = self._running.import_
        tail = stream_of(writer, is_spooled=self.is_spooled).tail(self._fields, self.last.rows_ok)
        parts = plan_parts(list(self._spans()), tail)
        key, upload_id = import_.upload_key or "", import_.upload_id or ""
        if not parts:
            self._bucket.put(key, b"", media_type=LINES)
            return
        imports = self._running.collaborators.store.imports
        etags = [(part.number, part.etag) for part in imports.list_parts(import_.user_company_id, import_.id)]
        missing = list(enumerate(parts, start=1))[len(etags) :]
        with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="join") as threads:
            for some in batched(missing, _AT_ONCE, strict=False):
                self._running.check()
                stored = list(threads.map(lambda each: self._put(key, upload_id, *each), some))
                for number, etag in stored:
                    self._running.save_part(ImportPart(number=number, etag=etag, checkpoint=""))
                etags += stored
        self._bucket.complete_upload(key, upload_id, etags)

    def join_rejects(self) -> str | None:
        """Make the rejects one object, with the file's row numbers; its address, None where there are none."""
        if not any(work.rejects for work in self._works):
            return None
        target = rejects_key(self._running.import_)
        write_joined(self._bucket, self._rejects(), target)
        return self._bucket.url(target)

    def failure(self, problem: tuple[str, str]) -> Ending:
        """The end of an import that failed at one of its ranges."""
        code, message = problem
        failed: dict[str, object] = {"error_code": code, "error_message": message}
        if code == ProblemCode.TOO_MANY_ERRORS:
            failed["rejects_file_url"] = self.join_rejects()
        return Ending(ImportStatus.FAILED, failed)

    def _spans(self) -> Iterator[Span]:
        """The pieces of the output, in order."""
        stream = stream_of(load_writer(self._running.import_.output_format), is_spooled=self.is_spooled)
        written = 0
        for number, work in enumerate(self._works):
            rows = work.reached.rows_ok if work.reached else 0
            # A range does not know whether it has the first record of all.
            spare = count_between(stream, self._fields) if number and rows and not written else 0
            for index, size in enumerate(work.pieces):
                yield Span(piece_key(self._running.import_, number, work, index), 0 if index else spare, size)
            written += rows

    def _rejects(self) -> Iterator[bytes]:
        for number, (work, shift) in enumerate(zip(self._works, self._whole.shifts, strict=True)):
            keys = [rejects_piece_key(self._running.import_, number, work, index) for index in range(len(work.rejects))]
            for lines in renumbered((read_whole(self._bucket, key) for key in keys), shift):
                self._running.check()
                yield lines

    def _put(self, key: str, upload_id: str, number: int, part: JoinedPart) -> tuple[int, str]:
        if part.is_copied:
            (span,) = part.spans
            return number, self._bucket.copy_part(key, upload_id, number, span.key, span.start, span.end)
        read = [self._bucket.source(span.key, "piece").read_at(span.start, span.size) for span in part.spans]
        return number, self._bucket.put_part(key, upload_id, number, b"".join(read) + part.tail)
