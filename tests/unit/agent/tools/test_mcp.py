"""MCP servers as tools, over real HTTP: both kinds of revision, and servers that mean harm."""

import json
import logging
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from agent.tools import Tool, ToolContext, ToolResult
from agent.tools.mcp import McpServers
from core.configuration import McpTool
from core.errors import PermanentError, RetryableError
from core.models import ToolType
from core.outside import OutsideHttp
from local.fake_tools import FakeTools, Scripted
from local.fake_tools.mcp import HANDSHAKE, MODERN

_EVENTS = {"Content-Type": "text/event-stream"}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def servers(services: FakeTools, http: OutsideHttp, clock: Clock) -> McpServers:
    return McpServers(read_secret={"parley/test/tools/mcp": services.token}.__getitem__, http=http, monotonic=clock)


@pytest.fixture(params=[MODERN, HANDSHAKE])
def any_services(request: pytest.FixtureRequest) -> Iterator[FakeTools]:
    """A server of each kind of revision."""
    with FakeTools(revision=request.param) as started:
        yield started


def _define(services: FakeTools, **more: Any) -> McpTool:
    given = {"url": services.mcp_url, "secret_name": "parley/test/tools/mcp", "timeout_seconds": 5.0, **more}
    return McpTool(name="shop", description="The shop.", **given)


def _make(services: FakeTools, http: OutsideHttp, **more: Any) -> dict[str, Tool]:
    servers = McpServers(read_secret={"parley/test/tools/mcp": services.token}.__getitem__, http=http)
    return {tool.name: tool for tool in servers.make_tools(_define(services, **more))}


def _count(services: FakeTools, method: str) -> int:
    return sum(call.json().get("method") == method for call in services.calls)


def _answer(result: Mapping[str, object], request_id: int = 2) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "result": result}).encode()


@contextmanager
def _serve_tools(*tools: dict[str, Any]) -> Iterator[FakeTools]:
    with FakeTools() as services:
        services.mcp.tools = list(tools)
        yield services


def test_every_page_of_tools_is_listed_and_what_only_reads_is_no_write(
    any_services: FakeTools, http: OutsideHttp
) -> None:
    tools = _make(any_services, http)
    assert {name: tool.is_write for name, tool in tools.items()} == {
        "shop_look_up_order": False,
        "shop_place_order": True,
        "shop_draw_order": True,
    }
    looking = tools["shop_look_up_order"]
    assert (looking.type, looking.description) == (ToolType.TPA, "The shop.\nOne order.")
    assert looking.parameters["required"] == ["order_id"]


def test_definition_filters_the_tools_and_can_make_each_a_write(services: FakeTools, http: OutsideHttp) -> None:
    tools = _make(services, http, allowed=("look_up_order", "unknown"), is_write=True)
    assert {name: tool.is_write for name, tool in tools.items()} == {"shop_look_up_order": True}


@pytest.mark.parametrize("in_events", [False, True])
@pytest.mark.parametrize("revision", [MODERN, HANDSHAKE])
def test_tool_is_called_in_each_revision_and_each_form_of_answer(
    http: OutsideHttp, context: ToolContext, revision: str, *, in_events: bool
) -> None:
    with FakeTools(revision=revision, answers_in_events=in_events) as services:
        tools = _make(services, http)
        started = time.monotonic()
        found = tools["shop_look_up_order"].run({"order_id": "A-1"}, context)
        placed = tools["shop_place_order"].run({"item": "tea", "quantity": 1}, context)
        assert time.monotonic() - started < 3.0
        assert json.loads(found.text)["status"] == "shipped"
        assert json.loads(placed.text)["id"] == "B-1"
        assert services.effects == ["key-1"]
        assert "idempotency-key" not in services.calls[-2].headers


