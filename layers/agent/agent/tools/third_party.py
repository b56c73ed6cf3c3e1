"""TPA: operations of a company's HTTP APIs, each a tool made from the API's OpenAPI document.

A read that meets 429 or 5xx is tried once more. A write is sent once, with the call's `Idempotency-Key`; where no
answer came, the model is told that nobody knows what happened.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from agent.tools import Tool, ToolContext, ToolResult
from agent.tools.answers import OUTCOME_UNKNOWN, make_text, redact
from agent.tools.openapi import Operation, find_base_url, read_operations
from agent.tools.request import ArgumentError, Request, make_request
from core.configuration import ThirdPartyTool
from core.errors import PermanentError, RetryableError
from core.http import read_retry_after
from core.models import ToolType
from core.outside import MAX_OUTSIDE_BYTES, OutsideAnswer, OutsideHttp

_MAX_ERROR_LENGTH = 4_000  # characters of an error's body; a model needs no more to understand it
_MAX_NAME_LENGTH = 64  # characters of a tool's name; the limit of the model APIs
_MAX_DESCRIPTION = 3_000  # characters
_RETRY_WAIT = 0.5  # seconds, where the API names none
_MAX_RETRY_WAIT = 5.0  # seconds; whoever asks for more is not asked again in this call
_TEXT_TYPE = re.compile(r"text/.+|application/(json|xml|javascript|x-www-form-urlencoded|x-ndjson|yaml|.+\+(json|xml))")
_CHARSETS = frozenset(("us-ascii", "iso-8859-1", "windows-1252", "utf-16"))  # beside UTF-8


def make_third_party_tools(
    definition: ThirdPartyTool, *, read_secret: Callable[[str], str], http: OutsideHttp
) -> tuple[Tool, ...]:
    """One tool per operation of the definition's document.

    Args:
        definition: What the settings say.
        read_secret: The text of a secret by its name; asked at each call.
        http: The door to the outside.

    Raises:
        PermanentError: The document, its server or the way to sign in is not usable.
    """
    if definition.auth != "none" and not definition.secret_name:
        raise PermanentError("tool-secret", f"the tool {definition.name} has no secret name")
    if definition.auth in ("header", "query") and not definition.auth_name:
        raise PermanentError("tool-secret", f"the tool {definition.name} does not say where its secret goes")
    base_url = find_base_url(definition.openapi, definition.base_url)
    api = _Api(definition, base_url, http.check_url(base_url), read_secret, http)
    credential = (definition.auth, definition.auth_name) if definition.auth_name else None
    operations = read_operations(definition.openapi, definition.operations, credential=credential)
    names = make_tool_names(definition.name, [each.operation_id for each in operations])
    return tuple(_OperationTool(name, api, operation) for name, operation in zip(names, operations, strict=True))


def make_tool_names(prefix: str, names: Iterable[str]) -> list[str]:
    """`<prefix>_<name>` for each, in the characters and the length that every model API takes, no two alike."""
    made: list[str] = []
    for name in names:
        wished = re.sub(r"[^a-zA-Z0-9_-]", "_", f"{prefix}_{name}")
        if len(wished) > _MAX_NAME_LENGTH or wished in made:
            mark = hashlib.sha256(name.encode()).hexdigest()[:8]
            wished = f"{wished[: _MAX_NAME_LENGTH - len(mark) - 1]}_{mark}"
        made.append(wished)
    return made


class _Api:
    """One API: where it is, and how one signs in."""

    def __init__(
        self,
        definition: ThirdPartyTool,
        base_url: str,
        host: str,
        read_secret: Callable[[str], str],
        http: OutsideHttp,
    ) -> None:
        self.definition = definition
        self.base_url = base_url
        self._hosts = frozenset((host,))
        self._read_secret = read_secret
        self._http = http

    def read_secret(self) -> str:
        """The credential; empty where none is needed."""
        name = self.definition.secret_name
        return self._read_secret(name) if name and self.definition.auth != "none" else ""

    def send(self, request: Request, seconds: float) -> OutsideAnswer:
        """Ask. Raises as `OutsideHttp.request` does."""
        headers = {"accept": "application/json, text/*;q=0.9", "user-agent": "Parley", **request.headers}
        return self._http.request(
            request.method, request.url, hosts=self._hosts, headers=headers, body=request.body, seconds=seconds
        )

    def sign(self, request: Request, secret: str) -> Request:
        """The request with its credential, which nothing in the request can stand before."""
        name = self.definition.auth_name or ""
        match self.definition.auth:
            case "none":
                return request
            case "bearer":
                header = {"authorization": f"Bearer {secret}"}
            case "basic":
                header = {"authorization": f"Basic {base64.b64encode(secret.encode()).decode()}"}
            case "header":
                header = {name.lower(): secret}
            case "query":
                key = quote(name, safe="")
                others = (pair for pair in request.query if pair[0] != key)
                return replace(request, query=(*others, (key, quote(secret, safe=""))))
        return replace(request, headers={**request.headers, **header})


class _OperationTool:
    """One operation of an API."""

    type = ToolType.TPA

    def __init__(self, name: str, api: _Api, operation: Operation) -> None:
        definition = api.definition
        self.name = name
        self.description = make_text(f"{definition.description}\n{operation.description}".strip()[:_MAX_DESCRIPTION])
        self.parameters = operation.schema
        self.is_write = definition.is_write or not operation.is_read
        self.timeout_seconds = definition.timeout_seconds
        self._api = api
        self._operation = operation

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Ask the API. Raises as `Tool.run` does."""
        deadline = time.monotonic() + min(self.timeout_seconds, context.remaining())
        try:
            request = make_request(self._operation, self._api.base_url, arguments)
        except ArgumentError as exc:
            return ToolResult(text=str(exc), is_error=True)
        if self.is_write:
            request = replace(request, headers={**request.headers, "idempotency-key": context.idempotency_key})
        secret = self._api.read_secret()
        try:
            answer = self._ask(self._api.sign(request, secret), deadline)
        except RetryableError as exc:
            if self.is_write and exc.is_outcome_unknown:
                return ToolResult(text=f"{exc.message}. {OUTCOME_UNKNOWN}", is_error=True)
            raise
        return self._describe(answer, secret)

    def _ask(self, request: Request, deadline: float) -> OutsideAnswer:
        answer = self._api.send(request, _measure_left(deadline))
        if not self.is_write and (answer.status == 429 or answer.status >= 500):
            asked = read_retry_after(answer.headers)
            wait = _RETRY_WAIT if asked is None else asked.total_seconds()
            if wait <= _MAX_RETRY_WAIT and time.monotonic() + wait < deadline:
                time.sleep(wait)
                return self._api.send(request, _measure_left(deadline))
        return answer

    def _describe(self, answer: OutsideAnswer, secret: str) -> ToolResult:
        is_error = answer.status >= 300
        text = redact(_read_text(answer), secret)
        lines = [f"HTTP {answer.status}"]
        if 300 <= answer.status < 400:
            lines.append("The API answers with a redirect; redirects are not followed.")
        elif is_error and len(text) > _MAX_ERROR_LENGTH:
            lines.append(f"{text[:_MAX_ERROR_LENGTH]}\n[The rest of the error is left out.]")
        else:
            lines.append(text)
            if answer.is_cut:
                lines.append(f"[The answer is longer: these are its first {MAX_OUTSIDE_BYTES // 1024} kB.]")
        if self.is_write and answer.status >= 500:
            lines.append(OUTCOME_UNKNOWN)
        return ToolResult(text="\n".join(line for line in lines if line), is_error=is_error)


def _measure_left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise RetryableError("no-time", "no time is left for this call")
    return left


def _read_text(answer: OutsideAnswer) -> str:
    media_type, _, parameters = answer.headers.get("content-type", "text/plain").lower().partition(";")
    media_type = media_type.strip()
    if not answer.body:
        return ""
    if not _TEXT_TYPE.fullmatch(media_type):
        return f"[The answer is {media_type[:80] or 'of no named type'}, {len(answer.body)} bytes: no text to read.]"
    named = re.search(r"charset=[\"']?([a-z0-9-]+)", parameters)
    charset = named[1] if named and named[1] in _CHARSETS else "utf-8"
    text = answer.body.decode(charset, errors="replace")
    if media_type.endswith("json") and not answer.is_cut:
        with suppress(ValueError, RecursionError):  # not JSON after all: the text as it came
            text = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    return make_text(text)
