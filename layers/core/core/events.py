"""Queue contracts: the only types that travel between functions.

A new field has a default, because messages of the previous release are still in flight; a field is never renamed or
removed within a version. `tests/unit/core/contracts` keeps a message of every released version; a test validates it.
"""

import hashlib
import json
import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from core.models import Address, Time, Value

_QUEUE_KEY = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")

ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=512)]


def _as_queue_key(*parts: str) -> str:
    """`parts` joined by colons, for operators to read, where that is unambiguous and SQS takes it; else their hash."""
    text = ":".join(parts)
    if _QUEUE_KEY.fullmatch(text) and text.count(":") == len(parts) - 1:
        return text
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


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
        is_addressed: False for a message in a thread that does not name the assistant: it is answered only where the
            assistant already takes part.
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
    text: Annotated[str, StringConstraints(max_length=40_000)] = ""  # Slack's longest message; the longest of all
    files: Annotated[tuple[FileReference, ...], Field(max_length=20)] = ()
    is_addressed: bool = True
    sent_at: Time
    received_at: Time
    correlation_id: Annotated[str, StringConstraints(max_length=128)]

    @property
    def group_id(self) -> str:
        """The FIFO message group: one conversation, in order."""
        address = self.address
        return _as_queue_key(address.platform, address.workspace_id, address.channel_id, address.thread_id)

    @property
    def deduplication_id(self) -> str:
        """One message within five minutes.

        A mention and its twin differ where only one of them names the assistant: the silent one must not displace the
        other. The store makes both one answer.
        """
        addressed = "a" if self.is_addressed else "t"
        address = self.address
        return _as_queue_key(
            address.platform, address.workspace_id, address.channel_id, self.external_message_id, addressed
        )
