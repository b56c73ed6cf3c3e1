"""Third-party APIs as tools, over real HTTP: what is sent, what the model is told, and what an attacker cannot do."""

import gzip
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from agent.tools import Tool, ToolContext, ToolResult
from agent.tools.third_party import make_third_party_tools
from core.configuration import ThirdPartyTool
from core.errors import PermanentError, RetryableError
from core.models import ToolType
from core.outside import OutsideHttp
from local.fake_tools import FakeTools, Scripted

type Auth = Literal["none", "bearer", "basic", "header", "query"]

_TEXT = {"Content-Type": "text/plain"}


@pytest.fixture
def tools(services: FakeTools, http: OutsideHttp) -> dict[str, Tool]:
    """The tools of the orders API by name."""
    return _make(_define(services), http, services.token)


_SECRET = "parley/test/tools/orders"


def _define(services: FakeTools, **more: Any) -> ThirdPartyTool:
    given = {
        "openapi": services.document,
        "auth": "bearer",
        "secret_name": "parley/test/tools/orders",
        "timeout_seconds": 5.0,
        **more,
    }
    return ThirdPartyTool(name="orders", description="The orders of the company.", **given)


def _make(definition: ThirdPartyTool, http: OutsideHttp, secret: str = "") -> dict[str, Tool]:
    made = make_third_party_tools(definition, read_secret={_SECRET: secret}.__getitem__, http=http)
    return {tool.name: tool for tool in made}


def _make_one(services: FakeTools, http: OutsideHttp, operation: dict[str, Any], path: str = "/orders") -> Tool:
    """The tool of one GET operation of one's own."""
    document = services.document | {"paths": {path: {"get": {"operationId": "one", **operation}}}}
    (tool,) = _make(_define(services, openapi=document), http, services.token).values()
    return tool


def test_each_operation_is_a_tool_and_a_method_that_changes_is_a_write(tools: dict[str, Tool]) -> None:
    assert {name: tool.is_write for name, tool in tools.items()} == {
        "orders_listOrders": False,
        "orders_placeOrder": True,
        "orders_getOrder": False,
    }
    placing = tools["orders_placeOrder"]
    assert (placing.type, placing.timeout_seconds) == (ToolType.TPA, 5.0)
    assert placing.description == "The orders of the company.\nPlaces an order."
    assert placing.parameters["required"] == ["body"]
    assert "id" not in placing.parameters["properties"]["body"]["properties"]


def test_definition_can_make_every_operation_a_write(services: FakeTools, http: OutsideHttp) -> None:
    assert all(tool.is_write for tool in _make(_define(services, is_write=True), http).values())


def test_only_the_wanted_operations_are_tools(services: FakeTools, http: OutsideHttp) -> None:
    assert list(_make(_define(services, operations=("getOrder",)), http)) == ["orders_getOrder"]


def test_names_are_short_plain_and_different(services: FakeTools, http: OutsideHttp) -> None:
    ids = ["a.b", "a b", "x" * 100, "x" * 100 + "y"]
    paths = {f"/p{number}": {"get": {"operationId": each}} for number, each in enumerate(ids)}
    names = list(_make(_define(services, openapi=services.document | {"paths": paths}), http))
    assert names[0] == "orders_a_b"
    assert len(set(names)) == 4
    assert all(len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in names)


def test_read_gives_the_status_and_the_answer_without_blanks(tools: dict[str, Tool], context: ToolContext) -> None:
    result = tools["orders_getOrder"].run({"orderId": "A-1"}, context)
    assert result == ToolResult(text='HTTP 200\n{"id":"A-1","item":"tea","quantity":2,"status":"shipped"}')


def test_read_sends_its_query_and_headers(services: FakeTools, tools: dict[str, Tool], context: ToolContext) -> None:
    arguments = {"status": "a&b=c #ü+", "tags": ["x", "y/z"], "X-Request-Note": "hello"}
    assert not tools["orders_listOrders"].run(arguments, context).is_error
    (call,) = services.calls
    assert call.path == "/v1/orders?status=a%26b%3Dc%20%23%C3%BC%2B&tags=x&tags=y%2Fz"
    assert call.headers["x-request-note"] == "hello"
    assert call.headers["authorization"] == f"Bearer {services.token}"
    assert "idempotency-key" not in call.headers


