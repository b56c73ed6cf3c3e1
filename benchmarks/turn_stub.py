"""The model, Slack and SQS of a measured turn, on loopback and in a process of its own.

`python benchmarks/turn_stub.py` prints its port and answers until its standard input closes. The model streams one
answer in as many deltas as it is told, spread over as many seconds. The model and Slack note when they were called on
the clock that all processes of a machine share, so that a turn's own time between the two is seen from outside.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, urlsplit

TEAM, CHANNEL, PERSON, EMAIL, BOT = "T0BENCH", "C0BENCH", "U0BENCH", "bench@example.com", "U0BOT"
_PIECE = " word"


class _Told:
    """How the model is to answer, and what was noted since."""

    deltas = 100
    seconds = 0.0
    numbers = count(1)
    first_delta: float | None = None
    first_call: float | None = None


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Tell the model how to answer, or tell what was noted."""
        asked = parse_qs(urlsplit(self.path).query)
        if "deltas" in asked:
            _Told.deltas, _Told.seconds = int(asked["deltas"][0]), float(asked["seconds"][0])
            _Told.first_delta = _Told.first_call = None
        if urlsplit(self.path).path == "/api/users.info":
            profile = {"email": EMAIL, "real_name": "Bench"}
            self._answer({"ok": True, "user": {"id": PERSON, "team_id": TEAM, "profile": profile}})
            return
        self._answer({"first_delta": _Told.first_delta, "first_call": _Told.first_call})

    def do_POST(self) -> None:
        """One call of the model's API or of Slack's."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path.startswith("/v1/"):
            self._stream()
            return
        if self.headers.get("x-amz-target"):
            self._answer({"Successful": [], "Failed": []})
            return
        method = self.path.rpartition("/")[2]
        if method.startswith("chat.") and _Told.first_call is None:
            _Told.first_call = time.monotonic()
        if method == "users.info":
            profile = {"email": EMAIL, "real_name": "Bench"}
            self._answer({"ok": True, "user": {"id": PERSON, "team_id": TEAM, "profile": profile}})
            return
        channel = (parse_qs(body.decode()).get("channel") or [CHANNEL])[0]
        self._answer({"ok": True, "channel": channel, "ts": f"1900000000.{next(_Told.numbers):06}", "messages": []})

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        delta = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0}
        for number in range(_Told.deltas):
            time.sleep(_Told.seconds / _Told.deltas)
            self._event(delta | {"delta": _PIECE, "logprobs": [], "sequence_number": number})
            if _Told.first_delta is None:
                _Told.first_delta = time.monotonic()
        usage = {"input_tokens": 9, "output_tokens": _Told.deltas, "total_tokens": _Told.deltas + 9}
        response = {"id": "resp_1", "status": "completed", "model": "bench", "output": [], "usage": usage}
        self._event({"type": "response.completed", "response": response, "sequence_number": _Told.deltas})
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, value: dict[str, object]) -> None:
        event = f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


def main() -> None:
    """Serve until standard input closes."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        server.daemon_threads = True
        print(server.server_port, flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
