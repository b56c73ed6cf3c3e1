"""The server itself: `/v1/…` is the API, `/openapi.json` its document, `/mcp` the MCP server, `/_fake/` the control.

`GET /_fake/calls` says what was called and what took effect, `DELETE` forgets it.
"""

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from local.fake_tools.api import answer_api, make_document
from local.fake_tools.mcp import MODERN, McpServer
from local.fake_tools.orders import Call, Orders

TOKEN = "orders-demo-token"
_LONGEST_BODY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """What is answered instead of the right answer.

    Attributes:
        drip_seconds: Wait so long before each byte of the body; 0: send it whole.
        is_open: Name no length and keep the connection open after the body.
        is_dropped: Close the connection without an answer.
        has_effect: Do first what was asked for, and lose its answer.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    body: bytes = b"{}"
    drip_seconds: float = 0.0
    is_open: bool = False
    is_dropped: bool = False
    has_effect: bool = False


class FakeTools:
    """The services on a loopback port. `answers_in_events`: MCP answers come as server-sent events."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str = TOKEN,
        revision: str = MODERN,
        answers_in_events: bool = False,
    ) -> None:
        self.token = token
        self.orders = Orders()
        self.mcp = McpServer(self.orders, token, revision)
        self.answers_in_events = answers_in_events
        self.closing = threading.Event()
        self._scripted: deque[Scripted] = deque()
        self._listener = _Listener((host, port), type("Handler", (_Handler,), {"tools": self}))
        self.host, self.port = host, self._listener.server_port
        self.url = f"http://{host}:{self.port}"
        self.api_url = f"{self.url}/v1"
        self.mcp_url = f"{self.url}/mcp"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def serve_forever(self) -> None:
        """Answer on this thread until the process is interrupted."""
        self._listener.serve_forever()

    def close(self) -> None:
        """Stop answering and let go of every connection that is kept open."""
        self.closing.set()
        if self._thread.is_alive():
            self._listener.shutdown()
        self._listener.server_close()

    @property
    def document(self) -> dict[str, object]:
        """The OpenAPI document of the API."""
        return make_document(self.api_url)

    @property
    def calls(self) -> list[Call]:
        """Every call of the API and of the MCP server, in the order they came in."""
        with self.orders.lock:
            return list(self.orders.calls)

    @property
    def effects(self) -> list[str]:
        """The idempotency key of every order that was placed."""
        with self.orders.lock:
            return list(self.orders.effects)

    def answer_next(self, *scripted: Scripted) -> None:
        """Answer the next calls like this, one each."""
        self._scripted.extend(scripted)

    def answer(self, call: Call) -> Scripted:
        """The answer to one call."""
        with self.orders.lock:
            self.orders.calls.append(call)
        try:
            scripted = self._scripted.popleft()
        except IndexError:
            return self._answer_rightly(call)
        if scripted.has_effect:
            self._answer_rightly(call)
        return scripted

    def control(self, method: str) -> dict[str, object]:
        """What was called and what took effect; `DELETE` forgets it."""
        seen = {
            "calls": [{"method": call.method, "path": call.path} for call in self.calls],
            "effects": list[object](self.effects),
        }
        if method == "DELETE":
            with self.orders.lock:
                self.orders.calls.clear()
                self.orders.effects.clear()
        return dict(seen)

    def _answer_rightly(self, call: Call) -> Scripted:
        if call.path == "/mcp":
            return self._answer_mcp(call)
        if call.path == "/openapi.json":
            return Scripted(body=json.dumps(self.document).encode())
        status, value = answer_api(call, self.orders, self.token) if call.path.startswith("/v1/") else (404, {})
        return Scripted(status=status, body=json.dumps(value, indent=2).encode())

    def _answer_mcp(self, call: Call) -> Scripted:
        if call.method != "POST":
            return Scripted(status=405)
        answer = self.mcp.answer(call)
        if answer.message is None:
            return Scripted(status=answer.status, headers=answer.headers, body=b"")
        text = json.dumps(answer.message)
        if self.answers_in_events and answer.status == 200:
            notice = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"…"}}'
            body = f": here it comes\r\ndata: {notice}\r\n\r\nevent: message\r\ndata: {text}\r\n\r\n"
            headers = {"Content-Type": "text/event-stream", **answer.headers}
            return Scripted(headers=headers, body=body.encode(), is_open=True)
        return Scripted(
            status=answer.status, headers={"Content-Type": "application/json", **answer.headers}, body=text.encode()
        )


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tools: FakeTools

    def _answer(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), _LONGEST_BODY))
        if self.path.startswith("/_fake/"):
            self._write(Scripted(body=json.dumps(self.tools.control(self.command)).encode()))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._write(self.tools.answer(Call(self.command, self.path, headers, body)))

    def _write(self, answer: Scripted) -> None:
        if answer.is_dropped:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.is_open:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self._write_body(answer)
        if answer.is_open:
            self.tools.closing.wait(30)

    def _write_body(self, answer: Scripted) -> None:
        if not answer.drip_seconds:
            self.wfile.write(answer.body)
            return
        for byte in answer.body:
            if self.tools.closing.wait(answer.drip_seconds):
                return
            self.wfile.write(bytes([byte]))

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the caller had enough
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called with
        """Say nothing."""

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names it looks for
