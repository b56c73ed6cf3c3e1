"""Commands that bring a Slack workspace to a company: the app's manifest, and the link that installs it."""

from typing import Annotated
from urllib.parse import urlsplit

import typer
from botocore.exceptions import ClientError

from core.installing.links import LINK_DAYS, make_link_token, new_key
from ops import PROJECT, show
from ops.directory_commands import CompanyOption
from ops.stack import Operations, open_stack

_MANIFEST = PROJECT / "slack" / "manifest.yaml"
_PLACEHOLDER = "https://YOUR-API"

slack = typer.Typer(help="The Slack app.", no_args_is_help=True)

UrlOption = Annotated[
    str | None, typer.Option("--url", help="Where Slack and browsers reach the API. Default: the stack's ApiUrl.")
]


@slack.command("manifest")
def print_manifest(context: typer.Context, url: UrlOption = None) -> None:
    """Print the manifest to make the Slack app from, for this stack's address."""
    address = _check_url(url) if url else _api_url(open_stack(context))
    typer.echo(_MANIFEST.read_text(encoding="utf-8").replace(_PLACEHOLDER, address), nl=False)


def print_link(context: typer.Context, company: CompanyOption = None, url: UrlOption = None) -> None:
    """Print a link that installs the Slack app in a workspace of a company; it is good for a week.

    Whoever opens it decides which workspace: give it to nobody but that company's Slack admin.
    """
    operations = open_stack(context)
    company_id = operations.company(company).id
    address = _check_url(url) if url else _api_url(operations)
    token = make_link_token(_read_key(operations), company_id, now=operations.clock())
    typer.echo(f"{address}/slack/install?link={token}")
    show.note(f"good for {LINK_DAYS} days, for a workspace of {company_id}")


def _read_key(operations: Operations) -> str:
    """The key that signs links, made with the first of them."""
    client, name = operations.secrets, operations.stack.install_key_name
    try:
        return client.get_secret_value(SecretId=name)["SecretString"].strip()
    except ClientError as exc:
        if exc.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
    try:
        client.create_secret(Name=name, SecretString=new_key(), Description="Signs install links")
    except ClientError as exc:  # somebody else made the first link just now
        if exc.response["Error"]["Code"] != "ResourceExistsException":
            raise
    return client.get_secret_value(SecretId=name)["SecretString"].strip()


def _api_url(operations: Operations) -> str:
    if not operations.stack.api_url:
        raise typer.BadParameter("this stack does not say where its API is", param_hint="--url")
    return operations.stack.api_url.rstrip("/")


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.netloc or parts.query or parts.fragment:
        raise typer.BadParameter("give an address such as https://parley.example.com", param_hint="--url")
    return url.rstrip("/")