def test_write_happens_once_however_often_it_is_tried(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext
) -> None:
    order = {"body": {"item": "Käse", "quantity": 1}}
    first = tools["orders_placeOrder"].run(order, context)
    again = tools["orders_placeOrder"].run(order, context)
    assert first == again
    assert first.text.startswith('HTTP 201\n{"id":"B-1","item":"Käse"')
    assert services.effects == ["key-1"]
    assert [call.headers["idempotency-key"] for call in services.calls] == ["key-1", "key-1"]


@pytest.mark.parametrize(
    ("style", "explode", "value", "sent"),
    [
        ("form", True, ["a", "b"], "q=a&q=b"),
        ("form", False, ["a,", "b"], "q=a%2C,b"),
        ("spaceDelimited", False, ["a", "b"], "q=a%20b"),
        ("pipeDelimited", False, ["a", "b"], "q=a%7Cb"),
        ("form", True, {"x": 1, "y": True}, "x=1&y=true"),
        ("form", False, {"x": 1, "y": None}, "q=x,1,y,"),
        ("deepObject", True, {"x": "1&z=2", "y": {"k": []}}, "q%5Bx%5D=1%26z%3D2&q%5By%5D=%7B%22k%22%3A%5B%5D%7D"),
        ("form", True, 1.5, "q=1.5"),
        ("form", True, "line\r\nbreak", "q=line%0D%0Abreak"),
    ],
)
def test_query_is_written_in_the_style_of_the_document(
    services: FakeTools,
    http: OutsideHttp,
    context: ToolContext,
    style: str,
    *,
    explode: bool,
    value: object,
    sent: str,
) -> None:
    parameter = {"name": "q", "in": "query", "style": style, "explode": explode}
    _make_one(services, http, {"parameters": [parameter]}).run({"q": value}, context)
    assert services.calls[0].path == f"/v1/orders?{sent}"


def test_parameter_with_content_is_sent_as_json(services: FakeTools, http: OutsideHttp, context: ToolContext) -> None:
    parameter = {"name": "q", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}}
    _make_one(services, http, {"parameters": [parameter]}).run({"q": {"a": [1]}}, context)
    assert services.calls[0].path == "/v1/orders?q=%7B%22a%22%3A%5B1%5D%7D"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("A/1", "A%2F1"),
        ("A?x=1#y", "A%3Fx%3D1%23y"),
        ("%2e%2e%2", "%252e%252e%252"),
        ("{orderId}", "%7BorderId%7D"),
        ("a;b=c@d:e", "a%3Bb%3Dc%40d%3Ae"),
        ("...", "..."),
        (7, "7"),
        (["a", "b/c"], "a,b%2Fc"),
    ],
)
def test_value_in_the_path_stays_one_segment(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext, value: object, sent: str
) -> None:
    tools["orders_getOrder"].run({"orderId": value}, context)
    assert services.calls[0].path == f"/v1/orders/{sent}"


@pytest.mark.parametrize(
    "value",
    [
        "..",
        ".",
        "../admin",
        "..\\admin",
        "a/../../admin",
        "%2e%2e",
        "%2E%2E%2Fadmin",
        " .. ",
        "",
        [],
        None,
        "A-1\r\nHost: evil.example",
        "A-1%0d%0ax",
        "A\x00",
    ],
)
def test_value_that_would_change_the_path_is_not_sent(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext, value: object
) -> None:
    result = tools["orders_getOrder"].run({"orderId": value}, context)
    assert result.is_error
    assert "'orderId' is a part of a path" in result.text
    assert services.calls == []


