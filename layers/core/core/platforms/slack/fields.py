"""What a signed body of Slack's holds: read with the shape that is expected, refused without being quoted.

Only what the webhook needs is imported here and in its siblings: its cold start pays for every import.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NoReturn

from pydantic import ValidationError

from core.errors import RequestRejectedError
from core.strict_json import Json, read_object
from core.values import Address

MAX_TEXT = 40_000  # characters; Slack's longest message
_MAX_BODY_BYTES = 1_000_000  # far above the largest event: 40,000 characters of text, its blocks and its files
_TS = re.compile(r"[0-9]{10}\.[0-9]{6}")  # seconds and microseconds, at once a time and an id
_ID = re.compile(r"[A-Za-z0-9]{1,64}")  # no id of Slack's has another character; keys are made of ids
_TRUE = (True, "true")  # in JSON and in a form


def reject(what: str) -> NoReturn:
    """Refuse a request whose `what` is not what Slack sends.

    Raises:
        RequestRejectedError: 400, always.
    """
    raise RequestRejectedError("malformed", f"the request's {what} is not what Slack sends", status=400)


def checked[T](make: Callable[[], T], what: str) -> T:
    """The value that `make` makes, refused where it does not validate: pydantic's error would quote the body."""
    try:
        return make()
    except ValidationError:
        reject(what)


def read_json(body: bytes | str) -> Json:
    """The JSON object in a body, or in a form's field."""
    if len(body) > _MAX_BODY_BYTES:
        raise RequestRejectedError("too-large", "the request is longer than any event of Slack's", status=413)
    value = read_object(body)
    if value is None:
        reject("body")
    return value


def read_text(value: object) -> str:
    """A message's text, empty where there is none.

    Raises:
        RequestRejectedError: 400 where it is no text, 413 where it is longer than Slack's longest.
    """
    text = value or ""
    if not isinstance(text, str):
        reject("text")
    if len(text) > MAX_TEXT:
        raise RequestRejectedError("too-large", f"the message is longer than {MAX_TEXT} characters", status=413)
    return text


def required_id(source: Mapping[str, object], name: str) -> str:
    """An id of Slack's."""
    value = source.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        reject(name)
    return value


def optional_id(source: Mapping[str, object], name: str) -> str:
    """An id of Slack's, empty where there is none."""
    value = source.get(name)
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def is_ts(value: str) -> bool:
    """Whether a text is a message's or an event's timestamp."""
    return _TS.fullmatch(value) is not None


def required_ts(source: Mapping[str, object], name: str) -> str:
    """A message's timestamp."""
    value = source.get(name)
    if not isinstance(value, str) or not is_ts(value):
        reject(name)
    return value


def optional_ts(source: Mapping[str, object], name: str) -> str:
    """A message's timestamp, empty where there is none."""
    return required_ts(source, name) if source.get(name) else ""


def text_of(source: Mapping[str, object], name: str, longest: int) -> str:
    """A field that holds a short text, empty where it does not."""
    value = source.get(name)
    return value if isinstance(value, str) and len(value) <= longest else ""


def object_in(source: Mapping[str, object], name: str) -> Json:
    """A field that holds an object, empty where it does not."""
    value = source.get(name)
    return value if isinstance(value, dict) else {}


def read_time(ts: str) -> datetime:
    """The time of a message, to the microsecond; a float would round it."""
    seconds, microseconds = ts.split(".")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(microseconds))


def is_true(value: object) -> bool:
    """Whether a switch is on, in JSON or in a form."""
    return value in _TRUE if isinstance(value, bool | str) else False


def installed_in(source: Mapping[str, object], *, team: str, enterprise: str) -> str:
    """The workspace that an installation is known by: the organisation's id where it took the app in as a whole."""
    if is_true(source.get("is_enterprise_install")) and enterprise:
        return enterprise
    if not team and not enterprise:
        reject("team_id")
    return team or enterprise


def read_address(workspace_id: str, channel_id: str, *, ts: str, thread_ts: str, is_direct: bool) -> Address:
    """A conversation's place: a channel's is a thread, a direct message's the whole of it where it is in no thread."""
    return Address(
        platform="slack",
        workspace_id=workspace_id,
        channel_id=channel_id,
        thread_id=thread_ts if thread_ts or is_direct else ts,
        is_direct=is_direct,
    )
