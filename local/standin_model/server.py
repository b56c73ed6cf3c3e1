"""The stand-in model over HTTP/1.1: a thread per connection, keep-alive, chunked streams."""

import json
import math
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import override
from urllib.parse import urlsplit

from local.standin_model import chat, responses, speech
from local.standin_model.answers import compose, failure
from local.standin_model.prompt import Prompt
from local.standin_model.recording import RecordedRequest, Recorder
from local.standin_model.script import Behaviour, Script, behaviours_from_json
from local.standin_model.tokens import PrefixCache
from local.standin_model.values import Answer, ApiError, Frame, Json, JsonObject, dump

MODEL = "stand-in"

_TRANSCRIPTIONS = "/v1/audio/transcriptions"
_LARGEST_BODY = 20 * 1024 * 1024
_MOST_DRAINED = 4 * _LARGEST_BODY  # of a refused body, so that its sender comes to read the refusal
_LOOK_SECONDS = 0.1  # how often a waiting answer looks whether its client is still there
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT


@dataclass(frozen=True, slots=True)
class _Api:
    """One of the two APIs: how it reads a request and shapes an answer."""

    read: Callable[[JsonObject], Prompt]
    whole: Callable[[Prompt, Answer, int, int], JsonObject]
    frames: Callable[[Prompt, Answer, int, int], Iterator[Frame]]


_APIS = {
    "/v1/chat/completions": _Api(chat.read, chat.whole, chat.frames),
    "/v1/responses": _Api(responses.read, responses.whole, responses.frames),
}


