"""JSON-RPC with one MCP server over streamable HTTP: which revision it speaks, its session, its answers.

A server of revision 2026-07-28 is asked straight away, each request carrying what it needs. One that refuses that is
older: it gets the handshake. https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning and
https://modelcontextprotocol.io/specification/2025-11-25/basic/transports
"""

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from core.errors import PermanentError, RetryableError
from core.http import read_retry_after
from core.outside import OutsideHttp

_MODERN = "2026-07-28"
_OFFERED = "2025-11-25"  # in a handshake, the newest that has one
_HANDSHAKES = frozenset((_OFFERED, "2025-06-18", "2025-03-26"))
_STUMBLES = frozenset(("server-error", "answer-not-json"))  # of an older server over a request without a handshake
_CLIENT = {"name": "parley", "version": "1"}
_META = "io.modelcontextprotocol"
_MAX_BYTES = 2 * 1024 * 1024  # of an answer: pictures come as text in it, and a list may be long
_MAX_EVENTS = 1_000  # before the answer
_MAX_HEADERS = 16  # of one tool, from its arguments
_MAX_DEPTH = 8  # of an argument that a header repeats
_SESSION = re.compile(r"[\x21-\x7e]{1,1024}")
_PLAIN = re.compile(r"(?!=\?base64\?)(?! )[\x20-\x7e]*(?<! )")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")


class McpError(Exception):
    """The server understood the request and refuses it; `message` is the server's own."""

    def __init__(self, message: str) -> None:
        super().__init__("the server refuses the request")  # its own words stay out of logs
        self.message = message


class _SessionLostError(Exception):
    """The server does not know our session any more."""


@dataclass(frozen=True, slots=True)
class _Era:
    version: str
    session: str | None = None

    @property
    def is_modern(self) -> bool:
        return self.version == _MODERN


