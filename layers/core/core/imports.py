"""Imports as they are stored: what was asked, how far it is, what came of it; templates and the commercial API.

What a template or a mapping says in detail is the importer room's; here both are JSON documents with a name and a
version.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from core.models import Address, Time, Value

ImportId = Annotated[str, StringConstraints(pattern=r"^imp_[A-Za-z0-9]{8,40}$")]
TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
NOTICE = "notice"  # why a message stands that nobody asked for: it tells how an import went
OutputFormat = Literal["json", "jsonl", "csv", "xlsx", "parquet", "markdown"]


class ImportStatus(StrEnum):
    """PENDING → PROCESSING → COMPLETED | COMPLETED_WITH_ERRORS | FAILED | CANCELED.

    AWAITING_REVIEW waits for a person's yes or for an answer, and leads back to PENDING.
    """

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    AWAITING_REVIEW = "AWAITING_REVIEW"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


ENDED = frozenset(
    {ImportStatus.COMPLETED, ImportStatus.COMPLETED_WITH_ERRORS, ImportStatus.FAILED, ImportStatus.CANCELED}
)


class ImportStep(StrEnum):
    """Where a running import is, for people who look."""

    IDENTIFY = "identify"
    MAP = "map"
    REVIEW = "review"
    CONVERT = "convert"
    EXTRACT = "extract"
    WRITE = "write"
    SUBMIT = "submit"
    DONE = "done"


class ImportOptions(Value):
    """What the person wants of an import.

    Attributes:
        template: Name of the template; None converts from format to format without a model.
        template_version: None: the latest when the import begins.
        table: Which of the file's tables; empty: the only one, or the largest.
        is_dry_run: Mapping, preview and estimate of the first records, and nothing else.
        is_reviewed: Waits for a person's yes after the mapping.
        is_forced: The same file with the same template was imported before: do it again.
        is_repaired: Lets the model look at rejected values, within the cost cap.
        max_cost: US dollars that the model may cost; None: the company's limits alone.
        password_secret_name: Of a file with a password.
    """

    template: TemplateName | None = None
    template_version: int | None = Field(default=None, ge=1)
    output_format: OutputFormat = "jsonl"
    table: Annotated[str, StringConstraints(max_length=200)] = ""
    is_dry_run: bool = False
    is_reviewed: bool = False
    is_forced: bool = False
    is_repaired: bool = False
    max_cost: Decimal | None = Field(default=None, gt=0)
    password_secret_name: Annotated[str, StringConstraints(max_length=256)] | None = None


class ImportOrigin(Value):
    """The conversation that an import came from, to be told how it went.

    Attributes:
        question_id: Of the message that asked for it; its conversation is in it.
        external_message_id: The same as the platform calls it.
    """

    address: Address
    question_id: str
    external_message_id: str
    external_user_id: str
    external_user_workspace_id: str = ""
    reply_url: str = ""
    language: str | None = None


class ImportNotice(Value):
    """What the conversation was told of an import last.

    Attributes:
        state: Of which state of the import; another one is told anew.
        message_ids: The platform's messages that say it.
        is_file_begun: An upload of the output was begun. It is begun once: what became of one that was interrupted
            cannot be asked of every platform, and the message has a link.
        is_told: All of it is said.
        is_open: It has buttons that somebody may press.
    """

    state: str
    message_ids: tuple[str, ...] = ()
    is_file_begun: bool = False
    is_told: bool = False
    is_open: bool = False


class ImportProgress(Value):
    """How far a running import is."""

    bytes_done: int = 0
    bytes_total: int = 0
    rows_ok: int = 0
    rows_rejected: int = 0


class Import(Value):
    """One import of a file (LLMAgentImport). URLs are `s3://`; they are presigned where they leave the system.

    Attributes:
        input_file_url: Where the file was put.
        output_content: The output itself where it is small, else its beginning.
        error_code: Of a FAILED import: a code of the importer's, or of what the platform or AWS answered.
        commercial_import_id: What the company's API calls it.
        submission: `intended` before the commercial API is called, `done` after it answered, `refused` where it will
            not take it; None where there is nothing to submit. `submitted_batches` are known to have arrived,
            cut by the batch size that the company had when the submission began.
        checksum: SHA-256 of the file.
        etag: S3's own mark of the object that is imported: another object under its name is another import.
        mapping: How columns become fields, as JSON; edited by people, reused by the next file with this header.
        questions: What only a person can know, as JSON; the import waits for the answers.
        notices: What people should know of the file: macros, hidden sheets, what was left out.
        duplicate_of: The import that this file came in before.
    """

    id: ImportId
    user_id: str
    user_company_id: str
    input_file_name: Annotated[str, StringConstraints(max_length=1024)]
    input_file_url: str
    options: ImportOptions = Field(default_factory=ImportOptions)
    output_format: OutputFormat = "jsonl"
    output_file_url: str | None = None
    output_content: str | None = None
    processing_status: ImportStatus = ImportStatus.PENDING
    step: ImportStep = ImportStep.IDENTIFY
    error_code: str | None = None
    error_message: str | None = None
    commercial_import_id: str | None = None
    submission: Literal["intended", "done", "refused"] | None = None
    submitted_batches: int = 0
    submission_batch_size: int | None = None
    checksum: str | None = None
    etag: str | None = None
    size: int | None = None
    input_format: str | None = None
    rows_read: int | None = None
    rows_written: int | None = None
    rows_rejected: int | None = None
    rejects_file_url: str | None = None
    template: str | None = None
    template_version: int | None = None
    mapping: str | None = None
    questions: str | None = None
    preview: str | None = None
    notices: tuple[str, ...] = ()
    progress: ImportProgress = Field(default_factory=ImportProgress)
    duplicate_of: str | None = None
    is_approved: bool = False
    is_cancel_requested: bool = False
    origin: ImportOrigin | None = None
    notice: ImportNotice | None = None
    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    total_tokens: int | None = None
    cost: Decimal | None = None
    price_version: str | None = None
    upload_id: str | None = None  # of the multipart upload that is under way
    upload_key: str | None = None  # what it becomes: the output, or the lines that the output is made of
    parts: int = 0  # parts whose checkpoint is stored
    ranges: int | None = None  # of a file so large that its ranges are worked on side by side
    fencing_token: int = 0
    lease_until: Time | None = None
    created_at: Time
    updated_at: Time

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.processing_status in ENDED


class ImportPart(Value):
    """A stored part of an import's output, and how far the import was after it.

    Attributes:
        number: From 1.
        etag: S3's mark of the output's part; empty where nothing was left for the output.
        checkpoint: Where the import goes on, as the importer's JSON.
    """

    number: int = Field(ge=1)
    etag: str = ""
    checkpoint: str


class ImportRange(Value):
    """A range of a large file that is worked on by itself.

    Attributes:
        number: From 0.
        state: `new` is to be looked through, `scanned` waits until all are, `ready` is to be converted.
        document: Where it begins and ends and what is stored of it, as the importer's JSON.
        progress: How far the rows of this range are, a moment ago.
    """

    number: int = Field(ge=0)
    state: Literal["new", "scanned", "ready", "done"] = "new"
    document: str
    progress: ImportProgress = Field(default_factory=ImportProgress)
    fencing_token: int = 0
    lease_until: Time | None = None


class ImportTemplate(Value):
    """One version of a company's template; `document` is the importer's to read. An edit makes a new version."""

    company_id: str
    name: TemplateName
    version: int = Field(ge=1)
    document: dict[str, Any]
    created_at: Time


class CommercialApi(Value):
    """The company's own API that takes what was imported.

    Attributes:
        url: Takes the records: a POST of `{batchField: [records], …}`; `url/{key}` asks what became of a submission.
        secret_name: Of the bearer token.
        batch_size: Records in one request.
        records_field: Name of the list in the request.
        reference_field: Name of its own id in the answer.
    """

    url: Annotated[str, StringConstraints(pattern=r"^https?://", max_length=2048)]
    secret_name: Annotated[str, StringConstraints(max_length=256)] | None = None
    batch_size: int = Field(default=500, ge=1, le=10_000)
    records_field: Annotated[str, StringConstraints(min_length=1, max_length=100)] = "records"
    reference_field: Annotated[str, StringConstraints(min_length=1, max_length=100)] = "id"
    timeout_seconds: float = Field(default=30.0, gt=0, le=120)
