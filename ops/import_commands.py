"""Commands about imports: import a file and watch it, look at imports, answer what they ask, end them."""

import json
import os
import secrets
import shlex
import string
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import ValidationError

from core.errors import PermanentError
from core.events import ImportQueued
from core.imports import Import, ImportOptions, ImportStatus, OutputFormat
from core.queues import Queue, enqueue, publish
from ops import show
from ops.directory_commands import CompanyOption, JsonOption, find_user
from ops.import_view import say_outcome, show_import, watch
from ops.stack import Operations, open_stack

_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 20
_PART_BYTES = 64 * 1024 * 1024  # of an upload: 10,000 parts are more than the largest file
_OPERATIONS = "operations"  # who imports where no person is named
_POLL_SECONDS = 1.0

imports = typer.Typer(help="Imports: files that become clean data.", no_args_is_help=True)
mappings = typer.Typer(help="How the columns of an import's file become fields.", no_args_is_help=True)
imports.add_typer(mappings, name="mapping")

FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file to import.")]
TemplateOption = Annotated[
    str | None, typer.Option(help="What it becomes: see `templates list`. Default: what is in it, as it is.")
]
FormatOption = Annotated[str, typer.Option("--format", help="json, jsonl, csv, xlsx, parquet or markdown.")]
TableOption = Annotated[str, typer.Option(help="Which sheet, array, or file of an archive. Default: the largest.")]
ImportArgument = Annotated[str, typer.Argument(metavar="IMPORT", help="Id of the import, as `imports list` shows it.")]


