"""Who a person is and what a file holds; how Slack's errors come out."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import NoReturn

import pytest

from core.errors import PermanentError, RetryableError, ServiceError
from core.events import FileReference, MessageReceived
from core.http import Http
from core.models import Address
from core.platforms import Connection, Outbound, connect
from core.platforms.slack import adapter
from local.fake_slack import DEMO, FailureMode, FakeSlack
from local.fake_slack.state import App, Channel, File, User
from tests.unit.platforms.slack.stage import Clock

_MAX = 1_000_000
_AT = MessageReceived(
    address=Address(platform="slack", workspace_id=DEMO.team_id, channel_id=DEMO.channel_id),
    external_message_id="1767225600.000100",
    external_user_id=DEMO.user_id,
    sent_at=datetime(2026, 1, 1, tzinfo=UTC),
    received_at=datetime(2026, 1, 1, tzinfo=UTC),
    correlation_id="request-1",
)


def _upload(slack: FakeSlack, content: bytes = b"a,b\n1,2\n", mimetype: str = "text/csv") -> FileReference:
    shown = slack.add_file(File("F0TABLE001", DEMO.team_id, "table.csv", mimetype, content))
    return FileReference.model_validate(
        {
            "id": shown["id"],
            "name": "table.csv",
            "media_type": mimetype,
            "size": len(content),
            "url": shown["url_private"],
        }
    )


def _limited(slack: FakeSlack, *scopes: str) -> None:
    slack.add_app(
        App(DEMO.team_id, "Demo", DEMO.bot_token, DEMO.bot_user_id, DEMO.bot_id, DEMO.app_id, frozenset(scopes))
    )


def test_adapter_is_found_by_its_name(connection: Connection) -> None:
    outbound = connect(
        connection.installation,
        read_secret={"secret": DEMO.bot_token}.__getitem__,
        options={"slack": connection.options},
        http=connection.http,
        kept=connection.kept,
        monotonic=connection.monotonic,
        sleep=connection.sleep,
    )
    assert outbound.identify(DEMO.user_id, _AT).email == DEMO.user_email


def test_person_is_known_by_name_and_email(outbound: Outbound) -> None:
    person = outbound.identify(DEMO.user_id, _AT)
    assert (person.external_user_id, person.workspace_id) == (DEMO.user_id, DEMO.team_id)
    assert (person.email, person.name, person.is_bot) == (DEMO.user_email, DEMO.user_name, False)


def test_person_without_the_email_scope_has_no_email(slack: FakeSlack, outbound: Outbound) -> None:
    _limited(slack, "users:read")
    assert outbound.identify(DEMO.user_id, _AT).email is None


def test_bot_is_told_apart(outbound: Outbound) -> None:
    assert outbound.identify(DEMO.bot_user_id, _AT).is_bot


def test_stranger_of_a_shared_channel_keeps_the_own_workspace(slack: FakeSlack, outbound: Outbound) -> None:
    slack.add_user(User("U0MALLORY1", "T0FOREIGN1", "alice@demo.example", "mallory"))
    slack.add_channel(Channel("C0SHARED01", frozenset({DEMO.team_id, "T0FOREIGN1"}), "shared"))
    person = outbound.identify("U0MALLORY1", _AT)
    assert (person.workspace_id, person.email) == ("T0FOREIGN1", None)


def test_deactivated_person_is_permanent(slack: FakeSlack, outbound: Outbound) -> None:
    slack.add_user(User("U0LEFT0001", DEMO.team_id, "left@demo.example", "left", deleted=True))
    with pytest.raises(PermanentError) as caught:
        outbound.identify("U0LEFT0001", _AT)
    assert caught.value.code == "person-deactivated"


def test_unknown_person_is_permanent(outbound: Outbound) -> None:
    with pytest.raises(PermanentError) as caught:
        outbound.identify("U0NOBODY01", _AT)
    assert caught.value.code == "person-unknown"


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ("token_revoked", PermanentError, "installation-revoked"),
        ("account_inactive", PermanentError, "installation-revoked"),
        ("invalid_auth", PermanentError, "installation-revoked"),
        ("not_authed", PermanentError, "installation-revoked"),
        ("channel_not_found", PermanentError, "channel-unavailable"),
        ("is_archived", PermanentError, "channel-unavailable"),
        ("not_in_channel", PermanentError, "channel-unavailable"),
        ("missing_scope", PermanentError, "slack-missing-scope"),
        ("some_new_error", PermanentError, "slack-some-new-error"),
        ("Not <a> word", PermanentError, "slack-unknown-error"),
        ("internal_error", RetryableError, "slack-unavailable"),
        ("fatal_error", RetryableError, "slack-unavailable"),
        ("service_unavailable", RetryableError, "slack-unavailable"),
    ],
)
def test_slack_s_errors_become_ours(
    slack: FakeSlack, outbound: Outbound, error: str, kind: type[ServiceError], code: str
) -> None:
    slack.fail_next("users.info", error=error)
    with pytest.raises(kind) as caught:
        outbound.identify(DEMO.user_id, _AT)
    assert caught.value.code == code
    assert DEMO.bot_token not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "status", "is_unknown"),
    [(FailureMode.DROP, None, True), (FailureMode.HTML, None, True), (FailureMode.ANSWER, 503, True)],
)
def test_broken_answers_are_retryable(
    slack: FakeSlack, outbound: Outbound, mode: FailureMode, status: int | None, is_unknown: bool
) -> None:
    slack.fail_next("users.info", mode=mode, http_status=status)
    with pytest.raises(RetryableError) as caught:
        outbound.identify(DEMO.user_id, _AT)
    assert caught.value.is_outcome_unknown is is_unknown


def test_short_rate_limit_is_waited_for(slack: FakeSlack, outbound: Outbound, clock: Clock) -> None:
    slack.fail_next("users.info", error="ratelimited", retry_after=2)
    assert outbound.identify(DEMO.user_id, _AT).email == DEMO.user_email
    assert clock.naps == [2]


def test_rate_limit_without_a_time_waits_a_second(slack: FakeSlack, outbound: Outbound, clock: Clock) -> None:
    slack.fail_next("users.info", error="ratelimited")
    outbound.identify(DEMO.user_id, _AT)
    assert clock.naps == [1]


def test_short_rate_limits_without_end_are_given_back(slack: FakeSlack, outbound: Outbound, clock: Clock) -> None:
    slack.fail_next("users.info", error="ratelimited", retry_after=3, times=50)
    with pytest.raises(RetryableError):
        outbound.identify(DEMO.user_id, _AT)
    assert sum(clock.naps) <= 9


def test_long_rate_limit_is_given_back_at_once(slack: FakeSlack, outbound: Outbound, clock: Clock) -> None:
    slack.fail_next("users.info", error="ratelimited", retry_after=30)
    with pytest.raises(RetryableError) as caught:
        outbound.identify(DEMO.user_id, _AT)
    assert caught.value.retry_after is not None
    assert clock.naps == []


def test_file_comes_whole(slack: FakeSlack, outbound: Outbound) -> None:
    assert outbound.fetch_file(_upload(slack), max_bytes=_MAX) == b"a,b\n1,2\n"


def test_file_over_the_cap_is_refused_whatever_its_size_claims(slack: FakeSlack, outbound: Outbound) -> None:
    file = _upload(slack, b"x" * 5000)
    for claimed in (file, file.model_copy(update={"size": 10})):
        with pytest.raises(PermanentError) as caught:
            outbound.fetch_file(claimed, max_bytes=4999)
        assert caught.value.code == "file-too-large"


def test_page_to_sign_in_is_a_missing_scope(slack: FakeSlack, outbound: Outbound) -> None:
    for mimetype in ("text/csv", "text/html"):
        file = _upload(slack, mimetype=mimetype)
        _limited(slack, "chat:write")
        with pytest.raises(PermanentError) as caught:
            outbound.fetch_file(file, max_bytes=_MAX)
        assert caught.value.code == "file-not-readable"


def test_page_that_somebody_attached_is_a_file(slack: FakeSlack, outbound: Outbound) -> None:
    page = b"<html>ours</html>"
    assert outbound.fetch_file(_upload(slack, page, "text/html"), max_bytes=_MAX) == page


def test_redirect_is_not_followed(slack: FakeSlack, outbound: Outbound) -> None:
    file = _upload(slack)
    slack.refuse_token(DEMO.bot_token)
    with pytest.raises(PermanentError) as caught:
        outbound.fetch_file(file, max_bytes=_MAX)
    assert caught.value.code == "file-not-readable"


def test_file_that_is_gone_is_permanent(slack: FakeSlack, outbound: Outbound) -> None:
    file = _upload(slack)
    slack.state.files.clear()
    with pytest.raises(PermanentError) as caught:
        outbound.fetch_file(file, max_bytes=_MAX)
    assert caught.value.code == "file-gone"


_FOREIGN = [
    "",
    "http://files.slack.com/f",
    "https://files.slack.com.evil.example/f",
    "https://evil.example/files.slack.com",
    "https://slack-files.com/f",
    "https://evilslack-files.com/f",
    "https://files.slack.com@evil.example/f",
    "https://user:pw@files.slack.com/f",
    "https://files.slack.com:8443/f",
    "https://files.slack.com:x/f",
    "https://evil.example\\@files.slack.com/f",
    "https://files.slack.com\n.evil.example/f",
    "https://files.släck.com/f",
    "https://[::1/f",
    "ftp://files.slack.com/f",
    "file:///etc/passwd",
    "http://169.254.169.254/latest",
    "https://slack.com/api/auth.test",
    "http://127.0.0.1:1/f",
]


@pytest.mark.parametrize("url", _FOREIGN)
@pytest.mark.parametrize(
    "base_url", ["https://slack.com/api/", "http://127.0.0.1:9/api/", "http://internal.example/api"]
)
def test_token_goes_to_no_other_host(connection: Connection, url: str, base_url: str) -> None:
    outbound = adapter.connect(replace(connection, options={"api_base_url": base_url}))
    with pytest.raises(PermanentError) as caught:
        outbound.fetch_file(FileReference(id="F1", url=url), max_bytes=_MAX)
    assert caught.value.code == "file-host-refused"


def test_plain_http_is_for_the_configured_loopback_alone(connection: Connection) -> None:
    outbound = adapter.connect(replace(connection, options={"api_base_url": "http://internal.example/api"}))
    with pytest.raises(PermanentError, match="not kept at Slack"):
        outbound.fetch_file(FileReference(id="F1", url="http://internal.example/files-pri/x"), max_bytes=_MAX)


class _NoNetwork(Http):
    """Tests reach nothing but the loopback: this notes where a request would have gone."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def _send(self, method: str, url: str, *_: object) -> NoReturn:
        self.asked.append(url)
        raise RetryableError("unreachable", f"no network for {method}")


@pytest.mark.parametrize("url", ["https://files.slack.com/files-pri/T-F/x.csv", "https://a.slack-files.com/x"])
def test_slack_s_own_hosts_are_asked(connection: Connection, url: str) -> None:
    http = _NoNetwork()
    with pytest.raises(RetryableError):
        adapter.connect(replace(connection, http=http)).fetch_file(FileReference(id="F1", url=url), max_bytes=_MAX)
    assert http.asked == [url]


def test_text_is_read_without_the_assistant_s_name(outbound: Outbound) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    message = MessageReceived(
        address=Address(platform="slack", workspace_id="T1", channel_id="C1", thread_id="1"),
        external_message_id="1",
        external_user_id="U1",
        bot_user_id=DEMO.bot_user_id,
        text=f"<@{DEMO.bot_user_id}> ask <@U2|bob> about <https://x.y|this> &amp; that",
        sent_at=now,
        received_at=now,
        correlation_id="c",
    )
    assert outbound.read_text(message) == "ask @bob about [this](https://x.y) & that"
