"""What people do with our buttons, forms and shortcuts in Slack.

https://docs.slack.dev/interactivity/handling-user-interaction. The body is a form whose field `payload` holds JSON.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from core.events import MessageReceived, SignalKind, SignalReceived
from core.platforms import WebhookResult
from core.platforms.slack import names
from core.platforms.slack.fields import (
    checked,
    installed_in,
    is_true,
    object_in,
    optional_id,
    optional_ts,
    read_address,
    read_text,
    read_time,
    required_id,
    required_ts,
    text_of,
)
from core.strict_json import Json
from core.values import Address

_MAX_REFERENCE = 512
_MAX_QUOTE = 8_000  # characters
_MAX_URL = 2_048
_MAX_COMMENT = 2_000
_APPROVALS = {names.APPROVE_ACTION: "approve", names.DENY_ACTION: "deny"}


def read_interaction(payload: Json, request_id: str, now: datetime) -> WebhookResult:
    """The signal or the question in an interaction, or why there is none.

    Raises:
        RequestRejectedError: 400 where it is malformed.
    """
    kind = payload.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        return WebhookResult(ignored="interaction-type")
    return read(payload, _common(payload, request_id, now))


def _common(payload: Json, request_id: str, now: datetime) -> Json:
    """What signals and messages share: who did it, in whose installation, when it came."""
    user = object_in(payload, "user")
    workspace_id = _workspace_of(payload)
    home = optional_id(user, "team_id") or workspace_id
    team = optional_id(object_in(payload, "team"), "id")
    if is_true(payload.get("is_enterprise_install")) and home == team:
        home = workspace_id
    return {
        "address": Address(platform="slack", workspace_id=workspace_id, channel_id=""),
        "external_user_id": required_id(user, "id"),
        "external_user_workspace_id": home,
        "reply_url": text_of(payload, "response_url", _MAX_URL),
        "sent_at": now,
        "received_at": now,
        "correlation_id": request_id[:128],
    }


def _workspace_of(payload: Json) -> str:
    team = optional_id(object_in(payload, "team"), "id")
    enterprise = optional_id(object_in(payload, "enterprise"), "id")
    return installed_in(payload, team=team, enterprise=enterprise)


def _read_actions(payload: Json, common: Json) -> WebhookResult:
    actions = payload.get("actions")
    action = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], dict) else {}
    meaning = _meaning_of(action)
    if meaning is None:
        return WebhookResult(ignored="action")
    action_ts = required_ts(action, "action_ts")
    container, message = object_in(payload, "container"), object_in(payload, "message")
    ts = optional_ts(message, "ts") or required_ts(container, "message_ts")
    signal = {
        **common,
        **meaning,
        "address": _address_of(payload, ts, optional_ts(message, "thread_ts") or optional_ts(container, "thread_ts")),
        "external_id": f"{action_ts}-{common['external_user_id']}",
        "external_message_id": ts,
        "message_sent_at": read_time(ts),
        "trigger_id": text_of(payload, "trigger_id", 512),
        "sent_at": read_time(action_ts),
    }
    return _signal(signal)


def _meaning_of(action: Json) -> Json | None:
    """What a button of ours says; None for one that is not ours."""
    action_id, value = action.get("action_id"), text_of(action, "value", _MAX_REFERENCE)
    if action_id == names.STOP_ACTION and value:
        return {"kind": SignalKind.STOP, "reference": value}
    if isinstance(action_id, str) and action_id in _APPROVALS and value:
        return {"kind": SignalKind.APPROVAL, "reference": value, "value": _APPROVALS[action_id]}
    if action_id == names.FEEDBACK_ACTION:
        return _judgement_in(value)
    return None


def _judgement_in(text: str) -> Json | None:
    judgement, _, reference = text.partition(":")
    if judgement not in ("up", "down") or not reference:
        return None
    return {"kind": SignalKind.FEEDBACK, "reference": reference, "value": judgement}


def _address_of(payload: Json, ts: str, thread_ts: str) -> Address:
    channel_id = required_id(object_in(payload, "channel") or {"id": None}, "id")
    is_direct = channel_id.startswith("D")
    if is_direct and thread_ts == ts:
        thread_ts = ""  # the first message of a thread belongs to what it came from
    return read_address(_workspace_of(payload), channel_id, ts=ts, thread_ts=thread_ts, is_direct=is_direct)


def _read_submission(payload: Json, common: Json) -> WebhookResult:
    """The comment that somebody wrote into our form."""
    view = object_in(payload, "view")
    meaning = _judgement_in(text_of(view, "private_metadata", _MAX_REFERENCE))
    if view.get("callback_id") != names.COMMENT_FORM or meaning is None:
        return WebhookResult(ignored="form")
    values = object_in(object_in(view, "state"), "values")
    field = object_in(object_in(values, names.COMMENT_FIELD), names.COMMENT_FIELD)
    comment = text_of(field, "value", _MAX_COMMENT)
    return _signal({**common, **meaning, "external_id": required_id(view, "id"), "text": comment})


def _read_shortcut(payload: Json, common: Json) -> WebhookResult:
    """A question about a message of somebody: it is quoted, and the answer goes into its thread.

    The shortcut is there in channels too that the assistant is no member of: `reply_url` reaches its asker from them.
    """
    message = object_in(payload, "message")
    if payload.get("callback_id") != names.ASK_SHORTCUT:
        return WebhookResult(ignored="shortcut")
    ts, action_ts = required_ts(message, "ts"), required_ts(payload, "action_ts")
    quote = read_text(message.get("text"))
    if not quote.strip():
        return WebhookResult(ignored="empty")
    address = _address_of(payload, ts, optional_ts(message, "thread_ts"))
    if not address.thread_id:
        address = address.model_copy(update={"thread_id": ts})
    asked = {
        **common,
        "address": address,
        "external_message_id": action_ts,
        "quoted_text": quote[:_MAX_QUOTE],
        "sent_at": read_time(action_ts),
    }
    return WebhookResult(messages=(checked(lambda: MessageReceived.model_validate(asked), "message"),))


def _signal(given: Json) -> WebhookResult:
    return WebhookResult(signals=(checked(lambda: SignalReceived.model_validate(given), "payload"),))


_READERS: Mapping[str, Callable[[Json, Json], WebhookResult]] = {
    "block_actions": _read_actions,
    "view_submission": _read_submission,
    "message_action": _read_shortcut,
}
