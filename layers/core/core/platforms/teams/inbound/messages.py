"""Which activities are questions, and what they ask."""

import re
from datetime import datetime
from html.parser import HTMLParser

from pydantic import ValidationError

from core.errors import RequestRejectedError
from core.events import FileReference, MessageReceived, SignalKind, SignalReceived
from core.platforms import WebhookResult
from core.platforms.teams.inbound.activity import Activity, object_of, objects_of, reject_malformed, text_of
from core.stop_words import says_stop

_MAX_TEXT = 40_000  # characters; the largest message of a person is about 28 KB
_MAX_QUOTE = 8_000
_MAX_FILES = 20
_MAX_ENTITIES = 200
_MAX_ATTACHMENTS = 50
_MAX_HTML = 200_000  # characters
_DOWNLOAD = "application/vnd.microsoft.teams.file.download.info"
_MENTION_ID = re.compile(r'[^"<>&\s]{1,200}')


def read_message(activity: Activity, now: datetime, correlation_id: str) -> WebhookResult:
    """The question in a message, or why it holds none.

    Raises:
        RequestRejectedError: 400 where it is malformed, 413 where it is longer than anything a person sends.
    """
    if activity.is_from_bot:
        return WebhookResult(ignored="bot-message")
    if not activity.id:
        return WebhookResult(ignored="no-id")  # nothing to tell it from its repetition
    is_mentioned, text = read_text(activity)
    html = _read_html(activity)
    files = _read_files(activity)
    text = text if text.strip() else html.text
    if len(text) > _MAX_TEXT:
        raise RequestRejectedError("too-large", f"the message is longer than {_MAX_TEXT} characters", status=413)
    is_addressed = is_mentioned or activity.address.is_direct
    starts_thread = activity.address.thread_id in ("", activity.id)
    # Teams delivers what does not name the assistant only where a team consented to it. In a thread it may go on with a
    # conversation of ours; a group chat has no threads, and there people talk to each other.
    if not is_addressed and (activity.is_group or starts_thread):
        return WebhookResult(ignored="not-addressed")
    if not files and not _without_mentions(text).strip():
        return WebhookResult(ignored="empty")
    if is_addressed and not files and says_stop(_without_own_mention(text, activity.bot_id)):
        return WebhookResult(signals=(stop_signal(activity, now, correlation_id),))
    try:
        message = MessageReceived(
            address=activity.address,
            external_message_id=activity.id,
            external_user_id=activity.user_id,
            external_user_workspace_id=activity.address.workspace_id,
            bot_user_id=activity.bot_id,
            text=text,
            quoted_text=html.quote[:_MAX_QUOTE],
            files=files,
            is_addressed=is_addressed,
            reply_url=activity.service_url,
            sent_at=activity.sent_at,
            received_at=now,
            correlation_id=correlation_id,
        )
    except ValidationError:
        reject_malformed("message")  # half a surrogate pair, for one; pydantic's error would quote it
    return WebhookResult(messages=(message,))


def stop_signal(activity: Activity, now: datetime, correlation_id: str, reference: str = "") -> SignalReceived:
    """That the running turn of this conversation is to end: somebody said so, or pressed the button `reference`."""
    return SignalReceived(
        kind=SignalKind.STOP,
        external_id=activity.external_id("stop"),
        address=activity.address,
        external_message_id=activity.reply_to_id if reference else activity.id,
        message_sent_at=None if reference else activity.sent_at,
        external_user_id=activity.user_id,
        external_user_workspace_id=activity.address.workspace_id,
        bot_user_id=activity.bot_id,
        reference=reference,
        reply_url=activity.service_url,
        sent_at=activity.sent_at,
        received_at=now,
        correlation_id=correlation_id,
    )


def read_text(activity: Activity) -> tuple[bool, str]:
    """Whether the assistant is named, and the text, in which each mention carries whom it names: `<at id="…">`.

    The text alone says a name only; whom it means stands in the entities, in the order of the mentions.
    """
    text = activity.fields.get("text") or ""
    if not isinstance(text, str):
        reject_malformed("text")
    text = text[: _MAX_TEXT * 2]
    is_mentioned = False
    shown: list[str] = []
    for entity in objects_of(activity.fields, "entities", _MAX_ENTITIES):
        if entity.get("type") != "mention":
            continue
        mentioned = object_of(entity, "mentioned")
        mentioned_id, name = text_of(mentioned, "id"), text_of(mentioned, "name")
        is_mentioned = is_mentioned or mentioned_id == activity.bot_id
        tag = text_of(entity, "text") or f"<at>{name}</at>"
        inner = tag.removeprefix("<at>").removesuffix("</at>")
        before, found, after = text.partition(tag)
        if found and _MENTION_ID.fullmatch(mentioned_id):
            shown += [before, f'<at id="{mentioned_id}">{inner}</at>']
            text = after
    return is_mentioned, "".join(shown) + text


def _without_own_mention(text: str, bot_id: str) -> str:
    return re.sub(rf'<at id="{re.escape(bot_id)}">[^<]{{0,500}}</at>', "", text).replace("&nbsp;", " ")


def _without_mentions(text: str) -> str:
    return re.sub(r"<at[^<>]{0,300}>[^<]{0,500}</at>", "", text).replace("&nbsp;", " ")


class _Html(HTMLParser):
    """The words of a message's HTML part: those quoted from the message it answers, and its own."""

    def __init__(self) -> None:
        super().__init__()
        self._quoted: list[str] = []
        self._own: list[str] = []
        self._depth = 0

    @property
    def quote(self) -> str:
        """The message that this one answers."""
        return "".join(self._quoted).strip()

    @property
    def text(self) -> str:
        """The rest."""
        return "".join(self._own).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A quotation begins, or a line."""
        if tag == "blockquote" and (self._depth or (dict(attrs).get("itemtype") or "").endswith("/Reply")):
            self._depth += 1
        elif tag in ("br", "p", "div", "li"):
            (self._quoted if self._depth else self._own).append("\n")

    def handle_endtag(self, tag: str) -> None:
        """A quotation ends."""
        if tag == "blockquote" and self._depth:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        """Words."""
        (self._quoted if self._depth else self._own).append(data)


def _read_html(activity: Activity) -> _Html:
    parser = _Html()
    for attachment in objects_of(activity.fields, "attachments", _MAX_ATTACHMENTS):
        if attachment.get("contentType") == "text/html":
            parser.feed(text_of(attachment, "content")[:_MAX_HTML])
            break
    parser.close()
    return parser


def _read_files(activity: Activity) -> tuple[FileReference, ...]:
    """Files and pictures. One of an unknown shape is left out: the words beside it still count."""
    attachments = objects_of(activity.fields, "attachments", _MAX_ATTACHMENTS)
    found = [_read_file(each, place) for place, each in enumerate(attachments)]
    return tuple(file for file in found if file)[:_MAX_FILES]


def _read_file(attachment: dict[str, object], place: int) -> FileReference | None:
    media_type, content = text_of(attachment, "contentType"), object_of(attachment, "content")
    if media_type == _DOWNLOAD:
        url, file_id = text_of(content, "downloadUrl"), text_of(content, "uniqueId")
        media_type = ""  # Teams tells the extension only, which is in the name
    elif media_type.startswith("image/"):
        url, file_id = text_of(attachment, "contentUrl"), ""
    else:
        return None
    if not url:
        return None
    try:
        return FileReference(
            id=file_id or f"attachment-{place}",
            name=text_of(attachment, "name")[:512],
            media_type=media_type[:255],
            url=url,
        )
    except ValidationError:
        return None
