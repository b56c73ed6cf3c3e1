"""A company's commercial API that behaves like one: takes batches once per key, and can be told to fail.

`POST /records` takes `{"records": […]}` under its `Idempotency-Key`, `GET /records/<key>` says what became of it.
"""

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

TOKEN = "commercial-demo-token"
_MAX_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What happens to the next call instead of, or after, what was asked for.

    Attributes:
        status: Answered; 0: the connection is closed without an answer.
        has_effect: The batch is taken first.
        of: The only method that it happens to.
    """

    status: int
    has_effect: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    of: str = "POST"


class FakeCommercialApi:
    """The API on a loopback port."""

    def __init__(self, token: str = TOKEN, host: str = "127.0.0.1", port: int = 0) -> None:
        self.token = token
        self.taken: dict[str, dict[str, Any]] = {}  # by key, in the order of arrival
        self.calls: list[tuple[str, str]] = []  # method and key
        self.troubles: deque[Trouble] = deque()
        self._lock = threading.Lock()
        self._listener = ThreadingHTTPServer((host, port), type("Handler", (_Handler,), {"api": self}))
        self._listener.daemon_threads = True
        self.url = f"http://{host}:{self._listener.server_port}/records"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.shutdown()
        self._listener.server_close()

    @property
    def records(self) -> list[Any]:
        """Every record that arrived, in order."""
        return [record for body in self.taken.values() for record in body["records"]]

    def next_trouble(self, method: str) -> Trouble | None:
        """What is to go wrong with this call."""
        with self._lock:
            if self.troubles and self.troubles[0].of == method:
                return self.troubles.popleft()
        return None

    def take(self, key: str, body: dict[str, Any]) -> str:
        """Take a batch; its reference. The same key again changes nothing."""
        with self._lock:
            self.taken.setdefault(key, body)
            return f"COM-{list(self.taken).index(key) + 1:04}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: FakeCommercialApi

    def do_POST(self) -> None:
        """Take a batch."""
        body = self.rfile.read(min(int(self.headers.get("content-length", "0")), _MAX_BODY))
        key = self.headers.get("idempotency-key", "")
        self.api.calls.append(("POST", key))
        trouble = self.api.next_trouble("POST")
        if self.headers.get("authorization") != f"Bearer {self.api.token}":
            self._answer(401, {"error": "unauthorised"})
        elif trouble is None or trouble.has_effect:
            is_known = key in self.api.taken
            reference = self.api.take(key, json.loads(body))
            if trouble:
                self._fail(trouble)
            else:
                self._answer(409 if is_known else 201, {"id": reference})
        else:
            self._fail(trouble)

    def do_GET(self) -> None:
        """Say what became of a batch."""
        key = unquote(self.path.partition("?")[0].rpartition("/")[2])
        self.api.calls.append(("GET", key))
        trouble = self.api.next_trouble("GET")
        if trouble:
            self._fail(trouble)
        elif key in self.api.taken:
            self._answer(200, {"id": self.api.take(key, {})})
        else:
            self._answer(404, {"error": "unknown key"})

    def _fail(self, trouble: Trouble) -> None:
        if trouble.status:
            self._answer(trouble.status, {"error": "as told"}, trouble.headers)
        else:
            self.close_connection = True

    def _answer(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""
