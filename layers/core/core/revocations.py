"""A platform no longer takes an installation's token: the same as if it had said that the app was removed."""

from collections.abc import Callable
from datetime import datetime

from core.errors import ServiceError
from core.events import SignalKind, SignalReceived
from core.models import Address, Installation
from core.queues import Queue, publish
from core.telemetry import logger


def report_revoked(installation: Installation, *, queue: Queue, clock: Callable[[], datetime]) -> None:
    """Let the processor of signals end `installation`. Raises nothing: the next refusal reports it again."""
    now = clock()
    signal = SignalReceived(
        kind=SignalKind.UNINSTALL,
        external_id=f"revoked-{now:%Y%m%d%H}",
        address=Address(platform=installation.platform, workspace_id=installation.workspace_id, channel_id=""),
        sent_at=now,
        received_at=now,
        correlation_id=f"revoked-{installation.id}"[:128],
    )
    try:
        publish(signal, queue=queue, trace_header=lambda: None)
    except ServiceError as exc:
        logger.error("revoked token not reported", extra={"code": exc.code, "platform": installation.platform})
