"""The Web API's methods by name, with the scope each needs and whether it reads a JSON body."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from local.fake_slack import agents, chat, uploads, views
from local.fake_slack.arguments import Arguments, SlackError, missing_field
from local.fake_slack.state import App, Channel, Message, SlackState, User, is_user_id

_MOST_REPLIES = 1_000


@dataclass(frozen=True, slots=True)
class Method:
    """One Web API method."""

    call: Callable[[SlackState, App, Arguments], dict[str, object]]
    scope: str | None
    # Slack takes JSON for methods that write; one that reads overlooks a JSON body and misses its arguments.
    reads_json: bool = True


def auth_test(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """auth.test."""
    del state, arguments
    return {
        "url": "https://demo.slack.com/",
        "team": app.team_name,
        "user": "parley",
        "team_id": app.team_id,
        "user_id": app.bot_user_id,
        "bot_id": app.bot_id,
        "is_enterprise_install": False,
    }


def _user_json(app: App, user: User, *, with_locale: bool) -> dict[str, object]:
    profile: dict[str, object] = {"real_name": user.name, "display_name": user.name, "team": user.team}
    # A stranger from a shared channel shows no e-mail, nor does anyone without the scope.
    if user.email and "users:read.email" in app.scopes and user.team == app.team_id:
        profile["email"] = user.email
    shown: dict[str, object] = {
        "id": user.id,
        "team_id": user.team,
        "name": user.name,
        "real_name": user.name,
        "deleted": user.deleted,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "tz": user.tz,
        "profile": profile,
    }
    if user.team != app.team_id:
        shown["is_stranger"] = True
    if with_locale:
        shown["locale"] = user.locale
    return shown


def users_info(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """users.info."""
    user = state.user(app, arguments.optional("user") or "")
    return {"user": _user_json(app, user, with_locale=arguments.flag("include_locale"))}


def users_lookup_by_email(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """users.lookupByEmail."""
    email = arguments.required("email").lower()
    for user in state.users.values():
        if user.team == app.team_id and not user.deleted and (user.email or "").lower() == email:
            return {"user": _user_json(app, user, with_locale=False)}
    raise SlackError("users_not_found")


def _channel_json(app: App, channel: Channel) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": channel.id,
        "is_channel": channel.user is None,
        "is_im": channel.user is not None,
        "is_archived": channel.is_archived,
        "is_ext_shared": len(channel.teams) > 1,
        "context_team_id": app.team_id,
    }
    if channel.user is None:
        return shown | {"name": channel.name, "is_member": channel.is_member}
    return shown | {"user": channel.user}


def conversations_info(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """conversations.info."""
    return {"channel": _channel_json(app, state.channel(app, arguments.required("channel")))}


def conversations_open(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """conversations.open, for a direct message with one person."""
    user_id = arguments.required("users")
    if not is_user_id(user_id):
        raise SlackError("user_not_found")
    return {"channel": {"id": state.open_direct_message(app, user_id).id}}


def _reply_json(message: Message, root: Message | None, reply_count: int, *, with_metadata: bool) -> dict[str, object]:
    shown = chat.message_json(message)
    if message.is_deleted:
        shown = {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "ts": message.ts}
        shown["text"] = "This message was deleted."
    if message is root and reply_count:
        shown |= {"thread_ts": message.ts, "reply_count": reply_count}
    elif root is not None and message is not root:
        shown["parent_user_id"] = root.user
    if with_metadata and message.metadata:
        shown["metadata"] = message.metadata
    return shown


def _window(arguments: Arguments, replies: list[Message]) -> list[Message]:
    oldest = arguments.ts("oldest", error="invalid_ts_oldest") or "0"
    latest = arguments.ts("latest", error="invalid_ts_latest") or "9999999999.999999"
    edges = {oldest, latest} if arguments.flag("inclusive") else set()
    return [reply for reply in replies if oldest < reply.ts < latest or reply.ts in edges]


def conversations_replies(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """conversations.replies: the parent on every page, then the replies of the page, oldest first."""
    channel = state.channel(app, arguments.required("channel"))
    ts = arguments.ts("ts", error="thread_not_found")
    if ts is None:
        raise missing_field("ts")
    thread = [message for message in state.messages(channel.id, ts) if not message.only_for]
    root = next((message for message in thread if message.ts == ts), None)
    replies = [message for message in thread if message is not root and not message.is_deleted]
    if (root is None or root.is_deleted) and not replies:
        # A reply's own timestamp finds that reply alone.
        try:
            return {"messages": [chat.message_json(state.message(channel.id, ts))], "has_more": False}
        except SlackError as exc:
            raise SlackError("thread_not_found") from exc
    limit = arguments.number("limit", _MOST_REPLIES, highest=_MOST_REPLIES)
    after = _read_cursor(arguments)
    wanted = [reply for reply in _window(arguments, replies) if reply.ts > after]
    page = wanted[:limit]
    has_more = len(wanted) > len(page)
    with_metadata = arguments.flag("include_all_metadata")
    shown = [
        _reply_json(message, root, len(replies), with_metadata=with_metadata)
        for message in ([root] if root else []) + page
    ]
    cursor = base64.b64encode(f"next_ts:{page[-1].ts}".encode()).decode() if has_more else ""
    return {"messages": shown, "has_more": has_more, "response_metadata": {"next_cursor": cursor}}


def conversations_history(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """conversations.history: what stands in the channel itself, newest first; replies in threads are left out."""
    channel = state.channel(app, arguments.required("channel"))
    found = [
        message
        for message in state.messages(channel.id)
        if message.root == message.ts and not message.only_for and not message.is_deleted
    ]
    limit = arguments.number("limit", _MOST_REPLIES, highest=_MOST_REPLIES)
    before = _read_cursor(arguments)
    wanted = [message for message in _window(arguments, found)[::-1] if not before or message.ts < before]
    page = wanted[:limit]
    has_more = len(wanted) > len(page)
    with_metadata = arguments.flag("include_all_metadata")
    shown = [_reply_json(message, None, 0, with_metadata=with_metadata) for message in page]
    cursor = base64.b64encode(f"next_ts:{page[-1].ts}".encode()).decode() if has_more else ""
    return {"messages": shown, "has_more": has_more, "response_metadata": {"next_cursor": cursor}}


def _read_cursor(arguments: Arguments) -> str:
    cursor = arguments.optional("cursor")
    if cursor is None:
        return ""
    try:
        prefix, _, ts = base64.b64decode(cursor, validate=True).decode().partition(":")
    except ValueError as exc:
        raise SlackError("invalid_cursor") from exc
    if prefix != "next_ts":
        raise SlackError("invalid_cursor")
    return ts


METHODS: dict[str, Method] = {
    "auth.test": Method(auth_test, None),
    "users.info": Method(users_info, "users:read", reads_json=False),
    "users.lookupByEmail": Method(users_lookup_by_email, "users:read.email", reads_json=False),
    "chat.postMessage": Method(chat.post_message, "chat:write"),
    "chat.update": Method(chat.update, "chat:write"),
    "chat.delete": Method(chat.delete, "chat:write"),
    "chat.postEphemeral": Method(chat.post_ephemeral, "chat:write"),
    "chat.startStream": Method(chat.start_stream, "chat:write"),
    "chat.appendStream": Method(chat.append_stream, "chat:write"),
    "chat.stopStream": Method(chat.stop_stream, "chat:write"),
    "agents.sessions.setStatus": Method(agents.set_session_status, "chat:write"),
    "assistant.threads.setStatus": Method(agents.set_status, "chat:write"),
    "assistant.threads.setSuggestedPrompts": Method(agents.set_suggested_prompts, "assistant:write"),
    "files.getUploadURLExternal": Method(uploads.get_upload_url, "files:write", reads_json=False),
    "files.completeUploadExternal": Method(uploads.complete_upload, "files:write"),
    "views.open": Method(views.open_view, None),
    "views.publish": Method(views.publish_view, None),
    "conversations.info": Method(conversations_info, "channels:read", reads_json=False),
    "conversations.replies": Method(conversations_replies, "channels:history", reads_json=False),
    "conversations.history": Method(conversations_history, "channels:history", reads_json=False),
    "conversations.open": Method(conversations_open, "im:write"),
}
