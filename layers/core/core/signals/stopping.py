"""STOP: whatever is being answered in a conversation ends; what was said stays."""

from core.events import OPERATIONS
from core.signals.approval import withdraw
from core.signals.case import Case
from core.store import keys
from core.texts import say


def stop(case: Case) -> str:
    """Ask a turn to stop: the one whose button was pressed, or whichever runs where somebody wrote "stop".

    Only people of the company stop anything, and only where they are: a reference says what to stop, and the place of
    the signal has to be that task's.
    """
    signal = case.signal
    is_operations = signal.reference.startswith(OPERATIONS) and not signal.external_user_id
    if not is_operations and case.find_user() is None:
        return "stranger"
    conversation_id = case.find_conversation_id()
    if conversation_id is None:
        return "no-conversation"
    task_id = signal.reference.removeprefix(OPERATIONS) or None
    if task_id and not _is_task_of(conversation_id, task_id):
        return "not-here"
    is_running = case.store.interruptions.request_cancel(case.company_id, conversation_id, task_id)
    if withdraw(case, conversation_id, task_id) and not is_running:
        case.say(say("waits-no-more", case.store.find_language(case.company_id, conversation_id)))
        return "withdrawn"
    if is_running:
        return "stopping"
    if task_id is None and signal.external_message_id:
        case.say(say("nothing-to-stop", case.store.find_language(case.company_id, conversation_id)))
    return "nothing-runs"


def _is_task_of(conversation_id: str, task_id: str) -> bool:
    return task_id == keys.task_id(conversation_id, task_id.rpartition(".")[2])
