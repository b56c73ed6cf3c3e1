"""What Teams posts to us: activities as the Bot Framework builds them. https://aka.ms/botSpecs-activitySchema."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from local.fake_teams.demo import DEMO, Demo

SERVICE_URL = "https://smba.trafficmanager.net/emea/"

type Payload = dict[str, object]


def new_id() -> str:
    """The id of a new message: its time in milliseconds."""
    return str(time.time_ns() // 1_000_000)


def body_of(payload: Mapping[str, object]) -> bytes:
    """The body of the call."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def personal(demo: Demo = DEMO) -> Payload:
    """The chat of one person with the assistant."""
    return {"conversationType": "personal", "tenantId": demo.tenant_id, "id": demo.personal_id}


def group(demo: Demo = DEMO) -> Payload:
    """A chat of several people."""
    return {"isGroup": True, "conversationType": "groupChat", "tenantId": demo.tenant_id, "id": demo.group_id}


def channel(root: str, demo: Demo = DEMO) -> Payload:
    """A thread in a channel, named by its first message."""
    return {
        "isGroup": True,
        "conversationType": "channel",
        "tenantId": demo.tenant_id,
        "id": f"{demo.channel_id};messageid={root}",
    }


def activity(kind: str, conversation: Payload, *, activity_id: str, demo: Demo = DEMO, **fields: object) -> Payload:
    """An activity of the demo person."""
    at = int(activity_id) / 1000 if activity_id.isdigit() else 1_767_225_600.0
    return {
        "type": kind,
        "id": activity_id,
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "channelId": "msteams",
        "serviceUrl": SERVICE_URL,
        "from": {"id": demo.user_id, "name": demo.user_name, "aadObjectId": demo.user_object_id},
        "conversation": conversation,
        "recipient": {"id": demo.bot_id, "name": demo.bot_name},
        "channelData": {"tenant": {"id": demo.tenant_id}},
        **fields,
    }


def message(text: str, conversation: Payload, *, activity_id: str, demo: Demo = DEMO, **fields: object) -> Payload:
    """What the demo person says."""
    said = {"text": text, "textFormat": "plain", "locale": "en-US", "entities": [], **fields}
    return activity("message", conversation, activity_id=activity_id, demo=demo, **said)


def mention(text: str, conversation: Payload, *, activity_id: str, demo: Demo = DEMO, **fields: object) -> Payload:
    """The same with the assistant's name before it."""
    named = mention_of(demo.bot_id, demo.bot_name)
    said = {"entities": [named], **fields}
    return message(f"{named['text']} {text}", conversation, activity_id=activity_id, demo=demo, **said)


def mention_of(user_id: str, name: str) -> Payload:
    """The entity that says whom `<at>name</at>` means."""
    return {"type": "mention", "mentioned": {"id": user_id, "name": name}, "text": f"<at>{name}</at>"}
