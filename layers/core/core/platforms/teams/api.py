"""The connector's API: the one place that calls it, the app's token, and the one translation of its errors.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
"""

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from urllib.parse import quote, urlencode

from core.errors import PermanentError, RetryableError
from core.http import Answer, Download
from core.platforms import Connection
from core.platforms.teams.hosts import is_known, parse, split_hosts
from core.values import Address

_SECONDS = 10.0  # the connector answers within two; a call that takes longer is lost
_SHORT_WAIT = 5.0  # seconds; a longer rate limit is the queue's business
_MAX_WAITS = 3
_WAIT_UNKNOWN = timedelta(seconds=2)  # a rate limit that does not say how long
_RENEWED_BEFORE = 300.0  # seconds before a token expires
_SHORTEST = 60.0  # seconds a token is kept
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TENANT = re.compile(r"[A-Za-z0-9.-]{1,64}")

_CLOSED = frozenset(
    {"BotNotInConversationRoster", "ConversationBlockedByUser", "BotDisabledByAdmin", "ConversationNotFound"}
    | {"MessageWritesBlocked", "ForbiddenOperationException", "UserBlocked", "BotBlocked", "NotEnoughPermissions"}
)
TOO_BIG = "MessageSizeTooBig"
STREAM_REFUSED = "ContentStreamNotAllowed"
STREAM_STOPPED = "ContentStreamCanceled"  # our word: Teams gives all that ends a stream one code

type Json = dict[str, object]


class TeamsRefusedError(PermanentError):
    """The connector understood a call and refuses it.

    Attributes:
        status: The HTTP status.
        word: The connector's own name of the error.
    """

    def __init__(self, status: int, word: str) -> None:
        super().__init__(f"teams-{word.lower()}", f"Teams refuses the call: {status} {word}")
        self.status = status
        self.word = word


