"""The documents of a file become the output: pages as they are, or the records that a template asks for, with evidence.

What the model found in a chunk is stored before the next one is waited for: it is not paid for twice.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from core.errors import PermanentError
from core.import_keys import output_key, rejects_key
from core.imports import Import, ImportPart, ImportStatus, ImportStep
from core.models import Usage, Value
from importer.documents import Senses, page_markdown, page_records, read_pages
from importer.engine import output_fields, reject_line
from importer.extraction import Caps, ChunkResult, Miss, check_caps, estimate, extract
from importer.merging import Merged, merge
from importer.opening import OpenDocuments
from importer.outputs import EVIDENCE, LINES, content_of, final_key, is_in_lines, spool_key, write_file
from importer.problems import Reject
from importer.rows import RowMaker
from importer.running import Ending, Running
from importer.template import Template
from importer.values import Chunk, FieldMapping, Origin, Page, Record, TableMapping
from importer.writers import load_writer

_PAGES = Template(
    name="pages",
    record={
        "type": "object",
        "properties": {
            "file": {"type": "string"},
            "page": {"type": "integer"},
            "headings": {"type": "array"},
            "text": {"type": "string"},
        },
    },
)
_SHOWN = 20
_MOST_NOTICES = 50
_TABLES = "left out, for it holds tables: import it by itself, or name it as the table that is meant"


class _ChunkMark(Value):
    """Which document of the file a stored chunk is of."""

    document: int


def extract_documents(running: Running, opened: OpenDocuments, template: Template | None) -> Ending:
    """Write what the documents of a file hold; how the import ends, if there is nobody to hand it to."""
    running.save(input_format=opened.format, step=ImportStep.EXTRACT)
    if template is None:
        return _write_pages(running, opened)
    return _Extraction(running, template).run(opened)


def _write_pages(running: Running, opened: OpenDocuments) -> Ending:
    import_, bucket = running.import_, running.collaborators.bucket
    senses, notices = Senses(model=running.model, transcriber=running.listener), list[str]()
    writer = load_writer(import_.output_format)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "output"
        count = 0

        def _counted(pages: Iterator[Page]) -> Iterator[Page]:
            nonlocal count
            for page in pages:
                running.check()
                count += 1
                yield page

        read = ((name, _counted(pages)) for name, pages in _documents(running, opened, senses, notices))
        if import_.output_format == "markdown":
            with path.open("w", encoding="utf-8", errors="replace") as stream:
                stream.writelines(text for name, pages in read for text in page_markdown(name, pages))
        else:
            records = ([record] for name, pages in read for record in page_records(name, pages))
            write_file(writer, records, output_fields(_PAGES), path)
        _check_any(count, notices)
        if import_.options.is_dry_run:
            return Ending(ImportStatus.COMPLETED, {"rows_read": count})
        bucket.put_file(final_key(import_), path, media_type=writer.media_type)
    written = {
        "output_file_url": bucket.url(final_key(import_)),
        "output_content": content_of(bucket, import_) if writer.kind == "stream" else None,
        "notices": tuple([*notices, *senses.notices][:_MOST_NOTICES]),
    }
    return Ending(ImportStatus.COMPLETED, {"rows_read": count, "rows_written": count, "rows_rejected": 0, **written})


def _documents(
    running: Running, opened: OpenDocuments, senses: Senses, notices: list[str]
) -> Iterator[tuple[str, Iterator[Page]]]:
    """Each document's path and pages; what cannot be read is noted."""
    for member in opened.members:
        running.check()
        if member.problem is not None:
            notices.append(f"{member.path}: {member.problem.message}")
        elif member.document is not None and member.document.page_count:
            notices.extend(member.document.notices)
            yield member.path, read_pages(member.document, senses)
        elif member.document is None:
            notices.append(f"{member.path}: {_TABLES}")


