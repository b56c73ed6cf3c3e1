"""Door: MessagesQueue. Answers each queued message once, in the order of its conversation."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from agent.answer import Collaborators, answer
from agent.entries import default_settings
from agent.model import OpenAIModel
from agent.people import People
from agent.tools.import_file import ChatImports
from agent.tools.toolbox import Toolbox
from agent.tries import count_tries
from core.events import MessageReceived
from core.http import Http
from core.kept import Kept
from core.platforms import connect
from core.queues import PartialItemFailureResponse, Queue, consume
from core.revocations import report_revoked
from core.settings import ProcessorSettings, Secrets, create_flow_clients, create_sqs_client
from core.store import Store
from core.telemetry import logger

settings = ProcessorSettings.from_env()
sqs, clock = create_sqs_client(), partial(datetime.now, UTC)
read_secret, options = Secrets().read, settings.platform_options
revoked = partial(report_revoked, queue=Queue(sqs, settings.signals_queue_url), clock=clock)
store = Store(settings.table_name, bucket_name=settings.bucket_name)

collaborators = Collaborators(
    store=store,
    people=People(store.directory, clock=clock),
    model=OpenAIModel.prewarmed(partial(read_secret, settings.openai_api_key_secret_name), settings.openai_url),
    connect=partial(connect, read_secret=read_secret, options=options, http=Http(), kept=Kept(), revoked=revoked),
    open_tools=Toolbox(store, read_secret, create_flow_clients, insecure_hosts=settings.insecure_hosts).open,
    default_settings=default_settings(settings.openai_model, settings.openai_api_kind, created_at=clock()),
    imports=ChatImports(store, most_bytes=settings.chat_import_max_bytes, clock=clock),
    clock=clock,
)
answer_message = partial(answer, collaborators=collaborators)
tried = partial(count_tries, collaborators=collaborators)
make_queue = partial(Queue, max_tries=settings.max_tries, dead_letters_url=settings.dead_letter_queue_url)
queue = make_queue(sqs, settings.messages_queue_url, settings.max_receive_count)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Lambda entry point."""
    return consume(event, context, contract=MessageReceived, handle=answer_message, queue=queue, tried=tried)
