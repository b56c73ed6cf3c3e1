"""The outbound HTTP, against real sockets on loopback that answer whatever a test scripts."""

import json
import logging
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import PermanentError, RetryableError, ServiceError
from core.http import Http, read_retry_after

_SECRET = "xoxb-never-shown"  # in every path, query, header and body of these tests
_SECONDS = 0.4  # the time limit of the tests that run into it
_FAR_TOO_LONG = 5.0  # seconds; what the scripted servers take where nobody cuts them off is longer still


@dataclass
class Server:
    """A server that answers every request with what `answer` writes to the socket, and remembers what it was sent."""

    answer: Callable[[socket.socket], None]
    scheme: str = "http"
    address: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}/api/{_SECRET}?token={_SECRET}"

    def drip(self, sock: socket.socket, data: bytes) -> None:
        """Write `data` byte by byte, each long before a socket would give up waiting."""
        for byte in data:
            if self.stopped.wait(0.02):
                return
            sock.sendall(bytes([byte]))


@contextmanager
def _serve(answer: Callable[[socket.socket], None], *, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(answer, scheme="https" if tls else "http")

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            server.connections += 1
            with suppress(OSError):
                sock = tls.wrap_socket(self.request, server_side=True) if tls else self.request
                with sock:
                    while request := _read_request(sock):
                        server.requests.append(request)
                        server.answer(sock)

    class Listening(socketserver.ThreadingTCPServer):
        daemon_threads = True  # else its end would wait for connections that the client keeps alive

    with Listening(("127.0.0.1", 0), Connection) as listening:
        server.address = f"127.0.0.1:{listening.server_address[1]}"
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.stopped.set()
            listening.shutdown()
            thread.join()


def _read_request(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        received = sock.recv(65536)
        if not received:
            return b""
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def _raw(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def _answering(status: str, body: bytes = b"", *headers: str) -> Callable[[socket.socket], None]:
    return lambda sock: sock.sendall(_raw(status, body, *headers))


def _shows_nothing(error: ServiceError) -> bool:
    chained = error.__cause__ if error.__suppress_context__ else error.__context__  # what a traceback would print
    return _SECRET not in f"{error} {error.message} {error.code} {error!r} {chained}"


def _refusal(server: Server, **options: float) -> RetryableError:
    with pytest.raises(RetryableError) as raised:
        Http().request("GET", server.url, seconds=options.get("seconds", 10.0))
    assert _shows_nothing(raised.value)
    return raised.value


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_json_is_posted_as_utf8_and_the_answer_read() -> None:
    with _serve(_answering("200 OK", b'{"ok":true}', "X-ReQuest-ID: 7")) as server:
        answer = Http().post_json(server.url, {"text": "Zażółć 🐝"}, headers={"authorization": f"Bearer {_SECRET}"})

    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert answer.status == 200
    assert answer.json() == {"ok": True}
    assert answer.headers["x-request-id"] == "7"
    assert head.startswith(b"POST /api/")
    assert b"content-type: application/json; charset=utf-8" in head.lower()
    assert f"authorization: Bearer {_SECRET}".encode() in head
    assert json.loads(body.decode()) == {"text": "Zażółć 🐝"}


def test_a_connection_is_used_again() -> None:
    http = Http()
    with _serve(_answering("200 OK", b"{}")) as server:
        for _ in range(5):
            http.request("GET", server.url)

    assert (len(server.requests), server.connections) == (5, 1)


def test_a_connection_serves_on_after_an_error_status() -> None:
    http = Http()
    with _serve(_answering("503 Service Unavailable", b"<html>")) as server:
        for _ in range(3):
            with pytest.raises(RetryableError):
                http.request("GET", server.url)

    assert server.connections == 1


def test_threads_may_share_it() -> None:
    http = Http()
    results: list[int] = []
    with _serve(_answering("200 OK", b"{}")) as server:
        threads = [
            threading.Thread(target=lambda: results.append(http.request("GET", server.url).status)) for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert results == [200] * 12


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(status: str) -> None:
    with (
        _serve(_answering("200 OK", b"{}")) as elsewhere,
        _serve(_answering(status, b"", f"Location: {elsewhere.url}")) as server,
    ):
        answer = Http().request("GET", server.url, headers={"authorization": f"Bearer {_SECRET}"})

    assert answer.status == int(status[:3])
    assert elsewhere.connections == 0


@pytest.mark.parametrize("status", [200, 204, 400, 401, 404, 413])
def test_an_answer_that_is_not_about_load_is_handed_back(status: int) -> None:
    with _serve(_answering(f"{status} Whatever", b"")) as server:
        assert Http().request("GET", server.url).status == status


def test_an_answer_at_the_limit_is_read_whole() -> None:
    with _serve(_answering("200 OK", b"x" * 1000)) as server:
        assert len(Http().request("GET", server.url, max_bytes=1000).body) == 1000


@pytest.mark.parametrize("chunked", [False, True])
def test_a_longer_answer_is_refused_and_its_connection_not_used_again(chunked: bool) -> None:
    http = Http()
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n"
    sent = chunks if chunked else _raw("200 OK", b"x" * 5000)
    with _serve(lambda sock: sock.sendall(sent)) as server:
        for _ in range(2):
            with pytest.raises(RetryableError) as raised:
                http.request("GET", server.url, max_bytes=1000)
            assert (raised.value.code, raised.value.is_outcome_unknown) == ("answer-too-long", True)
            assert _shows_nothing(raised.value)

    assert server.connections == 2


def test_a_chunked_answer_is_read_whole_and_its_connection_used_again() -> None:
    http = Http()
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    with _serve(lambda sock: sock.sendall(chunks)) as server:
        assert [http.request("GET", server.url).body for _ in range(3)] == [b"abcdefg"] * 3

    assert server.connections == 1


def test_nobody_listening_means_the_outcome_is_known() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{_SECRET}?token={_SECRET}"
        with pytest.raises(RetryableError) as raised:
            Http().request("POST", url, body=b"{}")

    assert (raised.value.code, raised.value.is_outcome_unknown) == ("unreachable", False)
    assert _shows_nothing(raised.value)


def test_an_unknown_host_means_the_outcome_is_known() -> None:
    with pytest.raises(RetryableError) as raised:
        Http().request("POST", f"http://nowhere.invalid/{_SECRET}", body=b"{}")

    assert (raised.value.code, raised.value.is_outcome_unknown) == ("unreachable", False)
    assert "nowhere.invalid" in raised.value.message
    assert _shows_nothing(raised.value)


def test_silence_ends_after_the_time_limit_with_the_outcome_unknown() -> None:
    with _serve(lambda _: None) as server:
        started = time.monotonic()
        refusal = _refusal(server, seconds=_SECONDS)

    assert (refusal.code, refusal.is_outcome_unknown) == ("no-answer", True)
    assert _SECONDS <= time.monotonic() - started < _FAR_TOO_LONG


@pytest.mark.parametrize(
    "dripped",
    [
        b"HTTP/1.1 200 " + b"O" * 3000,
        b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 300,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 3000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3000,
    ],
    ids=["status", "headers", "body", "chunk-size", "chunks", "until-close"],
)
def test_an_answer_that_drips_in_cannot_hold_us_beyond_the_time_limit(dripped: bytes) -> None:
    with _serve(lambda sock: server.drip(sock, dripped)) as server:
        started = time.monotonic()
        refusal = _refusal(server, seconds=_SECONDS)

        assert time.monotonic() - started < _FAR_TOO_LONG
    assert (refusal.code, refusal.is_outcome_unknown) == ("no-answer", True)


def test_a_dripping_answer_that_ends_in_time_is_read_whole() -> None:
    with _serve(lambda sock: server.drip(sock, _raw("200 OK", b'{"ok":true}'))) as server:
        assert Http().request("GET", server.url, seconds=20).json() == {"ok": True}


def test_the_time_limit_holds_anew_for_each_request_of_a_connection() -> None:
    http = Http()
    with _serve(_answering("200 OK", b"{}")) as server:
        http.request("GET", server.url, seconds=10)
        server.answer = lambda _: None
        started = time.monotonic()
        with pytest.raises(RetryableError):
            http.request("GET", server.url, seconds=_SECONDS)

    assert time.monotonic() - started < _FAR_TOO_LONG
    assert server.connections == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    ],
    ids=["nothing", "no-http", "half-a-body", "no-chunk-size", "half-a-chunk", "no-gzip"],
)
def test_an_answer_that_breaks_off_leaves_the_outcome_unknown(sent: bytes) -> None:
    def answer(sock: socket.socket) -> None:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_RDWR)

    with _serve(answer) as server:
        refusal = _refusal(server)

    assert (refusal.code, refusal.is_outcome_unknown) == ("no-answer", True)


_DATE = "Date: Sat, 31 Jan 2026 09:30:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (["Retry-After: 30"], 30),
        (["rEtRy-aFtEr:  30 "], 30),
        (["Retry-After: 0"], 0),
        (["Retry-After: 1.5"], 1.5),
        (["Retry-After: 86400"], 3600),
        (["Retry-After: inf"], 3600),
        ([_DATE, "Retry-After: Sat, 31 Jan 2026 09:31:30 GMT"], 90),
        ([_DATE, "Retry-After: Sat, 31 Jan 2026 09:29:00 GMT"], None),
        ([_DATE, "Retry-After: Sat, 31 Jan 2026 09:31:30 -0000"], None),
        (["Retry-After: Sat, 31 Jan 2026 09:31:30 GMT"], None),
        (["Retry-After: -1"], None),
        (["Retry-After: nan"], None),
        (["Retry-After: soon"], None),
        (["Retry-After: "], None),
        ([], None),
    ],
)
@pytest.mark.parametrize(
    ("status", "code", "is_outcome_unknown"),
    [("429 Too Many Requests", "rate-limited", False), ("503 Service Unavailable", "server-error", True)],
)
def test_a_server_that_asks_to_wait_is_heard(
    status: str, code: str, is_outcome_unknown: bool, headers: list[str], wait: float | None
) -> None:
    with _serve(_answering(status, f"<html>{_SECRET}</html>".encode(), *headers)) as server:
        refusal = _refusal(server)

    assert (refusal.code, refusal.is_outcome_unknown) == (code, is_outcome_unknown)
    assert refusal.retry_after == (None if wait is None else timedelta(seconds=wait))


