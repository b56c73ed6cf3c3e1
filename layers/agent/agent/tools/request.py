"""The HTTP request that an operation's arguments become. An argument fills its own place and no other.

https://spec.openapis.org/oas/v3.1.1.html#style-values
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from agent.tools.openapi import BODY, Operation, Parameter

_MAX_URL_LENGTH = 8_000  # characters; many servers take no longer one
_MAX_BODY_BYTES = 256 * 1024
_SEPARATORS = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class ArgumentError(Exception):
    """An argument cannot be sent; the message is for the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, before it carries a credential. `query` is encoded, `headers` are named in lower case."""

    method: str
    base: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def url(self) -> str:
        """Where to, the query included."""
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.base}?{query}" if query else self.base


def make_request(operation: Operation, base_url: str, arguments: Mapping[str, Any]) -> Request:
    """What asks for `operation` with these arguments, which fit its schema.

    Raises:
        ArgumentError: A value cannot stand where its parameter stands, or there is too much of it.
    """
    path, query, headers = operation.path, list[tuple[str, str]](), dict[str, str]()
    for parameter in operation.parameters:
        value = arguments.get(parameter.argument)
        if value is None and parameter.place != "path":
            continue
        match parameter.place:
            case "path":
                path = path.replace(f"{{{parameter.name}}}", _make_segment(parameter, value))
            case "query":
                query.extend(_make_pairs(parameter, value))
            case "header":
                headers[parameter.name.lower()] = _make_header(parameter, value)
    body = None
    if operation.body_type and BODY in arguments:
        body = json.dumps(arguments[BODY], ensure_ascii=False).encode()
        headers["content-type"] = operation.body_type
    request = Request(
        method=operation.method.upper(), base=f"{base_url}{path}", query=tuple(query), headers=headers, body=body
    )
    if len(request.url) > _MAX_URL_LENGTH or len(body or b"") > _MAX_BODY_BYTES:
        raise ArgumentError("The arguments are too long for one request: write less.")
    return request


def _make_segment(parameter: Parameter, value: object) -> str:
    """The value as a part of the path that no server can take for more than one segment, or for a step upwards."""
    texts = [_to_text(value)] if parameter.is_json else list(_flatten(value, explode=parameter.explode))
    made = ",".join(quote(text, safe="=" if parameter.explode and isinstance(value, Mapping) else "") for text in texts)
    whole = ",".join(texts)
    steps = (step for text in (whole, unquote(whole)) for step in re.split(r"[/\\]", text))
    if not whole or _CONTROL.search(unquote(whole)) or any(step.strip() in (".", "..") for step in steps):
        message = (
            f"The argument {parameter.argument!r} is a part of a path: it cannot be empty, a step or a line break."
        )
        raise ArgumentError(message)
    return made


def _make_pairs(parameter: Parameter, value: object) -> Iterator[tuple[str, str]]:
    name = quote(parameter.name, safe="")
    if parameter.is_json or not isinstance(value, Mapping | list):
        yield name, _encode(value)
    elif parameter.style == "deepObject" and isinstance(value, Mapping):
        for key, each in value.items():
            yield quote(f"{parameter.name}[{key}]", safe=""), _encode(each)
    elif parameter.explode and isinstance(value, Mapping):
        for key, each in value.items():
            yield quote(str(key), safe=""), _encode(each)
    elif parameter.explode:
        for each in value:
            yield name, _encode(each)
    else:
        parts = _flatten(value, explode=False)
        yield name, _SEPARATORS.get(parameter.style, ",").join(quote(part, safe="") for part in parts)


def _make_header(parameter: Parameter, value: object) -> str:
    text = _to_text(value) if parameter.is_json else ",".join(_flatten(value, explode=parameter.explode))
    if not (text.isascii() and text.isprintable()):
        message = f"The argument {parameter.argument!r} is a header: write printable ASCII on one line."
        raise ArgumentError(message)
    return text


def _flatten(value: object, *, explode: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from (f"{key}={_to_text(each)}",) if explode else (str(key), _to_text(each))
    elif isinstance(value, list):
        yield from (_to_text(each) for each in value)
    else:
        yield _to_text(value)


def _to_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _encode(value: object) -> str:
    return quote(_to_text(value), safe="")
