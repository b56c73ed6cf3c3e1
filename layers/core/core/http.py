"""The only outbound HTTP: time limits, size caps, no redirects, Retry-After, and one translation of errors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import urllib3

from core.errors import RetryableError

_CONNECT_SECONDS = 3.0
_MAX_ANSWER_BYTES = 4 * 1024 * 1024  # no API answer that we read is larger
_MAX_RETRY_AFTER = 3600.0  # seconds; a longer wait is the queue's business


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
        except ValueError as exc:
            raise RetryableError("answer-not-json", f"the answer (HTTP {self.status}) is not JSON") from exc
        if not isinstance(value, dict):
            raise RetryableError("answer-not-json", f"the answer (HTTP {self.status}) is not a JSON object")
        return value


class Http:
    """A pool of kept-alive connections, safe to share between threads."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(num_pools=8, maxsize=16, retries=False)

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
            seconds: Time limit of each wait for the socket.
            max_bytes: A longer answer is refused.

        Raises:
            RetryableError: No connection, no answer in time, 429 or 5xx, or an answer that is too long.
        """
        timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds)
        try:
            raw = self._pool.request(
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
        except urllib3.exceptions.HTTPError as exc:
            raise RetryableError("no-answer", f"{_host(url)} gave no answer", is_outcome_unknown=True) from exc
        return _read(raw, url, max_bytes)


def _read(raw: urllib3.BaseHTTPResponse, url: str, max_bytes: int) -> Answer:
    try:
        content = raw.read(max_bytes + 1)
        is_too_long = len(content) > max_bytes
        if is_too_long:
            raw.close()
        raw.release_conn()
    except urllib3.exceptions.HTTPError as exc:
        raise RetryableError("no-answer", f"the answer of {_host(url)} broke off", is_outcome_unknown=True) from exc
    if is_too_long:
        raise RetryableError("answer-too-long", f"the answer of {_host(url)} is over {max_bytes} bytes")
    headers = {name.lower(): value for name, value in raw.headers.items()}
    if raw.status == 429:
        raise RetryableError("rate-limited", f"{_host(url)} asks to wait", retry_after=read_retry_after(headers))
    if raw.status >= 500:
        raise RetryableError("server-error", f"{_host(url)} answered {raw.status}", is_outcome_unknown=True)
    return Answer(status=raw.status, headers=headers, body=content)


def read_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The wait that a `retry-after` header asks for, in its form in seconds; None without a usable one."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    if not 0 <= seconds <= _MAX_RETRY_AFTER:
        return None
    return timedelta(seconds=seconds)


def _host(url: str) -> str:
    """The host alone: a path or a query may carry what no log should."""
    return urllib3.util.parse_url(url).host or "the host"
