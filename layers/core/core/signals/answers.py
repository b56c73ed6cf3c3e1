"""Which answer is judged, where the platform's own thumbs name a platform message and nothing of ours."""

from dataclasses import replace

from core.signals.case import Case

_MOST_CONVERSATIONS = 3  # of the thread: who judges an answer seldom does so after two new beginnings


def name_answer(case: Case) -> Case | None:
    """`case` with the judged answer as its reference; None where the message is no answer in this conversation."""
    signal, shown_at = case.signal, case.signal.message_sent_at or case.signal.sent_at
    for conversation_id in case.store.threads.list_all(case.company_id, signal.address)[:_MOST_CONVERSATIONS]:
        judged = case.store.feedback.find_judged(
            case.company_id, conversation_id, signal.external_message_id, shown_at=shown_at
        )
        if judged:
            return replace(case, signal=signal.model_copy(update={"reference": judged}))
    return None