def test_argument_that_a_header_repeats_is_wrapped_where_a_header_cannot_carry_it(
    services: FakeTools, http: OutsideHttp, context: ToolContext
) -> None:
    tool = _make(services, http)["shop_look_up_order"]
    tool.run({"order_id": "ü\r\nx-injected: yes"}, context)
    headers = services.calls[-1].headers
    assert headers["mcp-param-order"] == "=?base64?w7wNCngtaW5qZWN0ZWQ6IHllcw==?="
    assert headers["mcp-name"] == "look_up_order"
    assert "x-injected" not in headers


def test_failure_of_a_tool_is_an_error_for_the_model(
    any_services: FakeTools, http: OutsideHttp, context: ToolContext
) -> None:
    tool = _make(any_services, http)["shop_look_up_order"]
    assert tool.run({"order_id": "none"}, context) == ToolResult(text="no such order", is_error=True)


def test_what_is_no_text_is_named(services: FakeTools, http: OutsideHttp, context: ToolContext) -> None:
    result = _make(services, http)["shop_draw_order"].run({}, context)
    assert result.text == "Here it is.\n[image, image/png: not shown]\n[resource: orders://A-1]"


@pytest.mark.parametrize(
    ("result", "told", "is_error"),
    [
        ({"structuredContent": {"a": [1]}}, '{"a":[1]}', False),
        ({"content": [{"type": "resource", "resource": {"uri": "x:1", "text": "inside"}}]}, "inside", False),
        ({"content": [{"type": "resource", "resource": {"uri": "x:1", "blob": "AA"}}]}, "[resource: x:1]", False),
        ({"content": [7, {"type": "text", "text": 8}, {"type": "new"}]}, "", False),
        ({"content": "text"}, "", False),
        ({"content": [{"type": "text", "text": "\ud800"}], "isError": True}, "?", True),
        ({"resultType": "input_required", "inputRequests": {}}, "The tool asks for something more", True),
    ],
)
def test_every_form_of_result_is_told(
    services: FakeTools,
    http: OutsideHttp,
    context: ToolContext,
    result: dict[str, object],
    told: str,
    *,
    is_error: bool,
) -> None:
    tool = _make(services, http)["shop_look_up_order"]
    services.answer_next(Scripted(body=_answer(result, 3)))
    answer = tool.run({"order_id": "A-1"}, context)
    assert answer.text.startswith(told)
    assert answer.is_error == is_error


def test_list_is_kept_for_ten_minutes(services: FakeTools, servers: McpServers, clock: Clock) -> None:
    definition = _define(services)
    for clock.now in (0.0, 300.0, 599.0):
        servers.make_tools(definition)
    assert _count(services, "tools/list") == 2  # both pages once
    clock.now = 601.0
    servers.make_tools(definition)
    assert _count(services, "tools/list") == 4


def test_list_of_one_credential_is_not_shown_to_another(services: FakeTools, http: OutsideHttp) -> None:
    servers = McpServers(
        read_secret={"parley/test/tools/mcp": services.token, "parley/test/tools/other": "wrong"}.__getitem__, http=http
    )
    servers.make_tools(_define(services))
    with pytest.raises(PermanentError) as caught:
        servers.make_tools(_define(services, secret_name="parley/test/tools/other"))
    assert caught.value.code == "mcp-credential"


def test_old_list_serves_while_the_server_is_down(services: FakeTools, servers: McpServers, clock: Clock) -> None:
    definition = _define(services)
    before = [tool.name for tool in servers.make_tools(definition)]
    services.close()
    clock.now = 700.0
    assert [tool.name for tool in servers.make_tools(definition)] == before


def test_server_that_is_down_is_not_asked_again_at_once(services: FakeTools, servers: McpServers, clock: Clock) -> None:
    services.answer_next(Scripted(status=503), Scripted(status=503))
    for _ in range(3):
        with pytest.raises(RetryableError):
            servers.make_tools(_define(services))
    assert len(services.calls) == 2  # without a handshake, and with one
    clock.now = 31.0
    assert servers.make_tools(_define(services))


def test_lost_session_is_renewed_and_the_call_happens_once(http: OutsideHttp, context: ToolContext) -> None:
    with FakeTools(revision=HANDSHAKE) as services:
        tools = _make(services, http)
        services.mcp.sessions.clear()
        result = tools["shop_place_order"].run({"item": "tea", "quantity": 1}, context)
        assert (result.is_error, services.effects) == (False, ["key-1"])
        assert _count(services, "initialize") == 2