class Wire:
    """Requests to one server with one credential. Safe to share between threads."""

    def __init__(self, http: OutsideHttp, url: str, secret: str) -> None:
        self.host = http.check_url(url)
        self.secret = secret
        self._http = http
        self._url = url
        self._ids = count(1)
        self._era: _Era | None = None

    def __repr__(self) -> str:
        return f"Wire({self.host})"

    def list_tools(self, cursor: str | None, *, deadline: float) -> dict[str, Any]:
        """One page of the tools. The first of all requests, in which the server shows its revision.

        Raises:
            McpError: The server refuses.
            RetryableError: No answer.
            PermanentError: It refuses the credential, or speaks no revision that we know.
        """
        params = {"cursor": cursor} if cursor else {}
        if self._era is None:
            modern = _Era(_MODERN)
            try:
                result = self._post("tools/list", params, modern, deadline)
                self._era = modern
            except McpError:
                self._era = self._shake_hands(deadline)
            except RetryableError as exc:
                if exc.code not in _STUMBLES:
                    raise
                self._era = self._shake_hands(deadline)
            else:
                return result
        return self._request("tools/list", params, deadline)

    def call_tool(
        self, name: str, arguments: Mapping[str, Any], headers: Mapping[str, str], *, deadline: float
    ) -> dict[str, Any]:
        """The result of one call. Raises as `list_tools` does."""
        return self._request("tools/call", {"name": name, "arguments": dict(arguments)}, deadline, headers)

    def _request(
        self, method: str, params: dict[str, Any], deadline: float, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        era = self._era = self._era or self._shake_hands(deadline)
        try:
            return self._post(method, params, era, deadline, headers)
        except _SessionLostError:  # it did not get as far as being worked on
            era = self._era = self._shake_hands(deadline)
        try:
            return self._post(method, params, era, deadline, headers)
        except _SessionLostError as exc:
            message = f"{self.host} forgets its own sessions"
            raise RetryableError("mcp-session", message) from exc

    def _shake_hands(self, deadline: float) -> _Era:
        params = {"protocolVersion": _OFFERED, "capabilities": {}, "clientInfo": _CLIENT}
        sessions: list[str] = []
        try:
            result = self._post("initialize", params, None, deadline, sessions=sessions)
        except McpError as exc:
            raise PermanentError("mcp-refused", f"{self.host} does not speak MCP with us") from exc
        version = result.get("protocolVersion")
        if version not in _HANDSHAKES:
            raise PermanentError("mcp-version", f"{self.host} speaks no revision of MCP that is known here")
        era = _Era(str(version), sessions[0] if sessions else None)
        self._post("notifications/initialized", None, era, deadline)
        return era

    def _post(
        self,
        method: str,
        params: dict[str, Any] | None,
        era: _Era | None,
        deadline: float,
        headers: Mapping[str, str] | None = None,
        *,
        sessions: list[str] | None = None,
    ) -> dict[str, Any]:
        """One message and the result of it; a notification (no `params`) has none. The session goes to `sessions`."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise RetryableError("no-time", f"no time is left to ask {self.host}")
        request_id = None if params is None else next(self._ids)
        with self._http.stream(
            "POST",
            self._url,
            hosts=frozenset((self.host,)),
            headers={**(headers or {}), **self._make_headers(method, params, era)},
            body=json.dumps(_make_message(method, params, era, request_id)).encode(),
            seconds=left,
            max_bytes=_MAX_BYTES,
        ) as answer:
            self._check_status(answer.status, answer.headers, era)
            if request_id is None or answer.status == 202:
                return {}
            session = answer.headers.get("mcp-session-id", "")
            if sessions is not None and _SESSION.fullmatch(session):
                sessions.append(session)
            is_stream = answer.headers.get("content-type", "").lower().startswith("text/event-stream")
            message = _find_answer(answer.chunks, request_id, is_stream=is_stream)
        return self._read_result(message, answer.status)

    def _make_headers(self, method: str, params: Mapping[str, Any] | None, era: _Era | None) -> dict[str, str]:
        headers = {
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "user-agent": "Parley",
        }
        if self.secret:
            headers["authorization"] = f"Bearer {self.secret}"
        if era:
            headers["mcp-protocol-version"] = era.version
        if era and era.session:
            headers["mcp-session-id"] = era.session
        if era and era.is_modern:
            headers["mcp-method"] = method
            if params and "name" in params:
                headers["mcp-name"] = _to_header(str(params["name"]))
        return headers

    def _check_status(self, status: int, headers: Mapping[str, str], era: _Era | None) -> None:
        if status in (401, 403):
            raise PermanentError("mcp-credential", f"{self.host} refuses the credential (HTTP {status})")
        if status == 404 and era and era.session:
            raise _SessionLostError
        if status == 429:
            wait = read_retry_after(headers)
            raise RetryableError("rate-limited", f"{self.host} asks to wait", retry_after=wait)
        if status >= 500:
            raise RetryableError("server-error", f"{self.host} answered {status}", is_outcome_unknown=True)
        if 300 <= status < 400:
            raise PermanentError("mcp-redirect", f"{self.host} answers with a redirect; redirects are not followed")

    def _read_result(self, message: Mapping[str, Any] | None, status: int) -> dict[str, Any]:
        if message is not None and isinstance(error := message.get("error"), Mapping):
            raise McpError(str(error.get("message", "")))
        if message is not None and isinstance(result := message.get("result"), dict):
            return result
        if status >= 400:
            refusal = f"HTTP {status}"
            raise McpError(refusal)
        text = f"the answer of {self.host} holds no result, or is over {_MAX_BYTES} bytes"
        raise RetryableError("answer-not-json", text, is_outcome_unknown=True)


def make_param_headers(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, str]:
    """The headers that repeat an argument, as a tool's schema may ask for with `x-mcp-header`."""
    return dict(_find_param_headers(schema, arguments, 0))


def _find_param_headers(schema: Mapping[str, Any], value: object, depth: int) -> Iterator[tuple[str, str]]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not isinstance(value, Mapping) or depth > _MAX_DEPTH:
        return
    for (name, described), _ in zip(properties.items(), range(_MAX_HEADERS), strict=False):
        given = value.get(name)
        if not isinstance(described, Mapping) or given is None:
            continue
        token = described.get("x-mcp-header")
        if isinstance(token, str) and _TOKEN.fullmatch(token) and isinstance(given, str | int | float):
            yield f"mcp-param-{token.lower()}", _to_header(given if isinstance(given, str) else json.dumps(given))
        yield from _find_param_headers(described, given, depth + 1)


def _to_header(text: str) -> str:
    """The text as a header can carry it; what no header can is wrapped as the specification says."""
    return text if _PLAIN.fullmatch(text) else f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def _make_message(
    method: str, params: Mapping[str, Any] | None, era: _Era | None, request_id: int | None
) -> dict[str, Any]:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if request_id is not None:
        message["id"] = request_id
    if params is not None:
        message["params"] = dict(params)
        if era and era.is_modern:
            message["params"]["_meta"] = {
                f"{_META}/protocolVersion": era.version,
                f"{_META}/clientInfo": _CLIENT,
                f"{_META}/clientCapabilities": {},
            }
    return message


def _find_answer(chunks: Iterator[bytes], request_id: int, *, is_stream: bool) -> Mapping[str, Any] | None:
    """The answer to the request, and of a stream no more than up to it: a server may keep it open."""
    for text in islice(_read_events(chunks), _MAX_EVENTS) if is_stream else (b"".join(chunks),):
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and _is_answer(message, request_id):
            return message
    return None


def _is_answer(message: Mapping[str, Any], request_id: int) -> bool:
    if "error" in message and message.get("id") is None:  # it was found before the id was read
        return True
    return message.get("id") == request_id and ("result" in message or "error" in message)


def _read_events(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The data of each server-sent event.

    https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    data: list[bytes] = []
    for line in _read_lines(chunks):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


def _read_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    pieces: list[bytes] = []
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for each in ended:
            yield b"".join((*pieces, each)).removesuffix(b"\r")
            pieces = []
        pieces.append(rest)
    yield b"".join(pieces)
