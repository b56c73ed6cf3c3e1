"""An answer that only the person who asked sees: it is posted whole, and cannot be streamed, edited or found.

Some are private from the beginning; others are where the assistant may not write what everybody was to see.

https://docs.slack.dev/reference/methods/chat.postEphemeral and
https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
"""

import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from core.errors import PermanentError, RetryableError
from core.platforms import Connection, Posted, Reply, ReplyTarget
from core.platforms.slack.api import CHANNEL_UNAVAILABLE, SlackApi
from core.platforms.slack.format import to_mrkdwn
from core.platforms.slack.thread import TEXT
from core.splitting import split

_HOOK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_SECONDS = 10.0
_MOST_RESPONSES = 5  # Slack takes so many at one such address, for half an hour


class PrivateReply:
    """Says everything in `finish`. What an earlier try recorded was delivered: it is not said again."""

    def __init__(self, connection: Connection, api: SlackApi, target: ReplyTarget, *, posted: Posted) -> None:
        self._connection = connection
        self._api = api
        self._target = target
        self._posted = posted
        self._ids = target.outgoing_ids

    @property
    def outgoing_ids(self) -> tuple[str, ...]:
        """Ids of what was posted, made up where Slack gives none."""
        return self._ids

    def append(self, text: str) -> None:
        """Nothing: a message that only one person sees is not shown in pieces."""

    def finish(self, text: str) -> tuple[str, ...]:
        """Say `text`, once. Raises as every reply does."""
        parts = split(text.strip() or "…", TEXT.limit, TEXT.render)
        for place, part in enumerate(parts):
            if place < len(self._ids):
                continue
            shown = to_mrkdwn(part)
            if self._target.reply_url and place < _MOST_RESPONSES:
                self._respond(shown)
                message_id = f"{self._target.in_reply_to}.{place}"
            else:
                message_id = self._post(shown)
            self._ids = (*self._ids, message_id)
            self._posted(self._ids)
        return self._ids

    def _respond(self, shown: str) -> None:
        url = self._target.reply_url
        if not is_hook(url, self._connection.options["api_base_url"]):
            raise PermanentError("reply-url-refused", "the address to answer at is not Slack's")
        body = json.dumps({"response_type": "ephemeral", "replace_original": False, "text": shown}).encode()
        answer = self._connection.http.request(
            "POST", url, body=body, headers={"content-type": "application/json; charset=utf-8"}, seconds=_SECONDS
        )
        if answer.status != 200:
            raise PermanentError("reply-url-over", f"Slack no longer takes answers there: HTTP {answer.status}")

    def _post(self, shown: str) -> str:
        address = self._target.address
        thread = {"thread_ts": address.thread_id} if address.thread_id else {}
        arguments = {"channel": address.channel_id, "user": self._target.external_user_id, "text": shown, **thread}
        ts = self._api.call("chat.postEphemeral", arguments, is_patient=True).get("message_ts")
        if not isinstance(ts, str):
            raise RetryableError("answer-malformed", "Slack names no message", is_outcome_unknown=True)
        return ts


class RetreatingReply:
    """A reply for everybody that becomes one for its asker alone where the assistant may not write."""

    def __init__(self, reply: Reply, target: ReplyTarget, make_private: Callable[[ReplyTarget], PrivateReply]) -> None:
        self._reply = reply
        self._target = target
        self._make_private = make_private

    @property
    def outgoing_ids(self) -> tuple[str, ...]:
        """Ids of what was posted so far, in order."""
        return self._reply.outgoing_ids

    def append(self, text: str) -> None:
        """Show more of the answer."""
        self._reply.append(text)

    def finish(self, text: str) -> tuple[str, ...]:
        """Say `text` to everybody, else to its asker, once. Raises as every reply does."""
        try:
            return self._reply.finish(text)
        except PermanentError as exc:
            if exc.code != CHANNEL_UNAVAILABLE or isinstance(self._reply, PrivateReply):
                raise
        own = f"{self._target.in_reply_to}."  # how the ids begin that an earlier try made up for what it said here
        said = tuple(each for each in self._target.outgoing_ids if each.startswith(own))
        self._reply = self._make_private(replace(self._target, outgoing_ids=said))
        return self._reply.finish(text)


def is_hook(url: str, api_base_url: str) -> bool:
    """Whether answers may be posted there: Slack's own host for it, or the very server the API is configured to be."""
    if not url.isascii() or not url.isprintable() or any(character in url for character in " \\"):
        return False
    try:
        given, configured = urlsplit(url), urlsplit(api_base_url)
        is_configured = given.netloc == configured.netloc and given.scheme == configured.scheme
        port = given.port
    except ValueError:
        return False
    if given.username is not None or given.password is not None:
        return False
    is_known = given.scheme == "https" and given.hostname in _HOOK_HOSTS and port in (None, 443)
    return is_known or (is_configured and configured.hostname not in ("slack.com", "www.slack.com"))
