"""Where the output of an import goes: parts that are stored for good one by one, then one file, and its beginning.

The output is a multipart upload, a part per checkpoint. Rejects are far smaller than S3's least part, so that each
piece of them is an object of its own until the end, when all are joined. Formats that exist only as a whole are written
from the output's lines.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import orjson

from core.import_keys import fit_name, output_key, rejects_key
from core.imports import Import, ImportPart
from core.models import Value
from importer.engine import output_fields
from importer.objects import Bucket, ObjectSource
from importer.readers import CHUNK_ROWS
from importer.running import Running
from importer.template import Template
from importer.values import Checkpoint, Part, Record
from importer.writers import OutputField, Writer, load_writer

LINES = "application/x-ndjson"
EVIDENCE = "evidence.jsonl"  # beside the output: where its records were read
_JOINED_BYTES = 8 * 1024 * 1024
_CONTENT_BYTES = 16 * 1024  # of the output that the import itself shows
_EXTENSIONS = {"markdown": "md"}
_LINES_KEPT = frozenset(("json", "jsonl"))  # formats in which a record is a line


class Mark(Value):
    """How far an import is after a part; stored with it.

    Attributes:
        rejects: The pieces of rejects that came since the part before.
    """

    checkpoint: Checkpoint
    rejects: tuple[int, ...] = ()


def output_name(import_: Import) -> str:
    """What the output is called: as the input, with the ending of its format."""
    stem = PurePosixPath(import_.input_file_name).stem or "output"
    name = fit_name(f"{stem[:200]}.{_EXTENSIONS.get(import_.output_format, import_.output_format)}")
    return f"output-{name}" if name == EVIDENCE else name


def final_key(import_: Import) -> str:
    """Where the output is once it is whole."""
    return output_key(import_, output_name(import_))


def spool_key(import_: Import) -> str:
    """Where the records are of which an output is made that exists only as a whole."""
    return output_key(import_, "records.spool")


def is_in_lines(output_format: str) -> bool:
    """Whether the records can be read from the output again, one per line."""
    return output_format in _LINES_KEPT


def begin_output(running: Running, *, is_spooled: bool, media_type: str) -> bool:
    """Begin the upload unless an earlier process did; whether it makes the lines that the output is made of."""
    import_ = running.import_
    if import_.upload_id is None or import_.upload_key is None:
        key = spool_key(import_) if is_spooled else final_key(import_)
        upload_id = running.collaborators.bucket.begin_upload(key, media_type=LINES if is_spooled else media_type)
        import_ = running.save(upload_id=upload_id, upload_key=key)
    return import_.upload_key == spool_key(import_)


class PartStore:
    """The parts of an import's output, those of earlier processes included."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._bucket = running.collaborators.bucket
        import_ = running.import_
        stored = running.collaborators.store.imports.list_parts(import_.user_company_id, import_.id)
        self._etags = [(part.number, part.etag) for part in stored if part.etag]
        marks = [Mark.model_validate_json(part.checkpoint) for part in stored]
        self.last = marks[-1].checkpoint if marks else None
        self._pieces = [number for mark in marks for number in mark.rejects]
        self._pending: list[int] = []
        self._count = len(stored)

    def begin(self, *, is_spooled: bool, media_type: str) -> bool:
        """Begin the upload unless an earlier process did; whether it makes the lines that the output is made of."""
        return begin_output(self._running, is_spooled=is_spooled, media_type=media_type)

    def store(self, part: Part) -> None:
        """Store a part: its bytes first, then that it is there."""
        import_ = self._running.import_
        if part.rejects:
            self._bucket.put(_piece_key(import_, part.number), part.rejects, media_type=LINES)
            self._pending.append(part.number)
        if part.checkpoint is None:
            return
        number, etag = self._count + 1, ""
        if part.output:
            etag = self._bucket.put_part(self._key, self._upload_id, number, part.output)
        mark = Mark(checkpoint=part.checkpoint, rejects=tuple(self._pending))
        self._running.save_part(ImportPart(number=number, etag=etag, checkpoint=mark.model_dump_json(by_alias=True)))
        self._count = number
        self._etags += [(number, etag)] if etag else []
        self._pieces += self._pending
        self._pending, self.last = [], part.checkpoint

    def complete(self) -> None:
        """Make the parts one object. Twice is once."""
        if self._etags:
            self._bucket.complete_upload(self._key, self._upload_id, self._etags)
        else:
            self._bucket.put(self._key, b"", media_type=LINES)

    def join_rejects(self) -> str | None:
        """Make the pieces of rejects one object; its address, None where there are none. Twice is once."""
        pieces = [*self._pieces, *self._pending]
        if not pieces:
            return None
        import_ = self._running.import_
        join(self._bucket, [_piece_key(import_, number) for number in pieces], rejects_key(import_))
        return self._bucket.url(rejects_key(import_))

    def drop_pending(self) -> None:
        """Remove the pieces of rejects that no checkpoint tells of: who goes on from the last one makes them again."""
        self._bucket.delete([_piece_key(self._running.import_, number) for number in self._pending])

    def drop_pieces(self) -> None:
        """Remove what was only needed on the way."""
        self._bucket.delete([_piece_key(self._running.import_, number) for number in (*self._pieces, *self._pending)])

    @property
    def _key(self) -> str:
        return self._running.import_.upload_key or ""

    @property
    def _upload_id(self) -> str:
        return self._running.import_.upload_id or ""


