"""The stand-in model as a context manager: running inside the block, gone after it."""

import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from local.standin_model.recording import RecordedRequest
from local.standin_model.script import Behaviour
from local.standin_model.server import StandInServer


class StandInModel:
    """A running stand-in model.

    Args:
        host: Where it listens.
        port: 0 takes a free one.
        keep_requests: How many of the latest requests it remembers.
        log: Gets one line per request, without content.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keep_requests: int = 10_000,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._start = partial(StandInServer, host, port, keep_requests=keep_requests, log=log)
        self._server: StandInServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._server = self._start()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="stand-in-model")
        self._thread.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.close()
        if self._thread is not None:
            self._thread.join()

    @property
    def _running(self) -> StandInServer:
        if self._server is None:
            raise RuntimeError("The stand-in model does not run: enter it with `with`.")
        return self._server

    @property
    def base_url(self) -> str:
        """What goes into OPENAI_BASE_URL; ends in `/v1`."""
        return f"http://{self._running.server_name}:{self._running.server_port}/v1"

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests so far, oldest first."""
        return self._running.recorder.requests()

    def wait_for(self, condition: Callable[[list[RecordedRequest]], bool], timeout: float = 5) -> list[RecordedRequest]:
        """The requests, as soon as `condition` holds for them.

        Raises:
            TimeoutError: It did not within `timeout` seconds.
        """
        return self._running.recorder.wait_for(condition, timeout)

    def script(self, *behaviours: Behaviour) -> None:
        """Queue behaviours, one for each of the next requests to the model."""
        self._running.script.add(behaviours)

    def clear(self) -> None:
        """Forget what is queued and what was asked; ids go on counting."""
        self._running.script.clear()
        self._running.recorder.clear()
