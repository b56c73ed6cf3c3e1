"""Commands about what people said: stop it, export it, delete it, forget a person, keep it for a time."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from core.errors import PermanentError
from core.events import OPERATIONS, SignalKind, SignalReceived
from core.models import ConversationStatus, Message
from ops import show
from ops.directory_commands import CompanyOption, UserOption, find_user
from ops.stack import Operations, open_stack

_RUNNING = (ConversationStatus.IN_PROGRESS, ConversationStatus.STREAMING)
_MOST_CONVERSATIONS = 100_000  # of one person

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
CompanyArgument = Annotated[str, typer.Argument(metavar="COMPANY")]
ConversationArgument = Annotated[str, typer.Argument(metavar="CONVERSATION")]


def stop_conversation(
    context: typer.Context, company_id: CompanyArgument, conversation_id: ConversationArgument
) -> None:
    """Stop the answer that is being written in a conversation; what was said stays."""
    operations = open_stack(context)
    company = operations.company(company_id).id
    conversation = operations.store.get_conversation(company, conversation_id)
    if conversation is None or conversation.status not in _RUNNING or conversation.current_task_id is None:
        show.say(f"nothing runs in {conversation_id}")
        return
    from core.queues import Queue, publish  # boto3 and PynamoDB take a while to load: not for --help
    from core.store import keys

    now = operations.clock()
    signal = SignalReceived(
        kind=SignalKind.STOP,
        external_id=keys.new_id("ops"),
        address=conversation.address,
        reference=f"{OPERATIONS}{conversation.current_task_id}",
        sent_at=now,
        received_at=now,
        correlation_id=keys.new_id("ops"),
    )
    publish(signal, queue=Queue(operations.sqs, operations.stack.queue_urls.signals), trace_header=lambda: None)
    show.say(f"{conversation_id} was asked to stop")


def export_conversation(
    context: typer.Context, company_id: CompanyArgument, conversation_id: ConversationArgument
) -> None:
    """Print everything that is stored of a conversation, as JSON; pictures in Base64."""
    operations = open_stack(context)
    show.emit_json(_export(operations, operations.company(company_id).id, conversation_id))


def delete_conversation(
    context: typer.Context, company_id: CompanyArgument, conversation_id: ConversationArgument, yes: YesOption = False
) -> None:
    """Delete a conversation for good, with its pictures and the imports that it began. Usage counters stay."""
    operations = open_stack(context)
    company = operations.company(company_id).id
    if not yes:
        typer.confirm(f"Delete {conversation_id} of {company} for good?", abort=True, err=True)
    if not operations.store.privacy.delete_conversation(company, conversation_id):
        raise PermanentError("conversation-unknown", f"{company} has no conversation {conversation_id!r}")
    show.say(f"{conversation_id} deleted")


def export_user(context: typer.Context, user: UserOption, company: CompanyOption = None) -> None:
    """Print everything that is stored of a person, as JSON: the user, identities, and own conversations."""
    operations = open_stack(context)
    company_id = operations.company(company).id
    person = find_user(operations, company_id, user)
    known = operations.store.directory.list_identities(company_id)
    found = operations.store.list_conversations(company_id, person.id, _MOST_CONVERSATIONS)
    show.emit_json(
        {
            "user": show.to_json(person),
            "identities": [show.to_json(each) for each in known if each.user_id == person.id],
            "conversations": [_export(operations, company_id, each.id) for each in found],
        }
    )


def forget_user(
    context: typer.Context, user: UserOption, company: CompanyOption = None, yes: YesOption = False
) -> None:
    """Delete a person for good, with everything the person said, wherever that was.

    Goes with the person: conversations, turns in other people's conversations, imports with their files, identities,
    the counters of the person's days. The company's monthly counters, which name nobody, stay. Running functions know
    the person for a minute more: given again with the person's id, the command finds what was said meanwhile.
    """
    operations = open_stack(context)
    company_id = operations.company(company).id
    person = None if _is_forgotten(operations, company_id, user) else find_user(operations, company_id, user)
    user_id = person.id if person else user
    named = f"{person.id} <{person.email}>" if person else f"{user_id} (not in the directory any more)"
    if not yes:
        typer.confirm(f"Delete {named} and everything said, for good?", abort=True, err=True)
    count = operations.store.privacy.forget_user(company_id, user_id)
    show.say(f"user {user_id} forgotten; conversations deleted or cleared: {count}")


def _is_forgotten(operations: Operations, company_id: str, named: str) -> bool:
    """Whether this is the id of somebody who is gone and yet said something afterwards."""
    if "@" in named or operations.store.directory.get_user(company_id, named):
        return False
    return bool(operations.store.list_conversations(company_id, named, 1))


def set_retention(
    context: typer.Context,
    company_id: CompanyArgument,
    days: Annotated[str, typer.Argument(help="For how many whole days what is said is kept, or `off`.")],
    yes: YesOption = False,
) -> None:
    """Keep what a company's people say for so many days, what they said so far included.

    Then no command and no answer shows it any more; DynamoDB and S3 delete it within days. Running functions take the
    change within a minute: for that minute's messages, give the command again.
    """
    wanted = _read_days(days)
    operations = open_stack(context)
    company = operations.company(company_id)
    if wanted and not yes:
        question = f"Keep what people of {company.id} say for {wanted} days, and let everything older go for good?"
        typer.confirm(question, abort=True, err=True)
    changed = operations.store.directory.set_retention(company.id, wanted)
    count = operations.store.privacy.apply_retention(changed)
    kept = f"for {wanted} days" if wanted else "until somebody deletes it"
    show.say(f"what people of {company.id} say is kept {kept}; conversations of before: {count}")


def _read_days(given: str) -> int | None:
    if given == "off":
        return None
    if not given.isdecimal() or not 1 <= int(given) <= 3650:
        raise typer.BadParameter("use a number of days from 1 to 3650, or off", param_hint="DAYS")
    return int(given)


def _read_pictures(operations: Operations, messages: Sequence[Message]) -> dict[str, str]:
    """The pictures of these messages that are still there, in Base64, by their addresses."""
    urls = (part.image.url for message in messages for part in message.content if part.image)
    found = ((url, operations.store.files.read(url)) for url in urls)
    return {url: base64.b64encode(data).decode() for url, data in found if data is not None}


def _export(operations: Operations, company_id: str, conversation_id: str) -> dict[str, Any]:  # JSON
    store = operations.store
    conversation = store.get_conversation(company_id, conversation_id)
    if conversation is None:
        raise PermanentError("conversation-unknown", f"{company_id} has no conversation {conversation_id!r}")
    messages = store.list_messages(company_id, conversation_id)
    return {
        "conversation": show.to_json(conversation),
        "messages": [*map(show.to_json, messages)],
        "pictures": _read_pictures(operations, messages),
        "tasks": [*map(show.to_json, store.list_tasks(company_id, conversation_id))],
        "toolUsages": [*map(show.to_json, store.list_conversation_tool_usages(company_id, conversation_id))],
        "imports": [*map(show.to_json, store.imports.begun.list_of(company_id, conversation_id))],
        "feedback": [*map(show.to_json, store.feedback.list_of(company_id, conversation_id))],
    }
