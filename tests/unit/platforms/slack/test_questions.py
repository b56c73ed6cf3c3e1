"""What is said beside answers: questions with buttons, greetings, the home tab, forms, files, private answers."""

import json
from dataclasses import replace

import pytest

from core.errors import PermanentError, RetryableError
from core.events import MessageReceived
from core.platforms import (
    Button,
    CommentForm,
    Connection,
    HomePage,
    HomeSection,
    Prompt,
    Question,
    ReplyTarget,
    SharedFile,
    Welcome,
    reply_to,
)
from core.platforms.slack import adapter
from local.fake_slack import DEMO, FailureMode
from local.fake_slack.state import Channel
from tests.unit.platforms.slack.stage import NOW, DiedError, Stage, address_of

_QUESTION = Question(
    text="Refund **order 7**? <!channel>",
    buttons=(
        Button(label="Approve", value="approve", reference="usage-1", style="primary"),
        Button(label="Deny", value="deny", reference="usage-1", style="danger"),
    ),
)


def _target(question: str, **more: object) -> ReplyTarget:
    target = ReplyTarget(
        address=address_of(question),
        in_reply_to=question,
        external_user_id=DEMO.user_id,
        external_user_workspace_id=DEMO.team_id,
    )
    return replace(target, **more)  # type: ignore[arg-type] # a test's own names


def _command(text: str = "What is <https://example.com|this>?", **more: object) -> MessageReceived:
    message = MessageReceived(
        address=address_of(""),
        external_message_id="command-1.2.abc",
        external_user_id=DEMO.user_id,
        text=text,
        sent_at=NOW,
        received_at=NOW,
        correlation_id="c",
    )
    return message.model_copy(update=more)


def test_question_is_asked_once_with_its_buttons_and_closed(stage: Stage) -> None:
    question = stage.ask()
    ids = stage.outbound.ask(_target(question), _QUESTION, posted=stage.recorded.append)
    assert stage.recorded == [ids]
    (asked,) = stage.answers(question)
    assert [(each.text, each.action_id, each.value) for each in asked.buttons] == [
        ("Approve", "parley_approve", "usage-1"),
        ("Deny", "parley_deny", "usage-1"),
    ]
    assert "<!channel>" not in asked.text
    for _ in range(2):
        stage.outbound.close_question(_target(question), ids, "Refund **order 7**\n\nApproved by Alice.")
    (closed,) = stage.answers(question)
    assert (closed.ts, closed.buttons) == (asked.ts, ())
    assert closed.text.endswith("Approved by Alice.")


def test_question_that_nobody_noted_is_found_and_not_taken_for_the_answer(stage: Stage, connection: Connection) -> None:
    question = stage.ask()

    def die(_: tuple[str, ...]) -> None:
        raise DiedError

    with pytest.raises(DiedError):
        stage.outbound.ask(_target(question), _QUESTION, posted=die)
    successor = adapter.connect(connection)
    target = _target(question, search_from=question, is_alone=True)
    successor.open_reply(target, posted=stage.recorded.append).finish("The answer.")
    successor.ask(target, _QUESTION, posted=stage.recorded.append)
    successor.ask(target, _QUESTION, posted=stage.recorded.append)
    assert sorted(each.text for each in stage.answers(question)) == [
        "Refund **order 7**? <\u200b!channel>",
        "The answer.",
    ]


def test_question_of_unknown_outcome_stands_once(stage: Stage) -> None:
    question = stage.ask()
    stage.slack.fail_next("chat.postMessage", mode=FailureMode.DROP, effect_first=True)
    stage.outbound.ask(_target(question), _QUESTION, posted=stage.recorded.append)
    assert len(stage.answers(question)) == 1


