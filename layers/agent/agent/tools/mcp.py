"""MCP: the tools of a company's MCP servers, over streamable HTTP. They count as third-party tools.

Spoken are revision 2026-07-28, where each request stands for itself, and the revisions before it, which begin with a
handshake and may have a session. https://modelcontextprotocol.io/specification/2026-07-28/basic/transports
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.tools import Tool, ToolContext, ToolResult
from agent.tools.answers import OUTCOME_UNKNOWN, make_text, redact
from agent.tools.mcp_wire import McpError, Wire, make_param_headers
from agent.tools.schema import check_schema, make_self_contained
from agent.tools.third_party import make_tool_names
from core.configuration import McpTool
from core.errors import PermanentError, RetryableError, ServiceError
from core.models import ToolType
from core.outside import MAX_OUTSIDE_BYTES, OutsideHttp
from core.telemetry import logger

_TTL_SECONDS = 600.0  # of a list of tools
_FAILURE_TTL_SECONDS = 30.0  # a server that is down costs one turn its time, and not each
_LIST_SECONDS = 10.0
_MAX_PAGES = 10
_MAX_TOOLS = 128
_MAX_SERVERS = 64  # that are remembered
_MAX_DESCRIPTION = 3_000  # characters
_MAX_ERROR_LENGTH = 4_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """A tool as its server describes it."""

    name: str
    description: str
    schema: Mapping[str, Any]  # as the server wrote it
    parameters: Mapping[str, Any]  # what may be shown and checked of it
    is_read: bool


@dataclass(slots=True)
class _Server:
    """What is known of one server, as one credential sees it."""

    wire: Wire
    listed: tuple[_Listed, ...] | None = None
    error: ServiceError | None = None
    asked_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class McpServers:
    """The MCP servers that this process has met: their lists are kept for ten minutes. Safe to share between threads.

    A list belongs to a URL and a credential, so that no company sees what another one's credential shows.
    """

    def __init__(
        self,
        *,
        read_secret: Callable[[str], str],
        http: OutsideHttp,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_secret = read_secret
        self._http = http
        self._monotonic = monotonic
        self._servers: dict[tuple[str, str], _Server] = {}
        self._lock = threading.Lock()

    def make_tools(self, definition: McpTool) -> tuple[Tool, ...]:
        """One tool per tool of the server, or of those that the definition allows.

        Raises:
            RetryableError: The server gives no list now, and none is remembered.
            PermanentError: It refuses the credential, speaks no revision that we know, or may not be asked.
        """
        server = self._find(definition)
        listed = self._list(server, min(definition.timeout_seconds, _LIST_SECONDS))
        chosen = [each for each in listed if not definition.allowed or each.name in definition.allowed]
        names = make_tool_names(definition.name, [each.name for each in chosen])
        return tuple(_ServerTool(name, definition, each, server.wire) for name, each in zip(names, chosen, strict=True))

    def _find(self, definition: McpTool) -> _Server:
        secret = self._read_secret(definition.secret_name) if definition.secret_name else ""
        key = (definition.url, hashlib.sha256(secret.encode()).hexdigest())
        with self._lock:
            server = self._servers.pop(key, None) or _Server(Wire(self._http, definition.url, secret))
            self._servers[key] = server  # the last one is the one used last
            while len(self._servers) > _MAX_SERVERS:
                del self._servers[next(iter(self._servers))]
        return server

    def _list(self, server: _Server, seconds: float) -> tuple[_Listed, ...]:
        with server.lock:
            age = self._monotonic() - server.asked_at
            if server.listed is not None and age < _TTL_SECONDS:
                return server.listed
            if server.error is not None and age < _FAILURE_TTL_SECONDS:
                raise _copy(server.error)
            try:
                server.listed = tuple(_read_tools(server.wire, time.monotonic() + seconds))
                server.error = None
            except ServiceError as exc:
                server.error = exc
                if server.listed is None:
                    raise
            finally:
                server.asked_at = self._monotonic()
            return server.listed


def _copy(error: ServiceError) -> ServiceError:
    """An error of the same words: one that is raised twice drags its first traceback along."""
    kind = PermanentError if isinstance(error, PermanentError) else RetryableError
    return kind(error.code, error.message)


def _read_tools(wire: Wire, deadline: float) -> Iterator[_Listed]:
    cursor: str | None = None
    names: set[str] = set()
    for _ in range(_MAX_PAGES):
        try:
            result = wire.list_tools(cursor, deadline=deadline)
        except McpError as exc:
            raise PermanentError("mcp-refused", f"{wire.host} refuses to list its tools") from exc
        tools = result.get("tools")
        for tool in tools if isinstance(tools, list) else []:
            if (listed := _read_tool(tool)) and listed.name not in names and len(names) < _MAX_TOOLS:
                names.add(listed.name)
                yield listed
        following = result.get("nextCursor")
        if not isinstance(following, str) or not following or len(names) >= _MAX_TOOLS:
            return
        cursor = following


def _read_tool(tool: object) -> _Listed | None:
    """A tool of the list; None for one that could not be called: the others stay usable."""
    if not isinstance(tool, Mapping) or not isinstance(name := tool.get("name"), str) or not 0 < len(name) <= 128:
        return None
    schema = tool.get("inputSchema")
    if not isinstance(schema, Mapping):
        return None
    try:
        check_schema(schema)
        parameters = make_self_contained(schema)
    except PermanentError as exc:
        logger.warning("MCP tool left out", extra={"code": exc.code})
        return None
    annotations = tool.get("annotations")
    description = tool.get("description") or tool.get("title")
    return _Listed(
        name=name,
        description=description[:_MAX_DESCRIPTION] if isinstance(description, str) else "",
        schema=schema,
        parameters=parameters,
        is_read=isinstance(annotations, Mapping) and annotations.get("readOnlyHint") is True,
    )


class _ServerTool:
    """One tool of a server."""

    type = ToolType.TPA

    def __init__(self, name: str, definition: McpTool, listed: _Listed, wire: Wire) -> None:
        self.name = name
        self.description = make_text(f"{definition.description}\n{listed.description}".strip()[:_MAX_DESCRIPTION])
        self.parameters = listed.parameters
        self.is_write = definition.is_write or not listed.is_read
        self.timeout_seconds = definition.timeout_seconds
        self._listed = listed
        self._wire = wire

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Call it. Raises as `Tool.run` does."""
        deadline = time.monotonic() + min(self.timeout_seconds, context.remaining())
        headers = make_param_headers(self._listed.schema, arguments)
        if self.is_write:
            headers["idempotency-key"] = context.idempotency_key
        try:
            result = self._wire.call_tool(self._listed.name, arguments, headers, deadline=deadline)
        except McpError as exc:
            text, is_error = make_text(f"The server refuses the call: {exc.message}"[:_MAX_ERROR_LENGTH]), True
        except RetryableError as exc:
            if not (self.is_write and exc.is_outcome_unknown):
                raise
            text, is_error = f"{exc.message}. {OUTCOME_UNKNOWN}", True
        else:
            text, is_error = _describe_result(result)
        return ToolResult(text=redact(text, self._wire.secret), is_error=is_error)


def _describe_result(result: Mapping[str, Any]) -> tuple[str, bool]:
    if result.get("resultType", "complete") != "complete":
        return "The tool asks for something more, which cannot be given here.", True
    content = result.get("content")
    texts = [text for part in (content if isinstance(content, list) else []) if (text := _describe_part(part))]
    if not texts and "structuredContent" in result:
        texts = [json.dumps(result["structuredContent"], ensure_ascii=False, separators=(",", ":"))]
    text = make_text("\n".join(texts))
    if len(text) > MAX_OUTSIDE_BYTES:
        text = f"{text[:MAX_OUTSIDE_BYTES]}\n[The answer is longer: this is its beginning.]"
    return text, result.get("isError") is True


def _describe_part(part: object) -> str:
    """A part of the answer as text; what is no text is named."""
    match part:
        case {"type": "text", "text": str(text)} | {"type": "resource", "resource": {"text": str(text)}}:
            return text
        case {"type": "image" | "audio" as kind, "mimeType": str(media_type)}:
            return f"[{kind}, {media_type[:80]}: not shown]"
        case {"type": "resource_link", "uri": str(uri)} | {"type": "resource", "resource": {"uri": str(uri)}}:
            return f"[resource: {uri[:500]}]"
        case _:
            return ""
