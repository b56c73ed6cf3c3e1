"""Slack's calls to us: who sent them, and which of our readers takes them.

https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import hmac
import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import parse_qsl

from core.errors import PermanentError, RequestRejectedError
from core.platforms import Inbound, WebhookRequest, WebhookResult
from core.platforms.slack.commands import read_command
from core.platforms.slack.events import read_event
from core.platforms.slack.fields import read_json, reject
from core.platforms.slack.interactions import read_interaction
from core.strict_json import Json

_EVENTS_PATH = "/slack/events"
_INTERACTIONS_PATH = "/slack/interactions"
_COMMANDS_PATH = "/slack/commands"
_PATHS = (_EVENTS_PATH, _INTERACTIONS_PATH, _COMMANDS_PATH)
_MAX_CLOCK_SKEW = 300  # seconds; Slack's own replay window
_MAX_CHALLENGE = 512  # characters; Slack's are about 50
_MAX_FIELDS = 50  # of a form; a command has about 15
_DIGITS = re.compile(r"[0-9]{1,12}")


def build(signing_secret: Callable[[], str]) -> Inbound:
    """Slack's inbound half; `signing_secret` is asked at every verification and does the caching."""
    return SlackInbound(signing_secret)


class SlackInbound:
    """Verifies and reads what Slack posts to us."""

    def __init__(self, signing_secret: Callable[[], str]) -> None:
        self._signing_secret = signing_secret

    def verify(self, request: WebhookRequest, now: datetime) -> None:
        """Return if Slack signed `request` within the last five minutes.

        Raises:
            RequestRejectedError: 401 where the signature is missing, wrong or stale.
            PermanentError: There is no signing secret to check with.
        """
        signature = request.headers.get("x-slack-signature", "")
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        if not signature or not timestamp:
            raise RequestRejectedError("signature-missing", "the request is not signed", status=401)
        if not _DIGITS.fullmatch(timestamp):
            raise RequestRejectedError("signature-malformed", "the signature's time is not a time", status=401)
        if abs(now.timestamp() - int(timestamp)) > _MAX_CLOCK_SKEW:
            raise RequestRejectedError("signature-stale", "the signature is too old or from the future", status=401)
        secret = self._signing_secret().encode()
        if not secret:  # an empty key would let anybody sign
            raise PermanentError("signing-secret-missing", "the Slack signing secret is empty")
        signed = b"v0:" + timestamp.encode() + b":" + request.body
        expected = b"v0=" + hmac.digest(secret, signed, "sha256").hex().encode()
        # Bytes, because compare_digest raises on a text that is not ASCII.
        if not hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass")):
            raise RequestRejectedError("signature-wrong", "the signature does not match", status=401)

    def parse(self, request: WebhookRequest, now: datetime) -> WebhookResult:
        """What the verified `request` says: questions, signals, or why it is neither.

        Raises:
            RequestRejectedError: 400 where it is malformed, 404 and 405 where it is for somebody else, 413 where it is
                longer than anything Slack sends.
        """
        if request.path not in _PATHS:
            raise RequestRejectedError("unknown-path", f"Slack's calls go to {', '.join(_PATHS)}", status=404)
        if request.method != "POST":
            raise RequestRejectedError("method-not-allowed", "Slack's calls are posted", status=405)
        if request.path == _EVENTS_PATH:
            return _read_envelope(read_json(request.body), request.request_id, now)
        form = _read_form(request.body)
        if form.get("ssl_check"):
            return WebhookResult(ignored="ssl-check")
        if request.path == _COMMANDS_PATH:
            return read_command(form, request.request_id, now)
        return read_interaction(read_json(form.get("payload", "")), request.request_id, now)


def _read_envelope(envelope: Json, request_id: str, now: datetime) -> WebhookResult:
    kind = envelope.get("type")
    if kind == "url_verification":
        challenge = envelope.get("challenge")
        if not isinstance(challenge, str) or not 0 < len(challenge) <= _MAX_CHALLENGE:
            reject("challenge")
        return WebhookResult(answer={"challenge": challenge})
    if kind != "event_callback":
        return WebhookResult(ignored="envelope-type")
    return read_event(envelope, request_id, now)


def _read_form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError:  # not UTF-8, or too many fields
        reject("form")