class TeamsApi:
    """The connector as one app may use it; every call names the service URL that it goes to."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._options = connection.options
        self._hosts = split_hosts(connection.options["service_hosts"])
        parts = (self._options["login_url"], self._options["app_tenant_id"], self._options["app_id"], connection.token)
        self._token_key = ("teams-token", hashlib.sha256(json.dumps(parts).encode()).hexdigest())

    def call(
        self,
        method: str,
        service_url: str,
        path: tuple[str, ...],
        payload: Mapping[str, object] | None = None,
        *,
        is_patient: bool = False,
    ) -> Json:
        """The answer to one call.

        Args:
            method: The HTTP method.
            service_url: Where the conversation is, as it was verified when the question came.
            path: What follows `v3/conversations` there.
            payload: Sent as JSON.
            is_patient: Whether a short rate limit is waited for here.

        Raises:
            RetryableError: A rate limit, a fault of the connector's or no answer.
            TeamsRefusedError: It will not do it.
            PermanentError: The app's secret is refused, the conversation is closed to it, or the URL is nobody's.
        """
        url = self._url(service_url, path)
        body = None if payload is None else json.dumps(payload, ensure_ascii=False).encode()
        for _ in range(_MAX_WAITS if is_patient else 0):
            try:
                return self._send(method, url, body)
            except RetryableError as exc:
                wait = exc.retry_after
                if exc.is_outcome_unknown or wait is None or wait.total_seconds() > _SHORT_WAIT:
                    raise
                self._connection.sleep(wait.total_seconds())
        return self._send(method, url, body)

    def is_service(self, url: str) -> bool:
        """Whether the token may be sent there."""
        return is_known(url, self._hosts)

    def download(self, url: str, *, seconds: float, max_bytes: int, is_own: bool) -> AbstractContextManager[Download]:
        """What stands at `url`, with the app's token only where `is_own`: that is a service's host."""
        headers = self._authorization() if is_own and self.is_service(url) else {}
        return self._connection.http.download(url, headers=headers, seconds=seconds, max_bytes=max_bytes)

    def _url(self, service_url: str, path: tuple[str, ...]) -> str:
        if not self.is_service(service_url):
            raise PermanentError("service-host-unknown", "the conversation's service URL is not a known host's")
        return "/".join([service_url.rstrip("/"), "v3", "conversations", *(quote(part, safe="") for part in path)])

    def _send(self, method: str, url: str, body: bytes | None) -> Json:
        answer = self._send_once(method, url, body)
        if answer.status == 401:  # revoked before its time: a new one may do
            self._connection.kept.forget(self._token_key)
            answer = self._send_once(method, url, body)
        if answer.status == 401:
            raise PermanentError("installation-revoked", "Teams does not accept the app's token")
        return _read_answer(answer)

    def _send_once(self, method: str, url: str, body: bytes | None) -> Answer:
        headers = {**self._authorization(), "content-type": "application/json; charset=utf-8"}
        try:
            return self._connection.http.request(method, url, headers=headers, body=body, seconds=_SECONDS)
        except RetryableError as exc:
            if exc.code != "rate-limited" or exc.retry_after is not None:
                raise
            raise RetryableError(exc.code, exc.message, retry_after=_WAIT_UNKNOWN) from exc

    def _authorization(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._connection.kept.get(self._token_key, self._fetch_token)}"}

    def _fetch_token(self) -> tuple[str, float]:
        tenant = self._options["app_tenant_id"]
        login = parse(self._options["login_url"])
        if login is None or not _TENANT.fullmatch(tenant):
            raise PermanentError("teams-misconfigured", "the login URL or the app's tenant is malformed")
        form = {
            "grant_type": "client_credentials",
            "client_id": self._options["app_id"],
            "client_secret": self._connection.token,
            "scope": self._options["token_scope"],
        }
        answer = self._connection.http.request(
            "POST",
            f"{self._options['login_url'].rstrip('/')}/{tenant}/oauth2/v2.0/token",
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
            seconds=_SECONDS,
        )
        given = answer.json()
        token, seconds = given.get("access_token"), given.get("expires_in")
        if answer.status != 200:
            word = given.get("error")
            shown = word if isinstance(word, str) and _WORD.fullmatch(word) else "no reason"
            raise PermanentError("installation-revoked", f"the login refuses the app's secret: {shown}")
        if not isinstance(token, str) or not token.isascii() or not isinstance(seconds, int):
            raise RetryableError("answer-malformed", "the login's answer holds no token")
        return token, max(_SHORTEST, seconds - _RENEWED_BEFORE)


def conversation_id(address: Address) -> str:
    """The connector's id of a conversation."""
    return f"{address.channel_id};messageid={address.thread_id}" if address.thread_id else address.channel_id


def _read_answer(answer: Answer) -> Json:
    try:
        value: object = json.loads(answer.body) if answer.body.strip() else {}
    except ValueError:
        value = None
    if answer.status < 300:
        if isinstance(value, dict):
            return value
        # It may have been done: a proxy's page can hide the connector's own answer.
        raise RetryableError("answer-not-json", "the connector's answer is not JSON", is_outcome_unknown=True)
    said = value.get("error") if isinstance(value, dict) else None
    error = said if isinstance(said, dict) else {}
    code = error.get("code")
    word = code if isinstance(code, str) and _WORD.fullmatch(code) else f"http-{answer.status}"
    if word in _CLOSED:
        raise PermanentError("channel-unavailable", f"Teams closes the conversation to the assistant: {word}")
    if answer.status == 412:  # Microsoft's advice is to try again
        raise RetryableError("teams-unavailable", "the connector asks to try again", retry_after=_WAIT_UNKNOWN)
    if word == STREAM_REFUSED and "cancel" in str(error.get("message")).lower():
        word = STREAM_STOPPED  # nothing but the message tells a reader's Stop from a stream's time limit
    raise TeamsRefusedError(answer.status, TOO_BIG if answer.status == 413 else word)
