"""Door: MessagesDeadLetterQueue. Marks what could not be answered as FAILED and tells the person."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from core.dead_letters import give_up
from core.events import MessageReceived
from core.http import Http
from core.kept import Kept
from core.platforms import connect
from core.queues import PartialItemFailureResponse, Queue, consume
from core.revocations import report_revoked
from core.settings import DeadLetterSettings, Secrets, create_sqs_client
from core.store import Store
from core.telemetry import logger

settings = DeadLetterSettings.from_env()
sqs = create_sqs_client()
clock = partial(datetime.now, UTC)
revoked = partial(report_revoked, queue=Queue(sqs, settings.signals_queue_url), clock=clock)
options = settings.platform_options

# Built once per cold start; every collaborator of the use case is named here and nowhere else.
give_up_messages = partial(
    consume,
    contract=MessageReceived,
    handle=partial(
        give_up,
        store=Store(settings.table_name, bucket_name=settings.bucket_name),
        connect=partial(
            connect, read_secret=Secrets().read, options=options, http=Http(), kept=Kept(), revoked=revoked
        ),
        clock=clock,
    ),
    queue=Queue(sqs, settings.dead_letter_queue_url, settings.max_receive_count, settings.received_before),
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Lambda entry point."""
    return give_up_messages(event, context)