def _piece_key(import_: Import, number: int) -> str:
    return f"{rejects_key(import_)}.{number:06}"


def join(bucket: Bucket, keys: Sequence[str], target: str) -> None:
    """Make the objects `keys` one after the other the object `target`; memory stays bounded."""
    write_joined(bucket, (read_whole(bucket, key) for key in keys), target)


def read_whole(bucket: Bucket, key: str) -> bytes:
    """A small object."""
    with bucket.source(key, "piece").open() as stream:
        return stream.read()


def write_joined(bucket: Bucket, pieces: Iterable[bytes], target: str) -> None:
    """Make pieces one after the other the object `target`; memory stays bounded."""
    waiting, upload_id, etags = b"", "", list[tuple[int, str]]()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= _JOINED_BYTES:
            upload_id = upload_id or bucket.begin_upload(target, media_type=LINES)
            etags.append((len(etags) + 1, bucket.put_part(target, upload_id, len(etags) + 1, waiting)))
            waiting = b""
    if not upload_id:
        bucket.put(target, waiting, media_type=LINES)
        return
    if waiting:
        etags.append((len(etags) + 1, bucket.put_part(target, upload_id, len(etags) + 1, waiting)))
    bucket.complete_upload(target, upload_id, etags)


def write_from_spool(running: Running, template: Template) -> None:
    """Write the output from the lines of its records."""
    import_, bucket = running.import_, running.collaborators.bucket
    writer = load_writer(import_.output_format)
    spool = bucket.source(spool_key(import_), "records")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "output"
        write_file(writer, _records(running, spool), output_fields(template), path)
        bucket.put_file(final_key(import_), path, media_type=writer.media_type)


def write_file(writer: Writer, chunks: Iterator[Sequence[Record]], fields: Sequence[OutputField], path: Path) -> None:
    """Write all records to a file of this machine."""
    if writer.kind == "whole":
        writer.write(chunks, fields, path)
        return
    with path.open("wb") as stream:
        stream.write(writer.head(fields))
        written = 0
        for records in chunks:
            stream.write(writer.encode(records, fields, written))
            written += len(records)
        stream.write(writer.tail(fields, written))


def _records(running: Running, spool: ObjectSource) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    for line in lines_of(spool):
        chunk.append(orjson.loads(line))
        if len(chunk) == CHUNK_ROWS:
            running.check()
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def lines_of(source: ObjectSource) -> Iterator[bytes]:
    """The records in an output or in its lines, each as JSON."""
    with source.open() as stream:
        for line in stream:
            record = line.strip().rstrip(b",")
            if record not in (b"", b"[", b"]", b"[]"):
                yield record


def content_of(bucket: Bucket, import_: Import) -> str:
    """The output itself where it is small and text, else its beginning, in whole lines."""
    is_text = load_writer(import_.output_format).kind == "stream"
    source = bucket.source(final_key(import_) if is_text else spool_key(import_), "output")
    text = source.read_at(0, _CONTENT_BYTES).decode("utf-8", "ignore")
    return text if source.size <= _CONTENT_BYTES else text[: text.rfind("\n") + 1] or text