def test_two_values_do_not_make_a_step_upwards_together(
    services: FakeTools, http: OutsideHttp, context: ToolContext
) -> None:
    path = [{"name": name, "in": "path", "required": True} for name in ("a", "b")]
    tool = _make_one(services, http, {"parameters": path}, "/orders/{a}.{b}")
    assert not tool.run({"a": "x", "b": "y"}, context).text.startswith("The arguments")
    services.calls.clear()
    sneaky = _make_one(
        services, http, {"parameters": [{"name": "a", "in": "path", "required": True}]}, "/orders/.{a}/x"
    )
    assert sneaky.run({"a": "."}, context).is_error
    assert all("/.." not in call.path for call in services.calls)


@pytest.mark.parametrize("value", ["a\r\nX-Injected: yes", "a\nb", "ü", "\x00"])
def test_line_break_in_a_header_is_not_sent(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext, value: str
) -> None:
    result = tools["orders_listOrders"].run({"X-Request-Note": value}, context)
    assert result == ToolResult(
        text="The argument 'X-Request-Note' is a header: write printable ASCII on one line.", is_error=True
    )
    assert services.calls == []


def test_arguments_too_long_for_a_request_are_not_sent(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext
) -> None:
    assert tools["orders_listOrders"].run({"status": "x" * 9_000}, context).is_error
    assert tools["orders_placeOrder"].run({"body": {"item": "x" * 300_000}}, context).is_error
    assert services.calls == []


@pytest.mark.parametrize(
    ("auth", "auth_name", "secret", "header", "sent"),
    [
        ("bearer", None, "s3cret-token", "authorization", "Bearer s3cret-token"),
        ("basic", None, "ann:s3cret", "authorization", "Basic YW5uOnMzY3JldA=="),
        ("header", "X-Api-Key", "s3cret-token", "x-api-key", "s3cret-token"),
    ],
)
def test_credential_goes_where_the_definition_says(
    services: FakeTools,
    http: OutsideHttp,
    context: ToolContext,
    auth: Auth,
    auth_name: str | None,
    secret: str,
    header: str,
    sent: str,
) -> None:
    definition = _define(services, auth=auth, auth_name=auth_name)
    _make(definition, http, secret)["orders_listOrders"].run({}, context)
    assert services.calls[0].headers[header] == sent


def test_credential_in_the_query_cannot_be_replaced_by_an_argument(
    services: FakeTools, http: OutsideHttp, context: ToolContext
) -> None:
    parameter = {"name": "q", "in": "query", "style": "form", "explode": True}
    document = services.document
    document["paths"] = {"/orders": {"get": {"operationId": "one", "parameters": [parameter]}}}
    definition = _define(services, openapi=document, auth="query", auth_name="api_key")
    _make(definition, http, "s3cret/+")["orders_one"].run({"q": {"api_key": "mine", "x": "1"}}, context)
    assert services.calls[0].path == "/v1/orders?x=1&api_key=s3cret%2F%2B"


@pytest.mark.parametrize(
    ("auth", "more"), [("bearer", {"secret_name": None}), ("header", {"auth_name": None}), ("query", {})]
)
def test_definition_that_does_not_say_how_to_sign_in_is_refused(
    services: FakeTools, auth: Auth, more: dict[str, None]
) -> None:
    with pytest.raises(ValidationError, match=r"needs a secretName|needs an authName"):
        _define(services, auth=auth, **more)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://127.0.0.1:1/", "https://[::1]/"])
def test_private_server_of_a_document_makes_no_tool(services: FakeTools, url: str) -> None:
    definition = _define(services, openapi=services.document | {"servers": [{"url": url}]})
    with pytest.raises(PermanentError):
        _make(definition, OutsideHttp())


def test_name_that_leads_to_the_metadata_address_is_refused_when_it_is_called(
    services: FakeTools, context: ToolContext
) -> None:
    http = OutsideHttp(resolve=lambda _host, _port: ["169.254.169.254"])
    tool = _make(_define(services, base_url="https://api.example.com"), http, "x")["orders_listOrders"]
    with pytest.raises(PermanentError) as caught:
        tool.run({}, context)
    assert caught.value.code == "address-refused"


