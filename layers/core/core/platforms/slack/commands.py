"""Slack's slash command: a question that stands in no thread, answered for the channel or for its asker alone.

https://docs.slack.dev/interactivity/implementing-slash-commands
"""

import re
from collections.abc import Mapping
from datetime import datetime

from core.events import MessageReceived
from core.platforms import WebhookResult
from core.platforms.slack.fields import checked, installed_in, optional_id, read_address, read_text, reject, required_id
from core.platforms.slack.names import COMMAND_MARK

_TRIGGER = re.compile(r"[A-Za-z0-9.]{1,256}")
_MAX_URL = 2_048
# The first word that makes an answer private, in the languages of the assistant's own texts.
_PRIVATE = frozenset(
    {"private", "privately", "privat", "privé", "privée", "privado", "privada", "非公開", "プライベート"}
)
_USAGE = (
    "Write what you want to know after the command, for example `/ask Which orders are late?` "
    "With `private` as the first word only you will see the answer."
)


def read_command(form: Mapping[str, str], request_id: str, now: datetime) -> WebhookResult:
    """The question in a command; how to use it where there is none.

    Raises:
        RequestRejectedError: 400 where it is malformed, 413 where it is too long.
    """
    text = read_text(form.get("text")).strip()
    first, _, rest = text.partition(" ")
    is_private = first.casefold().rstrip(":,") in _PRIVATE
    text = rest.strip() if is_private else text
    if not text:
        return WebhookResult(answer={"response_type": "ephemeral", "text": _USAGE}, ignored="empty")
    trigger = form.get("trigger_id", "")
    if not _TRIGGER.fullmatch(trigger):
        reject("trigger_id")
    team = optional_id(form, "team_id")
    workspace_id = installed_in(form, team=team, enterprise=optional_id(form, "enterprise_id"))
    channel_id = required_id(form, "channel_id")
    is_direct = channel_id.startswith("D")
    message = {
        "address": read_address(workspace_id, channel_id, ts="", thread_ts="", is_direct=is_direct),
        "external_message_id": COMMAND_MARK + trigger,
        "external_user_id": required_id(form, "user_id"),
        "external_user_workspace_id": workspace_id,
        "text": text,
        "is_private": is_private,
        "reply_url": form.get("response_url", "")[:_MAX_URL],
        "sent_at": now,
        "received_at": now,
        "correlation_id": request_id[:128],
    }
    return WebhookResult(messages=(checked(lambda: MessageReceived.model_validate(message), "command"),))
