"""Which answer is judged, where the platform's own thumbs name a platform message and nothing of ours."""

from dataclasses import replace

from core.models import Role
from core.signals.case import Case


def name_answer(case: Case) -> Case | None:
    """`case` with the judged answer as its reference; None where the message is no answer in this conversation."""
    conversation_id = case.find_conversation_id()
    if conversation_id is None:
        return None
    judged = case.signal.external_message_id
    for message in reversed(case.store.list_messages(case.company_id, conversation_id)):
        if message.role is Role.ASSISTANT and judged in message.outgoing_ids:
            return replace(case, signal=case.signal.model_copy(update={"reference": message.id}))
    return None
