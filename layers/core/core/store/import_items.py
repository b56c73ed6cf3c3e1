"""The items of imports, as PynamoDB classes private to the store; as `items` says, under camelCase names."""

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute

from core.store.attributes import DecimalAttribute, DocumentAttribute, InstantAttribute, TextsAttribute, TimeAttribute
from core.store.items import Item


def _text(name: str) -> UnicodeAttribute:
    return UnicodeAttribute(null=True, attr_name=name)


def _number(name: str) -> NumberAttribute:
    return NumberAttribute(null=True, attr_name=name)


def _pointer(name: str) -> DocumentAttribute:
    return DocumentAttribute(null=True, attr_name=name)


def _flag(name: str) -> BooleanAttribute:
    return BooleanAttribute(null=True, attr_name=name)


class ImportItem(Item):
    """PK `C#co#I#imp`, SK `#META`; GSI1 `C#co#I` by the last change.

    What has parts of its own (options, progress, origin, notice) is one JSON text each. A long text is in S3, and
    `…At` says where.
    """

    id = _text("id")
    user_id = _text("userId")
    user_company_id = _text("userCompanyId")
    input_file_name = _text("inputFileName")
    input_file_url = _text("inputFileUrl")
    options = _text("options")
    output_format = _text("outputFormat")
    output_file_url = _text("outputFileUrl")
    output_content = _text("outputContent")
    processing_status = _text("processingStatus")
    step = _text("step")
    error_code = _text("errorCode")
    error_message = _text("errorMessage")
    commercial_import_id = _text("commercialImportId")
    submission = _text("submission")
    submitted_batches = _number("submittedBatches")
    submission_batch_size = _number("submissionBatchSize")
    checksum = _text("checksum")
    etag = _text("etag")
    size = _number("size")
    input_format = _text("inputFormat")
    rows_read = _number("rowsRead")
    rows_written = _number("rowsWritten")
    rows_rejected = _number("rowsRejected")
    rejects_file_url = _text("rejectsFileUrl")
    template = _text("template")
    template_version = _number("templateVersion")
    mapping = _text("mapping")
    questions = _text("questions")
    preview = _text("preview")
    notices = TextsAttribute(null=True, attr_name="notices")
    progress = _text("progress")
    duplicate_of = _text("duplicateOf")
    is_approved = _flag("isApproved")
    is_cancel_requested = _flag("isCancelRequested")
    origin = _text("origin")
    notice = _text("notice")
    total_input_tokens = _number("totalInputTokens")
    total_output_tokens = _number("totalOutputTokens")
    total_tokens = _number("totalTokens")
    cost = DecimalAttribute(null=True, attr_name="cost")
    price_version = _text("priceVersion")
    upload_id = _text("uploadId")
    upload_key = _text("uploadKey")
    parts = _number("parts")
    ranges = _number("ranges")
    fencing_token = _number("fencingToken")
    lease_until = InstantAttribute(null=True, attr_name="leaseUntil")
    created_at = TimeAttribute(null=True, attr_name="createdAt")
    updated_at = TimeAttribute(null=True, attr_name="updatedAt")
    output_content_at = _pointer("outputContentAt")
    mapping_at = _pointer("mappingAt")
    questions_at = _pointer("questionsAt")
    preview_at = _pointer("previewAt")


class ImportPartItem(Item):
    """PK `C#co#I#imp`, SK `R#nnnnnn`: a stored part, and where the import goes on after it."""

    number = _number("number")
    etag = _text("etag")
    checkpoint = _text("checkpoint")


class ImportRangeItem(Item):
    """PK `C#co#I#imp`, SK `S#nnnnnn`: a range of a large file, and how far it is."""

    number = _number("number")
    state = _text("state")
    document = _text("document")
    progress = _text("progress")
    fencing_token = _number("fencingToken")
    lease_until = InstantAttribute(null=True, attr_name="leaseUntil")


class ConversationImportItem(Item):
    """PK `C#co#V#conv`, SK `I#imp`: an import that came from the conversation, and goes with it."""

    import_id = _text("importId")


class ImportGuardItem(Item):
    """PK `C#co#I#G#sha256#template#version#format`, SK `#`: this file became this output in that import."""

    import_id = _text("importId")


class TemplateItem(Item):
    """PK `C#co#L#name`, SK `v#nnnnnn`; GSI1 `C#co#L` by name, for the first version alone."""

    company_id = _text("companyId")
    name = _text("name")
    version = _number("version")
    document = _text("document")
    document_at = _pointer("documentAt")
    created_at = TimeAttribute(null=True, attr_name="createdAt")


class MappingItem(Item):
    """PK `C#co#L#name#version#header`, SK `#`: the mapping that this header was given before."""

    mapping = _text("mapping")
    mapping_at = _pointer("mappingAt")


class CommercialApiItem(Item):
    """PK `C#co#L`, SK `#API`: where the company's imports are handed to."""

    document = _text("document")
