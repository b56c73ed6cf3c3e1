"""Where a slash command's conversation goes on: Slack shows a command nowhere, so it gets a message of its own.

The message says who asked what, and its thread is the conversation. Where the assistant may not write, in a channel it
is no member of, the answer is for the person alone.
"""

from datetime import timedelta

from core.errors import PermanentError
from core.events import MessageReceived
from core.platforms import ReplyTarget
from core.platforms.slack.api import CHANNEL_UNAVAILABLE, SlackApi
from core.platforms.slack.format import to_markdown
from core.platforms.slack.names import COMMAND_MARK
from core.platforms.slack.reply import Buttons, SlackReply

_PART = "command"
_CLOCKS_APART = timedelta(minutes=5)  # ours, by which a command was taken, and Slack's


def is_command(message_id: str) -> bool:
    """Whether a message is a command that got no message of its own: only its asker can be answered."""
    return message_id.startswith(COMMAND_MARK)


def place(api: SlackApi, message: MessageReceived) -> MessageReceived:
    """`message` in the thread of its own root; as it came where it is no command or only its asker sees the answer."""
    if not is_command(message.external_message_id) or message.is_private:
        return message
    try:
        root = _post_root(api, message)
    except PermanentError as exc:
        if exc.code != CHANNEL_UNAVAILABLE or not message.reply_url:
            raise
        return message.model_copy(update={"is_private": True})
    address = message.address.model_copy(update={"thread_id": root})
    return message.model_copy(update={"external_message_id": root, "address": address, "reply_url": ""})


def _post_root(api: SlackApi, message: MessageReceived) -> str:
    """The message that the command is known by, posted once: it is looked for by the command that it belongs to."""
    target = ReplyTarget(
        address=message.address,
        in_reply_to=message.external_message_id,
        external_user_id=message.external_user_id,
        external_user_workspace_id=message.external_user_workspace_id,
        search_from=f"{(message.sent_at - _CLOCKS_APART).timestamp():.6f}",
    )
    asker = {"type": "mrkdwn", "text": f"<@{message.external_user_id}>"}
    below: list[dict[str, object]] = [{"type": "context", "elements": [asker]}]
    reply = SlackReply(
        api,
        target,
        posted=lambda _: None,
        monotonic=lambda: 0.0,
        buttons=Buttons(finished=below),
        part=_PART,
    )
    return reply.finish(to_markdown(message.text, message.bot_user_id))[0]
