"""The MCP server of the book of orders: the revision without handshakes, or the one before it with sessions."""

import json
import secrets
from dataclasses import dataclass, field

from local.fake_tools.orders import Call, Orders

MODERN = "2026-07-28"
HANDSHAKE = "2025-11-25"
_META = "io.modelcontextprotocol/protocolVersion"

_TOOLS: list[dict[str, object]] = [
    {
        "name": "look_up_order",
        "description": "One order.",
        "inputSchema": {
            "type": "object",
            "properties": {"order_id": {"type": "string", "x-mcp-header": "Order"}},
            "required": ["order_id"],
        },
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "place_order",
        "description": "Places an order.",
        "inputSchema": {
            "type": "object",
            "properties": {"item": {"type": "string"}, "quantity": {"type": "integer"}},
            "required": ["item", "quantity"],
        },
    },
    {"name": "draw_order", "description": "A picture of it.", "inputSchema": {"type": "object"}},
]


@dataclass(slots=True)
class McpAnswer:
    """An HTTP answer to one message; `message` is None where there is none to give."""

    status: int
    message: dict[str, object] | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class McpServer:
    """Speaks `revision` alone. `page_size` tools are listed at a time."""

    orders: Orders
    token: str
    revision: str = MODERN
    page_size: int = 2
    tools: list[dict[str, object]] = field(default_factory=lambda: list(_TOOLS))
    sessions: set[str] = field(default_factory=set)

    def answer(self, call: Call) -> McpAnswer:
        """What the server answers to one message."""
        message = call.json()
        if call.headers.get("authorization") != f"Bearer {self.token}":
            return McpAnswer(401)
        params = message.get("params")
        given = params if isinstance(params, dict) else {}
        method, request_id = message.get("method"), message.get("id")
        if self.revision == MODERN:
            refusal = self._check_modern(call, method, given)
        elif method == "initialize":
            return self._start_session(request_id)
        else:
            refusal = self._check_session(call)
        if refusal:
            status, code, text = refusal
            return McpAnswer(status, _make_error(request_id, code, text))
        if request_id is None:
            return McpAnswer(202)
        if method == "tools/list":
            return McpAnswer(200, self._list(request_id, given))
        if method == "tools/call":
            return McpAnswer(200, self._call(request_id, given, call.headers.get("idempotency-key", "")))
        return McpAnswer(404, _make_error(request_id, -32601, "Method not found"))

    def _check_modern(self, call: Call, method: object, params: dict[str, object]) -> tuple[int, int, str] | None:
        if method == "initialize":
            return 404, -32601, "Method not found"
        meta = params.get("_meta")
        version = meta.get(_META) if isinstance(meta, dict) else None
        if not version == call.headers.get("mcp-protocol-version") == MODERN:
            return 400, -32022, "Unsupported protocol version"
        expected = [call.headers.get("mcp-method") == method]
        if method == "tools/call":
            expected.append(call.headers.get("mcp-name") == params.get("name"))
            arguments = params.get("arguments")
            if params.get("name") == "look_up_order" and isinstance(arguments, dict):
                expected.append(call.headers.get("mcp-param-order") == arguments.get("order_id"))
        return None if all(expected) else (400, -32020, "The headers do not match the body")

    def _start_session(self, request_id: object) -> McpAnswer:
        session = secrets.token_hex(8)
        self.sessions.add(session)
        result = {
            "protocolVersion": self.revision,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "orders", "version": "1"},
        }
        answer: dict[str, object] = {"jsonrpc": "2.0", "id": request_id, "result": result}
        return McpAnswer(200, answer, {"Mcp-Session-Id": session})

    def _check_session(self, call: Call) -> tuple[int, int, str] | None:
        session = call.headers.get("mcp-session-id")
        if session is None:
            return 400, -32000, "Bad Request: no session"
        if session not in self.sessions:
            return 404, -32001, "Session not found"
        if call.headers.get("mcp-protocol-version") != self.revision:
            return 400, -32000, "Bad Request: unsupported protocol version"
        return None

    def _list(self, request_id: object, params: dict[str, object]) -> dict[str, object]:
        start = int(str(params.get("cursor", "0")))
        end = start + self.page_size
        result: dict[str, object] = {"tools": self.tools[start:end], "resultType": "complete"}
        if end < len(self.tools):
            result["nextCursor"] = str(end)
        return {"jsonrpc": "2.0", "id": request_id, "result": result}

    def _call(self, request_id: object, params: dict[str, object], key: str) -> dict[str, object]:
        arguments = params.get("arguments")
        given = arguments if isinstance(arguments, dict) else {}
        match params.get("name"):
            case "look_up_order":
                found = self.orders.find(str(given.get("order_id")))
                content, is_error = [_make_text(json.dumps(found) if found else "no such order")], found is None
            case "place_order":
                placed = self.orders.place(str(given.get("item")), int(given.get("quantity", 0)), key)
                content, is_error = [_make_text(json.dumps(placed))], False
            case "draw_order":
                picture: dict[str, object] = {"type": "image", "mimeType": "image/png", "data": "iVBORw0KGgo="}
                link: dict[str, object] = {"type": "resource_link", "uri": "orders://A-1", "name": "A-1"}
                content, is_error = [_make_text("Here it is."), picture, link], False
            case _:
                return _make_error(request_id, -32602, "Unknown tool")
        result = {"content": content, "isError": is_error, "resultType": "complete"}
        return {"jsonrpc": "2.0", "id": request_id, "result": result}


def _make_text(text: str) -> dict[str, object]:
    return {"type": "text", "text": text}


def _make_error(request_id: object, code: int, message: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}
