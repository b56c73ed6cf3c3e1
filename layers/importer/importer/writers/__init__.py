"""Writers: one file per output format, found by its name and loaded when an import asks for it.

How to write one. Add `writers/<format>.py` (the file is the registration) with one public name, `WRITER`, of one of
two shapes. It may import `importer.values`, `importer.problems` and its own library; never another writer or S3.

- `StreamWriter` (json, jsonl, csv, markdown) is a set of pure functions: the bytes of a piece depend on its records
  and on how many were written before, and on nothing else. So an import that stops goes on at a part's border and its
  output is the same to the byte.
- `WholeWriter` (xlsx, parquet) writes a file in one go from records that were spooled before. Given the same records
  it writes the same bytes: no clock, no random names inside.

Records come in the template's order of fields, each field present (None where it is empty), values as JSON has them:
str, int, float, bool, None, list, dict; dates as ISO 8601 text. The schema of each field says what a text is.
What a spreadsheet would run is made harmless: a CSV cell that starts with `= + - @ TAB CR` and is not a plain number
gets an apostrophe in front, and so does what starts like that behind a `;`, a TAB or an end of line inside of a cell;
in xlsx every text is an inline string, never a formula.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from importer.problems import ProblemCode, refuse
from importer.values import Record


@dataclass(frozen=True, slots=True)
class OutputField:
    """A column of the output: its name and its JSON Schema."""

    name: str
    schema: Mapping[str, Any]


class StreamWriter(Protocol):
    """Writes a format that can be cut into parts."""

    @property
    def kind(self) -> Literal["stream"]: ...  # noqa: D102 - tells the shapes apart
    @property
    def media_type(self) -> str: ...  # noqa: D102 - of the finished file

    def head(self, fields: Sequence[OutputField]) -> bytes:
        """What stands before the first record."""

    def encode(self, records: Sequence[Record], fields: Sequence[OutputField], written: int) -> bytes:
        """The records; `written` is how many the file already has."""

    def tail(self, fields: Sequence[OutputField], written: int) -> bytes:
        """What stands after the last record."""


class WholeWriter(Protocol):
    """Writes a format that only exists as a whole."""

    @property
    def kind(self) -> Literal["whole"]: ...  # noqa: D102 - tells the shapes apart
    @property
    def media_type(self) -> str: ...  # noqa: D102 - of the finished file

    def write(self, records: Iterable[Sequence[Record]], fields: Sequence[OutputField], path: Path) -> None:
        """Write all records, which come in chunks, to `path`; memory stays bounded."""


type Writer = StreamWriter | WholeWriter


def load_writer(format_name: str) -> Writer:
    """The writer of a format.

    Raises:
        PermanentError: No such writer.
    """
    if format_name not in formats():
        raise refuse(ProblemCode.UNSUPPORTED_TYPE, f"an import can write {', '.join(formats())}")
    writer: Writer = import_module(f"{__name__}.{format_name}").WRITER
    return writer


def formats() -> tuple[str, ...]:
    """The formats that can be written."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__"))
