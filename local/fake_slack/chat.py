"""The chat.* methods: messages, their edits and text streams, with Slack's limits and errors.

https://docs.slack.dev/reference/methods/chat.postMessage and its siblings.
"""

from dataclasses import dataclass

from local.fake_slack.arguments import Arguments, SlackError, missing_field
from local.fake_slack.state import App, Channel, Message, SlackState, Stream, block_texts, is_user_id

MARKDOWN_LIMIT = 12_000  # characters of one `markdown_text`, and of all markdown blocks of one message
TEXT_LIMIT = 40_000  # characters; Slack cuts a longer `text` off when it is posted
UPDATE_TEXT_LIMIT = 4_000  # characters of `text` in chat.update, which is refused and not cut off
_SECTION_LIMIT = 3_000
_HEADER_LIMIT = 150
_MOST_BLOCKS = 50


@dataclass(frozen=True, slots=True)
class Content:
    """What a message is to say, checked against Slack's limits."""

    text: str
    is_markdown: bool
    blocks: list[dict[str, object]]
    metadata: dict[str, object] | None
    has_blocks: bool = False


def read_content(arguments: Arguments, *, text_limit: int | None = None) -> Content:
    """The content of a message to post or to edit."""
    text, markdown = arguments.optional("text"), arguments.optional("markdown_text")
    blocks = arguments.objects("blocks", error="invalid_blocks_format")
    if markdown and (text or blocks):
        raise SlackError("markdown_text_conflict")
    if not (text or markdown or blocks):
        raise SlackError("no_text")
    if len(markdown or "") > MARKDOWN_LIMIT or (text_limit and len(text or "") > text_limit):
        raise SlackError("msg_too_long")
    check_blocks(blocks)
    return Content(
        (text or markdown or "")[:TEXT_LIMIT],
        markdown is not None or any(block.get("type") == "markdown" for block in blocks),
        blocks,
        read_metadata(arguments),
        arguments.has("blocks"),
    )


def check_blocks(blocks: list[dict[str, object]]) -> None:
    """Refuse what Block Kit refuses: too many blocks, or too much text in one of them."""
    if len(blocks) > _MOST_BLOCKS or any(not isinstance(block.get("type"), str) for block in blocks):
        raise SlackError("invalid_blocks")
    limits = {"section": _SECTION_LIMIT, "header": _HEADER_LIMIT}
    texts = list(block_texts(blocks))
    if any(len(text) > limits.get(kind, MARKDOWN_LIMIT) for kind, text in texts if kind != "markdown"):
        raise SlackError("invalid_blocks")
    if sum(len(text) for kind, text in texts if kind == "markdown") > MARKDOWN_LIMIT:
        raise SlackError("msg_blocks_too_long")


def read_metadata(arguments: Arguments) -> dict[str, object] | None:
    """The metadata to keep with a message; None where nothing is said about it."""
    metadata = arguments.object_or_none("metadata", error="invalid_metadata_format")
    if metadata and not (
        isinstance(metadata.get("event_type"), str) and isinstance(metadata.get("event_payload"), dict)
    ):
        raise SlackError("invalid_metadata_schema")
    return metadata


def message_json(message: Message) -> dict[str, object]:
    """A message as the Web API shows it."""
    shown: dict[str, object] = {
        "type": "message",
        "user": message.user,
        "text": message.text,
        "ts": message.ts,
        "team": message.team,
    }
    if message.thread_ts:
        shown["thread_ts"] = message.thread_ts
    if message.bot_id:
        shown |= {"bot_id": message.bot_id, "app_id": message.app_id}
    if message.client_msg_id:
        shown["client_msg_id"] = message.client_msg_id
    if message.blocks:
        shown["blocks"] = message.blocks
    if message.edits:
        shown["edited"] = {"user": message.user, "ts": message.ts}
    return shown


def _writable(state: SlackState, app: App, arguments: Arguments) -> Channel:
    channel_id = arguments.required("channel")
    channel = state.open_direct_message(app, channel_id) if is_user_id(channel_id) else state.channel(app, channel_id)
    if channel.is_archived:
        raise SlackError("is_archived")
    if not channel.is_member:
        raise SlackError("not_in_channel")
    return channel


def _new_message(state: SlackState, app: App, channel: Channel, thread_ts: str | None, text: str) -> Message:
    return Message(
        ts=state.ts_clock.next(),
        channel=channel.id,
        thread_ts=thread_ts,
        team=app.team_id,
        user=app.bot_user_id,
        text=text,
        app_id=app.app_id,
        bot_id=app.bot_id,
    )