def test_redirect_is_told_and_not_followed(services: FakeTools, tools: dict[str, Tool], context: ToolContext) -> None:
    services.answer_next(Scripted(status=307, headers={"Location": "http://169.254.169.254/latest/meta-data/iam"}))
    result = tools["orders_listOrders"].run({}, context)
    assert result.is_error
    assert "not followed" in result.text
    assert len(services.calls) == 1


def test_refusal_of_the_api_is_told_with_its_reason(tools: dict[str, Tool], context: ToolContext) -> None:
    result = tools["orders_getOrder"].run({"orderId": "none"}, context)
    assert result == ToolResult(text='HTTP 404\n{"error":"not_found"}', is_error=True)


def test_long_error_is_told_in_part(services: FakeTools, tools: dict[str, Tool], context: ToolContext) -> None:
    services.answer_next(Scripted(status=400, headers=_TEXT, body=b"x" * 200_000))
    result = tools["orders_listOrders"].run({}, context)
    assert result.is_error
    assert len(result.text) < 5_000


@pytest.mark.parametrize("status", [429, 500, 503])
def test_read_is_tried_once_more(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext, status: int
) -> None:
    services.answer_next(Scripted(status=status, headers={"Retry-After": "0"}))
    short = replace(context, remaining=lambda: 0.4)  # less than is waited where nobody says how long
    assert not tools["orders_listOrders"].run({}, short).is_error
    assert len(services.calls) == 2


def test_read_that_stays_broken_is_told_after_two_tries(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext
) -> None:
    services.answer_next(*[Scripted(status=503, headers={"Retry-After": "0"})] * 3)
    result = tools["orders_listOrders"].run({}, context)
    assert (result.is_error, result.text.splitlines()[0], len(services.calls)) == (True, "HTTP 503", 2)


@pytest.mark.parametrize("asked", ["60", "4"])
def test_read_does_not_wait_longer_than_it_may(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext, asked: str
) -> None:
    services.answer_next(Scripted(status=429, headers={"Retry-After": asked}))
    started = time.monotonic()
    short = replace(context, remaining=lambda: 2.0)
    assert tools["orders_listOrders"].run({}, short).text.startswith("HTTP 429")
    assert (len(services.calls), time.monotonic() - started < 2.0) == (1, True)


def test_write_is_never_tried_twice_and_its_outcome_is_told_as_unknown(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext
) -> None:
    order = {"body": {"item": "tea", "quantity": 1}}
    for lost in (Scripted(is_dropped=True, has_effect=True), Scripted(status=502, has_effect=True)):
        services.answer_next(lost)
        result = tools["orders_placeOrder"].run(order, context)
        assert result.is_error
        assert "not known whether this took effect" in result.text
    assert (len(services.calls), services.effects) == (2, ["key-1"])


def test_write_that_reached_nobody_may_be_tried_again(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext
) -> None:
    services.close()
    with pytest.raises(RetryableError) as caught:
        tools["orders_placeOrder"].run({"body": {"item": "tea", "quantity": 1}}, context)
    assert not caught.value.is_outcome_unknown


def test_slow_drip_ends_with_the_time_of_the_turn(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext
) -> None:
    services.answer_next(Scripted(body=b"x" * 1000, drip_seconds=0.02))
    started = time.monotonic()
    with pytest.raises(RetryableError):
        tools["orders_listOrders"].run({}, replace(context, remaining=lambda: 0.3))
    assert time.monotonic() - started < 3.0


def test_call_without_time_left_is_not_made(services: FakeTools, tools: dict[str, Tool], context: ToolContext) -> None:
    with pytest.raises(RetryableError) as caught:
        tools["orders_listOrders"].run({}, replace(context, remaining=lambda: 0.0))
    assert caught.value.code == "no-time"
    assert services.calls == []


