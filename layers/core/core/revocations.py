"""A platform no longer takes an installation's token: the same as if it had said that the app was removed."""

from collections.abc import Callable
from datetime import datetime, timedelta

from core.errors import ServiceError
from core.events import SignalKind, SignalReceived
from core.models import Address, Installation
from core.queues import Queue, publish
from core.telemetry import logger

# How long ago the refused token may have been read: it is kept for five minutes, an invocation lasts up to fifteen.
_OLDEST_TOKEN = timedelta(minutes=20)


def report_revoked(installation: Installation, *, queue: Queue, clock: Callable[[], datetime]) -> None:
    """Let the processor of signals end `installation`. Raises nothing: the next refusal reports it again.

    One that was installed anew since the token was read has another, and is left alone.
    """
    now = clock()
    signal = SignalReceived(
        kind=SignalKind.UNINSTALL,
        external_id=f"revoked-{now:%Y%m%d%H}",
        address=Address(platform=installation.platform, workspace_id=installation.workspace_id, channel_id=""),
        sent_at=now - _OLDEST_TOKEN,
        received_at=now,
        correlation_id=f"revoked-{installation.id}"[:128],
    )
    try:
        publish(signal, queue=queue, trace_header=lambda: None)
    except ServiceError as exc:
        logger.error("revoked token not reported", extra={"code": exc.code, "platform": installation.platform})