def import_file(
    context: typer.Context,
    file: FileArgument,
    template: TemplateOption = None,
    output_format: FormatOption = "jsonl",
    table: TableOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look at the first 1,000 rows.")] = False,
    review: Annotated[bool, typer.Option("--review", help="Wait for `imports approve` after the mapping.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Although the same file was imported before.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Let the model look at what does not fit.")] = False,
    max_cost: Annotated[str | None, typer.Option(help="US dollars that the model may cost.")] = None,
    password_secret: Annotated[str | None, typer.Option(help="Name of the secret with its password.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where to put the output on this machine.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Id or e-mail address of whose import it is.")] = None,
    company: CompanyOption = None,
    wait: Annotated[bool, typer.Option(help="Stay until it has ended.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Import a file: upload it, watch it, and say what became of it."""
    options = _read_options(
        template=template,
        output_format=output_format,
        table=table,
        is_dry_run=dry_run,
        is_reviewed=review,
        is_forced=force,
        is_repaired=repair,
        max_cost=max_cost,
        password_secret_name=password_secret,
    )
    operations = open_stack(context)
    company_id = operations.company(company).id
    user_id = find_user(operations, company_id, user).id if user else _OPERATIONS
    import_ = _begin(operations, company_id, user_id, file, options)
    _upload(operations, import_, file, is_quiet=as_json)
    if wait:
        import_ = _watch(operations, import_, is_quiet=as_json)
    _report(operations, import_, output, as_json=as_json)


def _watch(operations: Operations, import_: Import, *, is_quiet: bool) -> Import:
    return watch(
        lambda: _get(operations, import_.user_company_id, import_.id),
        sleep=lambda: time.sleep(_POLL_SECONDS),
        is_quiet=is_quiet,
    )


def _report(operations: Operations, import_: Import, output: Path | None, *, as_json: bool) -> None:
    """Say what became of an import; exit code 1 where it failed."""
    if output and import_.output_file_url:
        _download(operations, import_.output_file_url, output)
    if as_json:
        show.emit_json(_with_links(operations, import_))
    else:
        say_outcome(
            import_,
            link=_link(operations, import_.output_file_url),
            rejects=_link(operations, import_.rejects_file_url),
            saved=output,
        )
    if import_.processing_status is ImportStatus.FAILED:
        raise typer.Exit(1)


def _read_options(**given: object) -> ImportOptions:
    if given["output_format"] not in get_args(OutputFormat):
        msg = f"use one of {', '.join(get_args(OutputFormat))}"
        raise typer.BadParameter(msg, param_hint="--format")
    try:
        return ImportOptions.model_validate(given)
    except ValidationError as exc:
        wrong = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in exc.errors(include_input=False))
        raise PermanentError("options", wrong) from None


def _begin(operations: Operations, company_id: str, user_id: str, file: Path, options: ImportOptions) -> Import:
    """Make the import before its file comes, so that S3's event finds it."""
    from core.import_keys import fit_name, make_input_key
    from importer.objects import Bucket

    import_id = "imp_" + "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
    name, now = fit_name(file.name), operations.clock()
    key = make_input_key(company_id, user_id, import_id, name)
    import_ = Import(
        id=import_id,
        user_id=user_id,
        user_company_id=company_id,
        input_file_name=name,
        input_file_url=Bucket(operations.s3, operations.stack.bucket_name).url(key),
        options=options,
        output_format=options.output_format,
        size=file.stat().st_size,
        created_at=now,
        updated_at=now,
    )
    operations.store.imports.create(import_)
    return import_


def _upload(operations: Operations, import_: Import, file: Path, *, is_quiet: bool) -> None:
    from boto3.s3.transfer import TransferConfig

    from ops.import_view import upload_progress

    config = TransferConfig(multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES)
    key = import_.input_file_url.removeprefix(f"s3://{operations.stack.bucket_name}/")
    with upload_progress(file.stat().st_size, is_quiet=is_quiet) as advance:
        operations.s3.upload_file(str(file), operations.stack.bucket_name, key, Config=config, Callback=advance)


def _download(operations: Operations, url: str, path: Path) -> None:
    key = url.removeprefix(f"s3://{operations.stack.bucket_name}/")
    operations.s3.download_file(operations.stack.bucket_name, key, str(path))


def _link(operations: Operations, url: str | None) -> str | None:
    """A link to a file of an import that anybody may open for an hour."""
    from importer.objects import Bucket

    if url is None:
        return None
    return Bucket(operations.s3, operations.stack.bucket_name).link(url, name=url.rpartition("/")[2])


def _with_links(operations: Operations, import_: Import) -> dict[str, Any]:  # JSON
    links = {
        "outputLink": _link(operations, import_.output_file_url),
        "rejectsLink": _link(operations, import_.rejects_file_url),
    }
    return show.to_json(import_) | {name: link for name, link in links.items() if link}


def _get(operations: Operations, company_id: str, import_id: str) -> Import:
    found = operations.store.imports.get(company_id, import_id)
    if found is None:
        raise PermanentError("import-unknown", f"{company_id} has no import {import_id!r}: see `imports list`")
    return found


@imports.command("list")
def list_imports(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    company: CompanyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List a company's imports, the last one changed first."""
    operations = open_stack(context)
    found = operations.store.imports.list_of(operations.company(company).id, limit)
    columns = ("Import", "Changed", "Status", "Step", "File", "Template", "Rows", "Rejected", "Problem")
    rows = (
        (
            each.id,
            each.updated_at,
            each.processing_status.value,
            each.step.value,
            each.input_file_name,
            each.options.template,
            each.rows_written if each.is_over else each.progress.rows_ok,
            each.rows_rejected if each.is_over else each.progress.rows_rejected,
            each.error_code,
        )
        for each in found
    )
    show.listing(found, columns, rows, as_json=as_json, empty="there are no imports")


@imports.command("show")
def show_one(
    context: typer.Context, import_id: ImportArgument, company: CompanyOption = None, as_json: JsonOption = False
) -> None:
    """Show an import: how far it is, what it asks, what came of it."""
    operations = open_stack(context)
    found = _get(operations, operations.company(company).id, import_id)
    if as_json:
        show.emit_json(_with_links(operations, found))
    else:
        show_import(
            found, link=_link(operations, found.output_file_url), rejects=_link(operations, found.rejects_file_url)
        )


@imports.command("cancel")
def cancel(context: typer.Context, import_id: ImportArgument, company: CompanyOption = None) -> None:
    """Ask an import to end; one that runs ends within seconds."""
    operations = open_stack(context)
    found = operations.store.imports.request_cancel(operations.company(company).id, import_id, now=operations.clock())
    _tell(operations, found)
    if not found.is_over:  # where its message went to the dead letters, nobody else would see it
        _wake(operations, found)
    show.say(f"import {import_id} is {'canceled' if found.is_over else 'asked to end'}")


def _tell(operations: Operations, import_: Import) -> None:
    """Have the conversation told that an import came from, if there is something to tell."""
    from core.import_notices import make_signal

    if signal := make_signal(import_, operations.clock()):
        publish(signal, queue=Queue(operations.sqs, operations.stack.queue_urls.signals), trace_header=lambda: None)


@imports.command("approve")
def approve(
    context: typer.Context,
    import_id: ImportArgument,
    answers: Annotated[
        list[str] | None, typer.Option("--answer", metavar="QUESTION=ANSWER", help="The answer to a question.")
    ] = None,
    company: CompanyOption = None,
) -> None:
    """Let an import go on that waits for a person, with the answers to what it asks.

    What is not answered is left out: rows whose values can be read in two ways are rejected.
    """
    operations = open_stack(context)
    found = _get(operations, operations.company(company).id, import_id)
    _approve(operations, found, _answered(found, answers or []))


def _answered(import_: Import, answers: list[str]) -> str | None:
    """The mapping with these answers; None where there are none."""
    from importer.planning import StoredMapping

    if not answers or import_.mapping is None:
        return None
    stored = StoredMapping.model_validate_json(import_.mapping)
    questions = {question.id: question for question in stored.questions}
    given = dict(stored.answers)
    for each in answers:
        name, has_answer, text = each.partition("=")
        question = questions.get(name.strip())
        if question is None or not has_answer:
            known = ", ".join(questions) or "none"
            msg = f"{each!r} answers none of its questions: {known}"
            raise typer.BadParameter(msg, param_hint="--answer")
        is_free = name.startswith(("unit:", "zone:"))
        if not is_free and question.options and text.strip() not in question.options:
            msg = f"{name} may be {', '.join(question.options)}"
            raise typer.BadParameter(msg, param_hint="--answer")
        given[question.id] = text.strip()
    return stored.model_copy(update={"answers": given}).model_dump_json(by_alias=True)


def _approve(operations: Operations, import_: Import, mapping: str | None) -> None:
    company_id = import_.user_company_id
    operations.store.imports.approve(company_id, import_.id, now=operations.clock(), mapping=mapping)
    _wake(operations, import_)
    show.say(f"import {import_.id} goes on: see `imports show {import_.id}`")


def _wake(operations: Operations, import_: Import) -> None:
    """Have a processor look at an import; once more than it has to changes nothing."""
    message = ImportQueued(company_id=import_.user_company_id, import_id=import_.id)
    enqueue(message, queue=Queue(operations.sqs, operations.stack.queue_urls.imports))


@mappings.command("show")
def show_mapping(context: typer.Context, import_id: ImportArgument, company: CompanyOption = None) -> None:
    """Show how the columns of an import's file become fields, as JSON."""
    operations = open_stack(context)
    found = _get(operations, operations.company(company).id, import_id)
    if found.mapping is None:
        raise PermanentError("no-mapping", f"import {import_id} has no mapping yet")
    show.emit_json(json.loads(found.mapping))


@mappings.command("edit")
def edit_mapping(
    context: typer.Context,
    import_id: ImportArgument,
    file: Annotated[Path | None, typer.Option("--file", help="JSON to take in place of what an editor makes.")] = None,
    company: CompanyOption = None,
) -> None:
    """Edit the mapping of an import that waits for a person, in $EDITOR, and let it go on."""
    from importer.planning import StoredMapping

    operations = open_stack(context)
    found = _get(operations, operations.company(company).id, import_id)
    if found.processing_status is not ImportStatus.AWAITING_REVIEW or found.mapping is None:
        raise PermanentError("not-waiting", f"import {import_id} does not wait for anybody: see `imports show`")
    text = json.dumps(json.loads(found.mapping), ensure_ascii=False, indent=2)
    edited = file.read_text(encoding="utf-8") if file else _edit(text)
    try:
        stored = StoredMapping.model_validate_json(edited)
    except ValidationError as exc:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors(include_input=False)
        )
        raise PermanentError("mapping-invalid", f"the mapping makes no sense: {wrong}") from None
    _approve(operations, found, stored.model_copy(update={"is_settled": False}).model_dump_json(by_alias=True))


def _edit(text: str) -> str:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mapping.json"
        path.write_text(text + "\n", encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603 - the operator's own choice
        except (OSError, subprocess.CalledProcessError) as exc:
            raise PermanentError("editor-failed", f"the editor {editor!r} failed; set EDITOR to another") from exc
        return path.read_text(encoding="utf-8")
