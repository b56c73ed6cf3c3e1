"""A message that says nothing but that a new conversation begins: begun in the same place, without a turn."""

import hashlib
from datetime import datetime

from agent.language import detect_language
from core.events import MessageReceived
from core.platforms import Outbound, reply_to
from core.store import Opening, Store, keys
from core.texts import say

_SAYINGS = frozenset({"/new", "new conversation"})


def says_afresh(message: MessageReceived, text: str) -> bool:
    """Whether that is all that a message says, whose `text` is plain."""
    return not message.files and text.strip().casefold() in _SAYINGS


def start_afresh(
    message: MessageReceived,
    text: str,
    *,
    store: Store,
    outbound: Outbound,
    company_id: str,
    opening: Opening,
    retention_days: int | None,
    now: datetime,
) -> None:
    """Begin a new conversation and say so; its id follows from the message, so that twice is once."""
    ulid = keys.question_ulid(message.address, message.external_message_id, message.sent_at)
    conversation_id = "cnv_" + hashlib.sha256(ulid.encode()).hexdigest()[:26]
    store.start_afresh(
        company_id, opening.address, conversation_id, opening=opening, now=now, retention_days=retention_days
    )
    target = reply_to(message, is_unrecorded=True)
    outbound.open_reply(target, posted=lambda _: None).finish(say("new-conversation", detect_language(text)))
