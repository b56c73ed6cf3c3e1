"""Commands about AI configurations: look at them, change them, compare their versions, go back to one."""

import difflib
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from core.configuration import Settings
from core.errors import PermanentError
from ops import settings_document as documents
from ops import show
from ops.directory_commands import CompanyOption, JsonOption
from ops.stack import Operations, open_stack

settings = typer.Typer(help="AI configurations: model, prompt, tools and limits, in versions.", no_args_is_help=True)

_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})  # where a local stack's tools may be

IdArgument = Annotated[str, typer.Argument(metavar="[SETTINGS]", help="Which of the company's configurations.")]
OpenApiOption = Annotated[
    list[str] | None,
    typer.Option("--openapi", metavar="NAME=FILE", help="The OpenAPI document of the tool NAME. May be repeated."),
]


@settings.command("list")
def list_settings(context: typer.Context, company: CompanyOption = None, as_json: JsonOption = False) -> None:
    """List a company's AI configurations."""
    operations = open_stack(context)
    found = operations.store.directory.list_settings(operations.company(company).id)
    rows = ((each.id, each.version, each.name, each.model, len(each.tools), each.created_at) for each in found)
    columns = ("Id", "Version", "Name", "Model", "Tools", "Since")
    empty = "this company has no settings of its own: the stack's model and the default prompt answer"
    show.listing(found, columns, rows, as_json=as_json, empty=empty)


