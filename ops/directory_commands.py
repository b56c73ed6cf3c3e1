"""Commands about companies, their people and their installations.

Adding what is there already changes nothing and is no error as long as it is the same; `--if-absent` accepts what
differs, too. So a script may be run again.
"""

import os
import re
import secrets
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import ClientError

from core import platforms
from core.errors import PermanentError
from core.models import Company, Identity, Installation, User
from ops import show
from ops.stack import Operations, open_stack

_COMPANY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_EXTERNAL_ID = re.compile(r"[!-~]{1,128}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

companies = typer.Typer(help="Companies: our tenants.", no_args_is_help=True)
users = typer.Typer(help="The people of a company, who may talk to the assistant.", no_args_is_help=True)
identities = typer.Typer(help="Who a platform's user is in the directory.", no_args_is_help=True)
installations = typer.Typer(help="Workspaces on a platform that belong to a company.", no_args_is_help=True)

CompanyOption = Annotated[
    str | None, typer.Option("--company", help="Id of the company. Default on a local stack: its demo company.")
]
UserOption = Annotated[str, typer.Option("--user", help="Id or e-mail address of the person.")]
PlatformOption = Annotated[str, typer.Option("--platform", help="The platform, for example slack.")]
WorkspaceOption = Annotated[str, typer.Option("--workspace", help="The platform's id of the workspace.")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
BotUserOption = Annotated[
    str | None, typer.Option(help="The platform's id of the assistant's own user. Default for teams: the app's.")
]
IfAbsentOption = Annotated[
    bool, typer.Option("--if-absent", "--idempotent", help="No error if it is there already, even if it differs.")
]


@companies.command("add")
def add_company(
    context: typer.Context,
    company_id: Annotated[str, typer.Argument(help="Its id, for ever: lower-case letters, digits and hyphens.")],
    name: Annotated[str, typer.Option(help="Its name, as people write it.")],
    if_absent: IfAbsentOption = False,
) -> None:
    """Add a company."""
    if not _COMPANY_ID.fullmatch(company_id):
        raise typer.BadParameter("use 1 to 63 lower-case letters, digits and hyphens", param_hint="COMPANY_ID")
    operations = open_stack(context)
    directory = operations.store.directory
    if company := directory.get_company(company_id):
        _accept(f"company {company_id}", is_same=company.name == name, if_absent=if_absent)
        return
    directory.add_company(Company(id=company_id, name=name, created_at=operations.clock()))
    show.say(f"company {company_id} added")


@companies.command("list")
def list_companies(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the companies."""
    found = open_stack(context).store.directory.list_companies()
    rows = ((each.id, each.name, each.created_at) for each in found)
    show.listing(found, ("Id", "Name", "Since"), rows, as_json=as_json, empty="there are no companies yet")


@users.command("add")
def add_user(
    context: typer.Context,
    email: Annotated[str, typer.Option(help="By which the person is found on every platform.")],
    name: Annotated[str, typer.Option(help="The person's name.")],
    company: CompanyOption = None,
    user_id: Annotated[str | None, typer.Option("--id", help="Default: a new one.")] = None,
    if_absent: IfAbsentOption = False,
) -> None:
    """Add a person to a company."""
    if not _EMAIL.fullmatch(email):
        raise typer.BadParameter("that is no e-mail address", param_hint="--email")
    operations = open_stack(context)
    directory, company_id = operations.store.directory, operations.company(company).id
    there = directory.find_user_by_email(company_id, email)
    if there is None and user_id:
        there = directory.get_user(company_id, user_id)
    if there:
        is_same = (there.email.lower(), there.name, there.id) == (email.lower(), name, user_id or there.id)
        _accept(f"user {there.id} <{there.email}>", is_same=is_same, if_absent=if_absent)
        return
    user = User(
        id=user_id or f"usr_{secrets.token_hex(13)}",
        company_id=company_id,
        email=email,
        name=name,
        created_at=operations.clock(),
    )
    directory.add_user(user)
    show.say(f"user {user.id} <{user.email}> added to {company_id}")


@users.command("list")
def list_users(context: typer.Context, company: CompanyOption = None, as_json: JsonOption = False) -> None:
    """List a company's people."""
    operations = open_stack(context)
    found = operations.store.directory.list_users(operations.company(company).id)
    rows = ((each.id, each.email, each.name, each.enabled, each.created_at) for each in found)
    columns = ("Id", "E-mail", "Name", "Enabled", "Since")
    show.listing(found, columns, rows, as_json=as_json, empty="this company has no users yet: see `users add`")


@users.command("enable")
def enable_user(context: typer.Context, user: UserOption, company: CompanyOption = None) -> None:
    """Let a person talk to the assistant again."""
    _set_user_enabled(open_stack(context), company, user, is_enabled=True)


@users.command("disable")
def disable_user(context: typer.Context, user: UserOption, company: CompanyOption = None) -> None:
    """Stop answering a person; what was said stays stored."""
    _set_user_enabled(open_stack(context), company, user, is_enabled=False)


def _set_user_enabled(operations: Operations, company: str | None, named: str, *, is_enabled: bool) -> None:
    user = find_user(operations, operations.company(company).id, named)
    operations.store.directory.put_user(user.model_copy(update={"enabled": is_enabled}))
    show.say(f"user {user.id} <{user.email}> {'enabled' if is_enabled else 'disabled'}")


@identities.command("link")
def link_identity(
    context: typer.Context,
    user: UserOption,
    platform: PlatformOption,
    workspace: WorkspaceOption,
    external_user: Annotated[str, typer.Option(help="The platform's id of the person.")],
    company: CompanyOption = None,
) -> None:
    """Say who a platform's user is, where the e-mail address does not tell."""
    _check_platform(platform)
    _check_external_id(workspace, "--workspace")
    _check_external_id(external_user, "--external-user")
    operations = open_stack(context)
    directory, company_id = operations.store.directory, operations.company(company).id
    person = find_user(operations, company_id, user)
    before = directory.get_identity(company_id, platform, workspace, external_user)
    identity = Identity(
        company_id=company_id,
        platform=platform,
        workspace_id=workspace,
        external_user_id=external_user,
        user_id=person.id,
        email=person.email,
        created_at=before.created_at if before else operations.clock(),
    )
    directory.put_identity(identity)
    was = f" (before: {before.user_id or 'nobody'})" if before and before.user_id != person.id else ""
    show.say(f"{platform} user {external_user} in {workspace} is user {person.id} <{person.email}>{was}")


@identities.command("list")
def list_identities(context: typer.Context, company: CompanyOption = None, as_json: JsonOption = False) -> None:
    """List who the platforms' users are; those without a user were refused."""
    operations = open_stack(context)
    found = operations.store.directory.list_identities(operations.company(company).id)
    rows = (
        (each.platform, each.workspace_id, each.external_user_id, each.user_id, each.email, each.created_at)
        for each in found
    )
    columns = ("Platform", "Workspace", "External user", "User", "E-mail", "Since")
    show.listing(found, columns, rows, as_json=as_json, empty="nobody of this company was seen on a platform yet")


@installations.command("add")
def add_installation(
    context: typer.Context,
    platform: PlatformOption,
    workspace: WorkspaceOption,
    bot_user_id: BotUserOption = None,
    company: CompanyOption = None,
    bot_id: Annotated[str | None, typer.Option(help="The platform's id of the bot, where that is another one.")] = None,
    token_env: Annotated[
        str | None, typer.Option(help="Name of the environment variable with the bot token. Default: it is asked for.")
    ] = None,
    if_absent: IfAbsentOption = False,
) -> None:
    """Install the assistant in a workspace; on one that is installed, replace its token.

    The token goes to Secrets Manager and nowhere else. All tenants of Teams share the secret of the stack's app: it is
    asked for only with --token-env.
    """
    _check_platform(platform)
    _check_external_id(workspace, "--workspace")
    operations = open_stack(context)
    company_id, now, is_shared = operations.company(company).id, operations.clock(), platform == "teams"
    workspace = workspace.lower() if is_shared else workspace  # a directory's id is written in either case
    bot = {"botUserId": _find_bot(operations, platform, bot_user_id)} | ({"botId": bot_id} if bot_id else {})
    there = _find_own_installation(operations, company_id, platform, workspace)
    if there:
        _accept(f"{platform} workspace {workspace}", is_same=there.settings == bot, if_absent=if_absent)
        if there.settings != bot:
            return  # the token given is another bot's
    secret_name = there.secret_name if there else operations.stack.secret_name(platform, workspace)
    # First of all: an installation whose secret is missing would fail every turn.
    if not is_shared or token_env:
        _store_token(operations, secret_name, token_env)
    if not there:
        installation = Installation(
            id=f"ins_{secrets.token_hex(13)}",
            company_id=company_id,
            platform=platform,
            workspace_id=workspace,
            settings=bot,
            secret_name=secret_name,
            created_at=now,
            updated_at=now,
        )
        operations.store.directory.add_installation(installation)
        show.say(f"{platform} workspace {workspace} installed for {company_id}")


def _store_token(operations: Operations, secret_name: str, token_env: str | None) -> None:
    _put_secret(operations, secret_name, _read_token(token_env))
    show.say(f"token stored in secret {secret_name}; running functions take it within five minutes")


def _find_bot(operations: Operations, platform: str, given: str | None) -> str:
    if platform == "teams" and not operations.stack.teams_app_id:
        raise PermanentError("teams-off", "this stack has no Teams app: deploy it with the parameter TeamsAppId")
    bot = given or (f"28:{operations.stack.teams_app_id}" if platform == "teams" else None)
    if bot is None:
        raise typer.BadParameter("say which user the assistant is", param_hint="--bot-user-id")
    return bot


def _find_own_installation(
    operations: Operations, company_id: str, platform: str, workspace: str
) -> Installation | None:
    there = operations.store.directory.find_installation(platform, workspace)
    if there and there.company_id != company_id:
        message = f"{platform} workspace {workspace} belongs to company {there.company_id}"
        raise PermanentError("workspace-taken", message)
    return there


@installations.command("list")
def list_installations(context: typer.Context, company: CompanyOption = None, as_json: JsonOption = False) -> None:
    """List a company's workspaces."""
    operations = open_stack(context)
    found = operations.store.directory.list_installations(operations.company(company).id)
    rows = (
        (
            each.platform,
            each.workspace_id,
            each.enabled,
            each.status,
            each.settings.get("botUserId"),
            each.secret_name,
            each.created_at,
        )
        for each in found
    )
    columns = ("Platform", "Workspace", "Enabled", "Status", "Bot user", "Secret", "Since")
    empty = "this company has no installations yet: see `installations add`"
    show.listing(found, columns, rows, as_json=as_json, empty=empty)


@installations.command("enable")
def enable_installation(
    context: typer.Context, platform: PlatformOption, workspace: WorkspaceOption, company: CompanyOption = None
) -> None:
    """Answer in a workspace again."""
    _set_installation_enabled(open_stack(context), company, platform, workspace, is_enabled=True)


@installations.command("disable")
def disable_installation(
    context: typer.Context, platform: PlatformOption, workspace: WorkspaceOption, company: CompanyOption = None
) -> None:
    """Stop answering in a workspace; what was said stays stored."""
    _set_installation_enabled(open_stack(context), company, platform, workspace, is_enabled=False)


def _set_installation_enabled(
    operations: Operations, company: str | None, platform: str, workspace: str, *, is_enabled: bool
) -> None:
    company_id = operations.company(company).id
    operations.store.directory.set_installation_enabled(
        company_id, platform, workspace, enabled=is_enabled, now=operations.clock()
    )
    show.say(f"{platform} workspace {workspace} {'enabled' if is_enabled else 'disabled'}")


def find_user(operations: Operations, company_id: str, named: str) -> User:
    """The person with this id or e-mail address.

    Raises:
        PermanentError: There is none in this company.
    """
    directory = operations.store.directory
    user = directory.find_user_by_email(company_id, named) if "@" in named else directory.get_user(company_id, named)
    if user is None:
        raise PermanentError("user-unknown", f"{company_id} has no user {named!r}: see `users list`")
    return user


def _accept(what: str, *, is_same: bool, if_absent: bool) -> None:
    if not is_same and not if_absent:
        raise PermanentError("exists", f"{what} is there already, but not the same; nothing was changed")
    show.say(f"{what} is there already")


def _check_platform(name: str) -> None:
    known = sorted(each.parent.name for each in Path(platforms.__file__).parent.glob("*/adapter.py"))
    if name not in known:
        message = f"{name!r} is none of {', '.join(known)}"
        raise typer.BadParameter(message, param_hint="--platform")


def _check_external_id(value: str, option: str) -> None:
    if not _EXTERNAL_ID.fullmatch(value):
        raise typer.BadParameter("use the id, not the name: 1 to 128 characters without spaces", param_hint=option)


def _read_token(variable: str | None) -> str:
    if variable is None:
        token: str = typer.prompt("Bot token", hide_input=True, err=True)
    else:
        token = os.environ.get(variable, "")
    if not (token := token.strip()):
        message = f"the environment variable {variable} is empty" if variable else "a token is needed"
        raise typer.BadParameter(message, param_hint="--token-env")
    return token


def _put_secret(operations: Operations, name: str, value: str) -> None:
    client = operations.secrets
    try:
        client.create_secret(Name=name, SecretString=value, Description="Token of an installation, put by ops")
    except ClientError as exc:
        if exc.response["Error"]["Code"] != "ResourceExistsException":
            raise
        client.put_secret_value(SecretId=name, SecretString=value)