def test_greeting_stands_once_and_prompts_are_offered(stage: Stage) -> None:
    thread = stage.ask("")
    welcome = Welcome(greeting="Hello!", prompts=(Prompt(title="Orders", message="Which orders are late?"),) * 9)
    target = _target(thread, search_from=thread)
    for _ in range(2):
        stage.outbound.welcome(target, welcome)
    assert [each.text for each in stage.answers(thread)] == ["Hello!"]
    assert len(stage.slack.state.prompts[DEMO.channel_id, thread]) == 4
    stage.outbound.welcome(_target("", address=address_of("", is_direct=True)), welcome)
    assert stage.direct_answers() == []
    assert (DEMO.dm_channel_id, "") in stage.slack.state.prompts


def test_home_page_holds_what_people_wrote_and_rings_nobody(stage: Stage) -> None:
    lines = ("*not bold* <!channel> & more", "[link](https://example.com)", "x" * 9_000)
    home = HomePage(title="Hello Alice", introduction="Welcome.", sections=(HomeSection(title="Lately", lines=lines),))
    stage.outbound.show_home(DEMO.user_id, home)
    view = json.dumps(stage.slack.state.homes[DEMO.team_id, DEMO.user_id])
    assert "Lately" in view
    assert "<!channel>" not in view


def test_form_opens_within_the_triggers_life(stage: Stage) -> None:
    form = CommentForm(
        title="Why was it bad, dear person?",
        label="Tell us",
        submit="Send",
        cancel="Cancel",
        value="down",
        reference="m",
    )
    trigger = stage.slack.new_trigger()
    assert stage.outbound.ask_for_comment(trigger, form)
    assert not stage.outbound.ask_for_comment(trigger, form)
    late = stage.slack.new_trigger()
    stage.clock.pass_by(10)
    assert not stage.outbound.ask_for_comment(late, form)
    assert not stage.outbound.ask_for_comment("", form)
    assert stage.slack.state.forms[trigger]["private_metadata"] == "down:m"


def test_file_is_shared_into_the_thread(stage: Stage) -> None:
    question = stage.ask()
    file = SharedFile(
        name="out.csv", media_type="text/csv", content=b"a,b\n1,2\n", fallback="[out.csv](https://x.example)"
    )
    ids = stage.outbound.share_file(_target(question), file, posted=stage.recorded.append)
    assert [each.text for each in stage.answers(question)] == ["[out.csv]"]
    assert [stage.slack.state.files[file_id].content for file_id in ids] == [b"a,b\n1,2\n"]


@pytest.mark.parametrize("content", [None, b"", b"x" * (20 * 1024 * 1024 + 1)])
def test_file_that_slack_does_not_get_is_a_link(stage: Stage, content: bytes | None) -> None:
    question = stage.ask()
    file = SharedFile(name="out.csv", media_type="text/csv", content=content, fallback="[out.csv](https://x.example)")
    stage.outbound.share_file(_target(question), file, posted=stage.recorded.append)
    assert [each.text for each in stage.answers(question)] == ["[out.csv](https://x.example)"]


@pytest.mark.parametrize("url", ["https://files.evil.example", "http://files.slack.com", "https://me@files.slack.com"])
def test_file_goes_to_no_place_that_is_not_slacks(stage: Stage, url: str) -> None:
    question = stage.ask()
    stage.slack.state.url = url
    file = SharedFile(name="out.csv", media_type="text/csv", content=b"a", fallback="here")
    with pytest.raises(PermanentError, match="not Slack's"):
        stage.outbound.share_file(_target(question), file, posted=stage.recorded.append)
    assert stage.answers(question) == []


def test_file_is_a_link_where_uploads_are_not_allowed(stage: Stage) -> None:
    stage.slack.fail_next("files.getUploadURLExternal", error="missing_scope")
    question = stage.ask()
    file = SharedFile(name="out.csv", media_type="text/csv", content=b"a", fallback="here")
    stage.outbound.share_file(_target(question), file, posted=stage.recorded.append)
    assert [each.text for each in stage.answers(question)] == ["here"]


