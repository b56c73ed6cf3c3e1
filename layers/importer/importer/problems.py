"""What can be wrong with a file, a row or a value: one list of codes, and the limits that no file may pass."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from core.errors import PermanentError
from core.models import Value


class ProblemCode(StrEnum):
    """Why a file was refused or a row rejected. Stored and shown: a code never changes its meaning.

    The first group ends an import (the file is refused), the second rejects one row.
    """

    EMPTY_FILE = "empty-file"
    CORRUPT_FILE = "corrupt-file"
    UNSUPPORTED_TYPE = "unsupported-type"
    FILE_TOO_LARGE = "file-too-large"
    FILE_CHANGED = "file-changed"
    RATIO = "ratio"
    TOO_MANY_MEMBERS = "too-many-members"
    UNSAFE_MEMBER = "unsafe-member"
    NESTING_TOO_DEEP = "nesting-too-deep"
    DTD_FORBIDDEN = "dtd-forbidden"
    SHEET_TOO_LARGE = "sheet-too-large"
    TOO_MANY_PAGES = "too-many-pages"
    TOO_MANY_COLUMNS = "too-many-columns"
    PASSWORD_REQUIRED = "password-required"  # noqa: S105 - a code, not a password
    NO_TEXT_LAYER = "no-text-layer"
    NO_PROVIDER = "no-provider"
    NO_TABLE = "no-table"
    NO_MAPPING = "no-mapping"
    UNEXPECTED_COLUMN = "unexpected-column"
    TOO_MANY_ERRORS = "too-many-errors"
    COST_CAP = "cost-cap"

    ENCODING = "encoding"
    QUOTE = "quote"
    INVALID_JSON = "invalid-json"
    NOT_AN_OBJECT = "not-an-object"
    FIELD_TOO_LARGE = "field-too-large"
    ROW_TOO_LARGE = "row-too-large"
    MISSING_CELL = "missing-cell"
    EXTRA_CELL = "extra-cell"
    MISSING_VALUE = "missing-value"
    TYPE_ERROR = "type-error"
    AMBIGUOUS_VALUE = "ambiguous-value"
    CELL_ERROR = "cell-error"
    CONSTRAINT = "constraint"
    NO_EVIDENCE = "no-evidence"


class Limits(Value):
    """How far one file may go. Whoever reads stops at the limit; nothing is cut off in silence."""

    max_bytes: int = Field(default=50 * 1024**3, gt=0)
    max_office_bytes: int = Field(default=200 * 1024**2, gt=0)
    max_pages: int = Field(default=5_000, gt=0)
    max_members: int = Field(default=1_000, gt=0)
    max_inflated_bytes: int = Field(default=2 * 1024**3, gt=0)
    max_ratio: int = Field(default=200, gt=0)
    max_archive_depth: int = Field(default=2, gt=0)
    max_sheet_fill: int = Field(default=20, gt=0)
    max_json_depth: int = Field(default=64, gt=0)
    max_field_bytes: int = Field(default=1024**2, gt=0)
    max_row_bytes: int = Field(default=16 * 1024**2, gt=0)
    max_columns: int = Field(default=16_384, gt=0)


def refuse(code: ProblemCode, message: str) -> PermanentError:
    """The error that ends an import. `message` tells the person what to do and repeats nothing of the file."""
    return PermanentError(code.value, message)


class Reject(Value):
    """One row that was not imported, and why: a line of the rejects file.

    Attributes:
        row: Number of the data row, from 1.
        line: Line of the file where the row begins, from 1; None where the format has no lines.
        column: Name of the column that is to blame; None for the row as a whole.
        target: Field of the template that it was for.
        code: What is wrong.
        message: The same in words, without the value.
        value: What stood there, cut to a length that can be read.
        raw: The row as it stood in the file, cut likewise.
    """

    row: int
    line: int | None = None
    column: str | None = None
    target: str | None = None
    code: ProblemCode
    message: str
    value: Any = None  # whatever the format can hold
    raw: str | None = None


_SHOWN = 500  # characters


def shorten(text: str, most: int = _SHOWN) -> str:
    """A text cut to a length that can be read; what is cut shows as an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
