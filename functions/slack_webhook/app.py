"""Door: POST /slack/events, /slack/interactions, /slack/commands. Puts what they say on its queue, acknowledges it."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from core.platforms.slack.inbound import build
from core.queues import Queue, publish
from core.settings import Secrets, SlackWebhookSettings, create_small_clients, read_trace_header
from core.webhook import HttpResponse, receive

settings = SlackWebhookSettings.from_env()
sqs, secrets_manager = create_small_clients(settings.messages_queue_url)

# Built once per cold start; every collaborator is named here and nowhere else.
take = partial(
    receive,
    inbound=build(partial(Secrets(client=secrets_manager).read, settings.slack_signing_secret_name)),
    publish=partial(publish, queue=Queue(sqs, settings.messages_queue_url), trace_header=read_trace_header),
    publish_signal=partial(publish, queue=Queue(sqs, settings.signals_queue_url), trace_header=read_trace_header),
    now=partial(datetime.now, UTC),
)


def handler(event: dict[str, Any], _context: object) -> HttpResponse:
    """Lambda entry point."""
    return take(event)
