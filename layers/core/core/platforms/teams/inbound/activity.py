"""What every activity says, whatever its kind: from whom, where, when. https://aka.ms/botSpecs-activitySchema."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from core.errors import RequestRejectedError
from core.strict_json import Json
from core.values import Address

_ID = re.compile(r"[!-~]{1,400}")
_DIRECTORY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_THREAD = re.compile(r"(?P<channel>[!-~]{1,380});messageid=(?P<root>[0-9]{1,20})")
_MILLISECONDS = re.compile(r"[0-9]{13}")  # Teams names its messages by their time
_BOT_ID = "28:"  # how the ids of bots begin in Teams
_MAX_TIMESTAMP = 40  # characters

type Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """An activity's fields, checked.

    Attributes:
        kind: Its type, as `message` or `invoke`.
        id: Unique within its conversation and kind; empty where Teams gives none.
        address: The conversation; a channel's thread is named by its first message.
        is_group: Whether it is a chat of several people, which has no threads.
        user_id: The person's id in the directory of the tenant, else the person's id for this app.
        is_from_bot: Whether no person sent it.
        bot_id: The assistant itself.
        event: What Teams adds to tell an edit from a restoration.
        fields: All of it.
    """

    kind: str
    id: str
    address: Address
    is_group: bool
    user_id: str
    is_from_bot: bool
    bot_id: str
    event: str
    reply_to_id: str
    service_url: str
    sent_at: datetime
    fields: Fields

    def external_id(self, *what: str) -> str:
        """An id of this happening, the same when it is sent again: Teams gives a reaction the id of its message."""
        address = self.address
        parts = (address.channel_id, address.thread_id, self.kind, self.id, self.user_id, *what)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def reject_malformed(what: str) -> NoReturn:
    """Refuse the call because `what` is not as Teams sends it."""
    raise RequestRejectedError("malformed", f"the activity's {what} is not what Teams sends", status=400)


def object_of(source: Fields, name: str) -> Json:
    """The JSON object of that name; empty where there is none."""
    value = source.get(name)
    return value if isinstance(value, dict) else {}


def objects_of(source: Fields, name: str, limit: int) -> list[Json]:
    """The first `limit` JSON objects of a list of that name."""
    value = source.get(name)
    return [each for each in value[:limit] if isinstance(each, dict)] if isinstance(value, list) else []


def text_of(source: Fields, name: str) -> str:
    """The text of that name; empty where there is none."""
    value = source.get(name)
    return value if isinstance(value, str) else ""


def read_activity(fields: Fields, now: datetime) -> Activity:
    """The activity in a verified body.

    Raises:
        RequestRejectedError: 400 where it is malformed.
    """
    sender, recipient = object_of(fields, "from"), object_of(fields, "recipient")
    sender_id, bot_id = _id_of(sender, "id", "from"), _id_of(recipient, "id", "recipient")
    address, is_group = _read_address(fields)
    activity_id = text_of(fields, "id")
    if activity_id and not _ID.fullmatch(activity_id):
        reject_malformed("id")
    if address.thread_id == "" and not address.is_direct and not is_group:
        # A post that starts a thread may come without it in its conversation's id.
        root = text_of(fields, "replyToId") or activity_id
        address = address.model_copy(update={"thread_id": root if _ID.fullmatch(root) else ""})
    person = text_of(sender, "aadObjectId") or sender_id
    return Activity(
        kind=text_of(fields, "type"),
        id=activity_id,
        address=address,
        is_group=is_group,
        user_id=person.lower() if _DIRECTORY_ID.fullmatch(person) else sender_id,
        is_from_bot=sender_id.startswith(_BOT_ID) or sender_id == bot_id or sender.get("role") == "bot",
        bot_id=bot_id,
        event=text_of(object_of(fields, "channelData"), "eventType"),
        reply_to_id=reply if _ID.fullmatch(reply := text_of(fields, "replyToId")) else "",
        service_url=text_of(fields, "serviceUrl"),
        sent_at=_read_time(text_of(fields, "timestamp"), activity_id, now),
        fields=fields,
    )


def _id_of(source: Fields, name: str, what: str) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        reject_malformed(f"{what}.{name}")
    return value


def _read_address(fields: Fields) -> tuple[Address, bool]:
    conversation = object_of(fields, "conversation")
    conversation_id = _id_of(conversation, "id", "conversation")
    thread = _THREAD.fullmatch(conversation_id)
    channel_id = thread["channel"] if thread else conversation_id
    kind = text_of(conversation, "conversationType") or _guess_kind(conversation, thread)
    address = Address(
        platform="teams",
        workspace_id=_read_tenant(fields, conversation),
        channel_id=channel_id,
        thread_id=thread["root"] if thread else "",
        is_direct=kind == "personal",
    )
    return address, kind == "groupChat"


def _guess_kind(conversation: Fields, thread: re.Match[str] | None) -> str:
    """Teams leaves the kind out now and then; a thread is a channel's, and a chat of two says nothing of a group."""
    if thread or text_of(conversation, "id").endswith(("@thread.tacv2", "@thread.skype")):
        return "channel"
    return "groupChat" if conversation.get("isGroup") is True else "personal"


def _read_tenant(fields: Fields, conversation: Fields) -> str:
    """The tenant, in lower case; said twice, it has to be the same."""
    said = {
        text_of(object_of(object_of(fields, "channelData"), "tenant"), "id").lower(),
        text_of(conversation, "tenantId").lower(),
    } - {""}
    tenant = said.pop() if len(said) == 1 else ""
    if not _DIRECTORY_ID.fullmatch(tenant):
        reject_malformed("tenant")
    return tenant


def _read_time(timestamp: str, activity_id: str, now: datetime) -> datetime:
    """The platform's time; a message without one tells it by its id."""
    try:
        at = datetime.fromisoformat(timestamp[:_MAX_TIMESTAMP])
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        if _MILLISECONDS.fullmatch(activity_id):
            return datetime.fromtimestamp(int(activity_id) / 1000, UTC)
        return now
