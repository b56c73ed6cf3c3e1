"""OpenAPI documents: what becomes of them, and which are refused before they are stored."""

import copy
import json
import time
from typing import Any

import pytest

from agent.tools.openapi import check_openapi, find_base_url, read_operations
from core.errors import PermanentError
from core.outside import OutsideHttp


def _make(operation: dict[str, Any] | None = None, *, path: str = "/things", **more: Any) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "servers": [{"url": "https://api.example.com/v1/"}],
        "paths": {path: {"get": {"operationId": "find", **(operation or {})}}},
        **more,
    }


def _parameter(name: str, place: str = "query", **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": {"type": "string"}, **more}


def test_arguments_are_one_flat_object_with_the_body_in_it() -> None:
    document = _make(path="/things/{id}")
    document["paths"]["/things/{id}"] = {
        "parameters": [_parameter("id", "path", required=True), _parameter("limit", description="of the path")],
        "put": {
            "operationId": "change",
            "summary": "Changes a thing.",
            "description": "All of it.",
            "parameters": [
                {"name": "limit", "in": "query", "schema": {"type": "integer"}, "required": True},
                _parameter("id", "header"),
                _parameter("body"),
                _parameter("filter[name]"),
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/Thing"}}},
            },
        },
    }
    document["components"] = {"schemas": {"Thing": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    (operation,) = read_operations(document)
    assert operation.schema == {
        "type": "object",
        "properties": {
            "body": {"type": "object", "properties": {"size": {"type": "integer"}}},
            "id": {"type": "string"},
            "limit": {"type": "integer"},
            "id_2": {"type": "string"},
            "body_2": {"type": "string"},
            "filter_name_": {"type": "string"},
        },
        "required": ["body", "id", "limit"],
        "additionalProperties": False,
    }
    assert operation.description == "Changes a thing.\nAll of it."
    assert not operation.is_read


def test_operation_without_an_id_gets_one_and_only_the_wanted_are_read() -> None:
    document = _make()
    document["paths"]["/others"] = {"delete": {}, "get": {"operationId": "wanted"}}
    assert [each.operation_id for each in read_operations(document)] == ["find", "wanted", "delete_/others"]
    assert [each.operation_id for each in read_operations(document, ["wanted"])] == ["wanted"]


def test_broken_operation_that_is_not_wanted_does_no_harm() -> None:
    document = _make()
    document["paths"]["/others"] = {"get": {"operationId": "broken", "parameters": [{"$ref": "https://evil.example/"}]}}
    check_openapi(document, ["find"])
    with pytest.raises(PermanentError):
        check_openapi(document, ["find", "broken"])


def test_document_may_not_give_the_model_the_headers_of_the_request_or_the_credential() -> None:
    names = ["Host", "Authorization", "Content-Length", "Transfer-Encoding", "Cookie", "Idempotency-Key", "X-Api-Key"]
    document = _make({"parameters": [_parameter(name, "header", required=True) for name in (*names, "X-Trace")]})
    (operation,) = read_operations(document, credential=("header", "x-api-key"))
    assert list(operation.schema["properties"]) == ["X-Trace"]


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://localhost/v1",
        "https://db.internal/v1",
        "http://api.example.com/v1",
        "/v1",
        "https://",
        "https://{host}/v1",
        "https://api.example.com/v1?key=1",
        "https://api.example.com/../v1",
        "https://api.example.com@10.0.0.1/",
    ],
)
def test_server_that_is_private_or_no_server_is_refused_before_it_is_stored(url: str) -> None:
    for document, base_url in ((_make(servers=[{"url": url}]), None), (_make(), url)):
        with pytest.raises(PermanentError) as caught:
            check_openapi(document, base_url=base_url)
        assert caught.value.code == "openapi-server"


def test_variable_of_the_server_does_not_lead_to_a_private_host() -> None:
    server = {"url": "https://{host}/v1", "variables": {"host": {"default": "169.254.169.254"}}}
    with pytest.raises(PermanentError, match=r"#/servers/0: 169\.254\.169\.254 is not on"):
        check_openapi(_make(servers=[server]))


def test_base_url_stands_for_the_server_of_the_document() -> None:
    document = _make(servers=[{"url": "http://localhost/"}])
    check_openapi(document, base_url="https://api.example.com/v2/")
    assert find_base_url(document, "https://api.example.com/v2/") == "https://api.example.com/v2"


def test_host_that_the_door_lets_through_is_stored() -> None:
    http = OutsideHttp(insecure_hosts=frozenset(("127.0.0.1",)))
    check_openapi(_make(servers=[{"url": "http://127.0.0.1:4590/v1"}]), http=http)


_CIRCLE: dict[str, Any] = {"components": {"parameters": {"a": {"$ref": "#/components/parameters/a"}}}}


@pytest.mark.parametrize(
    ("document", "code", "place"),
    [
        (_make() | {"openapi": "2.0"}, "openapi-version", "#/openapi"),
        (_make() | {"paths": []}, "openapi-paths", "#/paths"),
        (_make() | {"paths": {}}, "openapi-operation", "#/paths"),
        (_make() | {"paths": {"/a": {"get": 7}}}, "openapi-operation", "#/paths/~1a/get"),
        (_make() | {"servers": []}, "openapi-server", "#/servers"),
        (
            _make({"parameters": [{"$ref": "https://evil.example/p.json"}]}),
            "openapi-reference",
            "#/paths/~1things/get/parameters",
        ),
        (_make({"parameters": [{"$ref": "#/components/parameters/a"}]}, **_CIRCLE), "openapi-reference", "in a circle"),
        (
            _make({"parameters": [{"name": "q", "in": "query", "schema": {"$ref": "http://169.254.169.254/"}}]}),
            "openapi-reference",
            "#/paths/~1things/get: q",
        ),
        (_make({"parameters": [_parameter("q", style="matrix")]}), "openapi-style", "'q'"),
        (_make({"parameters": [_parameter("c", "cookie", required=True)]}), "openapi-parameter", "'c'"),
        (_make({"parameters": [_parameter("a b", "header", required=True)]}), "openapi-parameter", "'a b'"),
        (_make({"parameters": [_parameter(f"p{n}") for n in range(65)]}), "openapi-parameter", "parameters"),
        (_make({"servers": [{"url": "https://evil.example"}]}), "openapi-server", "#/paths/~1things/get"),
        (_make(path="/things/{id}"), "openapi-path", "#/paths/~1things~1{id}/get"),
        (_make({"parameters": [_parameter("id", "path", required=True)]}), "openapi-path", "get"),
        (_make(path="/../admin"), "openapi-path", "#/paths"),
        (_make(path="//evil.example?x"), "openapi-path", "#/paths"),
        (_make(path="things"), "openapi-path", "#/paths"),
        (
            _make({"requestBody": {"required": True, "content": {"multipart/form-data": {}}}}),
            "openapi-body",
            "requestBody",
        ),
        (_make(x=json.loads("[" * 200 + "]" * 200)), "openapi-too-deep", "deeper"),
        (_make(x="x" * 1_100_000), "openapi-too-large", "over"),
        (_make(x=float("nan")), "openapi-invalid", "not JSON"),
    ],
)
def test_document_that_cannot_be_used_is_refused_with_the_place(
    document: dict[str, Any], code: str, place: str
) -> None:
    with pytest.raises(PermanentError) as caught:
        check_openapi(document)
    assert caught.value.code == code
    assert place in caught.value.message
    assert len(caught.value.message) < 600


def test_wanted_operation_that_is_not_there_is_named() -> None:
    with pytest.raises(PermanentError, match="no operation nowhere"):
        check_openapi(_make(), ["find", "nowhere"])


def test_two_operations_of_one_id_are_refused() -> None:
    document = _make()
    document["paths"]["/others"] = {"get": {"operationId": "find"}}
    with pytest.raises(PermanentError, match="'find' is taken"):
        check_openapi(document)


def test_more_operations_than_a_model_can_choose_from_must_be_named() -> None:
    document = _make()
    for number in range(65):
        document["paths"][f"/t{number}"] = {"get": {"operationId": f"t{number}"}}
    with pytest.raises(PermanentError, match="name those to offer"):
        check_openapi(document)
    check_openapi(document, ["t1", "t2"])


def test_document_that_contains_itself_is_read_to_where_it_begins_again() -> None:
    node = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/N"}}},
    }
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/N"}}}}
    (operation,) = read_operations(_make({"requestBody": body}, components={"schemas": {"N": node}}))
    assert operation.schema["properties"]["body"]["properties"] == {"children": {"type": "array", "items": {}}}


