"""Ending a turn from outside, whatever it does: a look at its flags every 1.5 seconds, beside whatever it waits for.

The looks run in a thread of their own, so that neither a silent model nor a slow tool keeps them waiting; a turn that
is over sooner costs no look. What waits for the model or for a tool waits here, and is woken.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime
from queue import SimpleQueue
from types import TracebackType

from agent.tools import TurnInterruptedError
from core.errors import ServiceError
from core.models import STOPPED, Conversation
from core.store import Claim, ClaimLostError, Interruption, Store
from core.telemetry import logger

_SECONDS_BETWEEN = 1.5  # a stop counts within two seconds; a short answer never pays for a look


class TurnStoppedError(TurnInterruptedError):
    """Somebody asked this turn to stop. `finish_reason` is that of its reply."""

    finish_reason = STOPPED


class QuestionChangedError(TurnInterruptedError):
    """The question was edited or deleted."""


class Watch:
    """Looks whether a run may go on, while the block lasts; without the block it always may."""

    def __init__(self, look: Callable[[], None] = lambda: None, *, known: TurnInterruptedError | None = None) -> None:
        """`look` raises what ends the run; an error of the table counts as no look at all. `known` ends it already."""
        self._look = look
        self._is_over = threading.Event()
        self._interruption: Future[None] = Future()
        if known:
            self._interruption.set_exception(known)

    def __enter__(self) -> "Watch":
        if not self._interruption.done():
            threading.Thread(target=self._run, name="watch", daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._is_over.set()

    def _run(self) -> None:
        while not self._is_over.wait(_SECONDS_BETWEEN):
            try:
                self._look()
            except (TurnInterruptedError, ClaimLostError) as exc:
                self._interruption.set_exception(exc)
                return
            except ServiceError as exc:
                logger.warning("stop flag not read", extra={"code": exc.code})
            # Nobody sees what a thread raises: the turn has to.
            except BaseException as exc:  # noqa: BLE001
                self._interruption.set_exception(exc)
                return

    def check(self) -> None:
        """Return if the run may go on, by the latest look; raise what ends it, if not."""
        if self._interruption.done():
            self._interruption.result()

    def wait_for[T](self, future: Future[T], seconds: float) -> T:
        """The future's result, as soon as it is there.

        Raises:
            TimeoutError: It was not there in time.
        """
        is_woken = threading.Event()
        future.add_done_callback(lambda _: is_woken.set())
        self._interruption.add_done_callback(lambda _: is_woken.set())
        is_woken.wait(seconds)
        if future.done():
            return future.result()
        self.check()
        raise FutureTimeoutError

    def follow[T](self, events: Iterable[T]) -> Iterator[T]:
        """The events as they arrive; where the run is ended, their source is left to itself and closed by its reader.

        Raises:
            BaseException: What the source raised, or what ends the run.
        """
        arrived: SimpleQueue[tuple[T] | BaseException | None] = SimpleQueue()
        is_left = threading.Event()
        self._interruption.add_done_callback(lambda _: arrived.put(None))
        threading.Thread(target=_read, args=(events, arrived, is_left), name="model", daemon=True).start()
        try:
            while (event := arrived.get()) is not None:
                self.check()
                if isinstance(event, BaseException):
                    raise event
                yield event[0]
            self.check()
        finally:
            is_left.set()


def _read[T](
    events: Iterable[T], arrived: "SimpleQueue[tuple[T] | BaseException | None]", is_left: threading.Event
) -> None:
    try:
        for event in events:
            arrived.put((event,))
            if is_left.is_set():
                break
        getattr(events, "close", lambda: None)()
    # Whatever it is, the turn that reads along has to see it.
    except BaseException as exc:  # noqa: BLE001
        arrived.put(exc)
    else:
        arrived.put(None)


def find_stop(conversation: Conversation, sent_at: datetime) -> TurnStoppedError | None:
    """What ends a turn before it does anything: somebody said stop while its message of `sent_at` still waited."""
    is_late = conversation.stop_before is not None and sent_at < conversation.stop_before
    return TurnStoppedError() if is_late or conversation.cancel_requested else None


def look_for(store: Store, claim: Claim, edition: datetime | None, *, consistent: bool = False) -> None:
    """Return if a turn may go on that answers its question in the form of `edition`.

    Raises:
        TurnStoppedError: Somebody asked it to stop.
        QuestionChangedError: The question was changed since.
        ClaimLostError: A later delivery took the conversation over.
    """
    match store.interruptions.look(claim, edition, consistent=consistent):
        case Interruption.STOP:
            raise TurnStoppedError
        case Interruption.READ_AGAIN:
            raise QuestionChangedError
