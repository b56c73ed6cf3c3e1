"""Approvals that nobody gave in time: each becomes a signal, whose processor ends what waits for it."""

from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from core.errors import ServiceError
from core.events import MessageReceived, SignalKind, SignalReceived
from core.models import ToolUsage
from core.store import Store, keys
from core.telemetry import logger, metrics

_MOST = 100  # of a company at once; the next ones have their turn a quarter of an hour later


def report_overdue(*, store: Store, publish: Callable[[SignalReceived], None], clock: Callable[[], datetime]) -> None:
    """Report every call whose approval is overdue. What fails is reported the next time; said twice, it is the same."""
    now = clock()
    for company in store.directory.list_companies():
        for usage in store.waiting.list_overdue(company.id, now, limit=_MOST):
            _report(usage, publish, now)
    metrics.flush()


def _report(usage: ToolUsage, publish: Callable[[SignalReceived], None], now: datetime) -> None:
    reference = keys.use_reference(usage.message_id, usage.place_of_use)
    try:
        message = MessageReceived.model_validate_json(usage.approval.message if usage.approval else "")
    except ValidationError:  # decided or forgotten since the index was read, or of another release
        logger.warning("overdue approval left alone", extra={"reference": reference})
        return
    signal = SignalReceived(
        kind=SignalKind.OVERDUE,
        external_id=reference,
        address=message.address,
        external_message_id=message.external_message_id,
        bot_user_id=message.bot_user_id,
        reference=reference,
        reply_url=message.reply_url,
        sent_at=now,
        received_at=now,
        correlation_id=message.correlation_id,
    )
    about = {"correlation_id": message.correlation_id}
    try:
        publish(signal)
    except ServiceError as exc:
        logger.error("overdue approval not reported", extra={**about, "code": exc.code})
        return
    metrics.count("ApprovalsOverdue", platform=message.address.platform)
