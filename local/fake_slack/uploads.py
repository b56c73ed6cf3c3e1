"""Uploads in three steps: an address, the bytes, and where they are shared.

https://docs.slack.dev/reference/methods/files.getUploadURLExternal
"""

from local.fake_slack.arguments import Arguments, SlackError
from local.fake_slack.state import App, File, Message, SlackState

_MOST_BYTES = 1_000_000_000


def get_upload_url(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """files.getUploadURLExternal."""
    name, length = arguments.required("filename"), arguments.number("length", 0, highest=_MOST_BYTES)
    with state.changed:
        file_id = f"F0UPLOAD{len(state.uploads):03}"
        state.uploads[file_id] = File(file_id, app.team_id, name, "application/octet-stream", b"")
        state.upload_lengths[file_id] = length
    return {"upload_url": f"{state.url}/upload/v1/{file_id}", "file_id": file_id}


def take_upload(state: SlackState, file_id: str, content: bytes) -> bool:
    """The bytes themselves; whether they are what was announced."""
    with state.changed:
        file = state.uploads.get(file_id)
        if file is None or len(content) != state.upload_lengths[file_id]:
            return False
        state.uploads[file_id] = File(file.id, file.team, file.name, file.mimetype, content)
        return True


def complete_upload(state: SlackState, app: App, arguments: Arguments) -> dict[str, object]:
    """files.completeUploadExternal: a message with the files, in a channel or one of its threads."""
    files = arguments.objects("files", error="invalid_arguments")
    channel = state.channel(app, arguments.required("channel_id"))
    thread_ts = arguments.ts("thread_ts", error="invalid_thread_ts")
    with state.changed:
        for each in files:
            file = state.uploads.get(str(each.get("id")))
            if file is None or not file.content or file.team != app.team_id or file.id in state.files:
                raise SlackError("file_not_found")
            state.files[file.id] = file
            ts = state.ts_clock.next()
            message = Message(ts, channel.id, thread_ts, app.team_id, app.bot_user_id, f"[{file.name}]")
            message.app_id, message.bot_id = app.app_id, app.bot_id
            state.add_message(message)
    return {"files": [{"id": str(each.get("id")), "title": str(each.get("title", ""))} for each in files]}
