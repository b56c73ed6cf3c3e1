"""What people think of answers: one item for each person and answer, changed as often as the person likes."""

from datetime import datetime

from core.models import Feedback, Role
from core.store import keys
from core.store.faults import ConditionFailedError
from core.store.items import FeedbackItem, MessageItem
from core.store.table import Table

_LATEST = 50  # messages before the judged one was shown, among which the answer is that it holds


class FeedbackBook:
    """The feedback on answers. Safe to share between threads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def save(self, company_id: str, feedback: Feedback) -> bool:
        """Note what a person thinks; it goes with the answer. False where there is no such answer.

        The newest word stands, in whatever order they come; a comment stays until another one is written. Delivered
        twice it is the same.
        """
        answer = self._find_answer(company_id, feedback.message_id)
        if answer is None:
            return False
        said = [
            FeedbackItem.message_id.set(feedback.message_id),
            FeedbackItem.user_id.set(feedback.user_id),
            FeedbackItem.value.set(feedback.value),
            FeedbackItem.created_at.set(feedback.created_at),
            FeedbackItem.ttl.set(answer.ttl) if answer.ttl else FeedbackItem.ttl.remove(),
        ]
        if feedback.comment:
            said.append(FeedbackItem.comment.set(feedback.comment))
        is_newer = FeedbackItem.created_at.does_not_exist() | (FeedbackItem.created_at <= feedback.created_at)
        key = keys.feedback_key(company_id, feedback.message_id, feedback.user_id)
        try:
            self._table.change(FeedbackItem, key, said, is_newer)
        except ConditionFailedError:
            return True  # an older word, which came late
        return True

    def find_judged(self, company_id: str, conversation_id: str, outgoing_id: str, *, shown_at: datetime) -> str | None:
        """The answer that a platform's message holds, which was there by `shown_at`; one request of bounded size.

        None where none of the last answers before then is shown there.
        """
        partition = keys.conversation_partition(company_id, conversation_id)
        places = MessageItem.sk.between(keys.MESSAGES, keys.MESSAGES + keys.last_ulid_of(shown_at))
        found = self._table.query(MessageItem, partition, places, limit=_LATEST, newest_first=True)
        answers = (item for item in found if item.role == Role.ASSISTANT.value)
        return next((item.id for item in answers if outgoing_id in (item.outgoing_ids or ())), None)

    def list_of(self, company_id: str, conversation_id: str) -> tuple[Feedback, ...]:
        """The feedback in a conversation, by answer."""
        partition = keys.conversation_partition(company_id, conversation_id)
        items = self._table.query(FeedbackItem, partition, FeedbackItem.sk.startswith(keys.FEEDBACK))
        return tuple(Feedback.model_validate(item.fields()) for item in items)

    def _find_answer(self, company_id: str, message_id: str) -> MessageItem | None:
        """The answer; its question where a failure was told in its place."""
        conversation_id, ulid = keys.split_message_id(message_id)
        question_id = keys.message_id(conversation_id, keys.preceding(ulid))
        found = self._table.get_many(
            MessageItem, [keys.message_key(company_id, id_) for id_ in (message_id, question_id)]
        )
        return found[0] if found else None