class _Extraction:
    """Records out of documents."""

    def __init__(self, running: Running, template: Template) -> None:
        self._running = running
        self._template = template
        self._notices: list[str] = []
        import_ = running.import_
        self._caps = Caps(max_cost=import_.options.max_cost)
        running.model.max_cost = None  # an extraction stops at its cap with what is done, instead of failing
        parts = running.collaborators.store.imports.list_parts(import_.user_company_id, import_.id)
        self._stored = [(part.number, _ChunkMark.model_validate_json(part.checkpoint).document) for part in parts]

    def run(self, opened: OpenDocuments) -> Ending:
        """Extract, merge, check, write."""
        merged: list[Merged] = []
        missed: list[Miss] = []
        for place, member in enumerate(opened.members):
            if member.problem is not None:
                self._notices.append(f"{member.path}: {member.problem.message}")
            elif member.document is None:
                self._notices.append(f"{member.path}: {_TABLES}")
            if member.document is None or not member.document.page_count:
                continue
            self._notices += member.document.notices
            if self._running.import_.options.is_dry_run:
                found = estimate(member.document.read(), self._template, self._running.model)
                check_caps(found, self._caps)
                return Ending(
                    ImportStatus.COMPLETED,
                    {"preview": found.model_dump_json(by_alias=True)},
                )
            if self._caps.max_cost is not None and not self._stored:
                check_caps(estimate(member.document.read(), self._template, self._running.model), self._caps)
            senses = Senses(model=self._running.model, transcriber=self._running.listener)
            results = self._ask(place, read_pages(member.document, senses))
            self._notices += senses.notices
            merged.append(merge(results, self._template))
            missed += [miss for result in results for miss in result.missed]
        return self._write(merged, missed)

    def _ask(self, document: int, pages: Iterator[Page]) -> list[ChunkResult]:
        """The results of a document's chunks, those of earlier processes included."""
        running, import_ = self._running, self._running.import_
        bucket = running.collaborators.bucket
        done = [number for number, of in self._stored if of == document]
        results = []
        for number in done:
            with bucket.source(_chunk_key(import_, number), "chunk").open() as stream:
                results.append(ChunkResult.model_validate_json(stream.read()))
        spent = Usage(
            input_tokens=import_.total_input_tokens or 0,
            output_tokens=import_.total_output_tokens or 0,
            total_tokens=import_.total_tokens or 0,
        )
        asked = extract(pages, self._template, running.model, caps=self._caps, done=len(done), spent=spent)
        for result in asked:
            number = len(self._stored) + 1
            bucket.put(_chunk_key(import_, number), result.model_dump_json().encode(), media_type="application/json")
            running.save_part(ImportPart(number=number, checkpoint=_ChunkMark(document=document).model_dump_json()))
            self._stored.append((number, document))
            results.append(result)
            running.save()
        return results

    def _write(self, merged: list[Merged], missed: list[Miss]) -> Ending:
        running, bucket = self._running, self._running.collaborators.bucket
        import_ = running.import_
        found = [record for each in merged for record in each.records]
        records, rejects, rejected = self._check(found)
        rejects += [
            Reject(
                row=miss.first_page, code=miss.code, message=f"pages {miss.first_page}-{miss.last_page}: {miss.message}"
            )
            for miss in missed
        ]
        _check_any(len(found) + len(missed), self._notices)
        fields = output_fields(self._template)
        lines = b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
        if not is_in_lines(import_.output_format):
            bucket.put(spool_key(import_), lines, media_type=LINES)
            running.save(upload_key=spool_key(import_))
        writer = load_writer(import_.output_format)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "output"
            write_file(writer, iter([records]), fields, path)
            bucket.put_file(final_key(import_), path, media_type=writer.media_type)
        changes: dict[str, object] = {
            "rows_read": len(found),
            "rows_written": len(records),
            "rows_rejected": rejected + len(missed),
            "notices": tuple(self._notices[:_MOST_NOTICES]),
            "preview": self._keep_evidence(merged),
        }
        if rejects:
            bucket.put(rejects_key(import_), b"".join(map(reject_line, rejects)), media_type=LINES)
            changes["rejects_file_url"] = bucket.url(rejects_key(import_))
        if rejected + len(missed) > len(records):
            failed = {"error_code": "too-many-errors", "error_message": "most of the document could not be read"}
            return Ending(ImportStatus.FAILED, {**changes, **failed})
        changes |= {"output_file_url": bucket.url(final_key(import_)), "output_content": content_of(bucket, import_)}
        return Ending(ImportStatus.COMPLETED_WITH_ERRORS if rejects else ImportStatus.COMPLETED, changes)

    def _check(self, found: list[Record]) -> tuple[list[Record], list[Reject], int]:
        """Hold what the model found to the template, as rows of a table are."""
        names = self._template.fields
        mapping = TableMapping(
            fields=tuple(FieldMapping(target=name, columns=(name,), origin=Origin.MODEL) for name in names)
        )
        rows = [[record.get(name) for name in names] for record in found]
        chunk = Chunk(
            rows=rows,
            numbers=range(1, len(rows) + 1),
            lines=(),
            end={},
            bytes_done=0,
            raw=lambda place: orjson.dumps(found[place]).decode(),
        )
        made = RowMaker(self._template, mapping, names).make(chunk)
        return made.records, made.rejects, made.rejected

    def _keep_evidence(self, merged: list[Merged]) -> str:
        """Where each record was read, in a file beside the output; its beginning."""
        import_ = self._running.import_
        evidence = [
            {"record": number, "evidence": [each.model_dump() for each in places]}
            for number, places in enumerate(chain.from_iterable(each.evidence for each in merged), 1)
        ]
        conflicts = [conflict.model_dump(mode="json") for each in merged for conflict in each.conflicts]
        lines = b"".join(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in [*evidence, *conflicts])
        self._running.collaborators.bucket.put(output_key(import_, EVIDENCE), lines, media_type=LINES)
        return orjson.dumps({"evidence": evidence[:_SHOWN], "conflicts": conflicts[:_SHOWN]}).decode()


def _check_any(count: int, notices: Sequence[str]) -> None:
    if not count:
        raise PermanentError("nothing-found", f"nothing was found in the file. {' '.join(notices)}"[:500].strip())


def chunk_keys(import_: Import) -> list[str]:
    """Where the results of a document's chunks are kept on the way."""
    return [_chunk_key(import_, number) for number in range(1, import_.parts + 1)]


def _chunk_key(import_: Import, number: int) -> str:
    return output_key(import_, f"chunk.{number:06}")
