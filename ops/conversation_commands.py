"""Commands that read: conversations with their messages and tasks, and what was used."""

import re
from collections.abc import Sequence
from typing import Annotated

import typer

from core.errors import PermanentError
from core.models import Address, ContentPart, Conversation, Feedback, Message, Task, ToolUsage
from ops import show
from ops.directory_commands import CompanyOption, JsonOption, UserOption, find_user
from ops.stack import Operations, open_stack

_CELL = 200  # characters
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")

conversations = typer.Typer(help="Conversations with their messages and tasks.", no_args_is_help=True)

LimitOption = Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")]
PlaceOption = Annotated[str | None, typer.Option(help="Default on a local stack: the demo's.")]
ThreadOption = Annotated[str, typer.Option(help="The platform's id of the thread; empty for the channel itself.")]


@conversations.command("list")
def list_conversations(
    context: typer.Context,
    user: UserOption,
    company: CompanyOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List a person's conversations, newest first."""
    operations = open_stack(context)
    company_id = operations.company(company).id
    person = find_user(operations, company_id, user)
    found = operations.store.list_conversations(company_id, person.id, limit)
    rows = (
        (each.id, each.title, each.status, each.message_count, each.total_tokens, each.updated_at) for each in found
    )
    columns = ("Id", "Title", "Status", "Messages", "Tokens", "Updated")
    show.listing(found, columns, rows, as_json=as_json, empty=f"{person.email} has no conversations yet")


@conversations.command("find")
def find_conversation(
    context: typer.Context,
    thread: ThreadOption = "",
    company: CompanyOption = None,
    platform: Annotated[str, typer.Option(help="The platform.")] = "slack",
    workspace: PlaceOption = None,
    channel: PlaceOption = None,
) -> None:
    """Print the id of the conversation in a thread."""
    operations = open_stack(context)
    company_id = operations.company(company).id
    show.say(_find(operations, company_id, _address(operations, platform, workspace, channel, thread)))


@conversations.command("show")
def show_conversation(
    context: typer.Context,
    company_id: Annotated[str | None, typer.Argument(metavar="COMPANY")] = None,
    conversation_id: Annotated[str | None, typer.Argument(metavar="CONVERSATION")] = None,
    thread: Annotated[str | None, typer.Option(help="The platform's id of the thread, in place of the id.")] = None,
    platform: Annotated[str, typer.Option(help="The platform of --thread.")] = "slack",
    workspace: PlaceOption = None,
    channel: PlaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a conversation: its messages with their content parts, its tasks and the tools they used.

    Name it by company and id, or by --thread.
    """
    if conversation_id is None and thread is None:
        raise typer.BadParameter("name COMPANY and CONVERSATION, or a --thread", param_hint="CONVERSATION")
    operations = open_stack(context)
    company = operations.company(company_id).id
    if conversation_id is None:
        conversation_id = _find(operations, company, _address(operations, platform, workspace, channel, thread or ""))
    conversation = operations.store.get_conversation(company, conversation_id)
    if conversation is None:
        message = f"{company} has no conversation {conversation_id!r}: see `conversations list` or `conversations find`"
        raise PermanentError("conversation-unknown", message)
    messages = operations.store.list_messages(company, conversation_id)
    tasks = operations.store.list_tasks(company, conversation_id)
    usages = operations.store.list_conversation_tool_usages(company, conversation_id)
    feedback = operations.store.feedback.list_of(company, conversation_id)
    if as_json:
        lists = {"messages": messages, "tasks": tasks, "toolUsages": usages, "feedback": feedback}
        parts = {name: [*map(show.to_json, values)] for name, values in lists.items()}
        show.emit_json({"conversation": show.to_json(conversation)} | parts)
        return
    _show_head(conversation)
    _show_messages(messages)
    _show_tasks(tasks)
    if usages:
        _show_tool_usages(usages)
    if feedback:
        _show_feedback(feedback)


@conversations.command("failed")
def list_failed(
    context: typer.Context, company: CompanyOption = None, limit: LimitOption = 50, as_json: JsonOption = False
) -> None:
    """List the turns of a company that failed, newest first."""
    operations = open_stack(context)
    found = operations.store.list_failed_tasks(operations.company(company).id, limit)
    rows = ((each.llm_conversation_id, each.updated_at, each.error_class, each.error_message) for each in found)
    columns = ("Conversation", "Failed", "Error", "Message")
    show.listing(found, columns, rows, as_json=as_json, empty="no turn of this company has failed")


def show_usage(
    context: typer.Context,
    company: CompanyOption = None,
    month: Annotated[str | None, typer.Option(help="As in 2026-01. Default: this month (UTC).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a company used in a month: the sum, then each person's days."""
    operations = open_stack(context)
    period = month or f"{operations.clock():%Y-%m}"
    if not _MONTH.fullmatch(period):
        raise typer.BadParameter("write the month as in 2026-01", param_hint="--month")
    found = operations.store.month_usage(operations.company(company).id, period)
    used = found if any(each.messages or each.total_tokens or each.cost for each in found) else ()
    rows = (
        (each.period, each.user_id or "all", each.messages, each.input_tokens, each.output_tokens, each.cost)
        for each in used
    )
    columns = ("Period", "User", "Messages", "Input tokens", "Output tokens", "Cost")
    show.listing(used, columns, rows, as_json=as_json, empty=f"nothing was used in {period}")


def _address(operations: Operations, platform: str, workspace: str | None, channel: str | None, thread: str) -> Address:
    demo = operations.stack.demo
    workspace = workspace or (demo.team_id if demo else None)
    channel = channel or (demo.channel_id if demo else None)
    if not workspace or not channel:
        raise typer.BadParameter("say where the thread is", param_hint="--workspace/--channel")
    return Address(platform=platform, workspace_id=workspace, channel_id=channel, thread_id=thread)


def _find(operations: Operations, company_id: str, address: Address) -> str:
    conversation_id = operations.store.find_conversation_id(company_id, address)
    if conversation_id is None:
        where = f"{address.platform} channel {address.channel_id}, thread {address.thread_id or '(none)'}"
        raise PermanentError("conversation-unknown", f"{company_id} has no conversation in {where}")
    return conversation_id


def _show_head(conversation: Conversation) -> None:
    address = conversation.address
    place = f"{address.platform} {address.workspace_id} {address.channel_id} {address.thread_id}"
    pairs = (
        ("Title", conversation.title),
        ("Status", conversation.status),
        ("User", conversation.user_id),
        ("Place", place),
        ("Messages", conversation.message_count),
        ("Tokens", f"{conversation.total_input_tokens} in, {conversation.total_output_tokens} out"),
        ("Cost", conversation.total_cost),
        ("Working on", conversation.current_task_id),
        ("Lease until", conversation.lease_until),
        ("Created", conversation.created_at),
        ("Updated", conversation.updated_at),
    )
    show.fields(pairs, title=f"Conversation {conversation.id}")


def _show_messages(messages: Sequence[Message]) -> None:
    rows = (
        (each.created_at, each.role, "\n".join(map(_describe, each.content)), each.finish_reason, each.id)
        for each in messages
    )
    show.table(("Time", "Role", "Content", "End", "Id"), rows, title="Messages", is_ruled=True)


def _describe(part: ContentPart) -> str:
    if part.image:
        return f"[image {part.image.media_type}, {part.image.size} bytes: {part.image.url}]"
    if part.json_value is not None:
        return f"[JSON] {part.json_value}"
    return part.text or ""


def _show_tasks(tasks: Sequence[Task]) -> None:
    rows = (
        (
            each.created_at,
            each.status,
            each.attempt,
            each.model,
            each.total_input_tokens,
            each.cached_tokens,
            each.total_output_tokens,
            each.time_to_first_token_ms,
            each.duration_ms,
            f"{each.error_class}: {each.error_message}" if each.error_class else each.error_message,
        )
        for each in tasks
    )
    columns = ("Time", "Status", "Try", "Model", "In", "Cached", "Out", "First ms", "All ms", "Error")
    show.table(columns, rows, title="Tasks")


def _show_feedback(feedback: Sequence[Feedback]) -> None:
    rows = (
        (each.message_id, each.user_id, each.value, _shorten(each.comment or ""), each.created_at) for each in feedback
    )
    show.table(("Answer", "User", "Feedback", "Comment", "Since"), rows, title="Feedback")


def _show_tool_usages(usages: Sequence[ToolUsage]) -> None:
    rows = (
        (
            each.started_at,
            each.name,
            each.type,
            each.status,
            each.duration_ms,
            _shorten(each.request),
            _shorten(each.error or each.response or ""),
        )
        for each in usages
    )
    columns = ("Time", "Tool", "Type", "Status", "ms", "Asked", "Gave")
    show.table(columns, rows, title="Tools")


def _shorten(text: str) -> str:
    """As much as fits a table; `--json` has it all."""
    line = " ".join(text.split())
    return line if len(line) <= _CELL else f"{line[:_CELL]}…"
