"""Door: ImportsQueue. Turns each file that was put into the bucket into the wanted output, once."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from agent.completing import Completer, check_company_budget, complete_for
from agent.model import OpenAIModel
from core.events import ImportQueued
from core.outside import OutsideHttp
from core.queues import PartialItemFailureResponse, Queue, consume, enqueue, publish
from core.settings import ImportSettings, Secrets, create_s3_client, create_sqs_client, read_trace_header
from core.store import Store
from core.telemetry import logger
from importer.objects import Bucket
from importer.run import run_imports
from importer.running import Collaborators

settings = ImportSettings.from_env()
clock, read_secret = partial(datetime.now, UTC), Secrets().read
store = Store(settings.table_name, bucket_name=settings.bucket_name)
sqs = create_sqs_client()
queue = Queue(sqs, settings.imports_queue_url, settings.max_receive_count)
client = OpenAIModel(api_key=partial(read_secret, settings.openai_api_key_secret_name), base_url=settings.openai_url)
completer = Completer(client=client, model=settings.openai_model, api_kind=settings.openai_api_kind)

collaborators = Collaborators(
    store=store,
    bucket=Bucket(create_s3_client(), settings.bucket_name),
    completer_of=partial(complete_for, store, completer),
    http=OutsideHttp(insecure_hosts=settings.insecure_hosts),
    read_secret=read_secret,
    go_on=partial(enqueue, queue=queue),
    tell=partial(publish, queue=Queue(sqs, settings.signals_queue_url), trace_header=read_trace_header),
    may_ask=partial(check_company_budget, store, clock),
    clock=clock,
    ranged_from=settings.import_ranges_from * 1024**2,
    range_bytes=settings.import_range_size * 1024**2,
)
run = partial(consume, contract=ImportQueued, handle=partial(run_imports, collaborators=collaborators), queue=queue)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Lambda entry point."""
    return run(event, context)
