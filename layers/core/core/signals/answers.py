"""Which answer is judged, where the platform's own thumbs name a platform message and nothing of ours."""

from dataclasses import replace

from core.signals.case import Case


def name_answer(case: Case) -> Case | None:
    """`case` with the judged answer as its reference; None where the message is no answer in this conversation."""
    conversation_id = case.find_conversation_id()
    if conversation_id is None:
        return None
    signal, shown_at = case.signal, case.signal.message_sent_at or case.signal.sent_at
    judged = case.store.feedback.find_judged(
        case.company_id, conversation_id, signal.external_message_id, shown_at=shown_at
    )
    return replace(case, signal=signal.model_copy(update={"reference": judged})) if judged else None
