"""Slack's Web API: the one place that calls it, and the one translation of its errors.

https://docs.slack.dev/apis/web-api. Errors come with HTTP 200 and `ok: false`; only rate limits are a status (429).
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

from core.errors import PermanentError, RetryableError
from core.http import Answer
from core.platforms import Connection

_SECONDS = 10.0  # Slack answers within one; a call that takes longer is lost
_SHORT_WAIT = 3.0  # seconds; a longer rate limit is the queue's business
_MAX_WAITS = 3  # of that kind within one call, so that a busy workspace cannot eat the invocation's time
_WAIT_UNKNOWN = timedelta(seconds=1)  # a rate limit that does not say how long
_WORD = re.compile(r"[a-z0-9_]{1,64}")

_REVOKED = frozenset({"token_revoked", "account_inactive", "invalid_auth", "not_authed", "team_access_not_granted"})
_CHANNEL_UNAVAILABLE = frozenset(
    {"channel_not_found", "is_archived", "not_in_channel", "is_inactive", "user_disabled", "messages_tab_disabled"}
    | {"restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel"}
    | {
        "restricted_action_thread_locked",
        "restricted_action_non_threadable_channel",
        "cannot_dm_bot",
        "ekm_access_denied",
    }
)
_RATE_LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
# Slack says of these that some of the work may have been done, or does not say.
_OUTCOME_UNKNOWN = frozenset({"internal_error", "fatal_error", "service_unavailable"})
_TEMPORARY = frozenset({"token_expired", "request_timeout", "team_added_to_org", "org_login_required"})

REVOKED = "installation-revoked"
CHANNEL_UNAVAILABLE = "channel-unavailable"

type Json = dict[str, object]


class SlackRefusedError(PermanentError):
    """Slack understood a call and refuses it.

    Attributes:
        word: Slack's own name of the error; the code is made of it.
    """

    def __init__(self, method: str, word: str) -> None:
        super().__init__(f"slack-{word.replace('_', '-')}", f"Slack refuses {method}: {word}")
        self.word = word


class SlackApi:
    """Slack's Web API as one installation may use it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._url = connection.options["api_base_url"].rstrip("/")
        self._authorization = {"authorization": f"Bearer {connection.token}"}
        self._own_id: str | None = None

    def call(self, method: str, arguments: Mapping[str, object], *, is_patient: bool = False) -> Json:
        """The answer of a method that writes.

        Args:
            method: Its name, as `chat.postMessage`.
            arguments: Sent as JSON.
            is_patient: Whether a short rate limit is waited for here.

        Raises:
            RetryableError: A rate limit, a fault of Slack's or no answer.
            SlackRefusedError: Slack will not do it.
            PermanentError: The installation is revoked or the channel is closed to it.
        """
        body = json.dumps(arguments, ensure_ascii=False).encode()
        return self._send(method, body, "application/json; charset=utf-8", is_patient=is_patient)

    def read(self, method: str, arguments: Mapping[str, str], *, is_patient: bool = True) -> Json:
        """The answer of a method that reads. Raises as `call` does.

        Sent as a form: Slack's reading methods overlook a JSON body.
        """
        body = urlencode(arguments).encode()
        return self._send(method, body, "application/x-www-form-urlencoded", is_patient=is_patient)

    def own_user_id(self) -> str:
        """The user id of the bot that the token belongs to."""
        if self._own_id is None:
            self._own_id = str(self.call("auth.test", {}, is_patient=True).get("user_id", ""))
        return self._own_id

    def _send(self, method: str, body: bytes, content_type: str, *, is_patient: bool) -> Json:
        for _ in range(_MAX_WAITS if is_patient else 0):
            try:
                return self._send_once(method, body, content_type)
            except RetryableError as exc:
                wait = exc.retry_after
                if wait is None or wait.total_seconds() > _SHORT_WAIT:
                    raise
                self._connection.sleep(wait.total_seconds())
        return self._send_once(method, body, content_type)

    def _send_once(self, method: str, body: bytes, content_type: str) -> Json:
        try:
            answer = self._connection.http.request(
                "POST",
                f"{self._url}/{method}",
                headers={**self._authorization, "content-type": content_type},
                body=body,
                seconds=_SECONDS,
            )
        except RetryableError as exc:
            if exc.code != "rate-limited" or exc.retry_after is not None:
                raise
            raise RetryableError(exc.code, exc.message, retry_after=_WAIT_UNKNOWN) from exc
        try:
            return _read_answer(method, answer)
        except PermanentError as exc:
            if exc.code == REVOKED:
                self._connection.revoked(self._connection.installation)
            raise


def _read_answer(method: str, answer: Answer) -> Json:
    try:
        value: object = json.loads(answer.body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        if 300 <= answer.status < 500:
            raise SlackRefusedError(method, f"http_{answer.status}")
        # It may have been done: a proxy's page can hide Slack's own answer.
        raise RetryableError("answer-not-json", f"Slack's answer to {method} is not JSON", is_outcome_unknown=True)
    if value.get("ok") is True:
        return value
    word = value.get("error")
    raise _translate(method, word if isinstance(word, str) and _WORD.fullmatch(word) else "unknown_error")


def _translate(method: str, word: str) -> RetryableError | PermanentError:
    """The error of ours that one of Slack's words means."""
    if word in _REVOKED:
        return PermanentError(REVOKED, f"Slack does not accept the installation's token: {word}")
    if word in _CHANNEL_UNAVAILABLE:
        return PermanentError(CHANNEL_UNAVAILABLE, f"Slack closes the channel to the assistant: {word}")
    if word in _RATE_LIMITED:
        return RetryableError("rate-limited", f"Slack asks to wait with {method}", retry_after=_WAIT_UNKNOWN)
    if word in _OUTCOME_UNKNOWN or word in _TEMPORARY:
        is_unknown = word in _OUTCOME_UNKNOWN
        return RetryableError("slack-unavailable", f"Slack failed at {method}: {word}", is_outcome_unknown=is_unknown)
    return SlackRefusedError(method, word)