def test_server_that_loses_each_session_is_given_up(http: OutsideHttp, context: ToolContext) -> None:
    with FakeTools(revision=HANDSHAKE) as services:
        tool = _make(services, http)["shop_look_up_order"]
        before = len(services.calls)
        services.mcp.tools.clear()
        lost = Scripted(status=404)
        hello = _answer({"protocolVersion": HANDSHAKE}, 6)
        session = {"Content-Type": "application/json", "Mcp-Session-Id": "s"}
        services.answer_next(lost, Scripted(headers=session, body=hello), Scripted(status=202, body=b""), lost)
        with pytest.raises(RetryableError) as caught:
            tool.run({"order_id": "A-1"}, context)
        assert caught.value.code == "mcp-session"
        assert len(services.calls) == before + 4


def test_handshake_that_ends_in_an_unknown_revision_is_refused(http: OutsideHttp) -> None:
    with FakeTools(revision=HANDSHAKE) as services:
        services.mcp.revision = "1999-01-01"
        with pytest.raises(PermanentError) as caught:
            _make(services, http)
    assert caught.value.code == "mcp-version"


def test_refused_call_is_told_with_the_reason(services: FakeTools, http: OutsideHttp, context: ToolContext) -> None:
    tool = _make(services, http)["shop_look_up_order"]
    error = {"jsonrpc": "2.0", "id": 3, "error": {"code": -32602, "message": "no " * 10_000}}
    services.answer_next(Scripted(status=400, body=json.dumps(error).encode()))
    result = tool.run({"order_id": "A-1"}, context)
    assert result.is_error
    assert result.text.startswith("The server refuses the call: no no")
    assert len(result.text) <= 4_000


def test_outcome_of_a_write_without_an_answer_is_told_as_unknown(
    services: FakeTools, http: OutsideHttp, context: ToolContext
) -> None:
    tools = _make(services, http)
    for lost in (Scripted(is_dropped=True, has_effect=True), Scripted(status=502), Scripted(body=b"<html>")):
        services.answer_next(lost)
        result = tools["shop_place_order"].run({"item": "tea", "quantity": 1}, context)
        assert result.is_error
        assert "not known whether this took effect" in result.text
    assert services.effects == ["key-1"]
    services.answer_next(Scripted(is_dropped=True))
    with pytest.raises(RetryableError):
        tools["shop_look_up_order"].run({"order_id": "A-1"}, context)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Scripted(status=302, headers={"Location": "http://169.254.169.254/"}), "mcp-redirect"),
        (Scripted(status=401), "mcp-credential"),
        (Scripted(status=429, headers={"Retry-After": "7"}), "rate-limited"),
        (Scripted(body=b"x" * 100, drip_seconds=0.02), "no-answer"),
        (Scripted(headers=_EVENTS, body=b"data: x\n\n" * 400_000), "answer-not-json"),
        (Scripted(body=_answer({"content": [{"type": "text", "text": "x" * 4_000_000}]}, 3)), "answer-not-json"),
        (Scripted(body=b"[" * 1_000_000), "answer-not-json"),
        (Scripted(body=_answer({"content": []}, 99)), "answer-not-json"),
        (Scripted(headers=_EVENTS, body=b": nothing\n\n", is_open=True), "no-answer"),
    ],
)
def test_server_that_means_harm_ends_in_an_error_and_in_time(
    services: FakeTools, http: OutsideHttp, context: ToolContext, answer: Scripted, code: str
) -> None:
    tool = _make(services, http)["shop_look_up_order"]
    services.answer_next(answer)
    started = time.monotonic()
    with pytest.raises((PermanentError, RetryableError)) as caught:
        tool.run({"order_id": "A-1"}, replace(context, remaining=lambda: 1.0))
    assert caught.value.code == code
    assert time.monotonic() - started < 3.0