def test_a_wait_is_read_from_lower_case_headers() -> None:
    assert read_retry_after({"retry-after": "2"}) == timedelta(seconds=2)


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "504 Gateway Timeout", "599 Whatever"])
def test_a_server_error_leaves_the_outcome_unknown(status: str) -> None:
    with _serve(_answering(status, b"<html>")) as server:
        refusal = _refusal(server)

    assert (refusal.code, refusal.is_outcome_unknown, refusal.retry_after) == ("server-error", True, None)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>xoxb-never-shown</html>",
        b'{"cut": "xoxb-never-sho',
        b'["xoxb-never-shown"]',
        b"",
        b"\xff",
        b"[" * 200_000,
    ],
    ids=["html", "cut", "list", "empty", "not-utf8", "deep"],
)
def test_a_body_that_is_no_json_object_is_said_without_showing_it(body: bytes) -> None:
    with _serve(_answering("200 OK", body)) as server:
        answer = Http().request("GET", server.url)

    with pytest.raises(RetryableError) as raised:
        answer.json()
    assert (raised.value.code, raised.value.is_outcome_unknown) == ("answer-not-json", True)
    assert _shows_nothing(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        f"http://[::1/{_SECRET}",
        f"ftp://127.0.0.1/{_SECRET}",
        f"http://127.0.0.1:99999/{_SECRET}",
        f"http://{'x' * 70}.test/{_SECRET}",
    ],
)
def test_a_url_that_cannot_be_asked_is_a_permanent_error_that_does_not_show_it(url: str) -> None:
    with pytest.raises(PermanentError) as raised:
        Http().request("GET", url)

    assert raised.value.code == "request-malformed"
    assert _shows_nothing(raised.value)


