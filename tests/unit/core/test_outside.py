"""The HTTP to the outside: each way into a private network is tried, and each way to keep it busy."""

import gzip
import logging
import ssl
import threading
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.errors import PermanentError, RetryableError
from core.outside import OutsideAnswer, OutsideHttp, is_public
from local.fake_tools import FakeTools, Scripted

_LOOPBACK = frozenset(("127.0.0.1",))
_SECRET = "never-shown-4711"


@pytest.fixture
def services() -> Iterator[FakeTools]:
    with FakeTools() as started:
        yield started


def _get(http: OutsideHttp, url: str, *, host: str, seconds: float = 5.0) -> OutsideAnswer:
    return http.request("GET", url, hosts=frozenset((host,)), seconds=seconds)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - refused, not bound to
        "224.0.0.1",
        "224.0.1.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.0.1",
        "198.18.0.1",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:8.8.8.8",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%lo",
        "fec0::1",
        "ff0e::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:db8::1",
        "no address",
    ],
)
def test_address_that_is_not_public_is_refused_wherever_a_name_leads(address: str) -> None:
    http = OutsideHttp(resolve=lambda _host, _port: [address])
    with pytest.raises(PermanentError) as caught:
        _get(http, "https://api.example.com/", host="api.example.com")
    assert caught.value.code == "address-refused"


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111"])
def test_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    http = OutsideHttp(resolve=lambda _host, _port: ["8.8.8.8", "169.254.169.254"])
    with pytest.raises(PermanentError, match="not on the public Internet"):
        _get(http, "https://api.example.com/", host="api.example.com")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "169.254.169.254",
        "2852039166",
        "0xA9.0xFE.0xA9.0xFE",
        "[::1]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "localhost",
    ],
)
def test_every_spelling_of_a_private_host_is_refused_when_it_is_called(host: str) -> None:
    with pytest.raises(PermanentError) as caught:
        _get(OutsideHttp(), f"https://{host}/latest/meta-data/", host=host.strip("[]").lower())
    assert caught.value.code == "address-refused"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://api.localhost/",
        "https://db.internal/",
        "https://printer.local/",
        "https://intranet/",
        "http://api.example.com/",
        "ftp://api.example.com/",
        "//api.example.com/",
        "https://user:password@api.example.com/",
        "https://api.example.com/#fragment",
        "https:///path",
        "https://[::1/",
    ],
)
def test_url_that_could_not_be_asked_is_refused_without_a_look_up(url: str) -> None:
    def resolve(_host: str, _port: int) -> list[str]:
        raise AssertionError("a look-up")

    with pytest.raises(PermanentError):
        OutsideHttp(resolve=resolve).check_url(url)


def test_url_on_the_internet_gives_its_host() -> None:
    assert OutsideHttp().check_url("https://API.Example.com:8443/v1?x=1") == "api.example.com"


def test_host_that_the_definition_does_not_name_is_not_asked(services: FakeTools) -> None:
    http = OutsideHttp(insecure_hosts=_LOOPBACK)
    with pytest.raises(PermanentError) as caught:
        _get(http, f"{services.url}/openapi.json", host="api.example.com")
    assert caught.value.code == "host-refused"
    assert services.calls == []


def test_insecure_host_may_be_this_machine_and_no_other_private_one() -> None:
    http = OutsideHttp(insecure_hosts=frozenset(("orders.test",)), resolve=lambda _host, _port: ["10.0.0.1"])
    with pytest.raises(PermanentError, match="not on the public Internet"):
        _get(http, "http://orders.test/", host="orders.test")