def _multiply(levels: int, width: int, last: dict[str, Any]) -> dict[str, Any]:
    """A document whose one parameter leads to `last` by `width` ways at each level."""
    schemas: dict[str, Any] = {
        f"a{n}": {"properties": {f"p{m}": {"$ref": f"#/components/schemas/a{n + 1}"} for m in range(width)}}
        for n in range(levels)
    }
    parameter = {"name": "q", "in": "query", "schema": {"$ref": "#/components/schemas/a0"}}
    return _make({"parameters": [parameter]}, components={"schemas": schemas | {f"a{levels}": last}})


@pytest.mark.parametrize(
    "document",
    [
        _multiply(8, 10, {}),
        _multiply(1, 1_500, {"enum": ["x" * 100] * 3_000}),
        _multiply(1, 1_500, {"type": "string", "description": "x" * 300_000}),
    ],
    ids=["references", "lists", "texts"],
)
def test_document_that_grows_when_it_is_resolved_is_refused_soon(document: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    started = time.monotonic()
    with pytest.raises(PermanentError) as caught:
        check_openapi(document)
    assert caught.value.code == "openapi-too-large"
    assert "with its references resolved" in caught.value.message  # so it was not written out first
    assert time.monotonic() - started < 1.5
    assert document == before


def test_operation_that_takes_too_much_to_describe_is_refused() -> None:
    parameters = [{**_parameter(f"p{n}"), "schema": {"enum": ["x" * 100] * 30}} for n in range(60)]
    with pytest.raises(PermanentError, match="its arguments take over 65536 bytes"):
        check_openapi(_make({"parameters": parameters}))