@pytest.mark.parametrize("token", [f"{_SECRET}\n", f"{_SECRET}\r\nX-Other: 1", f"{_SECRET}…"])
def test_a_header_that_cannot_be_sent_is_a_permanent_error_that_does_not_show_it(token: str) -> None:
    with _serve(_answering("200 OK", b"{}")) as server, pytest.raises(PermanentError) as raised:
        Http().request("GET", server.url, headers={"authorization": f"Bearer {token}"})

    assert raised.value.code == "request-malformed"
    assert _shows_nothing(raised.value)
    assert server.requests == []


def test_an_odd_header_of_the_answer_does_not_put_the_url_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    odd = b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}"

    def answer(sock: socket.socket) -> None:
        sock.sendall(odd)
        sock.shutdown(socket.SHUT_RDWR)

    with _serve(answer) as server, suppress(RetryableError):
        Http().request("GET", server.url)

    assert len(server.requests) == 1
    assert _SECRET not in caplog.text


def test_a_trusted_server_is_asked_over_tls(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    http = Http()
    with _serve(_answering("200 OK", b'{"ok":true}'), tls=tls) as server:
        assert [http.request("GET", server.url).json() for _ in range(2)] == [{"ok": True}] * 2

    assert server.connections == 1


def test_an_answer_that_drips_in_over_tls_cannot_hold_us_either(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with _serve(lambda sock: server.drip(sock, _raw("200 OK", b"x" * 3000)), tls=tls) as server:
        started = time.monotonic()
        refusal = _refusal(server, seconds=_SECONDS)

        assert time.monotonic() - started < _FAR_TOO_LONG
    assert (refusal.code, refusal.is_outcome_unknown) == ("no-answer", True)


def test_a_server_with_an_untrusted_certificate_is_sent_nothing(tls: ssl.SSLContext) -> None:
    with _serve(_answering("200 OK", b"{}"), tls=tls) as server:
        refusal = _refusal(server)

    assert refusal.code == "no-answer"
    assert server.requests == []
