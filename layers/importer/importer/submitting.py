"""Hands the records of an import to the company's own API, where it has one, and remembers how far that is."""

from core.errors import PermanentError
from core.imports import ImportStatus, ImportStep
from importer.commercial import Submission
from importer.outputs import final_key, lines_of, spool_key
from importer.running import Ending, Running


def submit(running: Running, ending: Ending) -> Ending:
    """Hand over what was written; what is known to have arrived is not sent again.

    Args:
        running: The import, whose output is whole.
        ending: How the import ends if nothing is refused.
    """
    import_, collaborators = running.import_, running.collaborators
    api = collaborators.store.templates.get_commercial_api(import_.user_company_id)
    if api is None or not import_.rows_written or import_.submission in {"done", "refused"}:
        return ending
    key = spool_key(import_) if import_.upload_key == spool_key(import_) else final_key(import_)
    source = collaborators.bucket.source(key, "records")
    is_begun = import_.submission == "intended"
    if not is_begun:
        running.save(submission="intended", submission_batch_size=api.batch_size, step=ImportStep.SUBMIT)
    # Another batch size would cut other batches under the same keys: the one that it began with stays.
    api = api.model_copy(update={"batch_size": import_.submission_batch_size or api.batch_size})

    def remember(*, batches: int, reference: str) -> None:
        running.has_advanced = True
        running.save(submitted_batches=batches, commercial_import_id=reference)

    try:
        submission = Submission(
            api=api,
            http=collaborators.http,
            token=collaborators.read_secret(api.secret_name) if api.secret_name else "",
            key=f"{import_.id}-{source.etag}",
            remaining=running.remaining,
            is_begun=is_begun,
        )
        reference = submission.run(
            lines_of(source),
            done=import_.submitted_batches,
            reference=import_.commercial_import_id or "",
            remember=remember,
        )
    except PermanentError as exc:
        refused = {"submission": "refused", "error_code": exc.code, "error_message": exc.message}
        return Ending(ImportStatus.COMPLETED_WITH_ERRORS, {**ending.changes, **refused})
    running.save(submission="done", commercial_import_id=reference)
    return ending
