"""ULIDs of messages: where and when each one was written, so that they sort in time and are the same however often."""

import hashlib
import json
import re
from datetime import datetime

from core.errors import PermanentError
from core.models import Address

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_LENGTH = 26
_TIME_BITS, _HASH_BITS = 48, 80
_ULID_MAX = 2 ** (_TIME_BITS + _HASH_BITS) - 1


def message_ulid(platform: str, workspace: str, channel: str, external_message_id: str, sent_at: datetime) -> str:
    """The ULID of a platform's message: the same message always gets the same one, later messages a greater one.

    48 bits of the platform's time in milliseconds, then 80 bits of the SHA-256 of where and what the message is. The
    last two bits are fixed: they leave room for the opening just before a question and the reply just after it.
    """
    named = json.dumps([platform, workspace, channel, external_message_id]).encode()
    hashed = int.from_bytes(hashlib.sha256(named).digest()[: _HASH_BITS // 8])
    return _encode(_as_milliseconds(sent_at) << _HASH_BITS | (hashed & ~0b11) | 0b01)


def last_ulid_of(time: datetime) -> str:
    """The greatest ULID of what was sent at a time."""
    return _encode((_as_milliseconds(time) + 1 << _HASH_BITS) - 1)


def _as_milliseconds(time: datetime) -> int:
    return min(max(round(time.timestamp() * 1000), 0), (1 << _TIME_BITS) - 1)  # a platform's time is untrusted


def question_ulid(address: Address, external_message_id: str, sent_at: datetime) -> str:
    """The ULID of the message that a person wrote at `address`."""
    return message_ulid(address.platform, address.workspace_id, address.channel_id, external_message_id, sent_at)


def reply_ulid(question_ulid: str) -> str:
    """The place right after a question: its one answer, so that "answered already?" is a key."""
    return following(question_ulid)


def opening_ulid(question_ulid: str) -> str:
    """The place right before a question: the system message of a conversation that begins with it."""
    return preceding(question_ulid)


def preceding(ulid: str) -> str:
    """The ULID right before another; what is read up to there leaves the other out."""
    return _encode(_decode(ulid) - 1)


def following(ulid: str) -> str:
    """The ULID right after another; what is read from there on leaves the other out."""
    return _encode(_decode(ulid) + 1)


def _encode(number: int) -> str:
    if not 0 <= number <= _ULID_MAX:
        raise PermanentError("id", "no id comes before the first or after the last one")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(5 * (_ULID_LENGTH - 1), -1, -5))


def _decode(ulid: str) -> int:
    if not ULID.fullmatch(ulid):
        raise PermanentError("id", "this is not an id of a message or of a task")
    number = 0
    for character in ulid:
        number = number << 5 | _CROCKFORD.index(character)
    return number