def post_message(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """chat.postMessage."""
    channel = _writable(state, app, arguments)
    content = read_content(arguments)
    message = _new_message(state, app, channel, arguments.ts("thread_ts", error="invalid_thread_ts"), content.text)
    message.is_markdown, message.blocks, message.metadata = content.is_markdown, content.blocks, content.metadata
    state.add_message(message)
    return {"channel": channel.id, "ts": message.ts, "message": message_json(message)}


def post_ephemeral(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """chat.postEphemeral: seen by one person, part of no history."""
    channel = _writable(state, app, arguments)
    user_id = arguments.required("user")
    if user_id not in state.users:
        raise SlackError("user_not_in_channel")
    content = read_content(arguments)
    message = _new_message(state, app, channel, arguments.ts("thread_ts", error="invalid_thread_ts"), content.text)
    message.is_markdown, message.blocks, message.only_for = content.is_markdown, content.blocks, user_id
    state.add_message(message)
    return {"message_ts": message.ts}


def _own_message(state: SlackState, app: App, arguments: Arguments, *, refusal: str) -> Message:
    channel = state.channel(app, arguments.required("channel"))
    ts = arguments.ts("ts", error="message_not_found")
    if ts is None:
        raise missing_field("ts")
    message = state.message(channel.id, ts)
    if message.only_for:
        raise SlackError("message_not_found")
    if (message.app_id, message.team) != (app.app_id, app.team_id):
        raise SlackError(refusal)
    return message


def update(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """chat.update: only what the app posted itself, and not while it is streaming."""
    message = _own_message(state, app, arguments, refusal="cant_update_message")
    if message.stream and message.stream.state == "in_progress":
        raise SlackError("streaming_state_conflict")
    content = read_content(arguments, text_limit=UPDATE_TEXT_LIMIT)
    message.text, message.is_markdown = content.text, content.is_markdown
    if content.has_blocks or message.stream:  # blocks that an edit does not name stay
        message.blocks = content.blocks
    message.metadata = message.metadata if content.metadata is None else content.metadata or None
    # What is left is an ordinary message: an edit also repairs one whose stream expired.
    message.stream = None
    message.edits += 1
    state.touch(message)
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": message_json(message)}


def delete(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """chat.delete."""
    message = _own_message(state, app, arguments, refusal="cant_delete_message")
    message.is_deleted = True
    state.touch(message)
    return {"channel": message.channel, "ts": message.ts}


def start_stream(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """chat.startStream: in a thread, and outside direct messages for one named person."""
    channel = _writable(state, app, arguments)
    thread_ts = arguments.ts("thread_ts", error="invalid_thread_ts")
    if thread_ts is None:
        raise missing_field("thread_ts")
    if channel.user is None:
        team_id, user_id = arguments.optional("recipient_team_id"), arguments.optional("recipient_user_id")
        if team_id is None:
            raise SlackError("missing_recipient_team_id")
        if user_id is None:
            raise SlackError("missing_recipient_user_id")
        if state.user(app, user_id).team != team_id:
            raise SlackError("user_not_found")
    now = state.clock()
    message = _new_message(state, app, channel, thread_ts, "")
    message.is_markdown, message.stream = True, Stream(started_at=now, touched_at=now)
    _append(state, message, message.stream, arguments)
    state.add_message(message)
    return {"channel": channel.id, "ts": message.ts}


def append_stream(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """chat.appendStream."""
    message, stream = _streaming(state, app, arguments)
    if not _append(state, message, stream, arguments):
        raise SlackError("no_text")
    state.touch(message)
    return {"channel": message.channel, "ts": message.ts}


def stop_stream(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """chat.stopStream: the last piece, blocks below it, and the message is final."""
    message, stream = _streaming(state, app, arguments)
    blocks = arguments.objects("blocks", error="invalid_blocks_format")
    check_blocks(blocks)
    metadata = read_metadata(arguments)
    _append(state, message, stream, arguments)
    message.blocks += blocks
    message.metadata = metadata or message.metadata
    stream.state = "completed"
    state.touch(message)
    return {"channel": message.channel, "ts": message.ts, "message": message_json(message)}


def _streaming(state: SlackState, app: App, arguments: Arguments) -> tuple[Message, Stream]:
    message = _own_message(state, app, arguments, refusal="message_not_owned_by_app")
    if message.stream is None or message.stream.state != "in_progress":
        raise SlackError("message_not_in_streaming_state")
    return message, message.stream


def _append(state: SlackState, message: Message, stream: Stream, arguments: Arguments) -> bool:
    """Add one piece to a stream, all of it or nothing; whether there was anything to add."""
    markdown = arguments.optional("markdown_text")
    chunks = arguments.objects("chunks", error="invalid_chunks")
    if markdown and chunks:
        raise SlackError("cannot_provide_both_markdown_text_and_chunks")
    if not markdown and not chunks:
        return False
    mode = "chunks" if chunks else "text"
    if stream.mode not in {None, mode}:
        raise SlackError("streaming_mode_mismatch")
    added, tasks, blocks = markdown or "", dict(message.tasks), list(message.blocks)
    for chunk in chunks:
        added += _read_chunk(chunk, tasks, blocks)
    # Undocumented but observed: the limit of one piece is the limit of the whole streamed message too.
    if len(message.text) + len(added) > MARKDOWN_LIMIT:
        raise SlackError("msg_too_long")
    check_blocks(blocks)
    message.text, message.tasks, message.blocks = message.text + added, tasks, blocks
    stream.mode, stream.touched_at = mode, state.clock()
    return True


def _read_chunk(chunk: dict[str, object], tasks: dict[str, str], blocks: list[dict[str, object]]) -> str:
    """The Markdown of a chunk; a task, a plan's title or blocks go where they are shown."""
    match chunk:
        case {"type": "markdown_text", "text": str(text)}:
            return text
        case {"type": "task_update", "id": str(task_id), "title": str(title), "status": str(status)}:
            tasks[task_id] = f"{title} ({status})"
        case {"type": "plan_update", "title": str(title)}:
            tasks[""] = title
        case {"type": "blocks", "blocks": list(more)} if all(isinstance(block, dict) for block in more):
            blocks += more
        case _:
            raise SlackError("invalid_chunks")
    return ""
