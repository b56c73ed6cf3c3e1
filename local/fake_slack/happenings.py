"""What Slack sends beside messages: buttons, forms, shortcuts, commands, the home tab, threads opened, apps removed.

https://docs.slack.dev/interactivity/handling-user-interaction and https://docs.slack.dev/reference/events
"""

import json
from collections.abc import Mapping
from urllib.parse import urlencode

from local.fake_slack.demo import DEMO, Demo
from local.fake_slack.payloads import Envelope, Event, envelope, new_ts

type Json = dict[str, object]

FORM = "application/x-www-form-urlencoded"
_TRIGGER = "13345224609.738474920.8088930838d88f008e0"


def form_of(payload: Mapping[str, object]) -> bytes:
    """The body of an interaction: a form with the payload as JSON."""
    return urlencode({"payload": json.dumps(payload)}).encode()


def command_form(text: str, *, demo: Demo = DEMO, channel: str | None = None, **more: str) -> dict[str, str]:
    """The fields of a slash command."""
    return {
        "token": "redacted",
        "team_id": demo.team_id,
        "team_domain": "demo",
        "channel_id": channel or demo.channel_id,
        "channel_name": demo.channel_name,
        "user_id": demo.user_id,
        "user_name": demo.user_name,
        "command": "/ask",
        "text": text,
        "api_app_id": demo.app_id,
        "is_enterprise_install": "false",
        "response_url": "https://hooks.slack.com/commands/T0DEMO0001/1/redacted",
        "trigger_id": _TRIGGER,
        **more,
    }


def command_of(text: str, *, demo: Demo = DEMO, **more: str) -> bytes:
    """The body of a slash command."""
    return urlencode(command_form(text, demo=demo, **more)).encode()


def _interaction(kind: str, *, demo: Demo, user: str | None, trigger: str | None = None) -> Json:
    return {
        "type": kind,
        "token": "redacted",
        "team": {"id": demo.team_id, "domain": "demo"},
        "user": {"id": user or demo.user_id, "username": demo.user_name, "team_id": demo.team_id},
        "api_app_id": demo.app_id,
        "trigger_id": trigger or _TRIGGER,
        "enterprise": None,
        "is_enterprise_install": False,
    }


def pressed(
    action_id: str,
    value: str,
    *,
    message_ts: str,
    thread_ts: str | None = None,
    demo: Demo = DEMO,
    channel: str | None = None,
    user: str | None = None,
    trigger: str | None = None,
    action_ts: str | None = None,
) -> Json:
    """`block_actions`: somebody pressed a button under a message of ours."""
    channel_id = channel or demo.channel_id
    thread = {"thread_ts": thread_ts} if thread_ts else {}
    kind = "feedback_buttons" if action_id.endswith("feedback") else "button"
    return _interaction("block_actions", demo=demo, user=user, trigger=trigger) | {
        "container": {"type": "message", "message_ts": message_ts, "channel_id": channel_id, "is_ephemeral": False}
        | thread,
        "channel": {"id": channel_id, "name": demo.channel_name},
        "message": {"type": "message", "user": demo.bot_user_id, "bot_id": demo.bot_id, "ts": message_ts, "text": "…"}
        | thread,
        "state": {"values": {}},
        "response_url": "https://hooks.slack.com/actions/T0DEMO0001/1/redacted",
        "actions": [
            {"type": kind, "action_id": action_id, "block_id": "b1", "value": value, "action_ts": action_ts or new_ts()}
        ],
    }


def submitted(view: Mapping[str, object], comment: str, *, demo: Demo = DEMO, user: str | None = None) -> Json:
    """`view_submission`: somebody filled our form in."""
    element = {"type": "plain_text_input", "value": comment}
    return _interaction("view_submission", demo=demo, user=user) | {
        "view": {
            "id": "V0DEMO0001",
            "team_id": demo.team_id,
            "type": "modal",
            "callback_id": view.get("callback_id"),
            "private_metadata": view.get("private_metadata"),
            "state": {"values": {"comment": {"comment": element}}},
        },
        "response_urls": [],
    }


def asked_about(
    text: str, *, ts: str, thread_ts: str | None = None, demo: Demo = DEMO, action_ts: str | None = None
) -> Json:
    """`message_action`: the shortcut in the menu of somebody's message."""
    thread = {"thread_ts": thread_ts} if thread_ts else {}
    return _interaction("message_action", demo=demo, user=None) | {
        "callback_id": "ask_about_this",
        "action_ts": action_ts or new_ts(),
        "message_ts": ts,
        "message": {"type": "message", "user": "U0BOB00001", "ts": ts, "text": text, "team": demo.team_id} | thread,
        "channel": {"id": demo.channel_id, "name": demo.channel_name},
        "response_url": "https://hooks.slack.com/app/T0DEMO0001/1/redacted",
    }


def _event(event: Mapping[str, object], *, demo: Demo) -> Envelope:
    kept: Event = event  # type: ignore[assignment] # Event names the keys of messages alone
    return envelope(kept, demo=demo)


def assistant_thread(thread_ts: str, *, demo: Demo = DEMO, has_moved: bool = False) -> Envelope:
    """`assistant_thread_started`, or `assistant_thread_context_changed` where the person has gone elsewhere."""
    kind = "assistant_thread_context_changed" if has_moved else "assistant_thread_started"
    thread = {
        "user_id": demo.user_id,
        "context": {"channel_id": demo.channel_id, "team_id": demo.team_id, "enterprise_id": None},
        "channel_id": demo.dm_channel_id,
        "thread_ts": thread_ts,
    }
    return _event({"type": kind, "assistant_thread": thread, "event_ts": new_ts()}, demo=demo)


def home_opened(*, tab: str = "home", demo: Demo = DEMO) -> Envelope:
    """`app_home_opened`."""
    event = {"type": "app_home_opened", "user": demo.user_id, "channel": demo.dm_channel_id, "tab": tab}
    return _event(event | {"event_ts": new_ts()}, demo=demo)


def session_stopped(thread_ts: str, *, demo: Demo = DEMO, channel: str | None = None) -> Envelope:
    """`agent_session_stopped`: Slack's own Stop button."""
    event = {
        "type": "agent_session_stopped",
        "channel": channel or demo.channel_id,
        "thread_ts": thread_ts,
        "streaming_message_ts": [],
        "user": demo.user_id,
        "event_ts": new_ts(),
    }
    return _event(event, demo=demo)


def uninstalled(*, demo: Demo = DEMO) -> Envelope:
    """`app_uninstalled`."""
    return _event({"type": "app_uninstalled", "event_ts": new_ts()}, demo=demo)


def tokens_revoked(*, bots: tuple[str, ...], people: tuple[str, ...] = (), demo: Demo = DEMO) -> Envelope:
    """`tokens_revoked`, of the bot or of people."""
    tokens = {"bot": list(bots), "oauth": list(people)}
    return _event({"type": "tokens_revoked", "tokens": tokens, "event_ts": new_ts()}, demo=demo)


def of_organisation(of: Envelope, enterprise_id: str = "E0DEMO0001") -> Envelope:
    """The same event where the whole organisation has installed the app."""
    changed = of.copy()
    changed["context_enterprise_id"] = enterprise_id
    authorization = of["authorizations"][0].copy()
    authorization["enterprise_id"], authorization["is_enterprise_install"] = enterprise_id, True
    changed["authorizations"] = [authorization]
    return changed
