"""FEEDBACK: a person judges an answer, changes the judgement, says why."""

from core.labels import label
from core.models import Feedback
from core.platforms import CommentForm, respond_to
from core.signals.case import Case
from core.store import keys
from core.telemetry import metrics


def note_feedback(case: Case) -> str:
    """Keep what somebody of the company thinks of an answer; who finds it bad is asked why, in a form or in words."""
    signal = case.signal
    user = case.recognise_user()
    if user is None:
        return "stranger"
    if signal.value not in ("up", "down"):
        return "meaningless"
    feedback = Feedback(
        message_id=signal.reference,
        user_id=user.id,
        value=signal.value,
        comment=signal.text.strip() or None,
        created_at=signal.sent_at,
    )
    if not case.store.feedback.save(case.company_id, feedback):
        return "unknown-answer"
    metrics.count("Feedback", judgement=signal.value, platform=signal.address.platform)
    if feedback.comment or signal.value == "up" or case.attempt > 1:
        return "noted"
    _ask_why(case, feedback)
    return "asked-why"


def _ask_why(case: Case, feedback: Feedback) -> None:
    conversation_id, _ = keys.split_message_id(feedback.message_id)
    language = case.store.questions.find_language(case.company_id, conversation_id)
    form = CommentForm(
        title=label("form-title", language),
        label=label("form-question", language),
        submit=label("form-send", language),
        cancel=label("form-cancel", language),
        value=feedback.value,
        reference=feedback.message_id,
    )
    platform = case.open_platform()
    if not platform.ask_for_comment(case.signal.trigger_id, form):
        target = respond_to(case.signal, is_private=True)
        platform.open_reply(target, posted=lambda _: None).finish(label("how-to-comment", language))
