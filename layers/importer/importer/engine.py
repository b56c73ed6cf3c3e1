"""The engine: rows of one table become records of one template, part by part; no AWS, no clock, no model.

`convert` hands out parts. Whoever drives it stores a part's output and rejects, then its checkpoint, and may stop
anywhere: `convert` from the last stored checkpoint gives the same parts with the same bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from importer.problems import ProblemCode, Reject, refuse
from importer.readers import TableFile
from importer.rows import RowMaker
from importer.template import Template
from importer.values import Cell, Checkpoint, Part, Position, Progress, Record, Row, Table
from importer.writers import OutputField, StreamWriter, Writer, load_writer

PART_BYTES = 8 * 1024 * 1024  # S3 takes parts from 5 MiB on
_SAMPLE_ROWS = 1_000
_PROBE_ROWS = 100


class Outcome(StrEnum):
    """How a table that was read to its end is recorded."""

    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"


def output_fields(template: Template) -> tuple[OutputField, ...]:
    """The columns of an output."""
    return tuple(OutputField(name, template.schema_of(name)) for name in template.fields)


def stream_of(writer: Writer, *, is_spooled: bool = False) -> StreamWriter:
    """What `convert` writes for a writer: its own format, or the lines from which a file is written later."""
    if writer.kind == "stream" and not is_spooled:
        return writer
    spool = load_writer("jsonl")
    assert spool.kind == "stream"  # noqa: S101 - JSON Lines can be cut anywhere
    return spool


@dataclass(slots=True)
class _Pending:
    """What is not handed out yet."""

    pieces: list[bytes] = field(default_factory=list)
    size: int = 0
    rejects: list[bytes] = field(default_factory=list)
    rejects_size: int = 0

    def add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.size += len(piece)

    def add_rejects(self, rejects: Sequence[Reject]) -> None:
        for reject in rejects:
            line = reject_line(reject)
            self.rejects.append(line)
            self.rejects_size += len(line)

    def take(self, *, with_output: bool) -> tuple[bytes, bytes]:
        output = b""
        if with_output:
            output, self.pieces, self.size = b"".join(self.pieces), [], 0
        rejects, self.rejects, self.rejects_size = b"".join(self.rejects), [], 0
        return output, rejects


def reject_line(reject: Reject) -> bytes:
    """A reject as a line of the rejects file."""
    values = {
        "row": reject.row,
        "line": reject.line,
        "column": reject.column,
        "target": reject.target,
        "code": reject.code.value,
        "message": reject.message,
        "value": reject.value,
        "raw": reject.raw,
    }
    return orjson.dumps(values, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


def convert(
    file: TableFile,
    table: Table,
    *,
    template: Template,
    maker: RowMaker,
    writer: StreamWriter,
    start: Checkpoint,
    part_bytes: int = PART_BYTES,
    report: Callable[[Progress], None] = lambda progress: None,  # noqa: ARG005 - says nothing
) -> Iterator[Part]:
    """The parts of a table's output after `start`, in order; the last one's checkpoint is done.

    Args:
        file: The open file.
        table: The table of it to read.
        template: What is made.
        maker: The compiled mapping.
        writer: Of the output, see `stream_of`.
        start: The last stored checkpoint; a new one for the beginning.
        part_bytes: How much output makes a part.
        report: Told after each chunk how far it is.

    Raises:
        PermanentError: More rows were rejected than the template allows, after a part with the rejects so far;
            or the file turned out to be unusable.
    """
    if start.is_done:
        return
    fields, pending = output_fields(template), _Pending()
    if not start.part:
        pending.add(writer.head(fields))
    number, ok, rejected, done = start.part, start.rows_ok, start.rows_rejected, start.bytes_done
    position: Position = start.position or table.start
    for chunk in file.read(table, position):
        made = maker.make(chunk)
        pending.add(writer.encode(made.records, fields, ok))
        pending.add_rejects(made.rejects)
        ok, rejected, done, position = ok + len(made.records), rejected + made.rejected, chunk.bytes_done, chunk.end
        report(Progress(bytes_done=done, rows_ok=ok, rows_rejected=rejected))
        if template.max_errors is not None and rejected > template.max_errors:
            yield Part(number=number + 1, output=b"", rejects=pending.take(with_output=False)[1], checkpoint=None)
            raise refuse(ProblemCode.TOO_MANY_ERRORS, f"more than {template.max_errors} rows do not fit")
        if pending.size >= part_bytes or pending.rejects_size >= part_bytes:
            number += 1
            is_whole = pending.size >= part_bytes
            output, rejects = pending.take(with_output=is_whole)
            reached = _checkpoint(start, number, position, ok, rejected, done) if is_whole else None
            yield Part(number=number, output=output, rejects=rejects, checkpoint=reached)
    pending.add(writer.tail(fields, ok))
    output, rejects = pending.take(with_output=True)
    last = _checkpoint(start, number + 1, position, ok, rejected, done)
    yield Part(number=number + 1, output=output, rejects=rejects, checkpoint=last.model_copy(update={"is_done": True}))


def _checkpoint(start: Checkpoint, number: int, position: Position, ok: int, rejected: int, done: int) -> Checkpoint:
    return Checkpoint.model_validate(
        {
            "part": number,
            "position": position,
            "etag": start.etag,
            "rows_ok": ok,
            "rows_rejected": rejected,
            "bytes_done": done,
        }
    )


def check_etag(start: Checkpoint, etag: str) -> None:
    """Refuse to go on with another file than the one that was begun.

    Raises:
        PermanentError: The file has changed.
    """
    if start.etag != etag:
        raise refuse(ProblemCode.FILE_CHANGED, "the file was replaced while it was imported: start again")


def outcome(checkpoint: Checkpoint) -> Outcome:
    """How an import ends whose table was read to its end: failed where more than one half of the rows did not fit."""
    ok, rejected = checkpoint.rows_ok, checkpoint.rows_rejected
    if rejected > ok:
        return Outcome.FAILED
    return Outcome.COMPLETED_WITH_ERRORS if rejected else Outcome.COMPLETED


@dataclass(frozen=True, slots=True)
class Preview:
    """What the first records of a table become; nothing is stored."""

    records: tuple[Record, ...]
    rejects: tuple[Reject, ...]
    rows: int
    fill: dict[str, float]
    validity: dict[str, float]


def preview(file: TableFile, table: Table, *, template: Template, maker: RowMaker, rows: int = 1_000) -> Preview:
    """Convert the first rows with the same code as all of them.

    Returns:
        The records and rejects, how many of the records fill each field, and of how many rows each field is valid.
    """
    records: list[Record] = []
    rejects: list[Reject] = []
    seen = 0
    for chunk in file.read(table, table.start):
        made = maker.make(chunk)
        records += made.records
        rejects += made.rejects
        seen += len(made.records) + made.rejected
        if seen >= rows:
            break
    filled = {name: sum(record[name] is not None for record in records) for name in template.fields}
    invalid = {name: len({reject.row for reject in rejects if reject.target == name}) for name in template.fields}
    return Preview(
        records=tuple(records),
        rejects=tuple(rejects),
        rows=seen,
        fill={name: count / len(records) if records else 0.0 for name, count in filled.items()},
        validity={name: 1 - count / seen if seen else 0.0 for name, count in invalid.items()},
    )


def sample(file: TableFile, table: Table) -> dict[str, list[Cell]]:
    """The values of each column in the table's first rows and in some rows further on."""
    rows: list[Row] = []
    for start, count in ((table.start, _SAMPLE_ROWS), *((probe, _PROBE_ROWS) for probe in table.probes)):
        seen: list[Row] = []
        for chunk in file.read(table, start):
            seen += chunk.rows
            if len(seen) >= count:
                break
        rows += [row for row in seen[:count] if len(row) == len(table.columns)]
    return {name: [row[place] for row in rows] for place, name in enumerate(table.columns)}
