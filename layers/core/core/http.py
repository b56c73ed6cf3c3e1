"""HTTP to the APIs that we know: time limits, size caps, no redirects, Retry-After, and one translation of errors."""

import http.client
import io
import json
import logging
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from core.errors import PermanentError, RetryableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CONNECT_SECONDS = 3.0
_MAX_ANSWER_BYTES = 4 * 1024 * 1024  # no API answer that we read is larger
_PIECE_BYTES = 64 * 1024  # of an answer that is read as it arrives
_MAX_RETRY_AFTER = 3600.0  # seconds; who asks for more is asked again after this

logging.getLogger("urllib3.connection").setLevel(logging.ERROR)  # its warning of an odd header shows the whole URL
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)  # below, it shows the path and the query of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer, read to its end. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            RetryableError: The body is not a JSON object (a proxy's HTML page, a cut answer).
        """
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            value = None  # the decoder's error would carry the body
        if not isinstance(value, dict):
            message = f"the answer (HTTP {self.status}) is not a JSON object"
            raise RetryableError("answer-not-json", message, is_outcome_unknown=True)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An HTTP answer whose body is read as it arrives. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class Http:
    """A pool of kept-alive connections, safe to share between threads."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(num_pools=8, maxsize=16, retries=False)
        self._pool.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}

    def post_json(
        self, url: str, payload: Mapping[str, Any], *, headers: Mapping[str, str] | None = None, seconds: float = 10.0
    ) -> Answer:
        """POST `payload` as JSON and read the answer. Raises as `request` does."""
        body = json.dumps(payload, ensure_ascii=False).encode()
        sent = {"content-type": "application/json; charset=utf-8", **(headers or {})}
        return self.request("POST", url, body=body, headers=sent, seconds=seconds)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        seconds: float = 10.0,
        max_bytes: int = _MAX_ANSWER_BYTES,
    ) -> Answer:
        """One request, no redirects followed, no retry.

        Args:
            method: The HTTP method.
            url: Where to.
            headers: Request headers.
            body: Request body.
            seconds: Time limit of the whole request, to the last byte of the answer (the look-up of the name apart).
            max_bytes: A longer answer is refused.

        Raises:
            RetryableError: No connection, no answer in time, 429 or 5xx, or an answer that is too long.
            PermanentError: The URL or a header cannot be sent at all.
        """
        return _read(self._send(method, url, headers, body, seconds), url, max_bytes)

    @contextmanager
    def download(
        self, url: str, *, headers: Mapping[str, str] | None = None, seconds: float, max_bytes: int
    ) -> Iterator[Download]:
        """An answer to GET that is too large to be held; its pieces can be read for as long as the context lasts.

        The time limit covers all of it. Raises as `request` does, also while pieces are read.
        """
        raw = self._send("GET", url, headers, None, seconds)
        try:
            _check(raw, url)
            yield Download(status=raw.status, headers=_lower(raw.headers), pieces=_read_pieces(raw, url, max_bytes))
        finally:
            raw.close()

    def _send(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None, seconds: float
    ) -> urllib3.BaseHTTPResponse:
        timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), total=seconds)
        try:
            return self._pool.request(
                method,
                url,
                body=body,
                headers=dict(headers or {}),
                timeout=timeout,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as exc:
            raise RetryableError("unreachable", f"no connection to {_host(url)}") from exc
        except ValueError:  # its text shows the URL or the header, which may be a token
            raise PermanentError("request-malformed", "the URL or a header of the request is malformed") from None
        except urllib3.exceptions.HTTPError as exc:
            raise RetryableError("no-answer", f"{_host(url)} gave no answer", is_outcome_unknown=True) from exc


def _read(raw: urllib3.BaseHTTPResponse, url: str, max_bytes: int) -> Answer:
    try:
        content = raw.read(max_bytes + 1)
        is_too_long = len(content) > max_bytes
        if is_too_long:
            raw.close()
        raw.release_conn()
    except urllib3.exceptions.HTTPError as exc:
        raw.close()
        raise _broken_off(url) from exc
    if is_too_long:
        raise _too_long(url, max_bytes)
    _check(raw, url)
    return Answer(status=raw.status, headers=_lower(raw.headers), body=content)


def _read_pieces(raw: urllib3.BaseHTTPResponse, url: str, max_bytes: int) -> Iterator[bytes]:
    count = 0
    try:
        while piece := raw.read(_PIECE_BYTES):
            count += len(piece)
            if count > max_bytes:
                raise _too_long(url, max_bytes)
            yield piece
    except urllib3.exceptions.HTTPError as exc:
        raise _broken_off(url) from exc


def _broken_off(url: str) -> RetryableError:
    return RetryableError("no-answer", f"the answer of {_host(url)} broke off", is_outcome_unknown=True)


def _too_long(url: str, max_bytes: int) -> RetryableError:
    message = f"the answer of {_host(url)} is over {max_bytes} bytes"
    return RetryableError("answer-too-long", message, is_outcome_unknown=True)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _check(raw: urllib3.BaseHTTPResponse, url: str) -> None:
    """Return unless the answer says to come again."""
    wait = read_retry_after(_lower(raw.headers))
    if raw.status == 429:
        raise RetryableError("rate-limited", f"{_host(url)} asks to wait", retry_after=wait)
    if raw.status >= 500:
        message = f"{_host(url)} answered {raw.status}"
        raise RetryableError("server-error", message, retry_after=wait, is_outcome_unknown=True)


def read_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The wait that a `retry-after` header asks for, an hour at most; None without a usable one.

    A date is held against the answer's own `date`, so that a wrong clock here cannot matter.
    """
    asked = headers.get("retry-after", "")
    try:
        seconds = float(asked)
    except ValueError:
        seconds = _seconds_between(headers.get("date", ""), asked)
    return timedelta(seconds=min(seconds, _MAX_RETRY_AFTER)) if seconds >= 0 else None


def _seconds_between(earlier: str, later: str) -> float:
    try:
        return (parsedate_to_datetime(later) - parsedate_to_datetime(earlier)).total_seconds()
    except (TypeError, ValueError):  # TypeError: only one of them names its zone
        return -1.0


def _host(url: str) -> str:
    """The host alone: a path or a query may carry what no log should."""
    return urllib3.util.parse_url(url).host or "the host"


class _TimedReader(io.RawIOBase):
    """Reads a socket until a point in time: its own limit begins anew with every byte that drips in."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """An answer, head and body, whose time limit is the one that the socket has when the request was sent."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock, time.monotonic() + (sock.gettimeout() or 0.0)))


class _PlainConnection(HTTPConnection):
    response_class = _TimedResponse


class _TlsConnection(HTTPSConnection):
    response_class = _TimedResponse


class PlainPool(urllib3.HTTPConnectionPool):
    """Connections without TLS whose time limit holds to the last byte of the answer."""

    ConnectionCls = _PlainConnection


class TlsPool(urllib3.HTTPSConnectionPool):
    """Connections with TLS whose time limit holds to the last byte of the answer."""

    ConnectionCls = _TlsConnection
