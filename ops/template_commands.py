"""Commands about what imports are made into and where they go: templates in versions, the company's commercial API."""

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from core.errors import PermanentError
from core.imports import CommercialApi, ImportTemplate, TemplateName
from core.outside import OutsideHttp
from ops import show
from ops.directory_commands import CompanyOption, JsonOption
from ops.settings_document import read_text, to_text
from ops.stack import Operations, open_stack

_LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})

templates = typer.Typer(help="Templates: what imports are made into.", no_args_is_help=True)
commercial_api = typer.Typer(help="A company's own API that takes what was imported.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the template.")]


@templates.command("list")
def list_templates(context: typer.Context, company: CompanyOption = None, as_json: JsonOption = False) -> None:
    """List a company's templates in their current versions."""
    operations = open_stack(context)
    found = operations.store.templates.list_templates(operations.company(company).id)
    rows = ((each.name, each.version, each.created_at, ", ".join(_fields(each.document))) for each in found)
    columns = ("Template", "Version", "Since", "Fields")
    show.listing(found, columns, rows, as_json=as_json, empty="there are no templates: make one with `templates set`")


@templates.command("show")
def show_template(
    context: typer.Context,
    name: NameArgument,
    version: Annotated[int | None, typer.Option(min=1, help="Default: the current one.")] = None,
    company: CompanyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a template in the form that `templates set` takes."""
    operations = open_stack(context)
    found = _get(operations, operations.company(company).id, name, version)
    if as_json:
        show.emit_json(show.to_json(found))
    else:
        typer.echo(show.clean(to_text(found.document)), nl=False)


@templates.command("set")
def set_template(
    context: typer.Context,
    name: NameArgument,
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML or JSON; - for the standard input.")],
    company: CompanyOption = None,
) -> None:
    """Store what a file says as the next version of a template; imports that run keep theirs.

    `record` is the JSON Schema of one record; `hints` say by field what a schema cannot (aliases, unit, decimal,
    dateOrder, country, nulls, values); `contract` is freeze, discard_row or discard_value.
    """
    from importer.planning import make_template
    from importer.rows import RowMaker
    from importer.values import FieldMapping, Origin, TableMapping

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        TypeAdapter(TemplateName).validate_python(name)
    except (OSError, UnicodeDecodeError) as exc:
        raise PermanentError("file-unreadable", f"cannot read {file}: {exc}") from None
    except ValidationError:
        raise typer.BadParameter("use lower-case letters, digits and hyphens", param_hint="NAME") from None
    document = read_text(text, file)
    template = make_template(document, name=name, version=1)
    fields = tuple(FieldMapping(target=each, columns=(each,), origin=Origin.EXACT) for each in template.fields)
    RowMaker(template, TableMapping(fields=fields), template.fields)  # its schemas are usable
    operations = open_stack(context)
    company_id = operations.company(company).id
    current = operations.store.templates.current_template(company_id, name)
    if current and current.document == document:
        show.say(f"{name} says that already: it stays version {current.version}")
        return
    version = current.version + 1 if current else 1
    following = ImportTemplate(
        company_id=company_id, name=name, version=version, document=document, created_at=operations.clock()
    )
    operations.store.templates.put_template(following)
    show.say(f"{name} is version {version} now")


@templates.command("versions")
def list_versions(
    context: typer.Context, name: NameArgument, company: CompanyOption = None, as_json: JsonOption = False
) -> None:
    """List the versions of a template, the current one first."""
    operations = open_stack(context)
    found = operations.store.templates.list_template_versions(operations.company(company).id, name)
    rows = ((each.version, each.created_at, ", ".join(_fields(each.document))) for each in found)
    show.listing(found, ("Version", "Since", "Fields"), rows, as_json=as_json, empty=f"there is no template {name!r}")


@templates.command("diff")
def diff(
    context: typer.Context,
    name: NameArgument,
    old: Annotated[int, typer.Argument(min=1, help="A version.")],
    new: Annotated[int | None, typer.Argument(min=1, help="A later one. Default: the current one.")] = None,
    company: CompanyOption = None,
) -> None:
    """Show what changed between two versions of a template."""
    operations = open_stack(context)
    company_id = operations.company(company).id
    before, after = (_get(operations, company_id, name, version) for version in (old, new))
    names = f"{name} v{before.version}", f"{name} v{after.version}"
    was, now = to_text(before.document).splitlines(), to_text(after.document).splitlines()
    lines = list(difflib.unified_diff(was, now, *names, lineterm=""))
    for line in lines:
        typer.echo(show.clean(line))
    if not lines:
        show.note(f"{names[0]} and {names[1]} say the same")


def _get(operations: Operations, company_id: str, name: str, version: int | None) -> ImportTemplate:
    store = operations.store.templates
    found = (
        store.current_template(company_id, name) if version is None else store.get_template(company_id, name, version)
    )
    if found is None:
        raise PermanentError("template-unknown", f"{company_id} has no such template {name!r}: see `templates list`")
    return found


def _fields(document: Mapping[str, Any]) -> list[str]:
    return list(document.get("record", {}).get("properties", {}))


@commercial_api.command("show")
def show_api(context: typer.Context, company: CompanyOption = None, as_json: JsonOption = False) -> None:
    """Show where a company's imports are handed to."""
    operations = open_stack(context)
    found = operations.store.templates.get_commercial_api(operations.company(company).id)
    if found is None:
        show.note("imports are handed to nobody")
    elif as_json:
        show.emit_json(show.to_json(found))
    else:
        show.fields(show.to_json(found).items(), title="commercial API")


@commercial_api.command("set")
def set_api(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Takes POSTs of records; URL/KEY says what became of one.")],
    secret: Annotated[str | None, typer.Option(help="Name of the secret with the bearer token.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="Records in one request.")] = 500,
    records_field: Annotated[str, typer.Option(help="Name of the list in the request.")] = "records",
    reference_field: Annotated[str, typer.Option(help="Name of its own id in the answer.")] = "id",
    timeout: Annotated[float, typer.Option(min=1, max=120, help="Seconds for one request.")] = 30.0,
    company: CompanyOption = None,
) -> None:
    """Hand what a company imports to its own API, from the next import on."""
    operations = open_stack(context)
    company_id = operations.company(company).id
    prefix = f"parley/{operations.stack.stage}/tools/"
    if secret is not None and not secret.startswith(prefix):
        msg = f"the functions may only read secrets below {prefix}"
        raise typer.BadParameter(msg, param_hint="--secret")
    insecure = _LOCAL_HOSTS if operations.stack.stage == "local" else frozenset()
    OutsideHttp(insecure_hosts=insecure).check_url(url)
    try:
        api = CommercialApi(
            url=url,
            secret_name=secret,
            batch_size=batch_size,
            records_field=records_field,
            reference_field=reference_field,
            timeout_seconds=timeout,
        )
    except ValidationError as exc:
        wrong = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in exc.errors(include_input=False))
        raise PermanentError("commercial-api", wrong) from None
    operations.store.templates.set_commercial_api(company_id, api)
    show.say(f"imports of {company_id} are handed to {url}")


@commercial_api.command("remove")
def remove_api(context: typer.Context, company: CompanyOption = None) -> None:
    """Hand imports to nobody."""
    operations = open_stack(context)
    company_id = operations.company(company).id
    operations.store.templates.set_commercial_api(company_id, None)
    show.say(f"imports of {company_id} are handed to nobody")
