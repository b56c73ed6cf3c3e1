"""STOP: whatever is being answered in a conversation ends; what was said stays."""

from datetime import timedelta

from core.errors import RetryableError
from core.events import OPERATIONS
from core.signals.approval import withdraw
from core.signals.case import Case
from core.store import keys
from core.texts import say

_TRIES = 3  # a turn may begin, or end, between two looks
# A stop that overtook the first message of a conversation: how long it waits before each further try.
_PAUSES = (timedelta(seconds=2), timedelta(seconds=5))


def stop(case: Case) -> str:
    """Ask a turn to stop: the one whose button was pressed, or whichever runs where somebody wrote "stop".

    Only people of the company stop anything, and only where they are: a reference says what to stop, and the place of
    the signal has to be that task's.
    """
    signal = case.signal
    is_operations = signal.reference.startswith(OPERATIONS) and not signal.external_user_id
    if not is_operations and case.recognise_user() is None:
        return "stranger"
    conversation_id = case.find_conversation_id()
    if conversation_id is None:
        if signal.reference or case.attempt > len(_PAUSES):
            return "no-conversation"
        wait = _PAUSES[case.attempt - 1]
        raise RetryableError("conversation-not-there", "no question has arrived here yet", retry_after=wait)
    task_id = signal.reference.removeprefix(OPERATIONS) or None
    if task_id and not _is_task_of(conversation_id, task_id):
        return "not-here"
    interruptions = case.store.interruptions
    for _ in range(_TRIES):
        is_running = interruptions.request_cancel(case.company_id, conversation_id, task_id)
        if withdraw(case, conversation_id, task_id) and not is_running:
            case.say(say("waits-no-more", case.store.questions.find_language(case.company_id, conversation_id)))
            return "withdrawn"
        if is_running:
            return "stopping"
        # What waits in the queue cannot be seen from here: a mark tells the turn that comes for it.
        if task_id or interruptions.stop_waiting(case.company_id, conversation_id, before=signal.sent_at):
            break
    if task_id is None and signal.external_message_id:
        case.say(say("nothing-to-stop", case.store.questions.find_language(case.company_id, conversation_id)))
    return "nothing-runs"


def _is_task_of(conversation_id: str, task_id: str) -> bool:
    return task_id == keys.task_id(conversation_id, task_id.rpartition(".")[2])
