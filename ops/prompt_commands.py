"""The command that shows what the model read: a stored manifest rendered again, and checked against its hash."""

from typing import Annotated

import typer

from core.errors import PermanentError
from core.models import Task
from core.prompts import PromptManifest
from core.store import Store
from ops import show
from ops.directory_commands import JsonOption
from ops.stack import open_stack


def show_prompt(
    context: typer.Context,
    company_id: Annotated[str, typer.Argument(metavar="COMPANY")],
    conversation_id: Annotated[str, typer.Argument(metavar="CONVERSATION")],
    task_id: Annotated[str | None, typer.Option("--task", help="Default: the latest one.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the model read for one question, rendered again from what is stored and checked against its hash."""
    from agent.rendering import render_stored  # the agent's room is not needed to start any other command

    operations = open_stack(context)
    store, company = operations.store, operations.company(company_id)
    task = _find_task(store, company.id, conversation_id, task_id)
    manifest = PromptManifest.model_validate_json(task.llm_raw_prompt or "")
    conversation = store.get_conversation(company.id, conversation_id)
    if conversation is None:
        raise PermanentError("prompt-gone", "the conversation of this prompt is deleted or has expired")
    prompt = render_stored(store, conversation, task, store.list_messages(company.id, conversation_id))
    is_same = prompt.manifest.sha256 == manifest.sha256
    if as_json:
        told = [{"role": each.role, "text": each.text, "callId": each.call_id} for each in prompt.messages]
        show.emit_json({"taskId": task.id, "isSame": is_same, "tokens": dict(prompt.parts), "messages": told})
        return
    show.table(("Role", "Text"), ((each.role, each.text) for each in prompt.messages), title=f"Prompt of {task.id}")
    show.say("estimated tokens: " + ", ".join(f"{number} {part}" for part, number in prompt.parts.items()))
    show.say("this is what the model read, to the letter" if is_same else "this is NOT what the model read: see below")
    if not is_same:
        show.say("messages or a summary of it are gone, or it was made by a release that did not keep its variables")


def _find_task(store: Store, company_id: str, conversation_id: str, task_id: str | None) -> Task:
    tasks = [task for task in store.list_tasks(company_id, conversation_id) if task.llm_raw_prompt]
    found = [task for task in tasks if task_id == task.id or (task_id is None and task.parent_task_id is None)]
    if not found:
        raise PermanentError("task-unknown", "there is no such task with a prompt: see `conversations show --json`")
    return found[-1]
