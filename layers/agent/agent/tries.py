"""How often a turn was begun, by what its task says: asked where the queue counts more than a turn's own tries."""

from agent.collaborators import Collaborators
from agent.parking import find_place
from core.errors import PermanentError
from core.events import MessageReceived
from core.models import TaskStatus
from core.store import keys

_ENDED = (TaskStatus.COMPLETED, TaskStatus.CANCELED)


def count_tries(message: MessageReceived, *, collaborators: Collaborators) -> int | None:
    """How often the model was to be asked about a message, deliveries that handed it on left out.

    None where that is not known: it never came so far, or its turn is over and only its delivery is tried.

    Raises:
        RetryableError: The table or the platform cannot say now.
    """
    installation = collaborators.people.find_installation(message)
    if installation is None:
        return None
    try:
        message = collaborators.connect(installation).place(message)
    except PermanentError:
        return None
    company_id = installation.company_id
    company = collaborators.people.find_company(company_id)
    conversation_id = find_place(collaborators.store, company_id, company, message)
    if conversation_id is None:
        return None
    ulid = keys.question_ulid(message.address, message.external_message_id, message.sent_at)
    task = collaborators.store.questions.find_task(company_id, keys.task_id(conversation_id, ulid))
    if task is None or task.status in _ENDED:
        return None
    return task.attempt - (task.hand_overs or 0)
