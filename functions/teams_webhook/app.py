"""Door: POST /teams/messages. Takes the Bot Framework's call, puts what it says on a queue, acknowledges it."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from core.http import Http
from core.platforms.teams.inbound import build
from core.queues import Queue, publish
from core.settings import TeamsWebhookSettings, create_small_clients, read_trace_header
from core.webhook import HttpResponse, receive

settings = TeamsWebhookSettings.from_env()
sqs, _ = create_small_clients(settings.messages_queue_url)

# Built once per cold start; every collaborator is named here and nowhere else.
take = partial(
    receive,
    inbound=build(
        app_id=settings.teams_app_id,
        tenant_ids=settings.teams_tenant_ids,
        service_hosts=settings.teams_service_hosts,
        openid_url=str(settings.teams_openid_url),
        token_issuer=settings.teams_token_issuer,
        http=Http(),
    ),
    publish=partial(publish, queue=Queue(sqs, settings.messages_queue_url), trace_header=read_trace_header),
    publish_signal=partial(publish, queue=Queue(sqs, settings.signals_queue_url), trace_header=read_trace_header),
    now=partial(datetime.now, UTC),
)


def handler(event: dict[str, Any], _context: object) -> HttpResponse:
    """Lambda entry point."""
    return take(event)
