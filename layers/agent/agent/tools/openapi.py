"""OpenAPI 3.0 and 3.1 documents: the operations in them, each with one flat object of arguments.

https://spec.openapis.org/oas/v3.1.1.html. A parameter's argument has the parameter's name, in characters that every
model takes; the JSON body is the argument `body`. Where a name is taken, the later one gets `_2`, and so on.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from agent.tools.schema import follow, make_self_contained, measure_depth
from core.errors import PermanentError
from core.outside import OutsideHttp

type Place = Literal["path", "query", "header"]

BODY = "body"  # the argument that is the request's body
_READS = frozenset(("get", "head"))
_METHODS = (*sorted(_READS), "post", "put", "patch", "delete")
_STYLES: Mapping[str, tuple[str, ...]] = {
    "path": ("simple",),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
}
# What a request needs for itself; a document may not hand it to the model.
# fmt: off
_OWN_HEADERS = frozenset((
    "accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type",
    "cookie", "expect", "forwarded", "host", "idempotency-key", "keep-alive", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade", "user-agent",
))
# fmt: on
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_BYTES = 1024 * 1024
_MAX_SCHEMA_BYTES = 64 * 1024  # of one operation; a model reads it with every question
_MAX_DEPTH = 96
_MAX_OPERATIONS = 64  # of one tool; a model cannot choose well among more
_MAX_PARAMETERS = 64
_MAX_DESCRIPTION = 1_000  # characters
_MAX_REFERENCES = 8  # that lead to each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: `name` on the wire, `argument` for the model. `is_json`: sent as JSON text."""

    name: str
    argument: str
    place: Place
    style: str
    explode: bool
    is_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What may be asked of an API. `path` has its parameters in braces; `schema` is of all arguments."""

    operation_id: str
    method: str
    path: str
    description: str
    parameters: tuple[Parameter, ...]
    body_type: str | None
    schema: Mapping[str, Any]

    @property
    def is_read(self) -> bool:
        """Whether its method promises to change nothing."""
        return self.method in _READS


def check_openapi(
    document: Mapping[str, Any],
    operations: Iterable[str] = (),
    *,
    base_url: str | None = None,
    http: OutsideHttp | None = None,
) -> None:
    """Refuse a document that could not be used: for settings, before they are stored.

    Args:
        document: The OpenAPI document.
        operations: The operation ids to offer; empty: all.
        base_url: Where the API is, where that is not the document's first server.
        http: The door that would ask the API later; it says which hosts are refused.

    Raises:
        PermanentError: With the place in the document.
    """
    read_operations(document, operations)
    url = find_base_url(document, base_url)
    try:
        (http or OutsideHttp()).check_url(url)
    except PermanentError as exc:
        raise PermanentError("openapi-server", f"{'base URL' if base_url else '#/servers/0'}: {exc.message}") from exc


def find_base_url(document: Mapping[str, Any], base_url: str | None) -> str:
    """The URL that the paths are appended to, without its last slash.

    Raises:
        PermanentError: There is none, or it has a query.
    """
    url = base_url or _read_server(document)
    if not re.match(r"https?://[^/]", url):
        raise PermanentError("openapi-server", "#/servers/0: give a whole URL, or a base URL beside the document")
    if re.search(r"[?#{}\\\s]|/\.{1,2}(/|$)", url):
        raise PermanentError("openapi-server", "the base URL has a query, a blank, a variable or a step upwards")
    return url.rstrip("/")


def _read_server(document: Mapping[str, Any]) -> str:
    servers = document.get("servers")
    server = servers[0] if isinstance(servers, list) and servers else None
    if not isinstance(server, Mapping) or not isinstance(url := server.get("url"), str):
        raise PermanentError("openapi-server", "#/servers: the document names no server: give a base URL")
    variables = server.get("variables")
    for name, variable in (variables if isinstance(variables, Mapping) else {}).items():
        if isinstance(variable, Mapping):
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    return url


def read_operations(
    document: Mapping[str, Any],
    operations: Iterable[str] = (),
    *,
    credential: tuple[str, str] | None = None,
) -> tuple[Operation, ...]:
    """The operations of the document, or those of the given ids.

    Args:
        document: The OpenAPI document.
        operations: The operation ids to offer; empty: all.
        credential: Place and name of the parameter that carries the credential: it is none of the model's.

    Raises:
        PermanentError: With the place in the document.
    """
    _check_document(document)
    wanted = frozenset(operations)
    chosen = [found for found in _find_operations(document) if not wanted or found.operation_id in wanted]
    if missing := wanted - {each.operation_id for each in chosen}:
        raise PermanentError("openapi-operation", f"#/paths: no operation {', '.join(sorted(missing))[:200]}")
    if not chosen:
        raise PermanentError("openapi-operation", "#/paths: there is no operation")
    if len(chosen) > _MAX_OPERATIONS:
        message = f"#/paths: {len(chosen)} operations, {_MAX_OPERATIONS} at most: name those to offer"
        raise PermanentError("openapi-operation", message)
    return tuple(_Reading(document, each, credential).read() for each in chosen)


def _check_document(document: Mapping[str, Any]) -> None:
    if measure_depth(document, _MAX_DEPTH) > _MAX_DEPTH:
        raise PermanentError("openapi-too-deep", f"the document is nested deeper than {_MAX_DEPTH} levels")
    try:
        size = len(json.dumps(document, allow_nan=False))
    except (TypeError, ValueError):
        raise PermanentError("openapi-invalid", "the document is not JSON") from None
    if size > _MAX_BYTES:
        raise PermanentError("openapi-too-large", f"the document is over {_MAX_BYTES} bytes")
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith(("3.0", "3.1")):
        raise PermanentError("openapi-version", "#/openapi: only 3.0 and 3.1 are understood")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    operation_id: str
    method: str
    path: str
    item: Mapping[str, Any]
    operation: Mapping[str, Any]

    @property
    def place(self) -> str:
        return f"#/paths/{self.path.replace('~', '~0').replace('/', '~1')}/{self.method}"[:300]


def _find_operations(document: Mapping[str, Any]) -> Iterator[_Found]:
    paths = document.get("paths")
    if not isinstance(paths, Mapping):
        raise PermanentError("openapi-paths", "#/paths: it is missing or not an object")
    seen: set[str] = set()
    for path, item in paths.items():
        place = f"#/paths/{str(path).replace('/', '~1')}"[:300]
        item = _follow(document, item, place)  # noqa: PLW2901 - a path may be a reference as a whole
        for method in _METHODS:
            if (operation := item.get(method)) is None:
                continue
            if not isinstance(operation, Mapping):
                raise PermanentError("openapi-operation", f"{place}/{method}: it is not an object")
            given = operation.get("operationId")
            operation_id = given if isinstance(given, str) and given else f"{method}_{path}"
            if operation_id in seen:
                raise PermanentError("openapi-operation", f"{place}/{method}: the id {operation_id[:100]!r} is taken")
            seen.add(operation_id)
            yield _Found(operation_id=operation_id, method=method, path=str(path), item=item, operation=operation)


def _follow(document: Mapping[str, Any], node: object, place: str) -> Mapping[str, Any]:
    """`node`, or what it refers to in the end."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(node, Mapping):
            raise PermanentError("openapi-invalid", f"{place}: it is not an object")
        if "$ref" not in node:
            return node
        try:
            node = follow(document, node["$ref"])
        except PermanentError as exc:
            raise PermanentError("openapi-reference", f"{place}: {exc.message}") from exc
    raise PermanentError("openapi-reference", f"{place}: its references lead in a circle")


