"""Door: `python -m ops`. Chooses the stack and leads to the commands."""

from pathlib import Path
from typing import Annotated

import typer

from ops import (
    conversation_commands,
    directory_commands,
    import_commands,
    privacy_commands,
    prompt_commands,
    queue_commands,
    settings_commands,
    show,
    slack_commands,
    teams_commands,
    template_commands,
)
from ops.stack import Choice

app = typer.Typer(
    name="ops",
    cls=show.Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def choose_stack(
    context: typer.Context,
    stack: Annotated[str | None, typer.Option(help="Name of a deployed CloudFormation stack.")] = None,
    stack_file: Annotated[
        Path | None,
        typer.Option(help="File that `make run` wrote. Default: .local/stack.json of this project, if there is one."),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="AWS region of --stack. Default: that of your AWS profile.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile for --stack.")] = None,
) -> None:
    """Look after one Parley stack: the local one that `make run` started, or one on AWS by name (--stack)."""
    if stack and stack_file:
        raise typer.BadParameter("name a stack or a file, not both", param_hint="--stack/--stack-file")
    context.obj = Choice(stack_name=stack, stack_file=stack_file, region=region, profile=profile)


directory_commands.companies.command("retention")(privacy_commands.set_retention)
directory_commands.users.command("export")(privacy_commands.export_user)
directory_commands.users.command("forget")(privacy_commands.forget_user)
conversation_commands.conversations.command("prompt")(prompt_commands.show_prompt)
conversation_commands.conversations.command("stop")(privacy_commands.stop_conversation)
conversation_commands.conversations.command("export")(privacy_commands.export_conversation)
conversation_commands.conversations.command("delete")(privacy_commands.delete_conversation)
directory_commands.installations.command("link")(slack_commands.print_link)
app.add_typer(directory_commands.companies, name="companies")
app.add_typer(directory_commands.users, name="users")
app.add_typer(directory_commands.identities, name="identities")
app.add_typer(directory_commands.installations, name="installations")
app.add_typer(slack_commands.slack, name="slack")
app.add_typer(settings_commands.settings, name="settings")
app.add_typer(conversation_commands.conversations, name="conversations")
app.command("usage")(conversation_commands.show_usage)
app.add_typer(queue_commands.dead_letters, name="dead-letters")
app.add_typer(teams_commands.teams, name="teams")
app.command("import")(import_commands.import_file)
app.add_typer(import_commands.imports, name="imports")
app.add_typer(template_commands.templates, name="templates")
app.add_typer(template_commands.commercial_api, name="commercial-api")

if __name__ == "__main__":
    app()
