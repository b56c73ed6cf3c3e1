"""An HTTP server that answers with exactly the bytes a test gives it: what no well-behaved model server would send."""

import json
import socket
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self, override

from agent.model_values import ModelMessage, ModelRequest
from core.models import ApiKind, Role


@dataclass(frozen=True, kw_only=True)
class Scripted:
    """One answer. Every piece is one write to the network; `linger` keeps the connection open after the last one."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Iterable[bytes] = ()
    linger: bool = False


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]
    client: tuple[str, int]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: deque[Scripted] = deque()
        self.asked: list[Asked] = []
        self.closing = threading.Event()

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves early is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(self.path, headers, json.loads(raw), self.client_address))
        answer = self.server.answers.popleft()
        self.send_response_only(answer.status)
        for name, value in {"content-type": "text/event-stream", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in answer.pieces:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if answer.linger:
            self.server.closing.wait(30)
        self.wfile.write(b"0\r\n\r\n")

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class ModelServer:
    """Runs inside a `with` block; answers in the order given, one per request."""

    def __init__(self, *answers: Scripted) -> None:
        self._server = _Server()
        self._server.answers.extend(answers)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def asked(self) -> list[Asked]:
        return self._server.asked


def ask(api_kind: ApiKind, text: str = "What is up?", *, limit: int = 500) -> ModelRequest:
    """A request with every field set."""
    return ModelRequest(
        model="stand-in",
        api_kind=api_kind,
        messages=(ModelMessage(Role.SYSTEM, "Be brief."), ModelMessage(Role.USER, text)),
        max_output_tokens=limit,
        user="opaque-person",
        prompt_cache_key="opaque-prompt",
    )


def unused_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def error(status: int, *, headers: Mapping[str, str] | None = None, **fields: object) -> Scripted:
    """An error answer in the vendor's shape."""
    body = json.dumps(
        {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None} | fields}
    )
    return Scripted(
        status=status, headers={"content-type": "application/json", **(headers or {})}, pieces=[body.encode()]
    )


def chat_events(*texts: str, reason: str | None = "stop", usage: object = None, done: bool = True) -> bytes:
    """The bytes of a Chat Completions stream."""
    chunks: list[object] = [{"choices": [{"delta": {"content": text}, "finish_reason": None}]} for text in texts]
    if reason:
        chunks.append({"choices": [{"delta": {}, "finish_reason": reason}]})
    if usage is not None:
        chunks.append({"choices": [], "usage": usage})
    events = [b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n" for chunk in chunks]
    return b"".join(events) + (b"data: [DONE]\n\n" if done else b"")


def responses_events(*texts: str, **response: object) -> bytes:
    """The bytes of a Responses API stream that completes."""
    events: list[dict[str, object]] = [{"type": "response.output_text.delta", "delta": text} for text in texts]
    events.append({"type": "response.completed", "response": {"status": "completed", **response}})
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode() for event in events
    )
