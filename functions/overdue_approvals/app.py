"""Door: every quarter of an hour. Lets approvals end that nobody gave in time."""

from datetime import UTC, datetime
from functools import partial

from core.overdue import report_overdue
from core.queues import Queue, publish
from core.settings import OverdueSettings, create_sqs_client, read_trace_header
from core.store import Store

settings = OverdueSettings.from_env()

# Built once per cold start; every collaborator is named here and nowhere else.
report = partial(
    report_overdue,
    store=Store(settings.table_name, bucket_name=settings.bucket_name),
    publish=partial(
        publish, queue=Queue(create_sqs_client(), settings.signals_queue_url), trace_header=read_trace_header
    ),
    clock=partial(datetime.now, UTC),
)


def handler(_event: object, _context: object) -> None:
    """Lambda entry point."""
    report()
