"""The fake Teams itself: what tests and the local stack start, script and look at."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from local.fake_slack.faults import Failure, FailureMode, Faults, RateLimit
from local.fake_teams import signing
from local.fake_teams.connector import STREAM_SECONDS, Connector, ConnectorError
from local.fake_teams.demo import DEMO, Demo
from local.fake_teams.state import Member, SeenActivity, TeamsState, seen
from local.fake_teams.wire import Answer, Request, make_handler
from local.listening import Listener

TOKEN_SECONDS = 3600
_ERROR_PAGE = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as it came in and as it ended. `name` is one of token, keys, post, put, delete, member, file."""

    name: str
    path: str
    fields: Mapping[str, object]
    token: str | None
    status: int
    had_effect: bool


class FakeTeams:
    """A Teams on a loopback port, with one demo tenant in it: keys, the token endpoint and the connector.

    `clock` is the time of day that streams and tokens age by.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        clock: Callable[[], float] = time.time,
        stream_seconds: float = STREAM_SECONDS,
        demo: Demo = DEMO,
    ) -> None:
        self.demo = demo
        self.state = TeamsState(clock)
        self.connector = Connector(self.state, demo.bot_id, stream_seconds=stream_seconds)
        self.calls: list[Call] = []
        self.secrets = {demo.app_secret}
        self.keys = [signing.make_key()]
        self.endorsements = ["msteams"]
        self.keys_url: str | None = None  # in place of the right one
        self._tokens: dict[str, float] = {}
        self._faults = Faults()
        self._closing = threading.Event()
        self._listener = Listener(make_handler(self.respond), host, port)
        self.host = f"{host}:{self._listener.port}"
        self.url = f"http://{self.host}"
        self.openid_url = f"{self.url}/v1/.well-known/openidconfiguration"
        self.service_url = f"{self.url}/emea/"
        person = Member(demo.user_id, demo.user_object_id, demo.tenant_id, demo.user_email, demo.user_name)
        self.state.members[demo.user_id] = person

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def serve_forever(self) -> None:
        """Answer on this thread until closed."""
        self._listener.serve()

    def close(self) -> None:
        """Stop answering; whoever hangs is let go."""
        self._closing.set()
        self._listener.close()

    # Failures on purpose.

    def fail_next(
        self,
        name: str,
        status: int = 502,
        *,
        mode: FailureMode = FailureMode.ANSWER,
        code: str = "ServiceError",
        retry_after: int | None = None,
        times: int = 1,
        skip: int = 0,
        effect_first: bool = False,
    ) -> None:
        """Let the next `times` calls of that name fail, after `skip` that pass; see `Failure`."""
        with self.state.changed:
            self._faults.add(Failure(name, code, mode, status, retry_after, times, skip, effect_first))

    def limit_rate(self, name: str, calls: int, *, per_seconds: float) -> None:
        """Answer 429 with Retry-After to more than so many."""
        with self.state.changed:
            self._faults.limit(name, RateLimit(calls, per_seconds, by_channel=False))

    def revoke_tokens(self) -> None:
        """Refuse every access token given out so far."""
        with self.state.changed:
            self._tokens.clear()

    # What a person sees.

    def messages(self, conversation: str) -> list[SeenActivity]:
        """The messages of a conversation as they stand, oldest first."""
        with self.state.changed:
            found = [each for each in self.state.activities.values() if each.conversation == conversation]
            return [seen(each) for each in found if not each.is_deleted]

    def answers(self, conversation: str) -> list[SeenActivity]:
        """Those of the assistant."""
        return [each for each in self.messages(conversation) if each.sender == self.demo.bot_id]

    def say(self, conversation: str, text: str, activity_id: str | None = None) -> SeenActivity:
        """Let the demo person say something."""
        return seen(self.state.add(conversation, self.demo.user_id, {"text": text}, activity_id))

    def calls_to(self, name: str) -> list[Call]:
        """The calls of one name, in order."""
        with self.state.changed:
            return [call for call in self.calls if call.name == name]

    def wait_for(self, condition: Callable[[], bool], *, seconds: float = 10.0) -> bool:
        """Whether the condition came true in time."""
        deadline = time.monotonic() + seconds
        with self.state.changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0 or self._closing.is_set():
                    return condition()
                self.state.changed.wait(min(left, 0.2))
            return True

    # The wire.

    def respond(self, request: Request) -> Answer:
        """The HTTP answer to one call."""
        name = name_of(request)
        if name == "control":
            from local.fake_teams.control import control

            return control(self, request)
        with self.state.changed:
            wait = self._faults.seconds_to_wait(name, "", self.state.clock())
            if wait is not None:
                self._note(name, request, 429, had_effect=False)
                return Answer.refusal(429, "TooManyRequests", "", {"Retry-After": str(wait)})
            failure = self._faults.next_failure(name)
            answer = self._perform(name, request) if failure is None or failure.effect_first else None
            status = answer.status if failure is None and answer else (failure.http_status or 0 if failure else 0)
            self._note(name, request, status, had_effect=answer is not None and answer.status < 300)
        if failure is not None:
            return self._failed(failure)
        return answer or Answer(500)

    def _note(self, name: str, request: Request, status: int, *, had_effect: bool) -> None:
        fields = request.json() if name != "token" else dict(parse_qsl(request.body.decode()))
        self.calls.append(Call(name, request.path, fields, request.bearer, status, had_effect))

    def _failed(self, failure: Failure) -> Answer:
        if failure.mode is FailureMode.HANG:
            self._closing.wait(60)
        if failure.mode in (FailureMode.HANG, FailureMode.DROP):
            return Answer(0)
        headers = {} if failure.retry_after is None else {"Retry-After": str(failure.retry_after)}
        if failure.mode is FailureMode.HTML:
            return Answer(failure.status, _ERROR_PAGE, "text/html", headers)
        return Answer.refusal(failure.status, failure.error, "on purpose", headers)

    def _perform(self, name: str, request: Request) -> Answer:
        match name:
            case "metadata":
                keys_url = f"{self.url}/v1/.well-known/keys" if self.keys_url is None else self.keys_url
                return Answer.of({"issuer": signing.ISSUER, "jwks_uri": keys_url})
            case "keys":
                return Answer.of(signing.key_document(self.keys, self.endorsements))
            case "token":
                return self._give_token(request)
            case "file":
                content = self.state.files.get(request.path.rpartition("/")[2])
                return Answer(200, content, "application/octet-stream") if content is not None else Answer(404)
            case "unknown":
                return Answer(404)
        if self._tokens.get(request.bearer or "", 0.0) < self.state.clock():
            return Answer.refusal(401, "BotNotAuthorized", "Authorization has been denied for this request.")
        try:
            status, value = self._call(name, request)
        except ConnectorError as error:
            return Answer.refusal(error.status, error.code, error.message)
        return Answer.of(value, status)

    def _call(self, name: str, request: Request) -> tuple[int, dict[str, object]]:
        parts = request.parts[3:]  # after <region>/v3/conversations
        if name == "open":
            return self.connector.open(request.json())
        if name == "member":
            return self.connector.member(parts[0], parts[2])
        if name == "put":
            return self.connector.put(parts[0], parts[2], request.json())
        if name == "delete":
            return self.connector.delete(parts[0], parts[2])
        return self.connector.post(parts[0], request.json())

    def _give_token(self, request: Request) -> Answer:
        form = dict(parse_qsl(request.body.decode()))
        if form.get("grant_type") != "client_credentials" or "/.default" not in form.get("scope", ""):
            return Answer.of({"error": "invalid_request", "error_description": "AADSTS900144"}, 400)
        if form.get("client_id") != self.demo.app_id:
            return Answer.of({"error": "unauthorized_client", "error_description": "AADSTS700016"}, 400)
        if form.get("client_secret") not in self.secrets:
            return Answer.of({"error": "invalid_client", "error_description": "AADSTS7000215"}, 401)
        token = f"access-{len(self.calls)}-{time.monotonic_ns()}"
        self._tokens[token] = self.state.clock() + TOKEN_SECONDS
        given = {"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "access_token": token}
        return Answer(200, json.dumps(given).encode())


def name_of(request: Request) -> str:
    """What a call asks for."""
    parts, verb = request.parts, request.verb
    if parts[:1] == ["_fake"]:
        return "control"
    if verb == "GET" and parts[:2] == ["v1", ".well-known"]:
        return "metadata" if parts[-1] == "openidconfiguration" else "keys"
    if verb == "POST" and parts[1:] == ["oauth2", "v2.0", "token"]:
        return "token"
    if verb == "GET" and (parts[:1] == ["files"] or parts[1:3] == ["v3", "attachments"]):
        return "file"
    if verb == "POST" and parts[1:] == ["v3", "conversations"]:
        return "open"
    if parts[1:3] != ["v3", "conversations"] or len(parts) < 5:
        return "unknown"
    if parts[4] == "members" and verb == "GET":
        return "member"
    return {"POST": "post", "PUT": "put", "DELETE": "delete"}.get(verb, "unknown") if parts[4] == "activities" else ""
