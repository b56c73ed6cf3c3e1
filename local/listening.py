"""The port of a fake: answers on a thread, ends every connection when it is closed, and is run from a command line."""

import argparse
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol


class Fake(Protocol):
    """A fake that answers on a port."""

    def serve_forever(self) -> None: ...  # noqa: D102 - until it is closed
    def close(self) -> None: ...  # noqa: D102 - gives the port back


class Server(ThreadingHTTPServer):
    """A server that knows its open connections, so that kept-alive ones end with it."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Answer on a thread of its own."""
        if isinstance(request, socket.socket):
            with self._lock:
                self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """End a connection."""
        if isinstance(request, socket.socket):
            with self._lock:
                self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing for a caller that went away; what else goes wrong is the server's own fault and is shown."""
        del request, client_address
        if not isinstance(sys.exception(), ConnectionError):
            traceback.print_exc()

    def close_connections(self) -> None:
        """End all of them."""
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class Listener:
    """The port a fake answers on."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], host: str, port: int) -> None:
        self._server = Server((host, port), handler)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port in use, also where none was asked for."""
        return int(self._server.server_address[1])

    def serve(self) -> None:
        """Answer on this thread until closed."""
        self._server.serve_forever(poll_interval=0.02)

    def start(self) -> None:
        """Answer on a thread of its own."""
        self._thread = threading.Thread(target=self.serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give the port back and end every connection."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.close_connections()


def run[F: Fake](
    parser: argparse.ArgumentParser,
    *,
    port: int,
    make: Callable[[argparse.Namespace], F],
    introduce: Callable[[F], str],
) -> int:
    """Run a fake from the command line until it is interrupted; 1 where its port is taken."""
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=port)
    told = parser.parse_args()
    try:
        fake = make(told)
    except OSError as error:
        print(f"{parser.prog} cannot listen on {told.host}:{told.port}: {error.strerror}", file=sys.stderr)
        return 1
    print(introduce(fake), flush=True)
    try:
        fake.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        fake.close()
    return 0