def test_list_without_end_ends(services: FakeTools, http: OutsideHttp) -> None:
    page = {"tools": [{"name": "t", "inputSchema": {"type": "object"}}], "nextCursor": "again"}
    services.answer_next(*(Scripted(body=_answer(page, number)) for number in range(1, 100)))
    assert list(_make(services, http)) == ["shop_t"]
    assert len(services.calls) == 10


def test_tools_that_cannot_be_used_are_left_out_and_the_others_stay(http: OutsideHttp) -> None:
    good: dict[str, object] = {"name": "good one!", "inputSchema": {"type": "object"}, "description": "d" * 9_000}
    bad: list[dict[str, object]] = [
        {"name": "", "inputSchema": {"type": "object"}},
        {"name": "x" * 200, "inputSchema": {"type": "object"}},
        {"name": "none"},
        {"name": "array", "inputSchema": {"type": "array"}},
        {"name": "remote", "inputSchema": {"type": "object", "properties": {"a": {"$ref": "http://169.254.169.254/"}}}},
        {"name": "large", "inputSchema": {"type": "object", "description": "x" * 70_000}},
    ]
    with _serve_tools(*bad, good) as services:
        tools = _make(services, http)
    assert list(tools) == ["shop_good_one_"]
    assert len(tools["shop_good_one_"].description) == 3_000


def test_no_more_tools_are_listed_than_a_model_can_take(http: OutsideHttp) -> None:
    with _serve_tools(*({"name": f"t{n}", "inputSchema": {"type": "object"}} for n in range(500))) as services:
        services.mcp.page_size = 100
        assert len(_make(services, http)) == 128


def test_long_answer_is_told_in_part(services: FakeTools, http: OutsideHttp, context: ToolContext) -> None:
    tool = _make(services, http)["shop_look_up_order"]
    services.answer_next(Scripted(body=_answer({"content": [{"type": "text", "text": "x" * 500_000}]}, 3)))
    result = tool.run({"order_id": "A-1"}, context)
    assert result.text.endswith("[The answer is longer: this is its beginning.]")
    assert len(result.text) < 263_000


@pytest.mark.parametrize("url", ["http://127.0.0.1/mcp", "https://169.254.169.254/mcp", "https://localhost/mcp"])
def test_private_server_is_refused(url: str) -> None:
    servers = McpServers(read_secret=lambda _name: "", http=OutsideHttp())
    with pytest.raises(PermanentError):
        servers.make_tools(McpTool(name="shop", description="The shop.", url=url))


def test_secret_is_in_no_result_no_error_and_no_log(
    services: FakeTools, http: OutsideHttp, context: ToolContext, caplog: pytest.LogCaptureFixture
) -> None:
    shown = []
    echo = {"content": [{"type": "text", "text": f"you sent {services.token}"}]}
    refusal = {"jsonrpc": "2.0", "id": 4, "error": {"code": 1, "message": f"you sent {services.token}"}}
    with caplog.at_level(logging.DEBUG):
        tool = _make(services, http)["shop_look_up_order"]
        services.answer_next(
            Scripted(body=_answer(echo, 3)), Scripted(body=json.dumps(refusal).encode()), Scripted(is_dropped=True)
        )
        shown += [tool.run({"order_id": "A-1"}, context).text for _ in range(2)]
        with pytest.raises(RetryableError) as caught:
            tool.run({"order_id": "A-1"}, context)
        services.answer_next(Scripted(status=401, body=services.token.encode()))
        with pytest.raises(PermanentError) as refused:
            _make(services, http)
    shown += ["".join(traceback.format_exception(each.value)) for each in (caught, refused)]
    shown += [caplog.text, repr(tool)]
    assert all(services.token not in text for text in shown)
    assert "[secret]" in shown[0]
    assert "[secret]" in shown[1]


def test_threads_that_start_together_list_once(services: FakeTools, servers: McpServers) -> None:
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda: made.append(len(servers.make_tools(_define(services))))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [3] * 8
    assert _count(services, "tools/list") == 2
