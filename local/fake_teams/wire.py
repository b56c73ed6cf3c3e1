"""HTTP for the fake Teams: requests as they came, answers, and the port."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST_BODY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A call as it came in."""

    verb: str
    path: str
    query: Mapping[str, str]
    bearer: str | None
    body: bytes

    @property
    def parts(self) -> list[str]:
        """The path's segments, decoded."""
        return [unquote(each) for each in self.path.split("/") if each]

    def json(self) -> dict[str, object]:
        """The body as a JSON object; empty where it is none."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; status 0 ends the connection without one."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Mapping[str, object], status: int = 200) -> Answer:
        """JSON."""
        return cls(status, json.dumps(value).encode())

    @classmethod
    def refusal(cls, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
        """An error as the connector words it."""
        return cls(status, json.dumps({"error": {"code": code, "message": message}}).encode(), headers=headers or {})


def make_handler(respond: Callable[[Request], Answer]) -> type[BaseHTTPRequestHandler]:
    """What reads one call and gives back what `respond` answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Nothing: calls are on record, and a message's text belongs in no log."""

        def _answer(self) -> None:
            url = urlsplit(self.path)
            kind, _, token = (self.headers.get("Authorization") or "").partition(" ")
            bearer = token.strip() or None if kind.lower() == "bearer" else None
            body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _LONGEST_BODY))
            answer = respond(Request(self.command, url.path, dict(parse_qsl(url.query)), bearer, body))
            if answer.status == 0:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

    return Handler
