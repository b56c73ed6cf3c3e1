"""Signals: what happened that is not a question. One module per subject; each signal is handled in its company.

A subject is a function that takes a `Case` and returns in a word what came of it. Delivered twice, it does the same
once: whatever it writes is a condition, or the same again. It raises RetryableError to be delivered again.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from core.errors import PermanentError
from core.events import ImportQueued, MessageReceived, SignalKind, SignalReceived
from core.models import Installation
from core.platforms import Outbound
from core.queues import Delivery
from core.signals.answers import name_answer
from core.signals.approval import decide, expire
from core.signals.case import Case
from core.signals.feedback import note_feedback
from core.signals.importing import decide_import, is_about_import, tell_import
from core.signals.installations import uninstall
from core.signals.pages import show_home, welcome
from core.signals.revising import delete, edit
from core.signals.stopping import stop
from core.store import Store
from core.telemetry import logger, metrics

_SUBJECTS: Mapping[SignalKind, Callable[[Case], str]] = {
    SignalKind.APPROVAL: decide,
    SignalKind.OVERDUE: expire,
    SignalKind.STOP: stop,
    SignalKind.FEEDBACK: note_feedback,
    SignalKind.WELCOME: welcome,
    SignalKind.HOME: show_home,
    SignalKind.IMPORT: tell_import,
    SignalKind.UNINSTALL: uninstall,
    SignalKind.EDIT: edit,
    SignalKind.DELETE: delete,
}
# What is about the installation itself is handled where it is switched off, too, and so is what must come to an end.
_ALWAYS = frozenset({SignalKind.INSTALL, SignalKind.UNINSTALL, SignalKind.OVERDUE})


def handle_signal(
    delivery: Delivery[SignalReceived],
    *,
    store: Store,
    connect: Callable[[Installation], Outbound],
    resume: Callable[[MessageReceived], None],
    go_on: Callable[[ImportQueued], None],
    clock: Callable[[], datetime],
    forget_secret: Callable[[str], None],
) -> None:
    """Handle one signal. What nobody handles, as what a later release means by it, ends quietly.

    Raises:
        RetryableError: Deliver the signal again.
    """
    signal = delivery.message
    if signal.kind is SignalKind.UNINSTALL and signal.address.channel_id:
        _end(signal, "one-place")  # the workspace keeps the app
        return
    subject = _SUBJECTS.get(signal.kind)
    if subject is None:
        _end(signal, "unhandled")
        return
    installation = store.directory.find_installation(signal.address.platform, signal.address.workspace_id)
    if installation is None or not (installation.enabled or signal.kind in _ALWAYS):
        _end(signal, "no-installation")
        return
    case = Case(
        signal=signal,
        attempt=delivery.attempt,
        is_last=delivery.is_last,
        installation=installation,
        store=store,
        connect=connect,
        resume=resume,
        go_on=go_on,
        clock=clock,
        forget_secret=forget_secret,
    )
    _end(signal, _try(subject, case))


def _try(subject: Callable[[Case], str], case: Case) -> str:
    try:
        return _handle(subject, case)
    except PermanentError as exc:
        signal = case.signal
        about = {"correlation_id": signal.correlation_id, "kind": signal.kind.value, "code": exc.code}
        logger.error("signal failed", extra=about)
        return "failed"


def _handle(subject: Callable[[Case], str], case: Case) -> str:
    if case.signal.kind is SignalKind.FEEDBACK and not case.signal.reference:
        named = name_answer(case)
        return "unknown-answer" if named is None else subject(named)
    if case.signal.kind is SignalKind.APPROVAL and is_about_import(case):
        return decide_import(case)
    return subject(case)


def _end(signal: SignalReceived, outcome: str) -> None:
    kind, platform = signal.kind.value, signal.address.platform
    metrics.count("SignalsEnded", kind=kind, outcome=outcome, platform=platform)
    about = {"correlation_id": signal.correlation_id, "kind": kind, "outcome": outcome}
    logger.info("signal ended", extra=about)