class StandInServer(ThreadingHTTPServer):
    """The listening server and what its connections share."""

    daemon_threads = False  # closing waits for the connections' threads
    request_queue_size = 256

    def __init__(self, host: str, port: int, *, keep_requests: int, log: Callable[[str], None] | None) -> None:
        self.script = Script()
        self.recorder = Recorder(keep_requests)
        self.cache = PrefixCache()
        self.log = log
        self._host = host
        self._connections: set[socket.socket] = set()
        super().__init__((host, port), _Handler)

    @override
    def server_bind(self) -> None:
        # HTTPServer asks the name service for its own name here, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self._host, self.server_address[1]

    @override
    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    @override
    def close_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            self._connections.discard(request)
        super().close_request(request)

    @override
    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Cut every connection and wait until nothing of the server is left. Not from the thread that serves."""
        self.shutdown()
        for connection in list(self._connections):
            _cut(connection)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StandInServer
    protocol_version = "HTTP/1.1"
    server_version = "stand-in-model"
    sys_version = ""
    disable_nagle_algorithm = True
    _number = 0  # of the request on this connection that is being answered
    _unread = 0  # bytes of its body that were left where they are

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._serve(self._get)

    def do_POST(self) -> None:
        """Answer a POST request."""
        self._serve(self._post)

    def _serve(self, answer: Callable[[str, RecordedRequest], None]) -> None:
        path = urlsplit(self.path).path
        headers = {name.lower(): value for name, value in self.headers.items()}
        is_recorded = path.startswith("/v1/")
        recorder = self.server.recorder if is_recorded else Recorder(1)
        self._recorder, self._request = recorder, recorder.begin(path, headers)
        self._number = self._request.number if is_recorded else 0
        try:
            answer(path, self._request)
        except ApiError as error:
            self._refuse(error)
        except ConnectionError:
            self._recorder.end(self._request, "client_gone")
            self.close_connection = True

    def _refuse(self, error: ApiError) -> None:
        self._recorder.end(self._request, "refused")
        self._send_json(error.status, error.body, retry_after=error.retry_after)
        while self._unread > 0 and (piece := self.rfile.read(min(self._unread, 1024 * 1024))):
            self._unread -= len(piece)

    def _get(self, path: str, _: RecordedRequest) -> None:
        model: JsonObject = {"id": MODEL, "object": "model", "created": 0, "owned_by": "stand-in"}
        if path == "/v1/models":
            self._send_whole({"object": "list", "data": [model]})
        elif path == f"/v1/models/{MODEL}":
            self._send_whole(model)
        elif path == "/standin/requests":
            self._send_whole({"requests": [_summary(each) for each in self.server.recorder.requests()]})
        else:
            raise _unknown("GET", path)

    def _post(self, path: str, request: RecordedRequest) -> None:
        raw = self._read_body()
        if path == "/standin/script":
            behaviours = behaviours_from_json(_parsed(raw))
            self.server.script.add(behaviours)
            self._send_whole({"queued": len(behaviours)})
            return
        if path == _TRANSCRIPTIONS:
            self._transcribe(raw, request)
            return
        if path not in _APIS:
            raise _unknown("POST", path)
        body = _parsed(raw)
        if not isinstance(body, dict):
            raise ApiError(400, "The body must be a JSON object.")
        prompt = _APIS[path].read(body)
        self._recorder.understood(request, body, prompt.question)
        self._answer(_APIS[path], prompt, self.server.script.behaviour_for(prompt.question))

    def _transcribe(self, raw: bytes, request: RecordedRequest) -> None:
        asked = speech.read(self.headers.get("Content-Type", ""), raw)
        self._recorder.understood(request, asked.body, asked.transcript)
        behaviour = self.server.script.behaviour_for_speech(asked.transcript)
        self._pause(behaviour)
        if error := failure(behaviour):
            raise error
        if behaviour.hang_up:
            self._break_off()
        else:
            self._send_whole(asked.answer())

    def _answer(self, api: _Api, prompt: Prompt, behaviour: Behaviour) -> None:
        error = failure(behaviour)
        if error is not None or behaviour.hang_up:
            self._pause(behaviour)
            if error is not None:
                raise error
            self._break_off()
            return
        answer = compose(prompt, behaviour, self.server.cache)
        number, created = self._request.number, int(time.time())
        if prompt.is_streaming:
            self._stream(list(api.frames(prompt, answer, number, created)), behaviour)
            return
        self._pause(behaviour)
        if behaviour.break_after is not None:
            self._break_off()
        elif behaviour.fail_after is not None:
            raise ApiError(500, "The stand-in model was told to fail.", kind="server_error")
        else:
            self._send_whole(api.whole(prompt, answer, number, created))

    def _stream(self, frames: list[Frame], behaviour: Behaviour) -> None:
        """Send the frames one by one, as slowly, and as far, as it was told to."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if behaviour.break_after is not None:
            self._send_frames(_cut_off(frames, behaviour.break_after), behaviour)
            self._break_off()
            return
        self._send_frames(frames[:-1], behaviour)
        if self._request.deltas_sent <= behaviour.hold_at:
            self._hold(behaviour.gate)
        # Recorded first: who has read the last event must find the request finished.
        self._recorder.end(self._request, "finished")
        self.wfile.write(_chunk(frames[-1].data) + b"0\r\n\r\n")

    def _send_frames(self, frames: Iterable[Frame], behaviour: Behaviour) -> None:
        for frame in frames:
            sent = self._request.deltas_sent
            if frame.is_delta:
                self._wait(behaviour.delay_ms / 1_000 if sent else behaviour.slow_seconds)
                if sent == behaviour.hold_at:
                    self._hold(behaviour.gate)
            self.wfile.write(_chunk(frame.data))
            if frame.is_delta:
                self._recorder.delta_sent(self._request)

    def _pause(self, behaviour: Behaviour) -> None:
        """The waiting before an answer that comes in one piece."""
        self._wait(behaviour.slow_seconds)
        self._hold(behaviour.gate)

    def _hold(self, gate: threading.Event | None) -> None:
        if gate is None or gate.is_set():
            return
        self._recorder.held(self._request, is_held=True)
        try:
            self._wait(math.inf, gate)
        finally:
            self._recorder.held(self._request, is_held=False)

    def _wait(self, seconds: float, gate: threading.Event | None = None) -> None:
        """Wait so long, or until the gate opens.

        Raises:
            ConnectionError: The client has gone, or the server closes.
        """
        ends = time.monotonic() + seconds
        while not (gate and gate.is_set()) and (left := ends - time.monotonic()) > 0:
            step = min(left, _LOOK_SECONDS)
            if gate:
                gate.wait(step)
            else:
                time.sleep(step)
            if self._is_client_gone():
                raise ConnectionAbortedError

    def _is_client_gone(self) -> bool:
        try:
            peeked: bytes = self.connection.recv(1, _PEEK)
        except BlockingIOError:
            return False
        return not peeked

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            self.close_connection = True
            raise ApiError(411, "The request needs a Content-Length.")
        if int(length) > _LARGEST_BODY:
            self._unread = min(int(length), _MOST_DRAINED)
            self.close_connection = True
            raise ApiError(413, f"The body is larger than {_LARGEST_BODY} bytes.", code="request_too_large")
        raw = self.rfile.read(int(length))
        if len(raw) < int(length):
            raise ConnectionAbortedError
        return raw

    def _send_whole(self, body: JsonObject) -> None:
        self._recorder.end(self._request, "finished")
        self._send_json(200, body)

    def _send_json(self, status: int, body: JsonObject, *, retry_after: float | None = None) -> None:
        data = dump(body).encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after is not None:
            self.send_header("Retry-After", f"{retry_after:g}")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def _break_off(self) -> None:
        self._recorder.end(self._request, "broken")
        self.close_connection = True

    @override
    def end_headers(self) -> None:
        self.send_header("x-request-id", f"req_standin{self._number:06d}")
        self.send_header("x-stand-in", "true")
        super().end_headers()

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class finds wrong (a method, a request line), in the vendor's shape."""
        self.close_connection = True
        self._send_json(code, ApiError(code, message or "The request is not valid HTTP.").body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        if self.server.log is not None:
            self.server.log(format % args)


def _unknown(method: str, path: str) -> ApiError:
    return ApiError(404, f"Invalid URL ({method} {path[:200]})", code="unknown_url")


def _parsed(raw: bytes) -> Json:
    try:
        parsed: Json = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, "The body is not valid JSON.") from exc
    return parsed


def _cut_off(frames: list[Frame], deltas: int) -> list[Frame]:
    """The frames up to that many deltas, and never the last one."""
    places = [index for index, frame in enumerate(frames) if frame.is_delta]
    if deltas < len(places):
        return frames[: places[deltas]]
    return frames[: places[-1] + 1] if places else frames[:-1]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _cut(connection: socket.socket) -> None:
    """End a connection at once, whoever reads or writes it."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # the other side was first
        return


def _summary(request: RecordedRequest) -> JsonObject:
    """A request as the outside sees it: without its authorization header."""
    headers: JsonObject = {name: value for name, value in request.headers.items() if name != "authorization"}
    return {
        "number": request.number,
        "path": request.path,
        "headers": headers,
        "body": request.body,
        "question": request.question,
        "deltas_sent": request.deltas_sent,
        "outcome": request.outcome,
    }
