"""What happened that is not a question: edits, reactions, buttons, coming and going."""

import re
from datetime import UTC, datetime

from pydantic import ValidationError

from core.errors import RequestRejectedError
from core.events import SignalKind, SignalReceived
from core.platforms import WebhookResult
from core.platforms.teams import names
from core.platforms.teams.inbound.activity import Activity, object_of, objects_of, reject_malformed, text_of
from core.platforms.teams.inbound.messages import read_text, stop_signal
from core.strict_json import read_object

_MAX_TEXT = 40_000
_MAX_COMMENT = 4_000
_MAX_REFERENCE = 512
_MAX_MEMBERS = 100
_MILLISECONDS = re.compile(r"1[0-9]{12}")  # as a message's id; until the year 2033
_LIKED = frozenset({"like", "heart", "laugh"})
_DISLIKED = frozenset({"angry", "sad", "dislike"})
# What an invoke is answered with at once; Teams shows an error where it is missing.
_CARD_ANSWER = {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "✓"}


def read_update(activity: Activity, now: datetime, correlation_id: str) -> WebhookResult:
    """A message that was changed, or restored after it was deleted: both ask anew what it says now."""
    if activity.is_from_bot:
        return WebhookResult(ignored="bot-message")
    if activity.event not in ("editMessage", "undeleteMessage") or not activity.id:
        return WebhookResult(ignored="update-kind")
    is_mentioned, text = read_text(activity)
    if len(text) > _MAX_TEXT:
        raise RequestRejectedError("too-large", f"the message is longer than {_MAX_TEXT} characters", status=413)
    return _signal(
        activity,
        now,
        correlation_id,
        SignalKind.EDIT,
        what=(activity.event, activity.sent_at.isoformat()),
        external_message_id=activity.id,
        text=text,
        is_addressed=is_mentioned or activity.address.is_direct,
    )


def read_deletion(activity: Activity, now: datetime, correlation_id: str) -> WebhookResult:
    """A message that was taken back."""
    if activity.event != "softDeleteMessage" or not activity.id:
        return WebhookResult(ignored="deletion-kind")
    what = (activity.event, activity.sent_at.isoformat())
    return _signal(activity, now, correlation_id, SignalKind.DELETE, what=what, external_message_id=activity.id)


def read_reaction(activity: Activity, now: datetime, correlation_id: str) -> WebhookResult:
    """A thumb or a face under an answer. What is taken away again takes no feedback back."""
    added = {text_of(each, "type") for each in objects_of(activity.fields, "reactionsAdded", 20)}
    value = "up" if added & _LIKED else "down" if added & _DISLIKED else ""
    if not value:
        return WebhookResult(ignored="reaction")
    return _signal(
        activity,
        now,
        correlation_id,
        SignalKind.FEEDBACK,
        what=(value, activity.sent_at.isoformat()),
        external_message_id=activity.reply_to_id or activity.id,
        message_sent_at=_time_in(activity.reply_to_id or activity.id),
        value=value,
    )


def read_installation(activity: Activity, now: datetime, correlation_id: str) -> WebhookResult:
    """The app came to a place, or left it."""
    action = text_of(activity.fields, "action").partition("-")[0]
    if action not in ("add", "remove"):
        return WebhookResult(ignored="installation-action")
    kind = SignalKind.INSTALL if action == "add" else SignalKind.UNINSTALL
    return _signal(activity, now, correlation_id, kind, what=(activity.sent_at.isoformat(),))


def read_conversation_update(activity: Activity, now: datetime, correlation_id: str) -> WebhookResult:
    """The assistant joined a conversation, or was removed from it; what others do there is their business."""
    if _names_bot(activity, "membersAdded"):
        kind = SignalKind.WELCOME
    elif _names_bot(activity, "membersRemoved"):
        kind = SignalKind.UNINSTALL
    else:
        return WebhookResult(ignored="members")
    return _signal(activity, now, correlation_id, kind, what=(activity.sent_at.isoformat(),))


def read_invoke(activity: Activity, now: datetime, correlation_id: str) -> WebhookResult:
    """A button that was pressed. It waits for the answer of this very call."""
    name, value = text_of(activity.fields, "name"), object_of(activity.fields, "value")
    if name == "message/submitAction" and value.get("actionName") == "feedback":
        return _read_feedback(activity, object_of(value, "actionValue"), now, correlation_id)
    if name != "adaptiveCard/action":
        return WebhookResult(ignored="invoke-name")
    action = object_of(value, "action")
    taken = read_button(activity, text_of(action, "verb"), object_of(action, "data"), now, correlation_id)
    return WebhookResult(signals=taken.signals, ignored=taken.ignored, answer=_CARD_ANSWER)


def read_button(
    activity: Activity, verb: str, data: dict[str, object], now: datetime, correlation_id: str
) -> WebhookResult:
    """What a button of ours means; `verb` and `data` are what the card carried."""
    reference = text_of(data, names.REFERENCE)
    if verb not in names.VERBS or not 0 < len(reference) <= _MAX_REFERENCE:
        return WebhookResult(ignored="foreign-button")
    if verb == names.STOP:
        return WebhookResult(signals=(stop_signal(activity, now, correlation_id, reference),))
    value = names.VERBS[verb]
    kind = SignalKind.APPROVAL if value in ("approve", "deny") else SignalKind.FEEDBACK
    return _signal(
        activity,
        now,
        correlation_id,
        kind,
        what=(verb, reference, activity.sent_at.isoformat()),
        external_message_id=activity.reply_to_id,
        value=value,
        reference=reference,
        text=text_of(data, names.COMMENT)[:_MAX_COMMENT],
    )


def _read_feedback(activity: Activity, said: dict[str, object], now: datetime, correlation_id: str) -> WebhookResult:
    value = {"like": "up", "dislike": "down"}.get(text_of(said, "reaction"))
    if value is None or not activity.reply_to_id:
        return WebhookResult(ignored="feedback", answer={})
    written = said.get("feedback")
    comment = written if isinstance(written, dict) else read_object(written) if isinstance(written, str) else None
    return _signal(
        activity,
        now,
        correlation_id,
        SignalKind.FEEDBACK,
        what=(value, activity.sent_at.isoformat()),
        external_message_id=activity.reply_to_id,
        message_sent_at=_time_in(activity.reply_to_id),
        value=value,
        text=text_of(comment or {}, "feedbackText")[:_MAX_COMMENT],
    )


def _time_in(message_id: str) -> datetime | None:
    """When a message was posted, which its id says in milliseconds since 1970; None for an id of another make."""
    return datetime.fromtimestamp(int(message_id) / 1000, UTC) if _MILLISECONDS.fullmatch(message_id) else None


def _names_bot(activity: Activity, which: str) -> bool:
    return any(each.get("id") == activity.bot_id for each in objects_of(activity.fields, which, _MAX_MEMBERS))


def _signal(
    activity: Activity, now: datetime, correlation_id: str, kind: SignalKind, *, what: tuple[str, ...], **said: object
) -> WebhookResult:
    try:
        signal = SignalReceived.model_validate(
            {
                "kind": kind,
                "external_id": activity.external_id(*what),
                "address": activity.address,
                "external_user_id": activity.user_id,
                "external_user_workspace_id": activity.address.workspace_id,
                "bot_user_id": activity.bot_id,
                "reply_url": activity.service_url,
                "sent_at": activity.sent_at,
                "received_at": now,
                "correlation_id": correlation_id,
                **said,
            }
        )
    except ValidationError:
        reject_malformed(activity.kind)  # pydantic's error would quote it
    return WebhookResult(signals=(signal,))