class _Reading:
    """Reads one operation."""

    def __init__(self, document: Mapping[str, Any], found: _Found, credential: tuple[str, str] | None) -> None:
        self._document = document
        self._found = found
        self._credential = credential and (credential[0], credential[1].lower())
        self._properties: dict[str, Any] = {}
        self._required: list[str] = []

    def read(self) -> Operation:
        found = self._found
        if "servers" in found.operation or "servers" in found.item:
            raise self._refuse("server", "a server of its own is not supported: make it a tool of its own")
        body_type = self._read_body()
        parameters = tuple(self._read_parameters())
        self._check_path({each.name for each in parameters if each.place == "path"})
        schema = {
            "type": "object",
            "properties": self._properties,
            "required": self._required,
            "additionalProperties": False,
        }
        if len(json.dumps(schema)) > _MAX_SCHEMA_BYTES:
            raise self._refuse("too-large", f"its arguments take over {_MAX_SCHEMA_BYTES} bytes to describe")
        return Operation(
            operation_id=found.operation_id,
            method=found.method,
            path=found.path,
            description=_describe(found.operation),
            parameters=parameters,
            body_type=body_type,
            schema=schema,
        )

    def _refuse(self, word: str, message: str) -> PermanentError:
        return PermanentError(f"openapi-{word}", f"{self._found.place}: {message}")

    def _check_path(self, named: set[str]) -> None:
        path = self._found.path
        fixed = re.sub(r"\{[^{}/]+\}", "x", path)
        if not path.startswith("/") or re.search(r"[?#{}\\\x00-\x20\x7f]|/\.{1,2}(/|$)", fixed):
            raise self._refuse("path", "the path is not usable")
        if set(re.findall(r"\{([^{}/]+)\}", path)) != named:
            raise self._refuse("path", "the parameters in the path are not those described with `in: path`")

    def _read_parameters(self) -> Iterator[Parameter]:
        described: dict[tuple[str, str], Mapping[str, Any]] = {}
        for owner in (self._found.item, self._found.operation):  # the operation's stand before the path's
            listed = owner.get("parameters", [])
            if not isinstance(listed, list) or len(listed) > _MAX_PARAMETERS:
                raise self._refuse("parameter", f"parameters: a list of at most {_MAX_PARAMETERS} is expected")
            for each in listed:
                parameter = _follow(self._document, each, f"{self._found.place}/parameters")
                described[str(parameter.get("in")), str(parameter.get("name"))] = parameter
        for (place, name), parameter in described.items():
            is_required = parameter.get("required") is True
            is_own = place == "header" and name.lower() in _OWN_HEADERS
            if is_own or (place, name.lower()) == self._credential:
                continue
            if place not in _STYLES or (place == "header" and not _HEADER_NAME.fullmatch(name)):
                if is_required:
                    raise self._refuse("parameter", f"the parameter {name[:100]!r} cannot be sent in {place[:20]!r}")
                continue
            yield self._read_parameter(cast("Place", place), name, parameter, is_required=is_required)

    def _read_parameter(self, place: Place, name: str, parameter: Mapping[str, Any], *, is_required: bool) -> Parameter:
        style = str(parameter.get("style", _STYLES[place][0]))
        if style not in _STYLES[place]:
            raise self._refuse("style", f"the parameter {name[:100]!r} has the style {style[:40]!r}")
        content = parameter.get("content")
        schema = parameter.get("schema", {})
        if isinstance(content, Mapping):
            schema = next((each.get("schema", {}) for each in content.values() if isinstance(each, Mapping)), {})
        explode = parameter.get("explode", style == "form")
        return Parameter(
            name=name,
            argument=self._add(name, schema, parameter.get("description"), is_required=is_required or place == "path"),
            place=place,
            style=style,
            explode=explode is True,
            is_json=isinstance(content, Mapping),
        )

    def _read_body(self) -> str | None:
        if (given := self._found.operation.get("requestBody")) is None:
            return None
        body = _follow(self._document, given, f"{self._found.place}/requestBody")
        content = body.get("content")
        for media_type, described in (content if isinstance(content, Mapping) else {}).items():
            bare = str(media_type).partition(";")[0].strip().lower()
            if (bare == "application/json" or re.fullmatch(r"application/[a-z0-9.-]+\+json", bare)) and isinstance(
                described, Mapping
            ):
                is_required = body.get("required") is True
                self._add(BODY, described.get("schema", {}), body.get("description"), is_required=is_required)
                return bare
        if body.get("required") is True:
            raise self._refuse("body", "requestBody: only a JSON body can be sent")
        return None

    def _add(self, name: str, schema: object, description: object, *, is_required: bool) -> str:
        """Add an argument; what it is called then."""
        wished = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:56] or "_"
        argument, count = wished, 1
        while argument in self._properties:
            count += 1
            argument = f"{wished}_{count}"
        try:
            made = make_self_contained(schema, root=self._document)
        except PermanentError as exc:
            raise self._refuse(exc.code.removeprefix("schema-"), f"{name[:100]}: {exc.message}") from exc
        if isinstance(description, str) and description:
            made = {**made, "description": description[:_MAX_DESCRIPTION]}
        self._properties[argument] = made
        if is_required:
            self._required.append(argument)
        return argument


def _describe(operation: Mapping[str, Any]) -> str:
    texts = [text.strip() for word in ("summary", "description") if isinstance(text := operation.get(word), str)]
    return "\n".join(dict.fromkeys(text for text in texts if text))[:_MAX_DESCRIPTION]
