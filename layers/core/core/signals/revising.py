"""EDIT and DELETE: a question says something else now, or was taken back.

First the stored question changes, then the turn that runs is told, which reads it again before it does anything final.
A turn that commits in between answered the text that stood until then. Where the question is not stored yet, a note
waits in its place for the turn that comes; where there is no conversation yet, the signal comes again after a pause.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from core.errors import RetryableError
from core.events import SignalReceived
from core.models import ContentPart, ContentType, Message, Role, Time, to_iso
from core.platforms import Outbound
from core.signals.approval import withdraw
from core.signals.case import Case
from core.store import is_note, keys

# A signal that overtook the first message of a conversation: how long it waits before each further try.
_PAUSES = (timedelta(seconds=2), timedelta(seconds=8), timedelta(seconds=30), timedelta(seconds=120))

_QUOTE = re.compile(r"(?:> .*\n)+\n")  # what a question is about, above it
_LONGEST_WAY = timedelta(days=4)  # of a message through its queue


def edit(case: Case) -> str:
    """Let the question say what the signal says: a turn that runs answers the new text, one that ended stays."""
    place = _find_question(case)
    if isinstance(place, str):
        return place
    conversation_id, ulid, is_old = place
    signal, edition = case.signal, _as_stored(case.signal.sent_at)
    note = _note(signal, conversation_id, ulid).model_copy(update={"user_prompt": signal.text, "edited_at": edition})
    outbound = case.open_platform()
    stands = case.store.questions.edit(
        case.company_id, note, write=lambda known: _rewrite(case, outbound, known, edition), has_to_be_there=is_old
    )
    if stands is None:
        return "no-question"
    if stands.deleted_at or stands.edited_at != edition:
        return "outdated"
    return _tell(case, stands, edition)


def delete(case: Case) -> str:
    """Erase the question; a turn that runs ends, one that waits never begins. An answer that was given stays."""
    place = _find_question(case)
    if isinstance(place, str):
        return place
    conversation_id, ulid, is_old = place
    note = _note(case.signal, conversation_id, ulid)
    note = note.model_copy(update={"deleted_at": _as_stored(case.signal.sent_at)})
    stands = case.store.questions.erase(case.company_id, note, has_to_be_there=is_old)
    if stands is None:
        return "no-question"
    # Later than any edit: a turn that has read the newest one has not read this.
    deleted_at = max(filter(None, (stands.deleted_at, stands.edited_at)), default=case.signal.sent_at)
    outcome = _tell(case, stands, deleted_at + timedelta(milliseconds=1))
    case.store.waiting.forget_messages(case.company_id, stands.id)
    if not stands.parent_message_id and not is_note(stands):
        case.store.recollections.forget_title(case.company_id, conversation_id)
    return outcome


def _tell(case: Case, question: Message, edition: datetime) -> str:
    """Let whatever was made of the question before be made again: its turn, where it runs or waits, and summaries."""
    company_id, conversation_id = case.company_id, question.llm_conversation_id
    ulid = keys.ulid_of(question.id)
    case.store.recollections.drop_summaries(company_id, conversation_id, of=ulid, at=edition)
    task_id = keys.task_id(conversation_id, ulid)
    is_told = case.store.interruptions.announce_change(company_id, task_id, edition)
    withdraw(case, conversation_id, task_id)
    if is_told:
        return "told"
    return "noted" if is_note(question) else "stored"


def _find_question(case: Case) -> tuple[str, str, bool] | str:
    """The question's conversation and place, and whether it must be stored by now; a word where it is none of ours.

    Raises:
        RetryableError: Its conversation is not there yet, but may come: the message is still on its way.
    """
    signal = case.signal
    if not signal.external_message_id or signal.message_sent_at is None:
        return "no-question"
    is_old = signal.sent_at - signal.message_sent_at > _LONGEST_WAY
    conversations = case.store.threads.list_all(case.company_id, signal.address)
    if conversations:
        ulid = keys.question_ulid(signal.address, signal.external_message_id, signal.message_sent_at)
        return _find_conversation(case, conversations, ulid), ulid, is_old
    if not signal.is_addressed or is_old or case.attempt > len(_PAUSES):
        return "no-conversation"
    raise RetryableError(
        "question-not-there", "the question has not arrived yet", retry_after=_PAUSES[case.attempt - 1]
    )


def _find_conversation(case: Case, conversations: Sequence[str], ulid: str) -> str:
    """The one that has the question; the thread's present one where it is on its way yet."""
    if len(conversations) > 1:
        for each in conversations:
            if case.store.questions.find(case.company_id, keys.message_id(each, ulid)):
                return each
    return conversations[0]


def _note(signal: SignalReceived, conversation_id: str, ulid: str) -> Message:
    return Message(
        id=keys.message_id(conversation_id, ulid),
        llm_conversation_id=conversation_id,
        external_message_id=signal.external_message_id,
        role=Role.USER,
        entity_type="",
        user_id="",
        created_at=signal.message_sent_at or signal.sent_at,
    )


def _rewrite(case: Case, outbound: Outbound, known: Message, edition: Time) -> Message:
    """The stored question with its new text; what it is about and what was made of its files stays."""
    message = case.as_message()
    text = outbound.read_text(message)
    before = outbound.read_text(message.model_copy(update={"text": known.user_prompt or ""}))
    structured = known.structured_user_prompt or ""
    about = None if structured.startswith(before) else _QUOTE.match(structured)
    quote = about[0] if about else ""
    rest = structured.removeprefix(quote + before) if before and structured.startswith(quote + before) else ""
    changed = quote + text + rest
    parts = tuple(
        ContentPart(type=ContentType.TEXT, text=changed, message_id=known.id)
        if part.type is ContentType.TEXT and part.text == structured
        else part
        for part in known.content
    )
    update = {
        "user_prompt": message.text,
        "structured_user_prompt": changed,
        "content": parts,
        "edited_at": edition,
    }
    return known.model_copy(update=update)


def _as_stored(time: datetime) -> datetime:
    """A time as exactly as the table keeps it, so that it can be compared."""
    return datetime.fromisoformat(to_iso(time))