@pytest.mark.parametrize("is_packed", [False, True])
def test_huge_answer_is_told_in_part(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext, *, is_packed: bool
) -> None:
    body = b"x" * 20_000_000
    headers = _TEXT | ({"Content-Encoding": "gzip"} if is_packed else {})
    services.answer_next(Scripted(headers=headers, body=gzip.compress(body) if is_packed else body))
    result = tools["orders_listOrders"].run({}, context)
    assert not result.is_error
    assert result.text.endswith("[The answer is longer: these are its first 256 kB.]")
    assert len(result.text) < 263_000


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream", "application/pdf", "x", ""])
def test_answer_that_is_no_text_is_named_and_not_shown(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext, content_type: str
) -> None:
    services.answer_next(Scripted(headers={"Content-Type": content_type}, body=b"\x89PNG-bytes"))
    result = tools["orders_listOrders"].run({}, context)
    assert "PNG" not in result.text
    assert "10 bytes: no text to read" in result.text


@pytest.mark.parametrize(
    ("content_type", "body", "told"),
    [
        ("application/json", b"<html>not JSON", "<html>not JSON"),
        ("application/problem+json", b'{ "a": "\\ud800" }', '{"a":"?"}'),
        ("text/plain; charset=iso-8859-1", b"K\xe4se", "Käse"),
        ("text/plain; charset=rot13", "Käse".encode(), "Käse"),
        ("text/plain; charset=punycode", b"a" * 10, "a" * 10),
        ("text/html", b"\xff", "�"),
        ("application/json", b"[" * 50_000, "[" * 50_000),
        ("text/plain", b"", ""),
    ],
)
def test_answer_of_a_wrong_type_is_text_all_the_same(
    services: FakeTools, tools: dict[str, Tool], context: ToolContext, content_type: str, body: bytes, told: str
) -> None:
    services.answer_next(Scripted(headers={"Content-Type": content_type}, body=body))
    assert tools["orders_listOrders"].run({}, context).text == f"HTTP 200\n{told}".strip()


def _run(tool: Tool, context: ToolContext) -> str:
    """What the tool answers or raises, traceback and causes included."""
    try:
        return tool.run({}, context).text
    except (PermanentError, RetryableError) as exc:
        return "".join(traceback.format_exception(exc))


@pytest.mark.parametrize(
    ("auth", "auth_name", "secret", "echo"),
    [
        ("bearer", None, "s3cret-token", lambda secret: f"you sent Bearer {secret}"),
        ("basic", None, "ann:s3cret-pass", lambda _: "you sent YW5uOnMzY3JldC1wYXNz and s3cret-pass"),
        ("query", "key", "s3cret/ä", lambda _: "you sent key=s3cret%2F%C3%A4"),
        ("header", "X-Api-Key", 's3cret"quoted', lambda _: 'you sent s3cret\\"quoted'),
        ("header", "X-Api-Key", "s3cret\r\nX-Injected: yes", lambda _: ""),
    ],
)
def test_secret_is_in_no_result_no_error_and_no_log(
    services: FakeTools,
    http: OutsideHttp,
    context: ToolContext,
    caplog: pytest.LogCaptureFixture,
    auth: Auth,
    auth_name: str | None,
    secret: str,
    echo: Callable[[str], str],
) -> None:
    tool = _make(_define(services, auth=auth, auth_name=auth_name), http, secret)["orders_listOrders"]
    short = replace(context, remaining=lambda: 0.3)
    with caplog.at_level(logging.DEBUG):
        services.answer_next(
            Scripted(headers=_TEXT, body=echo(secret).encode()),
            Scripted(status=400, headers=_TEXT, body=echo(secret).encode()),
            Scripted(is_dropped=True),
            Scripted(body=b"x" * 100, drip_seconds=0.02),
        )
        shown = [_run(tool, context), _run(tool, context), _run(tool, context), _run(tool, short)]
    services.close()
    shown.append(_run(tool, context))
    for text in (*shown, caplog.text):
        assert "s3cret" not in text
        assert "YW5uOnMz" not in text