@settings.command("show")
def show_settings(
    context: typer.Context,
    settings_id: IdArgument = "default",
    version: Annotated[int | None, typer.Option(min=1, help="Default: the current one.")] = None,
    company: CompanyOption = None,
    full: Annotated[bool, typer.Option("--full", help="With the OpenAPI documents.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a configuration as YAML, in the form that `settings set` takes."""
    operations = open_stack(context)
    found = _get(operations, operations.company(company).id, settings_id, version)
    if as_json:
        show.emit_json(show.to_json(found))
        return
    show.note(f"{settings_id}, version {found.version} of {found.created_at:%Y-%m-%d %H:%M:%S}")
    typer.echo(show.clean(documents.to_text(documents.to_document(found, is_full=full))), nl=False)


@settings.command("versions")
def list_versions(
    context: typer.Context,
    settings_id: IdArgument = "default",
    company: CompanyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions of a configuration, the current one first."""
    operations = open_stack(context)
    found = operations.store.directory.list_settings_versions(operations.company(company).id, settings_id)
    rows = ((each.version, each.created_at, each.name, each.model, len(each.tools)) for each in found)
    columns = ("Version", "Since", "Name", "Model", "Tools")
    show.listing(found, columns, rows, as_json=as_json, empty=f"there are no settings {settings_id!r}")


@settings.command("diff")
def diff(
    context: typer.Context,
    old: Annotated[int, typer.Argument(min=1, help="A version.")],
    new: Annotated[int | None, typer.Argument(min=1, help="A later one. Default: the current one.")] = None,
    settings_id: Annotated[str, typer.Option("--id", help="Which of the company's configurations.")] = "default",
    company: CompanyOption = None,
) -> None:
    """Show what changed between two versions."""
    operations = open_stack(context)
    company_id = operations.company(company).id
    before, after = (_get(operations, company_id, settings_id, version) for version in (old, new))
    was, now = (documents.to_text(documents.to_document(each, is_full=True)).splitlines() for each in (before, after))
    names = f"{settings_id} v{before.version}", f"{settings_id} v{after.version}"
    lines = list(difflib.unified_diff(was, now, *names, lineterm=""))
    for line in lines:
        typer.echo(show.clean(line))
    if not lines:
        show.note(f"{names[0]} and {names[1]} say the same")


@settings.command("set")
def set_settings(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON; - for the standard input.")],
    settings_id: Annotated[str, typer.Option("--id", help="Which of the company's configurations.")] = "default",
    company: CompanyOption = None,
    openapi: OpenApiOption = None,
) -> None:
    """Store what a file says as the next version; running conversations keep theirs.

    A tool whose `openapi` is `as-stored` keeps the document that the current version has.
    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise PermanentError("file-unreadable", f"cannot read {file}: {exc}") from None
    operations = open_stack(context)
    company_id = operations.company(company).id
    current = operations.store.directory.current_settings(company_id, settings_id)
    _store(operations, company_id, settings_id, text, file, current, openapi or [])


@settings.command("edit")
def edit_settings(
    context: typer.Context,
    settings_id: IdArgument = "default",
    company: CompanyOption = None,
    openapi: OpenApiOption = None,
) -> None:
    """Edit a configuration in $EDITOR and store it as the next version; running conversations keep theirs."""
    operations = open_stack(context)
    company_id = operations.company(company).id
    current = operations.store.directory.current_settings(company_id, settings_id)
    document = documents.to_document(current, is_full=False) if current else documents.starting_document()
    text = original = documents.to_text(document)
    while True:
        edited = _edit(text)
        if edited == original:
            show.note("nothing was changed")
            return
        text = edited
        try:
            _store(operations, company_id, settings_id, text, "what you wrote", current, openapi or [])
        except PermanentError as exc:
            show.fail(exc.message)
            if typer.confirm("Edit it again?", default=True, err=True):
                continue
            raise PermanentError("settings-kept", f"what you wrote is in {_write_file(text)}") from None
        return


@settings.command("rollback")
def rollback(
    context: typer.Context,
    version: Annotated[int, typer.Argument(min=1, help="The version to go back to.")],
    settings_id: Annotated[str, typer.Option("--id", help="Which of the company's configurations.")] = "default",
    company: CompanyOption = None,
) -> None:
    """Store what an earlier version says as the next one; running conversations keep theirs."""
    operations = open_stack(context)
    company_id = operations.company(company).id
    stored = operations.store.directory.rollback_settings(company_id, settings_id, version, operations.clock())
    show.say(f"{settings_id} is version {stored.version} now and says what version {version} says")


def _get(operations: Operations, company_id: str, settings_id: str, version: int | None) -> Settings:
    directory = operations.store.directory
    if version is None:
        found = directory.current_settings(company_id, settings_id)
    else:
        found = directory.get_settings(company_id, settings_id, version)
    if found is None:
        what = f"settings {settings_id!r}" if version is None else f"version {version} of the settings {settings_id!r}"
        message = (
            f"{company_id} has no {what}: see `settings list` and `settings versions`, or make it with `settings edit`"
        )
        raise PermanentError("settings-unknown", message)
    return found


def _store(
    operations: Operations,
    company_id: str,
    settings_id: str,
    text: str,
    source: str,
    current: Settings | None,
    openapi: list[str],
) -> None:
    document = documents.read_text(text, source)
    documents.read_openapi(document, openapi)
    following = documents.to_settings(
        document,
        settings_id=settings_id,
        company_id=company_id,
        current=current,
        now=operations.clock(),
        insecure_hosts=_LOCAL_HOSTS if operations.stack.stage == "local" else frozenset(),
    )
    if current and documents.to_document(current, is_full=True) == documents.to_document(following, is_full=True):
        show.say(f"{settings_id} says that already: it stays version {current.version}")
        return
    operations.store.directory.put_settings(following)
    show.say(f"{settings_id} is version {following.version} now; new conversations take it within a minute")


def _edit(text: str) -> str:
    """What the operator's editor makes of `text`."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    path = _write_file(text)
    try:
        subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603 - the operator's own choice
        return path.read_text(encoding="utf-8")
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError) as exc:
        raise PermanentError("editor-failed", f"the editor {editor!r} failed: {exc}; set EDITOR to another") from None
    finally:
        path.unlink(missing_ok=True)


def _write_file(text: str) -> Path:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".yaml", prefix="settings-", delete=False) as file:
        file.write(text)
    return Path(file.name)
