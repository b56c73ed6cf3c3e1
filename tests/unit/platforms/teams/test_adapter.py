"""Who a person is, what a file holds, questions with buttons; the app's token, and where it never goes."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.errors import PermanentError, RetryableError
from core.events import FileReference, MessageReceived
from core.models import Address
from core.platforms import (
    Button,
    CommentForm,
    Connection,
    HomePage,
    Outbound,
    Prompt,
    Question,
    SharedFile,
    Welcome,
    connect,
)
from core.platforms.teams import adapter
from local.fake_slack.faults import FailureMode
from local.fake_teams import DEMO, FakeTeams, payloads
from local.fake_teams.state import Member
from tests.unit.platforms.slack.stage import Clock
from tests.unit.platforms.teams.stage import CHANNEL, Stage, channel, personal

_MADE_AT = datetime(2026, 1, 1, tzinfo=UTC)
_QUESTION = Question(
    text="Shall I **cancel** order 7?",
    buttons=(
        Button(label="Yes", value="approve", reference="approval-1", style="primary"),
        Button(label="No", value="deny", reference="approval-1"),
    ),
)


def _message(service_url: str, address: Address | None = None) -> MessageReceived:
    return MessageReceived(
        address=address or personal(),
        external_message_id="1767225599000",
        external_user_id=DEMO.user_object_id,
        reply_url=service_url,
        sent_at=_MADE_AT,
        received_at=_MADE_AT,
        correlation_id="request-1",
    )


def _file(url: str, size: int = 0) -> FileReference:
    return FileReference(id="one", name="plan.pdf", size=size, url=url)


def test_the_adapter_is_found_by_its_name(connection: Connection, teams: FakeTeams) -> None:
    outbound = connect(
        connection.installation,
        read_secret={"secret": DEMO.app_secret}.__getitem__,
        options={"teams": connection.options},
        http=connection.http,
        kept=connection.kept,
        monotonic=connection.monotonic,
        sleep=connection.sleep,
    )
    assert outbound.identify(DEMO.user_object_id, _message(teams.service_url)).email == DEMO.user_email


@pytest.mark.parametrize("address", [personal(), channel()])
def test_a_person_is_a_member_of_the_conversation(outbound: Outbound, teams: FakeTeams, address: Address) -> None:
    person = outbound.identify(DEMO.user_object_id, _message(teams.service_url, address))
    assert (person.email, person.name, person.workspace_id) == (DEMO.user_email, DEMO.user_name, DEMO.tenant_id)
    assert not person.is_bot
    assert teams.calls_to("member")[0].path.count("messageid") == (address == channel())


def test_a_person_of_another_tenant_is_none_of_ours(outbound: Outbound, teams: FakeTeams) -> None:
    """The same e-mail address in another tenant is another person: whoever asks compares the workspace."""
    other = "00000000-0000-4000-8000-00000000A002"
    teams.state.members["29:m"] = Member("29:m", "mallory", other, DEMO.user_email, "Mallory")
    assert outbound.identify("mallory", _message(teams.service_url)).workspace_id == other.lower()


def test_the_name_that_a_guest_has_here_is_no_address(outbound: Outbound, teams: FakeTeams) -> None:
    upn = "grace_elsewhere.example#EXT#@demo.example"
    teams.state.members["29:g"] = Member("29:g", "grace", DEMO.tenant_id, upn, "Grace", "guest")
    assert outbound.identify("grace", _message(teams.service_url)).email is None


def test_nobody_is_unknown(outbound: Outbound, teams: FakeTeams) -> None:
    with pytest.raises(PermanentError) as caught:
        outbound.identify("nobody", _message(teams.service_url))
    assert caught.value.code == "person-unknown"


@pytest.mark.parametrize("mode", [FailureMode.ANSWER, FailureMode.HTML, FailureMode.DROP])
def test_a_person_cannot_be_told_now(outbound: Outbound, teams: FakeTeams, mode: FailureMode) -> None:
    teams.fail_next("member", 502, mode=mode)
    with pytest.raises(RetryableError):
        outbound.identify(DEMO.user_object_id, _message(teams.service_url))


# The app's token.


def test_a_token_is_fetched_once_for_the_whole_process(connection: Connection, teams: FakeTeams, clock: Clock) -> None:
    for _ in range(5):
        adapter.connect(connection).identify(DEMO.user_object_id, _message(teams.service_url))
    (call,) = teams.calls_to("token")
    assert call.path == "/botframework.com/oauth2/v2.0/token"
    assert call.fields["scope"] == "https://api.botframework.com/.default"
    clock.pass_by(3_299)
    adapter.connect(connection).identify(DEMO.user_object_id, _message(teams.service_url))
    assert len(teams.calls_to("token")) == 1
    clock.pass_by(2)
    adapter.connect(connection).identify(DEMO.user_object_id, _message(teams.service_url))
    assert len(teams.calls_to("token")) == 2, "renewed before it expires"


def test_a_single_tenant_app_asks_its_own_tenant(connection: Connection, teams: FakeTeams) -> None:
    options = {**connection.options, "app_tenant_id": DEMO.tenant_id}
    outbound = adapter.connect(replace(connection, options=options))
    outbound.identify(DEMO.user_object_id, _message(teams.service_url))
    assert teams.calls_to("token")[0].path == f"/{DEMO.tenant_id}/oauth2/v2.0/token"


def test_a_rotated_secret_gets_a_token_of_its_own(connection: Connection, teams: FakeTeams) -> None:
    adapter.connect(connection).identify(DEMO.user_object_id, _message(teams.service_url))
    teams.secrets = {"rotated"}
    rotated = adapter.connect(replace(connection, token="rotated"))
    rotated.identify(DEMO.user_object_id, _message(teams.service_url))
    assert [call.fields["client_secret"] for call in teams.calls_to("token")] == [DEMO.app_secret, "rotated"]


def test_a_token_that_is_refused_is_fetched_anew(outbound: Outbound, teams: FakeTeams) -> None:
    outbound.identify(DEMO.user_object_id, _message(teams.service_url))
    teams.revoke_tokens()
    assert outbound.identify(DEMO.user_object_id, _message(teams.service_url)).email
    assert len(teams.calls_to("token")) == 2


def test_a_revoked_secret_is_the_installations_fault(connection: Connection, teams: FakeTeams) -> None:
    teams.secrets = {"another"}
    with pytest.raises(PermanentError) as caught:
        adapter.connect(connection).identify(DEMO.user_object_id, _message(teams.service_url))
    assert caught.value.code == "installation-revoked"
    assert DEMO.app_secret not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_login_that_is_down_is_tried_again(outbound: Outbound, teams: FakeTeams, status: int) -> None:
    teams.fail_next("token", status, times=9)
    with pytest.raises(RetryableError):
        outbound.identify(DEMO.user_object_id, _message(teams.service_url))


# Files.


def test_a_picture_is_fetched_with_the_token_from_the_connectors_host(outbound: Outbound, teams: FakeTeams) -> None:
    teams.state.files["original"] = b"\x89PNG"
    assert (
        outbound.fetch_file(_file(f"{teams.service_url}v3/attachments/0-a/views/original"), max_bytes=99) == b"\x89PNG"
    )
    assert teams.calls_to("file")[0].token


def test_a_file_is_fetched_without_the_token(connection: Connection, teams: FakeTeams) -> None:
    with FakeTeams() as files:
        files.state.files["plan.pdf"] = b"%PDF"
        options = {**connection.options, "file_hosts": files.host}
        outbound = adapter.connect(replace(connection, options=options))
        assert outbound.fetch_file(_file(f"{files.url}/files/plan.pdf"), max_bytes=99) == b"%PDF"
        assert files.calls_to("file")[0].token is None
    assert not teams.calls


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://evil.example/plan.pdf",
        "http://demo.sharepoint.com/plan.pdf",
        "https://demo.sharepoint.com.evil.example/plan.pdf",
        "https://evil.example/.sharepoint.com",
        "https://evilsharepoint.com/plan.pdf",
        "https://demo.sharepoint.com:8443/plan.pdf",
        "https://user:pass@demo.sharepoint.com/plan.pdf",
        "https://demo.sharepoint.com\\@evil.example/",
        "https://demo.sharepoint.com\t/",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:9/x",
    ],
)
def test_nothing_is_fetched_from_other_hosts(outbound: Outbound, teams: FakeTeams, url: str) -> None:
    with pytest.raises(PermanentError) as caught:
        outbound.fetch_file(_file(url), max_bytes=99)
    assert caught.value.code == "file-host-refused"
    assert not teams.calls


def test_a_file_is_bounded(outbound: Outbound, teams: FakeTeams) -> None:
    teams.state.files["original"] = b"x" * 100
    url = f"{teams.service_url}v3/attachments/0-a/views/original"
    for file in (_file(url), _file(url, size=100)):
        with pytest.raises(PermanentError) as caught:
            outbound.fetch_file(file, max_bytes=99)
        assert caught.value.code == "file-too-large"
    with pytest.raises(PermanentError) as caught:
        outbound.fetch_file(_file(f"{teams.service_url}v3/attachments/0-a/views/gone"), max_bytes=99)
    assert caught.value.code == "file-gone"
    teams.fail_next("file", 403)
    with pytest.raises(PermanentError) as caught:
        outbound.fetch_file(_file(url), max_bytes=999)
    assert caught.value.code == "file-not-readable"


# What else is said.


def test_a_question_has_buttons_that_come_back_as_signals(stage: Stage) -> None:
    ids = stage.outbound.ask(stage.target(channel()), _QUESTION, posted=stage.recorded.append)
    (asked,) = stage.answers(CHANNEL)
    assert stage.recorded == [ids] == [(asked.id,)]
    assert asked.text == _QUESTION.text
    card = asked.attachments[0]["content"]
    assert isinstance(card, dict)
    assert [(each["type"], each["verb"], each["data"]["reference"]) for each in card["actions"]] == [
        ("Action.Execute", "parley.approve", "approval-1"),
        ("Action.Execute", "parley.deny", "approval-1"),
    ]
    assert card["actions"][0]["style"] == "positive"


def test_a_question_is_asked_once(stage: Stage) -> None:
    ids = stage.outbound.ask(stage.target(channel()), _QUESTION, posted=stage.recorded.append)
    again = stage.target(channel(), outgoing_ids=ids)
    assert stage.outbound.ask(again, _QUESTION, posted=stage.recorded.append) == ids
    assert len(stage.answers(CHANNEL)) == 1


def test_a_decided_question_loses_its_buttons(stage: Stage) -> None:
    ids = stage.outbound.ask(stage.target(channel()), _QUESTION, posted=stage.recorded.append)
    for _ in range(2):
        stage.outbound.close_question(stage.target(channel()), ids, "Approved by Alice.")
    (closed,) = stage.answers(CHANNEL)
    assert (closed.text, closed.attachments) == ("Approved by Alice.", [])


def test_a_greeting_offers_what_could_be_asked(stage: Stage) -> None:
    welcome = Welcome(greeting="Hello!", prompts=(Prompt(title="Holidays", message="How do I book a day off?"),))
    stage.outbound.welcome(stage.target(), welcome)
    (greeting,) = stage.answers()
    assert greeting.text.startswith("Hello!")
    assert "How do I book a day off?" in str(greeting.attachments)
    assert "imBack" in str(greeting.attachments)


def test_being_at_work_is_shown_and_never_fails(stage: Stage) -> None:
    stage.outbound.show_working(stage.target())
    assert stage.teams.state.typing == [DEMO.personal_id]
    stage.teams.fail_next("post", 500)
    stage.outbound.show_working(stage.target())
    stage.outbound.show_working(stage.target(reply_url="https://evil.example/"))


def test_a_file_of_ours_is_a_link(stage: Stage) -> None:
    file = SharedFile(name="a.csv", media_type="text/csv", content=b"1", fallback="[a.csv](https://files.example/a)")
    ids = stage.outbound.share_file(stage.target(), file, posted=stage.recorded.append)
    assert stage.texts() == ["[a.csv](https://files.example/a)"]
    assert stage.recorded == [ids]


def test_teams_has_no_page_of_ours_and_a_form_of_its_own(stage: Stage) -> None:
    stage.outbound.show_home(DEMO.user_object_id, HomePage(title="t", introduction="i"))
    form = CommentForm(title="t", label="l", submit="s", cancel="c", value="up", reference="r")
    assert not stage.outbound.ask_for_comment("trigger", form)
    assert not stage.teams.calls


def test_what_was_written_is_read_and_stays_where_it_is(outbound: Outbound) -> None:
    message = _message(payloads.SERVICE_URL).model_copy(
        update={"text": f'<at id="{DEMO.bot_id}">Parley</at> hello &amp; welcome', "bot_user_id": DEMO.bot_id}
    )
    assert outbound.read_text(message) == "hello & welcome"
    assert outbound.place(message) is message
