"""What travels inside the room: tables and their rows, pages of documents, mappings, positions and checkpoints.

What is stored or sent is a `Value`; what exists once per row or chunk is a plain class, because a file has millions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import Field

from core.models import Value
from importer.problems import Reject

type Position = Mapping[str, int]
"""Where a reader goes on. Only the reader that made it knows what is in it; it is JSON, and travels in checkpoints."""

type Cell = object
"""What a format holds in a cell: str for text formats; int, float, bool, date, datetime, time, list, dict or None."""

type Row = Sequence[Cell]
type Record = dict[str, object]
"""One row in the shape of the template: its fields, and values that JSON knows."""


class Dialect(Value):
    """How a delimited text is written.

    Attributes:
        quote: Empty where the file does not quote.
        escape: The character that takes the next one literally; empty where quotes are doubled instead.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    skip_spaces: bool = False


class Table(Value):
    """One table of a file.

    Attributes:
        name: What people call it: the sheet, the path to the array; empty where a file is one table.
        columns: The header's names as they stand there, unique; made up (`column_1`) where there is no header.
        start: Position of the first row below the header.
        row_count: How many rows it says it has; None where only reading tells.
        probes: Places further on where reading may begin for a look at the values; rows are numbered wrongly there.
    """

    name: str = ""
    columns: tuple[str, ...]
    start: dict[str, int] = Field(default_factory=dict)
    row_count: int | None = None
    probes: tuple[dict[str, int], ...] = ()


@dataclass(slots=True)
class Chunk:
    """Some rows of a table, in order; some hundreds.

    Attributes:
        rows: The rows that could be read, each as wide as it is in the file (a format that leaves out empty cells
            pads them; what is too short or too long is the engine's to reject).
        numbers: Number of each row of `rows`, from 1; a `range` where all were readable.
        lines: Line on which each row begins; empty where the format has no lines.
        rejects: Rows that could not be read at all. They count among the numbers.
        end: Where the next chunk begins.
        bytes_done: How far into the file that is, for progress.
        raw: The row at an index of `rows` as it stands in the file; made only for rejects.
    """

    rows: Sequence[Row]
    numbers: Sequence[int]
    lines: Sequence[int]
    end: Position
    bytes_done: int
    raw: Callable[[int], str]
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading: where in its page's text it begins, and how deep it is (1 is the title)."""

    offset: int
    level: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageImage:
    """An image of a page, or the page itself drawn. `load` gives its bytes while the document is open."""

    media_type: str
    width: int
    height: int
    load: Callable[[], bytes]
    is_page: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What is to be listened to. `load` gives its bytes while the document is open."""

    name: str
    media_type: str
    size: int
    load: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a document; what has no pages is one page, or one per slide, sheet or mail.

    Attributes:
        number: From 1.
        text: Its text in reading order; empty for a scan.
        is_scan: Nothing but images: it needs eyes.
        recording: What is said on it, where it is one: it needs ears.
    """

    number: int
    text: str
    headings: tuple[Heading, ...] = ()
    images: tuple[PageImage, ...] = ()
    is_scan: bool = False
    recording: Recording | None = None


class OperationName(StrEnum):
    """All that a mapping may do to a value. `importer.operations` says what each one's arguments are."""

    TRIM = "trim"
    LOWER = "lower"
    UPPER = "upper"
    DATE = "date"
    DATETIME = "datetime"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    ENUM = "enum"
    SPLIT = "split"
    CONCAT = "concat"
    REGEX = "regex"
    PHONE = "phone"
    CONST = "const"
    NULL_IF = "null_if"
    SCALE = "scale"
    JSON_PATH = "json_path"


class Operation(Value):
    """One step of a mapping. Arguments are texts, whatever they mean: a model wrote them, or a person."""

    name: OperationName
    arguments: dict[str, str] = Field(default_factory=dict)


class Origin(StrEnum):
    """Who decided where a field comes from."""

    EXACT = "exact"
    FUZZY = "fuzzy"
    CACHE = "cache"
    MODEL = "model"
    PERSON = "person"


class Repair(Value):
    """What else to try for values that look alike and did not fit.

    Attributes:
        shape: What they look like, see `importer.shapes`.
        operations: What is done to the value as it stands in the file.
    """

    shape: str
    operations: tuple[Operation, ...]


class FieldMapping(Value):
    """Where one field of the template comes from.

    Attributes:
        target: The field.
        columns: The columns it is made of, in order; empty for a constant.
        operations: What is done to the value, in order.
        repairs: What else is tried for values that do not fit then.
        confidence: 0 to 1; for people who look at the preview.
    """

    target: str
    columns: tuple[str, ...]
    operations: tuple[Operation, ...] = ()
    repairs: tuple[Repair, ...] = ()
    origin: Origin
    confidence: float = Field(default=1.0, ge=0, le=1)


class Question(Value):
    """What only a person can know. The import waits for the answer, or goes on without the field.

    Attributes:
        id: Stable for the same question about the same file, so that an answer finds it again.
        target: The field it is about.
        column: The column whose values are ambiguous; empty where a column is looked for.
        text: The question, in words.
        options: What may be answered; the answer is one of `Option.value`.
        examples: Values of the file that show why it is asked.
    """

    id: str
    target: str
    column: str
    text: str
    options: tuple[str, ...]
    examples: tuple[str, ...] = ()


class TableMapping(Value):
    """How the columns of one table become the fields of one template.

    Attributes:
        unmapped: Columns that nothing is made of.
        missing: Required fields that no column was found for.
    """

    fields: tuple[FieldMapping, ...]
    questions: tuple[Question, ...] = ()
    unmapped: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Progress(Value):
    """How far an import is."""

    bytes_done: int = 0
    bytes_total: int = 0
    rows_ok: int = 0
    rows_rejected: int = 0


class Checkpoint(Value):
    """What is done for good: an import goes on from here and gives the same bytes as if it had never stopped.

    Attributes:
        part: Number of the last part that was stored, from 1; 0 before the first.
        position: Where the reader goes on; empty for the table's start.
        etag: Of the file it belongs to: another file under the same name is refused.
        is_done: Nothing is left to read.
    """

    part: int = 0
    position: dict[str, int] = Field(default_factory=dict)
    etag: str
    rows_ok: int = 0
    rows_rejected: int = 0
    bytes_done: int = 0
    is_done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What the engine hands out: the next piece of the output and of the rejects.

    Attributes:
        number: From 1, the same for the same piece however often the import was interrupted.
        output: The next bytes of the output, at least as many as were asked for except in the last part; empty where
            only rejects came.
        rejects: The next lines of the rejects file.
        checkpoint: To store once both are stored; None where an import that stops here has to begin this part anew.
    """

    number: int
    output: bytes
    rejects: bytes
    checkpoint: Checkpoint | None
