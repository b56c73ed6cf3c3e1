"""The items of imports, as PynamoDB classes private to the store; as `items` says, under camelCase names."""

from core.store.attributes import (
    DecimalAttribute,
    InstantAttribute,
    make_document,
    make_flag,
    make_number,
    make_text,
    make_texts,
    make_time,
)
from core.store.items import Item


class ImportItem(Item):
    """PK `C#co#I#imp`, SK `#META`; GSI1 `C#co#I` by the last change.

    What has parts of its own (options, progress, origin, notice) is one JSON text each. A long text is in S3, and
    `…At` says where.
    """

    id = make_text("id")
    user_id = make_text("userId")
    user_company_id = make_text("userCompanyId")
    input_file_name = make_text("inputFileName")
    input_file_url = make_text("inputFileUrl")
    options = make_text("options")
    output_format = make_text("outputFormat")
    output_file_url = make_text("outputFileUrl")
    output_content = make_text("outputContent")
    processing_status = make_text("processingStatus")
    step = make_text("step")
    error_code = make_text("errorCode")
    error_message = make_text("errorMessage")
    commercial_import_id = make_text("commercialImportId")
    submission = make_text("submission")
    submitted_batches = make_number("submittedBatches")
    submission_batch_size = make_number("submissionBatchSize")
    checksum = make_text("checksum")
    etag = make_text("etag")
    size = make_number("size")
    input_format = make_text("inputFormat")
    rows_read = make_number("rowsRead")
    rows_written = make_number("rowsWritten")
    rows_rejected = make_number("rowsRejected")
    rejects_file_url = make_text("rejectsFileUrl")
    template = make_text("template")
    template_version = make_number("templateVersion")
    mapping = make_text("mapping")
    questions = make_text("questions")
    preview = make_text("preview")
    notices = make_texts("notices")
    progress = make_text("progress")
    duplicate_of = make_text("duplicateOf")
    is_approved = make_flag("isApproved")
    is_cancel_requested = make_flag("isCancelRequested")
    origin = make_text("origin")
    notice = make_text("notice")
    total_input_tokens = make_number("totalInputTokens")
    total_output_tokens = make_number("totalOutputTokens")
    total_tokens = make_number("totalTokens")
    cost = DecimalAttribute(null=True, attr_name="cost")
    price_version = make_text("priceVersion")
    upload_id = make_text("uploadId")
    upload_key = make_text("uploadKey")
    parts = make_number("parts")
    ranges = make_number("ranges")
    fencing_token = make_number("fencingToken")
    lease_until = InstantAttribute(null=True, attr_name="leaseUntil")
    created_at = make_time("createdAt")
    updated_at = make_time("updatedAt")
    output_content_at = make_document("outputContentAt")
    mapping_at = make_document("mappingAt")
    questions_at = make_document("questionsAt")
    preview_at = make_document("previewAt")


class ImportPartItem(Item):
    """PK `C#co#I#imp`, SK `R#nnnnnn`: a stored part, and where the import goes on after it."""

    number = make_number("number")
    etag = make_text("etag")
    checkpoint = make_text("checkpoint")


class ImportRangeItem(Item):
    """PK `C#co#I#imp`, SK `S#nnnnnn`: a range of a large file, and how far it is."""

    number = make_number("number")
    state = make_text("state")
    document = make_text("document")
    progress = make_text("progress")
    fencing_token = make_number("fencingToken")
    lease_until = InstantAttribute(null=True, attr_name="leaseUntil")


class ConversationImportItem(Item):
    """PK `C#co#V#conv`, SK `I#imp`: an import that came from the conversation, and goes with it."""

    import_id = make_text("importId")


class ImportGuardItem(Item):
    """PK `C#co#I#G#sha256#template#version#format`, SK `#`: this file became this output in that import."""

    import_id = make_text("importId")


class TemplateItem(Item):
    """PK `C#co#L#name`, SK `v#nnnnnn`; GSI1 `C#co#L` by name, for the first version alone."""

    company_id = make_text("companyId")
    name = make_text("name")
    version = make_number("version")
    document = make_text("document")
    document_at = make_document("documentAt")
    created_at = make_time("createdAt")


class MappingItem(Item):
    """PK `C#co#L#name#version#header`, SK `#`: the mapping that this header was given before."""

    mapping = make_text("mapping")
    mapping_at = make_document("mappingAt")


class CommercialApiItem(Item):
    """PK `C#co#L`, SK `#API`: where the company's imports are handed to."""

    document = make_text("document")
