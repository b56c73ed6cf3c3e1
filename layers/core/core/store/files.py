"""What came with a question: its pictures and transcripts in S3, each under the place it had in the message."""

from core.models import ImageReference, Message
from core.store import keys
from core.store.claims import Claim
from core.store.messages import Messages
from core.store.overflow import Overflow, Place

_MOST_FILES = 20  # that a message can bring along


class Files:
    """The files of every question. Safe to share between threads.

    They lie beside the long texts of their question: what deletes, exports or lets those expire takes them along. A
    name follows from the place in the message, so that a later delivery finds what an earlier one had stored.
    """

    def __init__(self, overflow: Overflow, messages: Messages) -> None:
        self._overflow = overflow
        self._messages = messages

    def find_question(self, company_id: str, question_id: str) -> Message | None:
        """The question as an earlier delivery stored it, with what became of its files; None where none did."""
        found = self._messages.find(company_id, question_id)
        return found if found and found.user_id else None  # a note of a change that came first has no files

    def keep(self, claim: Claim, place: int, data: bytes, media_type: str) -> ImageReference:
        """Store what a file of the claim's question holds."""
        url = self._overflow.keep_file(_folder(claim), _name(place), data, media_type, claim.expiry)
        return ImageReference(url=url, media_type=media_type, size=len(data))

    def find(self, claim: Claim, place: int) -> tuple[bytes, str] | None:
        """What an earlier delivery stored of a file, and its media type; None where it stored nothing."""
        return self._overflow.find_file(_folder(claim), _name(place))

    def forget(self, company_id: str, question_id: str) -> None:
        """Delete whatever was stored of a question's files."""
        conversation_id, ulid = keys.split_message_id(question_id)
        names = [_name(place) for place in range(_MOST_FILES)]
        self._overflow.delete_files(keys.text_place(company_id, conversation_id, ulid), names)

    def read(self, url: str) -> bytes | None:
        """A stored file's bytes; None where it is gone."""
        return self._overflow.read_file(url)


def _folder(claim: Claim) -> Place:
    conversation = claim.conversation
    return keys.text_place(conversation.user_company_id, conversation.id, keys.ulid_of(claim.task_id))


def _name(place: int) -> str:
    return f"file.{place:02}"
