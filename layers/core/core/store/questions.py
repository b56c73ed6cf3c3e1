"""Questions that change after they were asked: edited, deleted, and either of it before they are stored.

A signal may overtake its message: then a note takes the question's place in the table, without content and without a
person, and says when the question was edited, and to what, or deleted. The turn that comes to store the question
finds the note.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from pynamodb.expressions.condition import Condition

from core.models import Message, Role, Task
from core.store import keys
from core.store.claims import Claim
from core.store.contents import Contents
from core.store.expiry import Expiry, expiry_after
from core.store.faults import ConditionFailedError
from core.store.files import Files
from core.store.items import MessageItem
from core.store.messages import Messages
from core.store.overflow import Overflow, Pointer
from core.store.table import Table
from core.store.tasks import Tasks

_NOTE_DAYS = 5  # a message waits four days in its queue at most
_TRIES = 5  # of changes by somebody else in between


class Questions:
    """The questions of every conversation, as they are changed. Safe to share between threads."""

    def __init__(
        self, table: Table, messages: Messages, tasks: Tasks, contents: Contents, overflow: Overflow, files: Files
    ) -> None:
        self._table = table
        self._messages = messages
        self._tasks = tasks
        self._contents = contents
        self._overflow = overflow
        self._files = files

    def save(self, claim: Claim, question: Message, *, opening_message: Message | None) -> Message | None:
        """Store what a person wrote, before the model is asked; `opening_message` begins a new conversation.

        Returns:
            None where it is stored now, else what stands in its place: what an earlier delivery stored, what the
            person made of it since, or a note (`is_note`) of such a change that came first.
        """
        company_id = claim.conversation.user_company_id
        if opening_message:
            self._messages.add(company_id, opening_message, claim.expiry)
        item = self._contents.pack_message(company_id, question, claim.expiry)
        try:
            self._table.put(item, MessageItem.pk.does_not_exist())
        except ConditionFailedError as exc:
            standing = exc.find(MessageItem) or self._get(company_id, question.id)
            if standing is None:
                return question
            self._forget_texts(item, kept=standing)  # what was erased must not come back as an object without an item
            return self._contents.unpack_message(standing)
        return None

    def replace(self, claim: Claim, question: Message) -> bool:
        """Store a question in the form that its turn read; False where it was changed once more meanwhile."""
        item = self._contents.pack_message(claim.conversation.user_company_id, question, claim.expiry)
        try:
            self._table.put(item, _is_edition(question.edited_at) & MessageItem.deleted_at.does_not_exist())
        except ConditionFailedError:
            return False
        return True

    def edit(
        self, company_id: str, note: Message, *, write: Callable[[Message], Message], has_to_be_there: bool = False
    ) -> Message | None:
        """Change a question's text, unless it was deleted, has a later edit, or says that already.

        Args:
            company_id: The company.
            note: What takes the question's place where it is not stored yet: its new text, and when it was edited.
            write: The question as it is to stand, of the one that is stored.
            has_to_be_there: Leave no note.

        Returns:
            The question that stands; None where there is none.
        """
        edition = note.edited_at
        for _ in range(_TRIES):
            standing = self._get(company_id, note.id)
            if standing is None:
                if has_to_be_there or self._leave(company_id, note):
                    return None if has_to_be_there else note
                continue
            known = self._contents.unpack_message(standing)
            is_late = known.edited_at and edition and known.edited_at >= edition
            if known.deleted_at or is_late or known.user_prompt == note.user_prompt:
                return known
            changed = write(known) if known.user_id else note
            item = self._contents.pack_message(company_id, changed, _expiry_of(standing, note.edited_at))
            try:
                self._table.put(item, _is_edition(known.edited_at) & MessageItem.deleted_at.does_not_exist())
            except ConditionFailedError:
                continue
            self._forget_texts(standing, kept=item)
            return changed
        return self.find(company_id, note.id)

    def erase(self, company_id: str, note: Message, *, has_to_be_there: bool = False) -> Message | None:
        """Erase what a question says, for good: its texts, parts, pictures, and what of it lies in the bucket.

        Returns:
            The question that stands, without its text; None where there is none and no note is to be left.
        """
        for _ in range(_TRIES):
            standing = self._get(company_id, note.id)
            if standing is None:
                if has_to_be_there or self._leave(company_id, note):
                    return None if has_to_be_there else note
                continue
            # The bucket first: once the item names no objects, nobody would find them.
            self._forget_texts(standing, kept=None)
            self._files.forget(company_id, note.id)
            erased = [
                attribute.remove()
                for attribute in (
                    MessageItem.user_prompt,
                    MessageItem.structured_user_prompt,
                    MessageItem.structured_part,
                    MessageItem.content,
                    MessageItem.overflow,
                )
            ]
            deleted_at = note.deleted_at or note.created_at
            actions = [*erased, MessageItem.deleted_at.set(MessageItem.deleted_at | deleted_at)]
            edited_at = standing.edited_at  # a newer text may bring objects of its own: look again
            if self._table.change_known(MessageItem, (standing.pk, standing.sk), actions, _is_edition(edited_at)):
                return self.find(company_id, note.id)
        return None

    def find_language(self, company_id: str, conversation_id: str) -> str | None:
        """The language that people last spoke in a conversation; None where nobody has said anything yet."""
        return self._messages.find_language(company_id, conversation_id)

    def find(self, company_id: str, question_id: str) -> Message | None:
        """The question with this id, or the note in its place."""
        item = self._get(company_id, question_id)
        return self._contents.unpack_message(item) if item else None

    def find_task(self, company_id: str, task_id: str) -> Task | None:
        """The task of a question, without what it gave; None where it was never started."""
        return self._tasks.find(company_id, task_id)

    def _get(self, company_id: str, question_id: str) -> MessageItem | None:
        return self._table.get(MessageItem, keys.message_key(company_id, question_id), consistent=True)

    def _leave(self, company_id: str, note: Message) -> bool:
        noted_at = note.edited_at or note.deleted_at or note.created_at
        return self._table.put_new(self._contents.pack_message(company_id, note, expiry_after(_NOTE_DAYS, noted_at)))

    def _forget_texts(self, item: MessageItem, *, kept: MessageItem | None) -> None:
        """Delete the objects of an item's texts, but those of the item that takes its place."""
        pointers = {Pointer.model_validate(each).key for each in (item.overflow or {}).values()}
        still = {Pointer.model_validate(each).key for each in ((kept.overflow if kept else None) or {}).values()}
        if pointers - still:
            self._overflow.delete_objects(sorted(pointers - still))


def is_note(message: Message) -> bool:
    """Whether this only stands in the place of a question that has not come yet."""
    return message.role is Role.USER and not message.user_id


def _expiry_of(item: MessageItem, now: datetime | None) -> Expiry | None:
    """The expiry that an item has, for what is written in its place."""
    if not item.ttl or now is None:
        return None
    left = datetime.fromtimestamp(int(item.ttl), UTC) - now
    return expiry_after(max(left.days, 0), now)


def _is_edition(edited_at: datetime | None) -> Condition:
    if edited_at is None:
        unedited: Condition = MessageItem.edited_at.does_not_exist()
        return unedited
    same: Condition = MessageItem.edited_at == edited_at
    return same
