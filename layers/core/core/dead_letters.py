"""Dead letters: a message that the processor could not finish is marked FAILED, and the person is told."""

from collections.abc import Callable
from datetime import datetime

from core.errors import PermanentError
from core.events import MessageReceived
from core.models import Conversation, Installation, Message, Task, TaskStatus
from core.platforms import Outbound, reply_to
from core.queues import Delivery
from core.store import Store, keys
from core.telemetry import logger, metrics
from core.texts import explain_failure, speak

_CODE = "dead-letter"


def give_up(
    delivery: Delivery[MessageReceived],
    *,
    store: Store,
    connect: Callable[[Installation], Outbound],
    clock: Callable[[], datetime],
) -> None:
    """End a message for good: its task FAILED, its person told; an answer that was stored meanwhile is delivered.

    Raises:
        RetryableError: Deliver the message again.
    """
    message = delivery.message
    installation = store.directory.find_installation(message.address.platform, message.address.workspace_id)
    if installation is None or not installation.enabled:
        _end(message, "no-installation")
        return
    message = _place(message, installation, connect)
    conversation_id = _find_conversation_id(store, installation.company_id, message)
    if conversation_id is None and (message.resumed or not message.is_addressed):
        _end(message, "no-conversation" if message.resumed else "not-addressed")
        return
    try:
        if conversation_id is None:
            _tell(message, connect(installation), ())
        else:
            _end_turn(message, installation, conversation_id, store, connect, clock())
    except PermanentError as exc:
        logger.error("failure cannot be told", extra={"correlation_id": message.correlation_id, "code": exc.code})
    _end(message, "dead-letter")


def _find_conversation_id(store: Store, company_id: str, message: MessageReceived) -> str | None:
    if message.resumed:
        return store.waiting.find_conversation_id(company_id, message)
    return store.find_conversation_id(company_id, message.address)


def _end_turn(
    message: MessageReceived,
    installation: Installation,
    conversation_id: str,
    store: Store,
    connect: Callable[[Installation], Outbound],
    now: datetime,
) -> None:
    """Record the failure first: it counts even where the platform can no longer be told."""
    company_id = installation.company_id
    ulid = keys.question_ulid(message.address, message.external_message_id, message.sent_at)
    conversation = store.get_conversation(company_id, conversation_id)
    task = store.record_dead_letter(company_id, conversation_id, _failed_task(conversation_id, ulid, now), now=now)
    if task.status is not TaskStatus.FAILED:
        if reply := store.find_reply(company_id, keys.message_id(conversation_id, ulid)):
            _deliver(message, company_id, reply, store, connect(installation))
        return
    reference = keys.message_id(conversation_id, keys.reply_ulid(ulid))
    language = store.questions.find_language(company_id, conversation_id)
    known, others = _begun(conversation, task, is_resumed=bool(message.resumed))
    ids = _tell(message, connect(installation), known, reference, language, others)
    store.save_task_outgoing_ids(company_id, task, ids)


def _failed_task(conversation_id: str, ulid: str, now: datetime) -> Task:
    return Task(
        id=keys.task_id(conversation_id, ulid),
        llm_conversation_id=conversation_id,
        message_id=keys.message_id(conversation_id, ulid),
        status=TaskStatus.FAILED,
        llm_settings_id="",
        error_class=_CODE,
        error_message="every attempt to answer failed; the message went to the dead-letter queue",
        created_at=now,
        updated_at=now,
    )


def _begun(
    conversation: Conversation | None, task: Task, *, is_resumed: bool
) -> tuple[tuple[str, ...], frozenset[str]]:
    """Messages of the answer that was begun and never ended, and those that stay: said before a turn waited."""
    stay = frozenset(task.outgoing_ids if is_resumed else ())
    if conversation and conversation.streaming_task_id == task.id:
        return conversation.outgoing_ids, stay
    return () if is_resumed else task.outgoing_ids, stay


def _deliver(message: MessageReceived, company_id: str, reply: Message, store: Store, outbound: Outbound) -> None:
    target = reply_to(
        message,
        outgoing_ids=reply.outgoing_ids,
        is_unrecorded=True,
        feedback_reference=reply.id,
        language=reply.language,
    )

    def remember(ids: tuple[str, ...]) -> None:
        store.save_outgoing_ids(company_id, reply, ids)

    outbound.open_reply(target, posted=remember).finish(speak(reply))


def _place(
    message: MessageReceived, installation: Installation, connect: Callable[[Installation], Outbound]
) -> MessageReceived:
    """The message where its conversation is; as it came where the platform can no longer say."""
    try:
        return connect(installation).place(message)
    except PermanentError as exc:
        logger.error("message has no place", extra={"correlation_id": message.correlation_id, "code": exc.code})
        return message


def _tell(
    message: MessageReceived,
    outbound: Outbound,
    known: tuple[str, ...],
    reference: str = "",
    language: str | None = None,
    others: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    target = reply_to(
        message,
        outgoing_ids=known,
        is_unrecorded=True,
        answered_ids=others,
        feedback_reference=reference,
        language=language,
    )
    return outbound.open_reply(target, posted=lambda _: None).finish(explain_failure(_CODE, language))


def _end(message: MessageReceived, outcome: str) -> None:
    metrics.count("DeadLettersEnded", outcome=outcome, platform=message.address.platform)
    logger.info("dead letter ended", extra={"correlation_id": message.correlation_id, "outcome": outcome})
