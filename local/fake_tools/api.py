"""The HTTP API of the book of orders, and the OpenAPI document that describes it."""

import json
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from local.fake_tools.orders import Call, Orders

type Answered = tuple[int, dict[str, object]]

_ORDER: Mapping[str, object] = {
    "type": "object",
    "required": ["item", "quantity"],
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "item": {"type": "string", "minLength": 1, "maxLength": 200},
        "quantity": {"type": "integer", "minimum": 1, "maximum": 1000},
        "note": {"type": "string", "nullable": True},
    },
}

_ORDER_ID: Mapping[str, object] = {"name": "orderId", "in": "path", "required": True, "schema": {"type": "string"}}


def make_document(url: str) -> dict[str, object]:
    """The OpenAPI document of the API at this base URL."""
    answer = {"200": {"description": "The answer."}}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Orders", "version": "1"},
        "servers": [{"url": url}],
        "components": {
            "schemas": {"Order": _ORDER},
            "parameters": {"Status": {"name": "status", "in": "query", "schema": {"type": "string"}}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
        "paths": {
            "/orders": {
                "get": {
                    "operationId": "listOrders",
                    "summary": "The orders, newest last.",
                    "parameters": [
                        {"$ref": "#/components/parameters/Status"},
                        {"name": "tags", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                        {"name": "X-Request-Note", "in": "header", "schema": {"type": "string"}},
                    ],
                    "responses": answer,
                },
                "post": {
                    "operationId": "placeOrder",
                    "summary": "Places an order.",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
                    },
                    "responses": answer,
                },
            },
            "/orders/{orderId}": {
                "parameters": [_ORDER_ID],
                "get": {"operationId": "getOrder", "summary": "One order.", "responses": answer},
            },
        },
    }


def answer_api(call: Call, orders: Orders, token: str) -> Answered:
    """What the API answers to a call of a path below `/v1`."""
    if call.headers.get("authorization") != f"Bearer {token}":
        return 401, {"error": "unauthorized"}
    split = urlsplit(call.path)
    segments = split.path.removeprefix("/v1/").split("/")
    match call.method, segments:
        case "GET", ["orders"]:
            status = parse_qs(split.query).get("status", [None])[0]
            return 200, {"orders": orders.list(status)}
        case "POST", ["orders"]:
            return _place(call, orders)
        case "GET", ["orders", order_id]:
            found = orders.find(unquote(order_id))
            return (200, found) if found else (404, {"error": "not_found"})
        case _:
            return 404, {"error": "no_such_path"}


def _place(call: Call, orders: Orders) -> Answered:
    try:
        given = json.loads(call.body)
        item, quantity = str(given["item"]), int(given["quantity"])
    except (ValueError, KeyError, TypeError):
        return 422, {"error": "item and quantity are needed"}
    return 201, orders.place(item, quantity, call.headers.get("idempotency-key", ""))
