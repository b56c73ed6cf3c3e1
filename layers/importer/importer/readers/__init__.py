"""Readers: one file per input format, found by its name and loaded when the first file of that format comes.

How to write one. Add `readers/<format>.py` (the file is the registration) with exactly one public name besides
constants, `READER`, of one of two shapes, and teach `importer.identify` what such a file looks like. It may import
`importer.problems`, `importer.values`, `importer.source`, `importer.template`, what profiles text (`encoding`,
`dialect`, `profile`), what formats have in common (`archive`, `compound`, `markup`, `office`, `hypertext`, `grid`,
`layout`, `serials`, `workbook`, `pictures`, `guard`) and its own library; never another reader, S3 or the table. Import
heavy libraries inside functions, and run what is native or may raise anything in `importer.guard`.

- `TableReader` gives named tables and their rows in chunks of `CHUNK_ROWS`, or of about `CHUNK_BYTES` where rows are
  large. `open` does whatever profiling is needed (encoding, header row, footer) and must not read the file to its end
  unless the format demands it. `read` starts at a `Position`: `table.start`, or the `end` of an earlier chunk of the
  same table, also in another process. It always cuts its chunks at the same rows, so that an import that resumes gives
  the same bytes. A format that cannot seek skips: its position is the number of rows that were read.
- `DocumentReader` gives pages of text, with headings, images and attachments.

What both promise: nothing is trusted. Sizes, depths and counts are checked against `Limits` *before* the library sees
the bytes; a file that cannot be used ends in `refuse(ProblemCode…)`, never in the library's own exception, an endless
loop, or a dead process; a row that cannot be read becomes a `Reject` of its chunk, and reading goes on with the next.
A value is handed on as the format holds it: dates as dates, text as text, an error such as `#N/A` as `CellError`;
numbers that the format stores as numbers as int where they are whole and written so. Memory stays bounded whatever
the size. Contexts (`with`) close what was opened, on every way out.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from importer.problems import Limits, ProblemCode, refuse
from importer.source import Source
from importer.values import Chunk, Page, Position, Table

CHUNK_ROWS = 500  # more are slower: they leave the processor's cache
HEAD_ROWS = 1_000  # that are looked at where only the rows tell the columns
CHUNK_BYTES = 16 * 1024 * 1024  # of rows that are large: fewer of them make a chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What is known of a file before it is opened. What is empty is found out.

    Attributes:
        variant: What `identify` knows beyond the format ("tsv" for csv); the reader says which it understands.
        encoding: Of text formats: Python's name of the codec.
        header_row: Number of the header's line or row, from 1; 0 for a table without one.
        password: Of the file, where the company has given one.
        limits: How far it may go.
    """

    variant: str = ""
    encoding: str = ""
    header_row: int | None = None
    password: str = field(default="", repr=False)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class CellError:
    """A cell that holds an error instead of a value, as spreadsheets have them (`#N/A`, `#REF!`)."""

    code: str


class TableFile(Protocol):
    """An open file of tables."""

    @property
    def tables(self) -> tuple[Table, ...]: ...  # noqa: D102 - in the file's order; empty where it holds none
    @property
    def notices(self) -> tuple[str, ...]: ...  # noqa: D102 - what people should know: macros, hidden sheets

    def read(self, table: Table, start: Position) -> Iterator[Chunk]:
        """The rows from `start` on."""


class TableReader(Protocol):
    """Reads a format that holds tables."""

    def open(self, source: Source, options: ReadOptions) -> AbstractContextManager[TableFile]:
        """Open a file.

        Raises:
            PermanentError: The file cannot be used; its code is a `ProblemCode`.
        """


class DocumentFile(Protocol):
    """An open document."""

    @property
    def page_count(self) -> int: ...  # noqa: D102 - how many pages `read` gives from page 1 on
    @property
    def notices(self) -> tuple[str, ...]: ...  # noqa: D102 - what people should know: macros, what was left out

    def read(self, first_page: int = 1) -> Iterator[Page]:
        """The pages from `first_page` on."""

    def attachments(self) -> Iterator[Source]:
        """The files inside it, each to be identified anew."""


class DocumentReader(Protocol):
    """Reads a format that holds text for people."""

    def open(self, source: Source, options: ReadOptions) -> AbstractContextManager[DocumentFile]:
        """Open a file.

        Raises:
            PermanentError: The file cannot be used; its code is a `ProblemCode`.
        """


def table_reader(format_name: str) -> TableReader:
    """The reader of a format that holds tables.

    Raises:
        PermanentError: No such reader.
    """
    reader: TableReader = _load(format_name)
    return reader


def document_reader(format_name: str) -> DocumentReader:
    """The reader of a format that holds text.

    Raises:
        PermanentError: No such reader.
    """
    reader: DocumentReader = _load(format_name)
    return reader


def formats() -> tuple[str, ...]:
    """The formats that can be read."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__"))


def _load(format_name: str) -> Any:  # what the two functions above promise of it
    if format_name not in formats():
        raise refuse(ProblemCode.UNSUPPORTED_TYPE, f"an import can read {', '.join(formats())}")
    return import_module(f"{__name__}.{format_name}").READER