def test_name_is_looked_up_once_and_its_address_is_the_one_connected_to(services: FakeTools) -> None:
    asked: list[str] = []

    def rebind(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    http = OutsideHttp(insecure_hosts=frozenset(("orders.test",)), resolve=rebind)
    answer = _get(http, f"http://orders.test:{services.port}/openapi.json", host="orders.test")
    assert answer.status == 200
    assert asked == ["orders.test"]
    assert services.calls[0].headers["host"] == f"orders.test:{services.port}"


def test_redirect_to_the_metadata_address_is_not_followed(services: FakeTools) -> None:
    services.answer_next(Scripted(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data/"}))
    answer = _get(OutsideHttp(insecure_hosts=_LOOPBACK), f"{services.url}/v1/orders", host="127.0.0.1")
    assert answer.status == 302
    assert len(services.calls) == 1


def test_proxy_of_the_environment_is_not_used(services: FakeTools, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answer = _get(OutsideHttp(insecure_hosts=_LOOPBACK), f"{services.url}/openapi.json", host="127.0.0.1")
    assert answer.status == 200


@pytest.mark.parametrize("name", ["x-note", "x-note\r\nx-other"])
def test_line_break_in_a_header_is_refused(services: FakeTools, name: str) -> None:
    http = OutsideHttp(insecure_hosts=_LOOPBACK)
    headers = {name: f"{_SECRET}\r\nx-injected: yes"}
    with pytest.raises(PermanentError) as caught:
        http.request("GET", services.url, hosts=_LOOPBACK, headers=headers, seconds=5.0)
    assert caught.value.code == "request-malformed"
    assert _SECRET not in "".join(traceback.format_exception(caught.value))
    assert services.calls == []


def test_long_answer_is_cut(services: FakeTools) -> None:
    services.answer_next(Scripted(headers={"Content-Type": "text/plain"}, body=b"x" * 3_000_000))
    http = OutsideHttp(insecure_hosts=_LOOPBACK)
    answer = http.request("GET", services.url, hosts=_LOOPBACK, seconds=5.0, max_bytes=1000)
    assert (len(answer.body), answer.is_cut) == (1000, True)


def test_answer_of_exactly_the_cap_is_whole(services: FakeTools) -> None:
    services.answer_next(Scripted(body=b"x" * 1000))
    http = OutsideHttp(insecure_hosts=_LOOPBACK)
    answer = http.request("GET", services.url, hosts=_LOOPBACK, seconds=5.0, max_bytes=1000)
    assert (len(answer.body), answer.is_cut) == (1000, False)


@pytest.mark.parametrize("layers", [1, 2])
def test_packed_answer_is_not_unpacked_beyond_the_cap(services: FakeTools, layers: int) -> None:
    bomb = bytes(50_000_000)
    for _ in range(layers):
        bomb = gzip.compress(bomb, compresslevel=6)
    services.answer_next(Scripted(headers={"Content-Encoding": ", ".join(["gzip"] * layers)}, body=bomb))
    http = OutsideHttp(insecure_hosts=_LOOPBACK)
    tracemalloc.start()
    try:
        answer = http.request("GET", services.url, hosts=_LOOPBACK, seconds=10.0, max_bytes=1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (answer.body, answer.is_cut) == (bytes(1000), True)
    assert peak < 10_000_000


def test_slow_drip_ends_with_the_time_limit(services: FakeTools) -> None:
    services.answer_next(Scripted(body=b"x" * 1000, drip_seconds=0.02))
    started = time.monotonic()
    with pytest.raises(RetryableError) as caught:
        _get(OutsideHttp(insecure_hosts=_LOOPBACK), services.url, host="127.0.0.1", seconds=0.4)
    assert caught.value.is_outcome_unknown
    assert time.monotonic() - started < 3.0


def test_look_up_that_hangs_ends_with_the_time_limit() -> None:
    ended = threading.Event()

    def hang(_host: str, _port: int) -> list[str]:
        ended.wait(20)
        return ["8.8.8.8"]

    started = time.monotonic()
    try:
        with pytest.raises(RetryableError) as caught:
            _get(OutsideHttp(resolve=hang), "https://api.example.com/", host="api.example.com", seconds=0.2)
    finally:
        ended.set()
    assert (caught.value.code, caught.value.is_outcome_unknown) == ("unreachable", False)
    assert time.monotonic() - started < 3.0


def test_connection_that_ends_without_an_answer_has_an_unknown_outcome(services: FakeTools) -> None:
    services.answer_next(Scripted(is_dropped=True))
    with pytest.raises(RetryableError) as caught:
        _get(OutsideHttp(insecure_hosts=_LOOPBACK), services.url, host="127.0.0.1")
    assert (caught.value.code, caught.value.is_outcome_unknown) == ("no-answer", True)


def test_server_that_is_not_there_has_a_known_outcome(services: FakeTools) -> None:
    url = services.url
    services.close()
    with pytest.raises(RetryableError) as caught:
        _get(OutsideHttp(insecure_hosts=_LOOPBACK), url, host="127.0.0.1")
    assert (caught.value.code, caught.value.is_outcome_unknown) == ("unreachable", False)


def test_secret_of_a_query_is_in_no_error_and_no_log(services: FakeTools, caplog: pytest.LogCaptureFixture) -> None:
    http = OutsideHttp(insecure_hosts=_LOOPBACK)
    url = f"{services.url}/v1/orders?key={_SECRET}"
    with caplog.at_level(logging.DEBUG):
        _get(http, url, host="127.0.0.1")
        services.answer_next(Scripted(is_dropped=True))
        with pytest.raises(RetryableError) as dropped:
            _get(http, url, host="127.0.0.1")
        services.answer_next(Scripted(body=b"x" * 100, drip_seconds=0.1))
        with pytest.raises(RetryableError) as late:
            _get(http, url, host="127.0.0.1", seconds=0.2)
        with pytest.raises(PermanentError) as malformed:
            _get(http, f"http://127.0.0.1:99999/{_SECRET}", host="127.0.0.1")
    assert _SECRET not in caplog.text
    for error in (dropped, late, malformed):
        assert _SECRET not in "".join(traceback.format_exception(error.value))


class _Greeting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called with
        """Say nothing."""


def _make_certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure_port(tmp_path: Path) -> Iterator[tuple[int, Path, list[str | None]]]:
    """A server with a certificate for `orders.test`: its port, the certificate, and the names it was asked for."""
    path = _make_certificate(tmp_path, "orders.test")
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.sni_callback = lambda _sock, name, _context: names.append(name)

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of a caller who does not trust us."""

    with Quiet(("127.0.0.1", 0), _Greeting) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port, path, names
        finally:
            server.shutdown()
            thread.join()


def test_certificate_is_checked_for_the_name_and_the_server_is_told_it(
    secure_port: tuple[int, Path, list[str | None]],
) -> None:
    port, path, names = secure_port
    http = OutsideHttp(
        insecure_hosts=frozenset(("orders.test",)),
        resolve=lambda _host, _port: ["127.0.0.1"],
        tls=ssl.create_default_context(cafile=str(path)),
    )
    answer = _get(http, f"https://orders.test:{port}/", host="orders.test")
    assert (answer.status, answer.body) == (200, b"hi")
    assert names == ["orders.test"]


@pytest.mark.parametrize("is_trusted", [True, False])
def test_certificate_for_another_name_or_from_nobody_is_refused(
    secure_port: tuple[int, Path, list[str | None]], *, is_trusted: bool
) -> None:
    port, path, _ = secure_port
    host = "other.test" if is_trusted else "orders.test"
    http = OutsideHttp(
        insecure_hosts=frozenset((host,)),
        resolve=lambda _host, _port: ["127.0.0.1"],
        tls=ssl.create_default_context(cafile=str(path)) if is_trusted else None,
    )
    with pytest.raises(PermanentError) as caught:
        _get(http, f"https://{host}:{port}/", host=host)
    assert caught.value.code == "certificate-refused"
