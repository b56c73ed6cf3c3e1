"""Files in Slack: fetched from where Slack keeps them, and shared into a thread.

https://docs.slack.dev/messaging/working-with-files. The token goes to Slack's own hosts and nowhere else.
"""

from collections.abc import Generator, Mapping
from urllib.parse import SplitResult, urlsplit

from core.errors import PermanentError, RetryableError
from core.events import FileReference
from core.platforms import Connection, ReplyTarget, SharedFile
from core.platforms.slack.api import SlackApi, SlackRefusedError

MOST_SHARED_BYTES = 20 * 1024 * 1024  # of one file of ours; a larger one is a link
_SLACK_HOSTS = ("slack.com", "www.slack.com")
_FILE_HOSTS = ("files.slack.com", "files.slack-gov.com")
_FILE_DOMAIN = ".slack-files.com"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_FILE_SECONDS = 30.0
_UPLOAD_SECONDS = 60.0
_LONGEST_NAME = 255


def fetch(connection: Connection, file: FileReference, *, max_bytes: int) -> bytes:
    """The bytes of an attached file.

    Raises:
        PermanentError: The host is not Slack's, the file is too large, gone, or not readable with this token.
        RetryableError: Slack cannot give it now.
    """
    return b"".join(stream(connection, file, max_bytes=max_bytes, seconds=_FILE_SECONDS))


def stream(connection: Connection, file: FileReference, *, max_bytes: int, seconds: float) -> Generator[bytes]:
    """The same piece by piece. Raises what `fetch` raises."""
    if not is_slack_file(file.url, connection.options["api_base_url"]):
        raise PermanentError("file-host-refused", "the file is not kept at Slack")
    if file.size > max_bytes:
        raise _too_large(max_bytes)
    headers, count = {"authorization": f"Bearer {connection.token}"}, 0
    try:
        with connection.http.download(file.url, headers=headers, seconds=seconds, max_bytes=max_bytes) as answer:
            is_page = _is_page(file, answer.status, answer.headers)
            for piece in answer.pieces:
                count += len(piece)
                yield piece
    except RetryableError as exc:
        if exc.code == "answer-too-long":
            raise _too_large(max_bytes) from exc
        raise
    # Without files:read Slack answers 200 and a page to sign in. A file may be a page too: then its size is known.
    if is_page and count != file.size:
        raise _sign_in()


def _too_large(max_bytes: int) -> PermanentError:
    return PermanentError("file-too-large", f"the file is over {max_bytes} bytes")


def share(connection: Connection, api: SlackApi, target: ReplyTarget, file: SharedFile) -> str | None:
    """Upload a file into the target's thread: Slack's id of it; None where Slack takes no files of ours."""
    content = file.content
    if not content or len(content) > MOST_SHARED_BYTES:
        return None
    name = " ".join(file.name.split())[:_LONGEST_NAME] or "file"
    try:
        given = api.read("files.getUploadURLExternal", {"filename": name, "length": str(len(content))})
        url, file_id = given.get("upload_url"), given.get("file_id")
        if not isinstance(url, str) or not isinstance(file_id, str):
            raise RetryableError("answer-malformed", "Slack names no place for the upload")
        _upload(connection, url, content)
        address = target.address
        thread = {"thread_ts": address.thread_id} if address.thread_id else {}
        files = [{"id": file_id, "title": name}]
        arguments = {"files": files, "channel_id": address.channel_id, **thread}
        api.call("files.completeUploadExternal", arguments, is_patient=True)
    except SlackRefusedError:
        return None  # no right to upload, or a workspace that forbids it: the link is what is left
    return file_id


def _upload(connection: Connection, url: str, content: bytes) -> None:
    if not is_slack_file(url, connection.options["api_base_url"]):
        raise PermanentError("file-host-refused", "the place for the upload is not Slack's")
    sent = {"content-type": "application/octet-stream"}
    answer = connection.http.request("POST", url, body=content, headers=sent, seconds=_UPLOAD_SECONDS)
    if answer.status != 200:
        raise RetryableError("upload-refused", f"Slack answered {answer.status} to the upload")


def _is_page(file: FileReference, status: int, headers: Mapping[str, str]) -> bool:
    """Whether the answer, which holds a file, is a page that may also be Slack's own."""
    if status in (404, 410):
        raise PermanentError("file-gone", "Slack no longer has the file")
    if status != 200:
        raise PermanentError("file-not-readable", f"Slack answered {status} for the file")
    is_page = headers.get("content-type", "").lower().startswith("text/html")
    if is_page and file.media_type != "text/html":
        raise _sign_in()
    return is_page


def _sign_in() -> PermanentError:
    return PermanentError("file-not-readable", "Slack gave a page to sign in: the scope files:read is missing")


def is_slack_file(url: str, base_url: str) -> bool:
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
