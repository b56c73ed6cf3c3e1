"""HTTP to hosts that a company's configuration names: no way into a private network, bounded in time and size."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3
from urllib3.util import Url, parse_url

from core.errors import PermanentError, RetryableError
from core.http import PlainPool, TlsPool

MAX_OUTSIDE_BYTES = 256 * 1024  # of an answer; a model reads no more
_CONNECT_SECONDS = 3.0
_MAX_ADDRESSES = 3  # of one name that are tried; none answered: the others would not
_CHUNK_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")  # all that is routed on the Internet; the forms that hide IPv4 are not
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")

type Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideAnswer:
    """An HTTP answer of any status. Header names are lower case; `is_cut` says that `body` is only its beginning."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideStream:
    """An HTTP answer whose body is read as it arrives. `chunks` raises as `OutsideHttp.request` does."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a request goes: `path` with its query, `authority` as the Host header names it."""

    scheme: str
    host: str
    port: int
    authority: str
    path: str


class OutsideHttp:
    """Requests to named hosts, each on a connection of its own. Safe to share between threads.

    A name is looked up once, every address it has must be public, and the connection goes to exactly that address,
    with the certificate checked for the name: a name server cannot change its mind in between. No redirect is
    followed, no proxy of the environment is used.
    """

    def __init__(
        self,
        *,
        insecure_hosts: frozenset[str] = frozenset(),
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Open a door to the outside.

        Args:
            insecure_hosts: Names that may be asked over plain HTTP and may be this machine (tests, the local stack).
            resolve: The addresses of a name; the system's look-up where nothing else is given.
            tls: Which certificates are trusted; the system's where nothing else is given.
        """
        self._insecure_hosts = insecure_hosts
        self._resolve = resolve or _look_up
        self._tls = tls

    def check_url(self, url: str) -> str:
        """The host of a URL, for `hosts`; what could not be asked later either is refused, without asking anybody.

        Raises:
            PermanentError: No HTTPS, a user name in it, or a host that is plainly not a public one.
        """
        host = self._parse(url).host
        _check_name(host, self._insecure_hosts)
        return host

    def request(
        self,
        method: str,
        url: str,
        *,
        hosts: frozenset[str],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float,
        max_bytes: int = MAX_OUTSIDE_BYTES,
    ) -> OutsideAnswer:
        """One request and its whole answer, of whatever status.

        Args:
            method: The HTTP method.
            url: Where to.
            hosts: The only hosts that may be asked, in lower case.
            headers: Request headers.
            body: Request body.
            seconds: Time limit of everything, from the look-up of the name to the last byte of the answer.
            max_bytes: How much of the answer is read, unpacked; what is longer is cut.

        Raises:
            RetryableError: No connection, or no answer in time.
            PermanentError: The URL, the host, its address or its certificate is refused.
        """
        with self.stream(
            method, url, hosts=hosts, headers=headers, body=body, seconds=seconds, max_bytes=max_bytes + 1
        ) as answer:
            content = b"".join(answer.chunks)
        return OutsideAnswer(
            status=answer.status,
            headers=answer.headers,
            body=content[:max_bytes],
            is_cut=len(content) > max_bytes,
        )

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        hosts: frozenset[str],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float,
        max_bytes: int = MAX_OUTSIDE_BYTES,
    ) -> Iterator[OutsideStream]:
        """One request whose answer is read as it arrives, until the caller has enough. Takes and raises as `request`.

        `chunks` ends after `max_bytes`.
        """
        deadline = time.monotonic() + seconds
        target = self._parse(url)
        if target.host not in hosts:
            raise PermanentError("host-refused", f"{target.host} is not a host of this tool")
        addresses = self._find_addresses(target, deadline)
        sent = {**(headers or {}), "host": target.authority, "connection": "close"}
        sent.setdefault("accept-encoding", "identity")
        raw = self._send(target, addresses, method, sent, body, deadline)
        try:
            yield OutsideStream(
                status=raw.status,
                headers={name.lower(): value for name, value in raw.headers.items()},
                chunks=_read_chunks(raw, target.host, max_bytes),
            )
        finally:
            raw.close()

    def _parse(self, url: str) -> _Target:
        try:
            parsed: Url = parse_url(url)
        except ValueError:  # its text shows the URL
            raise PermanentError("url-malformed", "the URL is malformed") from None
        host = (parsed.host or "").strip("[]").rstrip(".").lower()
        if not host or parsed.auth or parsed.fragment:
            raise PermanentError("url-malformed", "the URL names no host, or carries a user name or a fragment")
        scheme = parsed.scheme or ""
        if scheme != "https" and not (scheme == "http" and host in self._insecure_hosts):
            raise PermanentError("https-only", f"{host} may be asked over HTTPS only")
        port = parsed.port or _PORTS[scheme]
        name = f"[{host}]" if ":" in host else host
        authority = name if port == _PORTS[scheme] else f"{name}:{port}"
        return _Target(scheme, host, port, authority, parsed.request_uri)

    def _find_addresses(self, target: _Target, deadline: float) -> Sequence[str]:
        addresses = self._resolve_in_time(target, deadline)
        is_insecure = target.host in self._insecure_hosts
        if not all(is_public(address) or (is_insecure and _is_loopback(address)) for address in addresses):
            raise PermanentError("address-refused", f"{target.host} is not on the public Internet")
        return addresses[:_MAX_ADDRESSES]

    def _resolve_in_time(self, target: _Target, deadline: float) -> Sequence[str]:
        """The addresses of the name. The system's look-up takes as long as it likes, so it has a thread of its own."""
        found: Future[Sequence[str]] = Future()

        def look_up() -> None:
            try:
                found.set_result(self._resolve(target.host, target.port))
            except (OSError, UnicodeError) as exc:  # UnicodeError: a part of the name is empty or too long
                found.set_exception(exc)

        threading.Thread(target=look_up, daemon=True).start()
        try:
            addresses = found.result(timeout=max(deadline - time.monotonic(), 0.0))
        except (OSError, UnicodeError) as exc:  # the future's own TimeoutError is an OSError
            raise RetryableError("unreachable", f"the address of {target.host} cannot be found") from exc
        if not addresses:
            raise RetryableError("unreachable", f"{target.host} has no address")
        return addresses

    def _send(
        self,
        target: _Target,
        addresses: Sequence[str],
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
    ) -> urllib3.BaseHTTPResponse:
        cause: Exception | None = None
        for address in addresses:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                return self._make_pool(target, address).urlopen(
                    method,
                    target.path,
                    body=body,
                    headers=headers,
                    retries=False,
                    redirect=False,
                    timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, left), total=left),
                    preload_content=False,
                )
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as exc:
                cause = exc
            except ValueError:  # its text shows the URL or the header, which may be a secret
                raise PermanentError("request-malformed", "the URL or a header of the request is malformed") from None
            except urllib3.exceptions.HTTPError as exc:
                raise _translate(exc, target.host) from exc
        raise RetryableError("unreachable", f"no connection to {target.host}") from cause

    def _make_pool(self, target: _Target, address: str) -> urllib3.HTTPConnectionPool:
        if target.scheme == "http":
            return PlainPool(address, target.port, maxsize=1)
        if self._tls is None:
            self._tls = ssl.create_default_context()
        # The server is told the name, and its certificate must be for the name, not for the address.
        return TlsPool(address, target.port, maxsize=1, ssl_context=self._tls, server_hostname=target.host)


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the Internet can reach, and of no special use."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in _PUBLIC_V6 or ip.sixtofour or ip.teredo):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _check_name(host: str, insecure_hosts: frozenset[str]) -> None:
    """Refuse what is seen to be private without a look-up: an address in any of its spellings, a local name."""
    if host in insecure_hosts:
        return
    try:
        literal = socket.inet_ntoa(socket.inet_aton(host))  # takes 2130706433, 0x7f.1 and 0177.0.0.1, as look-ups do
    except OSError:
        literal = host
    is_local = "." not in host or host.endswith(_LOCAL_NAMES)
    is_refused = is_local if literal == host and not _is_address(host) else not is_public(literal)
    if is_refused:
        raise PermanentError("address-refused", f"{host} is not on the public Internet")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(host: str, port: int) -> Sequence[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _translate(error: urllib3.exceptions.HTTPError, host: str) -> PermanentError | RetryableError:
    if isinstance(error, urllib3.exceptions.SSLError) and any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in (*error.args, error.__cause__, error.__context__)
    ):
        return PermanentError("certificate-refused", f"{host} shows no certificate that can be trusted")
    return RetryableError("no-answer", f"{host} gave no answer", is_outcome_unknown=True)


def _read_chunks(raw: urllib3.BaseHTTPResponse, host: str, max_bytes: int) -> Iterator[bytes]:
    left = max_bytes
    while left > 0:
        try:
            chunk = raw.read1(min(left, _CHUNK_BYTES))  # bounds what comes out of a packed answer, too
        except urllib3.exceptions.HTTPError as exc:
            raise RetryableError("no-answer", f"the answer of {host} broke off", is_outcome_unknown=True) from exc
        if not chunk:
            return
        left -= len(chunk)
        yield chunk
