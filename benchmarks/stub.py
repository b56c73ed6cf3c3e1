"""What both webhooks send to, on loopback and in a process of its own: SQS, Secrets Manager, Lambda and Slack.

`python benchmarks/stub.py` prints its port and answers until its standard input closes. Its answers are ready-made and
it gives each connection a thread that waits in `recv`, so that the measured time is the webhook's.
"""

import json
import socket
import sys
import threading
from collections import Counter

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


def _ready(status: str, answer: object = None) -> bytes:
    body = b"" if answer is None else json.dumps(answer).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


_IDENTITY = {
    "ok": True,
    "url": "https://demo.slack.com/",
    "team": "Demo",
    "team_id": "T0DEMO0001",
    "user": "parley",
    "user_id": "U0PARLEY01",
    "bot_id": "B0PARLEY01",
}
# What a request's head contains, and its answer.
_ANSWERS = {
    b"AmazonSQS.SendMessage": _ready("200 OK", {"MessageId": "1", "SequenceNumber": "1"}),
    b"/invocations": _ready("202 Accepted"),
    b"secretsmanager.GetSecretValue": _ready("200 OK", {"Name": "signing-secret", "SecretString": SECRET}),
    b"/auth.test": _ready("200 OK", _IDENTITY),
}
_NOT_FOUND = _ready("404 Not Found", {})


def main() -> None:
    """Serve until standard input closes."""
    counts: Counter[str] = Counter()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listener, counts), daemon=True).start()
    sys.stdin.read()


def _accept(listener: socket.socket, counts: Counter[str]) -> None:
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection, counts), daemon=True).start()


def _serve(connection: socket.socket, counts: Counter[str]) -> None:
    """Answer every request of one kept-alive connection."""
    received = b""
    while data := connection.recv(65536):
        received += data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            continue
        head = received[:end]
        _, _, rest = head.lower().partition(b"content-length:")
        if len(received) < end + 4 + int(rest.partition(b"\r\n")[0] or 0):
            continue
        received = b""  # no client here sends a second request before it has read the first one's answer
        connection.sendall(_answer(head, counts))


def _answer(head: bytes, counts: Counter[str]) -> bytes:
    if b"/counts" in head:
        return _ready("200 OK", counts)
    for word, answer in _ANSWERS.items():
        if word in head:
            counts[word.decode()] += 1
            return answer
    return _NOT_FOUND


if __name__ == "__main__":
    main()