def test_private_answer_goes_to_one_person_and_is_not_said_twice(stage: Stage) -> None:
    question = stage.ask()
    target = _target(question, is_private=True)
    reply = stage.outbound.open_reply(target, posted=stage.recorded.append)
    reply.append("Some")
    ids = reply.finish("Some <!here> words")
    (seen,) = stage.answers(question)
    assert (seen.only_for, "<!here>" in seen.text) == (DEMO.user_id, False)
    stage.outbound.open_reply(replace(target, outgoing_ids=ids), posted=stage.recorded.append).finish("Some words")
    assert len(stage.answers(question)) == 1


def test_private_answer_to_a_command_goes_where_slack_said(stage: Stage) -> None:
    message = _command(is_private=True, reply_url=f"{stage.slack.url}/commands/T/1/x")
    assert stage.outbound.place(message) == message
    stage.outbound.open_reply(reply_to(message), posted=stage.recorded.append).finish("**Yes**")
    assert [each["text"] for each in stage.slack.state.responses] == ["*Yes*"]
    assert [each["response_type"] for each in stage.slack.state.responses] == ["ephemeral"]


@pytest.mark.parametrize(
    "url", ["https://evil.example/commands/x", "http://hooks.slack.com/x", "https://a@hooks.slack.com/x", "file:///etc"]
)
def test_no_answer_goes_to_an_address_that_is_not_slacks(stage: Stage, url: str) -> None:
    reply = stage.outbound.open_reply(reply_to(_command(is_private=True, reply_url=url)), posted=stage.recorded.append)
    with pytest.raises(PermanentError, match="not Slack's"):
        reply.finish("Yes")


def test_command_gets_a_message_of_its_own_once(stage: Stage) -> None:
    placed = stage.outbound.place(_command())
    assert stage.outbound.place(_command()) == placed
    root = placed.external_message_id
    assert placed.address.thread_id == root
    stage.outbound.open_reply(reply_to(placed), posted=stage.recorded.append).finish("Because.")
    assert [(each.ts == root, each.text) for each in stage.answers(root)] == [
        (True, "What is <https://example.com|this>?\n<@U0ALICE001>"),
        (False, "Because."),
    ]


def test_command_in_a_channel_without_the_assistant_is_answered_privately(stage: Stage) -> None:
    stage.slack.add_channel(Channel(DEMO.channel_id, frozenset({DEMO.team_id}), "general", is_member=False))
    url = f"{stage.slack.url}/commands/T/1/x"
    assert stage.outbound.place(_command(reply_url=url)).is_private
    with pytest.raises(PermanentError):
        stage.outbound.place(_command())


def test_answer_in_a_channel_without_the_assistant_is_for_its_asker_once(stage: Stage) -> None:
    stage.slack.add_channel(Channel(DEMO.channel_id, frozenset({DEMO.team_id}), "general", is_member=False))
    target = _target("1767225600.000700", reply_url=f"{stage.slack.url}/commands/T/1/x")
    reply = stage.outbound.open_reply(target, posted=stage.recorded.append)
    reply.append("It is")
    stage.clock.pass_by(2)
    ids = reply.finish("It is **late**.")
    assert [each["text"] for each in stage.slack.state.responses] == ["It is *late*."]
    assert stage.recorded == [ids]
    assert reply.finish("It is **late**.") == ids
    again = stage.outbound.open_reply(replace(target, outgoing_ids=ids), posted=stage.recorded.append)
    assert again.finish("It is **late**.") == ids
    assert len(stage.slack.state.responses) == 1
    assert stage.answers("1767225600.000700") == []


def test_what_is_refused_for_another_reason_is_not_said_privately(stage: Stage) -> None:
    target = _target(stage.ask(), reply_url=f"{stage.slack.url}/commands/T/1/x")
    stage.slack.refuse_token(DEMO.bot_token, "token_revoked")
    with pytest.raises(PermanentError):
        stage.outbound.open_reply(target, posted=stage.recorded.append).finish("Late.")
    assert stage.slack.state.responses == []


def test_command_waits_while_slack_is_down(stage: Stage) -> None:
    stage.slack.fail_next("chat.postMessage", http_status=503, times=3)
    with pytest.raises(RetryableError):
        stage.outbound.place(_command())
