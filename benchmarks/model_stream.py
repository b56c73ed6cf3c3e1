"""Our CPU time to read 500 small deltas of the model, against the openai package's typed stream, over loopback.

Run it with `python benchmarks/model_stream.py [--api responses|chat] [--rounds N] [--paced]`. The server is another
process, so only the reading side is counted (user and system time). Both read the same bytes through the same kind of
client; the rounds take turns. `--paced` lets each event arrive by itself, as it does from a model: the cost of waking
up and of a read per event, the same for both, comes on top. The last line is `ratio N.NN`: the typed stream's CPU time
over ours, medians.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "layers" / "core"), str(ROOT / "layers" / "agent")]

from agent.model import OpenAIModel  # noqa: E402 - the layers are found by now
from agent.model_values import ModelMessage, ModelRequest, TextDelta  # noqa: E402
from core.models import ApiKind, Role  # noqa: E402

_DELTAS = 500
_PIECE = " word"


def _events(api: ApiKind) -> list[bytes]:
    """The stream as the vendor sends it, all fields included."""
    if api is ApiKind.CHAT:
        head: dict[str, object] = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        rest: dict[str, object] = {"index": 0, "logprobs": None}
        values = [
            head | {"choices": [rest | {"delta": {"content": _PIECE}, "finish_reason": None}], "usage": None}
        ] * _DELTAS
        values.append(head | {"choices": [rest | {"delta": {}, "finish_reason": "stop"}], "usage": None})
        usage = {"prompt_tokens": 9, "completion_tokens": _DELTAS, "total_tokens": _DELTAS + 9}
        values.append(head | {"choices": [], "usage": usage})
        return [b"data: " + json.dumps(value).encode() + b"\n\n" for value in values] + [b"data: [DONE]\n\n"]
    delta = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0}
    values = [
        delta | {"delta": _PIECE, "logprobs": [], "sequence_number": number, "obfuscation": "abcdefgh"}
        for number in range(_DELTAS)
    ]
    usage = {"input_tokens": 9, "output_tokens": _DELTAS, "total_tokens": _DELTAS + 9}
    response = {"id": "resp_1", "status": "completed", "model": "m", "output": [], "usage": usage}
    values.append({"type": "response.completed", "response": response, "sequence_number": _DELTAS})
    return [f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode() for value in values]


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in _events(ApiKind.CHAT if "chat" in self.path else ApiKind.RESPONSES):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
            if self.path.startswith("/paced"):
                time.sleep(0.0002)
        self.wfile.write(b"0\r\n\r\n")

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


def _serve() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


def _ours(base_url: str, api: ApiKind) -> Callable[[], int]:
    model = OpenAIModel(api_key=lambda: "sk-benchmark", base_url=base_url)
    messages = (ModelMessage(Role.USER, "Go on."),)
    request = ModelRequest(
        model="m", api_kind=api, messages=messages, max_output_tokens=9_999, user="u", prompt_cache_key="k"
    )

    def read() -> int:
        return sum(isinstance(event, TextDelta) for event in model.stream(request, seconds=60))

    return read


def _typed(base_url: str, api: ApiKind) -> Callable[[], int]:
    import openai

    client = openai.OpenAI(api_key="sk-benchmark", base_url=base_url, max_retries=0)

    def read_chat() -> int:
        with client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "Go on."}],
            stream=True,
            stream_options={"include_usage": True},
        ) as stream:
            return sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in stream)

    def read_responses() -> int:
        with client.responses.create(model="m", input="Go on.", stream=True, store=False) as stream:
            return sum(event.type == "response.output_text.delta" for event in stream)

    return read_chat if api is ApiKind.CHAT else read_responses


def _measure(read: Callable[[], int]) -> float:
    started = time.process_time()
    if read() != _DELTAS:
        raise SystemExit("a delta was lost")
    return (time.process_time() - started) * 1_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api", choices=[each.value for each in ApiKind], default=ApiKind.RESPONSES.value)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--paced", action="store_true", help="each event arrives by itself")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve()
        return
    api = ApiKind(options.api)
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # noqa: S101 - it is a pipe
            base_url = f"http://127.0.0.1:{int(server.stdout.readline())}/{'paced' if options.paced else 'v1'}"
            readers = {"typed": _typed(base_url, api), "ours": _ours(base_url, api)}
            for read in readers.values():
                _measure(read)  # connections and imports are not what is compared
            rounds = [{name: _measure(read) for name, read in readers.items()} for _ in range(options.rounds)]
        finally:
            server.terminate()
    medians = {name: statistics.median(each[name] for each in rounds) for name in readers}
    for name, milliseconds in medians.items():
        print(f"{name:6} {milliseconds:6.1f} ms CPU for {_DELTAS} deltas ({api.value}, {options.rounds} rounds)")
    print(f"ratio {medians['typed'] / medians['ours']:.2f}")


if __name__ == "__main__":
    main()
