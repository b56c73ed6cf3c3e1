"""Who somebody is, what an attached file holds, and where a token never goes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from core.errors import PermanentError, RetryableError
from core.events import FileReference
from tests.contract.platform import What
from tests.contract.stage import Stage

_FOREIGN = (
    "",
    "https://evil.example/a.csv",
    "file:///etc/passwd",
    "ftp://files.example/a.csv",
    "http://169.254.169.254/latest/meta-data",
    "https://evil.example\\@files.example/a.csv",
    "//evil.example/a.csv",
    "https://evil.example/a\r\nb.csv",
)


@dataclass
class Elsewhere:
    """Somebody else's server: what it was told, and where it sends whoever asks."""

    url: str = ""
    location: str = ""
    tokens: list[str | None] = field(default_factory=list)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    seen = Elsewhere()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.tokens.append(self.headers.get("authorization"))
            self.send_response(302 if seen.location else 200)
            if seen.location:
                self.send_header("location", seen.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield seen
    server.shutdown()
    thread.join()
    server.server_close()


def _refused(stage: Stage, file: FileReference, *, max_bytes: int = 1_000) -> str:
    """Why a file is refused: whole and in pieces, for the same reason."""
    with pytest.raises(PermanentError) as caught:
        stage.outbound().fetch_file(file, max_bytes=max_bytes)
    with pytest.raises(PermanentError) as again:
        list(stage.outbound().stream_file(file, max_bytes=max_bytes, seconds=5.0))
    assert again.value.code == caught.value.code
    return caught.value.code


def test_a_person_is_known_by_name_and_email(stage: Stage) -> None:
    user_id, email = stage.platform.person
    person = stage.outbound().identify(user_id, stage.ask())
    assert (person.external_user_id, person.workspace_id) == (user_id, stage.platform.workspace_id)
    assert (person.email, person.is_bot) == (email, False)
    assert person.name


def test_a_person_whom_nobody_knows_is_refused(stage: Stage) -> None:
    with pytest.raises(PermanentError) as caught:
        stage.outbound().identify(stage.platform.unknown_user, stage.ask())
    assert caught.value.code == "person-unknown"


def test_a_bot_is_told_from_a_person(stage: Stage) -> None:
    assert stage.outbound().identify(stage.platform.bot_user, stage.ask()).is_bot


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_person_who_cannot_be_told_now_is_asked_for_again(stage: Stage, status: int) -> None:
    message = stage.ask()
    stage.platform.fail(What.IDENTIFY, status, retry_after=600)
    with pytest.raises(RetryableError):
        stage.outbound().identify(stage.platform.person[0], message)
    assert stage.outbound().identify(stage.platform.person[0], message).email


def test_a_person_cannot_be_told_with_a_revoked_token(stage: Stage) -> None:
    message = stage.ask()
    stage.platform.revoke()
    with pytest.raises(PermanentError) as caught:
        stage.outbound().identify(stage.platform.person[0], message)
    assert caught.value.code == "installation-revoked"


def test_a_file_is_fetched(stage: Stage) -> None:
    assert stage.outbound().fetch_file(stage.platform.file(b"a,b\n1,2\n"), max_bytes=8) == b"a,b\n1,2\n"


def test_a_large_file_comes_piece_by_piece(stage: Stage) -> None:
    content = b"1234567890" * 50_000
    pieces = stage.outbound().stream_file(stage.platform.file(content), max_bytes=len(content), seconds=5.0)
    lengths = [len(piece) for piece in pieces]
    assert sum(lengths) == len(content)
    assert len(lengths) > 5


def test_a_large_file_that_cannot_be_given_now_is_fetched_again(stage: Stage) -> None:
    file = stage.platform.file(b"a,b\n1,2\n")
    stage.platform.fail(What.FETCH, 503)
    with pytest.raises(RetryableError):
        list(stage.outbound().stream_file(file, max_bytes=99, seconds=5.0))
    assert b"".join(stage.outbound().stream_file(file, max_bytes=99, seconds=5.0)) == b"a,b\n1,2\n"


@pytest.mark.parametrize("told", [9, 0])
def test_a_file_that_is_too_large_is_refused(stage: Stage, told: int) -> None:
    file = stage.platform.file(b"a,b\n1,2\n3").model_copy(update={"size": told})
    calls = stage.platform.calls()
    assert _refused(stage, file, max_bytes=8) == "file-too-large"
    assert not told or stage.platform.calls() == calls, "what was told too large is not even asked for"


def test_a_file_that_cannot_be_given_now_is_fetched_again(stage: Stage) -> None:
    file = stage.platform.file(b"a,b\n1,2\n")
    stage.platform.fail(What.FETCH, 503)
    with pytest.raises(RetryableError):
        stage.outbound().fetch_file(file, max_bytes=99)
    assert stage.outbound().fetch_file(file, max_bytes=99)


def test_a_file_of_a_foreign_host_is_refused(stage: Stage) -> None:
    calls = stage.platform.calls()
    for url in (*_FOREIGN, *stage.platform.foreign_files):
        assert _refused(stage, FileReference(id="one", name="a.csv", url=url)) == "file-host-refused", url
    assert stage.platform.calls() == calls, "nobody was even asked for a token"


def test_a_token_never_goes_to_a_foreign_host(stage: Stage, elsewhere: Elsewhere) -> None:
    file = stage.platform.file(b"a,b\n1,2\n").model_copy(update={"url": f"{elsewhere.url}/files/a.csv"})
    assert _refused(stage, file) == "file-host-refused"
    assert elsewhere.tokens == []


def test_a_token_does_not_follow_a_redirect(stage: Stage, elsewhere: Elsewhere) -> None:
    elsewhere.location = f"{elsewhere.url}/elsewhere"
    outbound = stage.outbound(stage.platform.trusting(elsewhere.url))
    with pytest.raises(PermanentError):
        outbound.fetch_file(FileReference(id="one", name="a.csv", url=f"{elsewhere.url}/a.csv"), max_bytes=99)
    assert len(elsewhere.tokens) == 1, "asked once, and not followed"
