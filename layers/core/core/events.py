"""Queue contracts: the only types that travel between functions.

A new field has a default, because messages of the previous release are still in flight; a field is never renamed or
removed within a version. `tests/unit/core/contracts` keeps a message of every released version; a test validates it.
"""

import hashlib
import json
import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from core.values import Address, Time, Value

_QUEUE_KEY = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")

ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=512)]
_OptionalId = Annotated[str, StringConstraints(max_length=512)]
_Url = Annotated[str, StringConstraints(max_length=2048)]
_Text = Annotated[str, StringConstraints(max_length=40_000)]  # Slack's longest message; the longest of all


def _as_queue_key(*parts: str) -> str:
    """`parts` joined by colons, for operators to read, where that is unambiguous and SQS takes it; else their hash."""
    text = ":".join(parts)
    if _QUEUE_KEY.fullmatch(text) and text.count(":") == len(parts) - 1:
        return text
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _group_of(address: Address) -> str:
    return _as_queue_key(address.platform, address.workspace_id, address.channel_id, address.thread_id)


class FileReference(Value):
    """A file that a person attached, still at the platform."""

    id: ExternalId
    name: Annotated[str, StringConstraints(max_length=512)] = ""
    media_type: Annotated[str, StringConstraints(max_length=255)] = ""
    size: int = Field(default=0, ge=0)
    url: Annotated[str, StringConstraints(max_length=4096)] = ""


class MessageReceived(Value):
    """A person wrote to the assistant.

    Attributes:
        address: The conversation's place; its `platform` chooses the adapter.
        external_message_id: The platform's id of the message, unique within `address`'s channel.
        external_user_id: The platform's id of the person.
        external_user_workspace_id: The workspace the person belongs to; differs from the address's in shared channels.
        text: What the person wrote, in the platform's dialect, mentions included.
        quoted_text: A message of somebody that the question is about, in the platform's dialect.
        is_addressed: False for a message in a thread that does not name the assistant: it is answered only where the
            assistant already takes part.
        is_private: Only the person who asked is to see the answer, though others share the channel.
        reply_url: Where the platform takes answers, for a platform that says so with each message; verified.
        resumed: What was decided on, where the message is delivered once more because its turn waited for that.
        sent_at: The platform's time of the message; orders a conversation.
        received_at: When the webhook took it.
        correlation_id: Follows the message through every log line, from webhook to delivery.
    """

    version: Literal[1] = 1
    address: Address
    external_message_id: ExternalId
    external_user_id: ExternalId
    external_user_workspace_id: str = ""
    bot_user_id: str = ""
    text: _Text = ""
    quoted_text: Annotated[str, StringConstraints(max_length=8_000)] = ""
    files: Annotated[tuple[FileReference, ...], Field(max_length=20)] = ()
    is_addressed: bool = True
    is_private: bool = False
    reply_url: _Url = ""
    resumed: _OptionalId = ""
    sent_at: Time
    received_at: Time
    correlation_id: Annotated[str, StringConstraints(max_length=128)]

    @property
    def group_id(self) -> str:
        """The FIFO message group: one conversation, in order."""
        return _group_of(self.address)

    @property
    def deduplication_id(self) -> str:
        """One message within five minutes.

        A mention and its twin differ where only one of them names the assistant: the silent one must not displace the
        other. The store makes both one answer.
        """
        addressed = "a" if self.is_addressed else "t"
        address = self.address
        place = address.platform, address.workspace_id, address.channel_id
        resumed = (self.resumed,) if self.resumed else ()
        return _as_queue_key(*place, self.external_message_id, addressed, *resumed)


OPERATIONS = "ops:"  # how the reference of a stop begins that operations publish; a platform's names a person, too


class SignalKind(StrEnum):
    """What happened that is not a question."""

    STOP = "stop"  # the running turn is to end
    EDIT = "edit"  # a question was changed
    DELETE = "delete"  # a question was taken back
    FEEDBACK = "feedback"  # an answer was good or bad
    APPROVAL = "approval"  # somebody approved or denied what a tool is to do
    OVERDUE = "overdue"  # nobody did in time
    WELCOME = "welcome"  # somebody opened a place to talk to the assistant and has said nothing yet
    IMPORT = "import"  # an import that came from the conversation has ended, or waits for a person
    HOME = "home"  # somebody opened the assistant's home page
    INSTALL = "install"  # a workspace took the app in
    UNINSTALL = "uninstall"  # a workspace removed the app, or its tokens are revoked; with a channel: one place of it
    UNKNOWN = "unknown"  # a kind of a later release, still in flight after going back to this one

    @classmethod
    def _missing_(cls, _value: object) -> "SignalKind":
        return cls.UNKNOWN


class SignalReceived(Value):
    """Something happened on a platform that is not a question.

    Attributes:
        external_id: The platform's id of this signal, the same when it is sent again.
        address: The conversation's place; of a signal about a workspace or a person's page only what there is of one.
        external_message_id: The platform message it is about: the question that was edited or deleted, the answer that
            was judged, the message that carried the button, or the message that said "stop".
        message_sent_at: The platform's time of that message, where it tells.
        text: The edited text, in the platform's dialect; the comment of a feedback.
        value: `up` or `down` of a feedback, `approve` or `deny` of an approval, else empty.
        reference: What our button carried: who it is about is in it, what may be done is not. A platform's signature
            shows that it is ours; the store is asked whether it belongs to the company.
        trigger_id: Opens a form on the platform for some seconds; empty where there is none.
        reply_url: Where the platform takes answers, for a platform that says so with each call; verified.
        sent_at: The platform's time of the signal; the newest of two edits stands.
    """

    version: Literal[1] = 1
    kind: SignalKind
    external_id: ExternalId
    address: Address
    external_message_id: _OptionalId = ""
    message_sent_at: Time | None = None
    external_user_id: _OptionalId = ""
    external_user_workspace_id: str = ""
    bot_user_id: str = ""
    text: _Text = ""
    value: Literal["", "up", "down", "approve", "deny"] = ""
    reference: _OptionalId = ""
    trigger_id: _OptionalId = ""
    is_addressed: bool = True
    reply_url: _Url = ""
    sent_at: Time
    received_at: Time
    correlation_id: Annotated[str, StringConstraints(max_length=128)]

    @property
    def group_id(self) -> str:
        """The FIFO message group: the signals of one conversation, in order."""
        return _group_of(self.address)

    @property
    def deduplication_id(self) -> str:
        """One signal within five minutes, however often the platform sends it."""
        return _as_queue_key(self.address.platform, self.address.workspace_id, self.kind.value, self.external_id)


class StoredObject(Value):
    """An object in the bucket as S3 tells of it.

    Attributes:
        key: URL-encoded, as S3 sends it.
    """

    key: Annotated[str, StringConstraints(max_length=4096)]


class StoredObjectEntity(Value):
    """Where S3's record says which object it is about."""

    object: StoredObject


class StoredObjectRecord(Value):
    """One record of S3's event."""

    s3: StoredObjectEntity


class ImportQueued(Value):
    """A file was put where imports come from, or an import is to go on.

    S3's own event is one of these, and so is the test event that it sends when it is set up, which says nothing.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

    Attributes:
        records: The files that S3 tells of; empty in a message of ours.
        company_id: Of an import that is to go on.
        import_id: The import that is to go on.
        range_number: The range of its file that is to be worked on; None for the import itself.
    """

    version: Literal[1] = 1
    records: tuple[StoredObjectRecord, ...] = Field(default=(), alias="Records")
    company_id: str = ""
    import_id: str = ""
    range_number: int | None = None
