"""Slack: who a person is, what a file holds, and answers into a channel or a direct message."""

from urllib.parse import SplitResult, urlsplit

from core.errors import PermanentError, RetryableError
from core.events import FileReference, MessageReceived
from core.http import Answer
from core.platforms import Connection, Outbound, Person, Posted, Reply, ReplyTarget
from core.platforms.slack.api import SlackApi, SlackRefusedError
from core.platforms.slack.format import to_markdown
from core.platforms.slack.reply import SlackReply

_PERSON_UNKNOWN = frozenset({"user_not_found", "users_not_found", "user_not_visible"})
_SLACK_HOSTS = ("slack.com", "www.slack.com")
_FILE_HOSTS = ("files.slack.com", "files.slack-gov.com")
_FILE_DOMAIN = ".slack-files.com"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_FILE_SECONDS = 30.0
_LONGEST_NAME = 200  # characters


def connect(connection: Connection) -> Outbound:
    """Slack's outbound half for one installation."""
    return Slack(connection)


class Slack:
    """One installation of the app in a Slack workspace."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._api = SlackApi(connection)

    def identify(self, external_user_id: str) -> Person:
        """Who Slack says this user is; no e-mail where Slack keeps it back or nobody has confirmed it.

        Raises:
            RetryableError: Slack cannot say now.
            PermanentError: The user is unknown or deactivated there, or the token is revoked.
        """
        try:
            user = self._api.read("users.info", {"user": external_user_id}).get("user")
        except SlackRefusedError as exc:
            if exc.word in _PERSON_UNKNOWN:
                raise PermanentError("person-unknown", "Slack knows no such user") from exc
            raise
        if not isinstance(user, dict):
            raise RetryableError("answer-malformed", "Slack's answer to users.info holds no user")
        if user.get("deleted") is True:
            raise PermanentError("person-deactivated", "the Slack user is deactivated")
        profile = user.get("profile")
        profile = profile if isinstance(profile, dict) else {}
        email = profile.get("email")
        is_trusted = isinstance(email, str) and "@" in email and user.get("is_email_confirmed") is not False
        names = (profile.get("real_name"), profile.get("display_name"), user.get("real_name"), user.get("name"))
        workspace_id = user.get("team_id")
        return Person(
            external_user_id=external_user_id,
            workspace_id=workspace_id if isinstance(workspace_id, str) else self._connection.installation.workspace_id,
            email=email if is_trusted else None,
            name=next((name for name in names if isinstance(name, str) and name), external_user_id)[:_LONGEST_NAME],
            is_bot=user.get("is_bot") is True,
        )

    def fetch_file(self, file: FileReference, *, max_bytes: int) -> bytes:
        """The bytes of an attached file. The token goes to Slack's own hosts and nowhere else.

        Raises:
            PermanentError: The host is not Slack's, the file is too large, gone, or not readable with this token.
            RetryableError: Slack cannot give it now.
        """
        if not _is_slack_file(file.url, self._connection.base_url):
            raise PermanentError("file-host-refused", "the file is not kept at Slack")
        if file.size > max_bytes:
            raise PermanentError("file-too-large", f"the file is over {max_bytes} bytes")
        try:
            answer = self._connection.http.request(
                "GET",
                file.url,
                headers={"authorization": f"Bearer {self._connection.token}"},
                seconds=_FILE_SECONDS,
                max_bytes=max_bytes,
            )
        except RetryableError as exc:
            if exc.code == "answer-too-long":
                raise PermanentError("file-too-large", f"the file is over {max_bytes} bytes") from exc
            raise
        return _read_file(file, answer)

    def open_reply(self, target: ReplyTarget, *, posted: Posted) -> Reply:
        """Start an answer. `posted` is called with all ids as soon as a message was made, before any more."""
        return SlackReply(self._api, target, posted=posted, monotonic=self._connection.monotonic)

    def read_text(self, message: MessageReceived) -> str:
        """What the person wrote, as Markdown: mentions of the assistant removed, others made readable."""
        return to_markdown(message.text, message.bot_user_id)


def _read_file(file: FileReference, answer: Answer) -> bytes:
    if answer.status in (404, 410):
        raise PermanentError("file-gone", "Slack no longer has the file")
    if answer.status != 200:
        raise PermanentError("file-not-readable", f"Slack answered {answer.status} for the file")
    is_page = answer.headers.get("content-type", "").lower().startswith("text/html")
    # Without files:read Slack answers 200 and a page to sign in. A file may be a page too: then its size is known.
    if is_page and not (file.media_type == "text/html" and file.size == len(answer.body)):
        raise PermanentError("file-not-readable", "Slack gave a page to sign in: the scope files:read is missing")
    return answer.body


def _is_slack_file(url: str, base_url: str) -> bool:
    """Whether the token may be sent there: Slack's file hosts, or the very server the API is configured to be."""
    if not url.isascii() or not url.isprintable() or any(character in url for character in " \\"):
        return False  # what two readers of URLs could understand differently
    try:
        given, configured = urlsplit(url), urlsplit(base_url)
        host, port = given.hostname or "", given.port
        is_configured = _origin(given) == _origin(configured)
    except ValueError:
        return False
    if given.username is not None or given.password is not None:
        return False
    if is_configured and (configured.hostname or "") not in _SLACK_HOSTS:
        return given.scheme == "https" or (given.scheme == "http" and host in _LOOPBACK)
    is_known = host in _FILE_HOSTS or host.endswith(_FILE_DOMAIN)
    return given.scheme == "https" and port in (None, 443) and is_known


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port
