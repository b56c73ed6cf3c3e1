"""HTTP for the fake Slack: /api/<method>, /files-pri/… and the control side under /_fake/."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from local.fake_slack.control import control
from local.fake_slack.uploads import take_upload

if TYPE_CHECKING:
    from email.message import Message as Headers

    from local.fake_slack.server import FakeSlack

_LONGEST_BODY = 32 * 1024 * 1024
_LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Slack</title></head><body>Sign in to see this file.</body></html>"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; status 0 ends the connection without one."""

    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def dropped(cls) -> Answer:
        """No answer at all."""
        return cls(0)


def _error(error: str) -> Answer:
    return Answer(200, json.dumps({"ok": False, "error": error}).encode())


def _read_arguments(query: str, headers: Headers, body: bytes) -> tuple[dict[str, object], bool] | Answer:
    """The arguments and whether they came as JSON, or the refusal of a body Slack cannot read."""
    values: dict[str, object] = dict(parse_qsl(query, keep_blank_values=True))
    if not body:
        return values, False
    if headers.get("Content-Type") is None:
        return _error("missing_post_type")
    match headers.get_content_type():
        case "application/x-www-form-urlencoded":
            try:
                return values | dict(parse_qsl(body.decode(), keep_blank_values=True)), False
            except UnicodeDecodeError:
                return _error("invalid_form_data")
        case "application/json":
            try:
                parsed = json.loads(body)
            except ValueError:
                return _error("invalid_json")
            return (values | parsed, True) if isinstance(parsed, dict) else _error("json_not_object")
        case _:
            return _error("invalid_post_type")


def _bearer(headers: Headers) -> str | None:
    kind, _, token = (headers.get("Authorization") or "").partition(" ")
    return token.strip() or None if kind.lower() == "bearer" else None


def _file(slack: FakeSlack, path: str, token: str | None) -> Answer:
    """`url_private`: the bytes for a bot of that workspace, a page to sign in for everyone else."""
    team, _, file_id = path.removeprefix("/files-pri/").partition("/")[0].partition("-")
    app, file = slack.state.apps.get(token or ""), slack.state.files.get(file_id)
    if app is None or app.refused_with:
        return Answer(302, b"", "text/html; charset=utf-8", {"Location": f"{slack.url}/?redir={path}"})
    if file is None or file.team != team or app.team_id != team:
        return Answer(404, b"not found", "text/plain")
    if "files:read" not in app.scopes:
        return Answer(200, _LOGIN_PAGE, "text/html; charset=utf-8")
    return slack.download(file, app.team_id)


def _take_response(slack: FakeSlack, body: bytes) -> Answer:
    """An answer posted to a `response_url`."""
    try:
        said = json.loads(body)
    except ValueError:
        return Answer(400, b"invalid_payload", "text/plain")
    with slack.state.changed:
        slack.state.responses.append(said)
        slack.state.touch(None)
    return Answer(200, b"ok", "text/plain")


def _respond(slack: FakeSlack, verb: str, target: str, headers: Headers, body: bytes) -> Answer:
    url = urlsplit(target)
    path = unquote(url.path)
    if path.startswith("/_fake/"):
        status, value = control(slack, verb, path.removeprefix("/_fake/"), dict(parse_qsl(url.query)), body)
        return Answer(status, json.dumps(value).encode())
    if path.startswith("/files-pri/"):
        return _file(slack, path, _bearer(headers))
    if path.startswith("/upload/v1/") and verb == "POST":
        is_taken = take_upload(slack.state, path.removeprefix("/upload/v1/"), body)
        return Answer(200 if is_taken else 400, b"OK", "text/plain")
    if path.startswith("/commands/") and verb == "POST":
        return _take_response(slack, body)
    if path.startswith("/api/"):
        read = _read_arguments(url.query, headers, body)
        if isinstance(read, Answer):
            return read
        values, is_json = read
        # Slack takes a token in a form or a query too, never in JSON; where we call it, only the header is right.
        values.pop("token", None)
        method = path.removeprefix("/api/")
        caller = headers.get("Authorization") if method == "oauth.v2.access" else _bearer(headers)
        return slack.answer(method, caller, values, is_json=is_json)
    if path == "/oauth/v2/authorize":
        location = slack.oauth.authorize(slack.state, dict(parse_qsl(url.query)))
        return Answer(302, headers={"Location": location}) if location else Answer(400, _LOGIN_PAGE, "text/html")
    return Answer(200, _LOGIN_PAGE, "text/html; charset=utf-8")


def make_handler(slack: FakeSlack) -> type[BaseHTTPRequestHandler]:
    """What answers one call of Slack's API or of the control side."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Nothing: a call's arguments are on record, and a message's text belongs in no log."""

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > _LONGEST_BODY:
                self.close_connection = True
                answer = Answer(413, b"too long", "text/plain")
            else:
                body = self.rfile.read(length)
                answer = _respond(slack, self.command, self.path, self.headers, body)
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
