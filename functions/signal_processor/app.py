"""Door: SignalsQueue. Handles what happened that is not a question: a stop, an edit, an approval, an uninstall."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from core.events import SignalReceived
from core.http import Http
from core.kept import Kept
from core.platforms import connect
from core.queues import PartialItemFailureResponse, Queue, consume, enqueue, publish
from core.revocations import report_revoked
from core.settings import Secrets, SignalSettings, create_sqs_client, read_trace_header
from core.signals import handle_signal
from core.store import Store
from core.telemetry import logger

settings = SignalSettings.from_env()
sqs = create_sqs_client()
secrets = Secrets()
clock = partial(datetime.now, UTC)
queue = Queue(sqs, settings.signals_queue_url, settings.max_receive_count)
revoked = partial(report_revoked, queue=queue, clock=clock)
options = settings.platform_options

# Built once per cold start; every collaborator of the use case is named here and nowhere else.
handle_signals = partial(
    consume,
    contract=SignalReceived,
    handle=partial(
        handle_signal,
        store=Store(settings.table_name, bucket_name=settings.bucket_name),
        connect=partial(connect, read_secret=secrets.read, options=options, http=Http(), kept=Kept(), revoked=revoked),
        resume=partial(publish, queue=Queue(sqs, settings.messages_queue_url), trace_header=read_trace_header),
        go_on=partial(enqueue, queue=Queue(sqs, settings.imports_queue_url)),
        clock=clock,
        forget_secret=secrets.delete,
    ),
    queue=queue,
)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Lambda entry point."""
    return handle_signals(event, context)
