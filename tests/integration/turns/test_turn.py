"""A turn through the real doors: what a person asks, what they see, what is stored."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.models import ConversationStatus, Identity, Role, TaskStatus, User
from local.fake_slack import payloads
from local.fake_slack.demo import DEMO
from local.fake_slack.state import App
from local.fake_slack.state import User as SlackUser
from local.standin_model.script import Behaviour
from local.standin_model.values import Usage
from tests.integration.turns.stack import COMPANY, SIGNING_SECRET, Stack, again, log_lines


def test_a_mention_is_answered_in_its_thread_and_stored(stack: Stack) -> None:
    stack.model.script(Behaviour(text="**Hi** Alice.", usage=Usage(input_tokens=20, output_tokens=4, cached_tokens=2)))
    ts = stack.ask("hello there")
    assert stack.settle() == []

    assert stack.answer(ts) == "**Hi** Alice."
    conversation = stack.conversation(ts)
    assert conversation.status is ConversationStatus.COMPLETED
    assert (conversation.user_id, conversation.user_company_id) == ("usr_alice", COMPANY)
    assert (conversation.conversation_source, conversation.title) == ("slack", "hello there")
    assert (conversation.total_input_tokens, conversation.total_output_tokens) == (20, 4)
    system, question, reply = stack.messages(ts)
    assert system.role is Role.SYSTEM
    assert "Acme Ltd" in system.text
    assert question.user_prompt == f"<@{DEMO.bot_user_id}> hello there"
    assert question.structured_user_prompt == question.text == "hello there"
    assert question.external_message_id == ts
    assert reply.llm_parsed_output == reply.text == "**Hi** Alice."
    assert reply.parent_message_id == question.id
    (task,) = stack.tasks(ts)
    assert task.status is TaskStatus.COMPLETED
    assert (task.total_input_tokens, task.total_output_tokens, task.total_tokens, task.cached_tokens) == (20, 4, 24, 2)
    assert (task.model, task.attempt, task.cost) == ("stand-in", 1, None)
    assert task.provider_request_id
    assert task.id == reply.llm_task_id == question.llm_task_id


def test_a_mention_and_its_twin_give_one_answer(stack: Stack) -> None:
    mention = payloads.mention("hello")
    twin = payloads.twin(mention)
    for first, second in ((mention, twin), (twin, mention)):
        stack.post(first)
        stack.post(second)
    stack.settle()
    assert len(stack.model.requests) == 1
    assert len(stack.thread(mention["event"]["ts"])) == 1


def test_every_event_three_times_in_any_order_changes_nothing(stack: Stack) -> None:
    questions = [payloads.mention(f"question {number}") for number in range(5)]
    deliveries = [*questions, *questions, *(payloads.twin(question) for question in questions)]
    random.Random(7).shuffle(deliveries)
    for envelope in deliveries:
        stack.post(envelope)
    records = stack.receive()
    doubled = [*records, *({**record, "messageId": record["messageId"] + "-2"} for record in records)]
    for start in range(0, len(doubled), 10):
        assert stack.deliver(doubled[start : start + 10]) == []
    assert len(stack.model.requests) == 5
    assert [len(stack.thread(question["event"]["ts"])) for question in questions] == [1] * 5


def test_ten_messages_of_one_conversation_are_answered_in_order(stack: Stack) -> None:
    first = stack.ask("message 0")
    for number in range(1, 10):
        stack.post(payloads.mention(f"message {number}", thread_ts=first))
    stack.settle()
    texts = [m.text for m in stack.messages(first) if m.role is Role.USER]
    assert texts == [f"message {number}" for number in range(10)]
    roles = [m.role for m in stack.messages(first)]
    assert roles == [Role.SYSTEM, *[Role.USER, Role.ASSISTANT] * 10]
    asked = [r.question for r in stack.model.requests]
    assert asked == texts
    answers = stack.thread(first)
    assert [f"message {number}" in answer.text for number, answer in enumerate(answers)] == [True] * 10


def test_fifty_conversations_at_once_are_all_answered(stack: Stack) -> None:
    stamps = [stack.ask(f"conversation {number}") for number in range(50)]
    stack.settle()
    assert all(f"conversation {number}" in stack.answer(ts) for number, ts in enumerate(stamps))
    assert len(stack.conversations()) == 50


def test_the_model_reads_the_conversation_so_far(stack: Stack) -> None:
    stack.model.script(Behaviour(text="Noted."), Behaviour(text="You said blue."))
    first = stack.ask("My colour is blue.")
    stack.settle()
    stack.ask("Which colour?", thread_ts=first)
    stack.settle()
    sent = [(m["role"], m["content"]) for m in stack.model.requests[-1].body["input"]]  # type: ignore[union-attr,index,call-overload]
    assert [role for role, _ in sent] == ["system", "user", "assistant", "user"]
    assert "blue" in str(sent[1])
    assert "Noted." in str(sent[2])
    assert "Which colour?" in str(sent[3])


def test_a_reply_in_a_thread_of_ours_is_answered_without_a_mention_and_elsewhere_is_not(stack: Stack) -> None:
    first = stack.ask("hello")
    stack.settle()
    stack.post(payloads.thread_reply("and again", first))
    stack.settle()
    assert len(stack.thread(first)) == 2
    other = stack.slack.post_as(DEMO.user_id, "not for the bot", channel=DEMO.channel_id).ts
    stack.post(payloads.thread_reply("neither this", other))
    stack.settle()
    assert stack.thread(other) == []
    assert len(stack.model.requests) == 2


def test_a_direct_message_is_answered_where_it_was_written(stack: Stack) -> None:
    envelope = payloads.direct_message("hi")
    stack.slack.post_as(DEMO.user_id, "hi", channel=DEMO.dm_channel_id, ts=envelope["event"]["ts"])
    stack.post(envelope)
    stack.settle()
    answers = [m for m in stack.slack.messages(DEMO.dm_channel_id) if m.user == DEMO.bot_user_id]
    assert len(answers) == 1
    assert stack.conversations()[0].address.is_direct


def test_without_native_streaming_a_message_is_posted_and_edited(stack: Stack) -> None:
    stack.slack.disable("chat.startStream", "chat.appendStream", "chat.stopStream")
    stack.model.script(Behaviour(deltas=["One ", "**two** ", "three."]))
    ts = stack.ask("count")
    stack.settle()
    assert stack.answer(ts) == "One *two* three."
    assert stack.slack.calls_to("chat.update")


def test_an_answer_of_many_pages_arrives_whole(stack: Stack) -> None:
    long = "\n\n".join(f"Paragraph {number}: " + "word " * 60 for number in range(120))
    stack.model.script(Behaviour(text=long))
    ts = stack.ask("write a book")
    stack.settle()
    parts = stack.thread(ts)
    assert len(parts) > 1
    shown = "".join(part.text for part in parts)
    assert [f"Paragraph {number}:" in shown for number in range(120)] == [True] * 120
    assert stack.messages(ts)[-1].text == long
    assert stack.messages(ts)[-1].outgoing_ids == tuple(part.ts for part in parts)


@pytest.fixture
def stranger(stack: Stack) -> SlackUser:
    """Somebody who is in the workspace and not in the directory."""
    return stack.slack.add_user(SlackUser("U0STRANGER", DEMO.team_id, "stranger@demo.example", "stranger"))


def test_a_stranger_is_refused_once_and_no_model_is_called(stack: Stack, stranger: SlackUser) -> None:
    first = stack.ask("let me in", user=stranger.id)
    stack.settle()
    second = stack.ask("please", user=stranger.id)
    stack.settle()
    assert "directory" in stack.answer(first)
    assert stack.thread(second) == []
    assert stack.model.requests == []
    assert stack.conversations() == ()


def test_a_refusal_that_is_delivered_twice_is_said_once(stack: Stack, stranger: SlackUser) -> None:
    ts = stack.ask("let me in", user=stranger.id)
    (record,) = stack.receive()
    assert stack.deliver([record]) == []
    assert stack.deliver([{**record, "messageId": "another"}]) == []
    assert "directory" in stack.answer(ts)


def test_a_right_that_is_missing_is_not_taken_for_a_stranger(stack: Stack) -> None:
    stack.slack.fail_next("users.info", error="missing_scope", times=10)
    ts = stack.ask("hello")
    assert len(stack.settle()) == 1
    assert "went wrong" in stack.answer(ts)


def test_a_refused_person_is_answered_once_they_are_in_the_directory(stack: Stack, stranger: SlackUser) -> None:
    stack.ask("let me in", user=stranger.id)
    stack.settle()
    alice = stack.store.directory.get_user(COMPANY, "usr_alice")
    assert alice is not None
    stack.store.directory.add_user(
        User(id="usr_s", company_id=COMPANY, email="Stranger@Demo.example", name="S", created_at=alice.created_at)
    )
    ts = stack.ask("and now?", user=stranger.id)
    stack.settle()
    assert "and now?" in stack.answer(ts)


def test_a_person_of_another_workspace_is_no_colleague_whatever_the_email_says(stack: Stack) -> None:
    stack.slack.add_app(App("T0OTHER001", "Other", "xoxb-other", "U0OTHERBOT", "B0OTHER", "A0OTHER"))
    stack.slack.add_user(SlackUser("U0FOREIGN1", "T0OTHER001", DEMO.user_email, "mallory"))
    envelope = payloads.mention("I am Alice", user="U0FOREIGN1")
    envelope["event"]["user_team"] = "T0OTHER001"
    stack.post(envelope)
    stack.settle()
    assert stack.model.requests == []


def test_a_linked_identity_needs_no_email(stack: Stack) -> None:
    stack.slack.add_user(SlackUser("U0NOEMAIL1", DEMO.team_id, None, "quiet"))
    alice = stack.store.directory.get_user(COMPANY, "usr_alice")
    assert alice is not None
    stack.store.directory.put_identity(
        Identity(
            company_id=COMPANY,
            platform="slack",
            workspace_id=DEMO.team_id,
            external_user_id="U0NOEMAIL1",
            user_id=alice.id,
            created_at=alice.created_at,
        )
    )
    ts = stack.ask("hello", user="U0NOEMAIL1")
    stack.settle()
    assert "hello" in stack.answer(ts)
    assert stack.slack.calls_to("users.info") == []


def test_a_workspace_that_nobody_installed_is_left_alone(stack: Stack) -> None:
    envelope = payloads.mention("hello")
    envelope["team_id"] = "T0NOBODY"
    for authorization in envelope["authorizations"]:
        authorization["team_id"] = "T0NOBODY"
    stack.post(envelope)
    assert stack.settle() == []
    assert (stack.model.requests, stack.slack.calls) == ([], [])


@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(fail_status=500), Behaviour(break_after=2), Behaviour(hang_up=True), Behaviour(fail_after=2)],
    ids=["fails", "breaks off", "hangs up", "fails midway"],
)
def test_a_model_that_fails_once_is_asked_again(stack: Stack, behaviour: Behaviour) -> None:
    stack.model.script(behaviour, Behaviour(fail_status=500), Behaviour(text="At last."))
    ts = stack.ask("hello")
    assert stack.settle() == []
    assert stack.answer(ts) == "At last."
    (task,) = stack.tasks(ts)
    assert task.status is TaskStatus.COMPLETED
    assert len(stack.messages(ts)) == 3


def test_what_fails_to_the_last_is_marked_and_the_person_is_told(stack: Stack) -> None:
    stack.model.script(*[Behaviour(when="doomed", break_after=2)] * 12)
    ts = stack.ask("doomed")
    later = payloads.mention("this one works", thread_ts=ts)
    stack.post(later)
    assert len(stack.settle()) == 1
    doomed, fine = stack.thread(ts)
    assert "went wrong" in doomed.text
    assert not doomed.is_streaming
    assert "this one works" in fine.text
    failed, completed = stack.tasks(ts)
    assert (failed.status, failed.error_class) == (TaskStatus.FAILED, "dead-letter")
    assert completed.status is TaskStatus.COMPLETED
    assert [task.id for task in stack.store.list_failed_tasks(COMPANY, limit=10)] == [failed.id]


def test_a_redriven_message_turns_the_notice_into_the_answer(stack: Stack) -> None:
    stack.model.script(*[Behaviour(fail_status=500)] * 12)
    ts = stack.ask("hello")
    (dead,) = stack.settle()
    assert "went wrong" in stack.answer(ts)
    stack.model.clear()
    fresh = {**dead, "attributes": {**dead["attributes"], "ApproximateReceiveCount": "1"}}
    assert stack.deliver([fresh]) == []
    assert "hello" in stack.answer(ts)
    (task,) = stack.tasks(ts)
    assert task.status is TaskStatus.COMPLETED
    assert stack.store.list_failed_tasks(COMPANY, limit=10) == ()


@pytest.mark.parametrize(
    ("behaviour", "code", "words"),
    [
        (Behaviour(fail_status=401), "model-unauthorized", "operations team"),
        (Behaviour(fail_status=429, fail_code="insufficient_quota"), "model-quota", "quota"),
        (Behaviour(text=" "), "empty-answer", "empty answer"),
    ],
)
def test_a_failure_for_good_is_told_at_once_and_not_tried_again(
    stack: Stack, behaviour: Behaviour, code: str, words: str
) -> None:
    stack.model.script(behaviour)
    ts = stack.ask("hello")
    assert stack.settle() == []
    assert words in stack.answer(ts)
    (task,) = stack.tasks(ts)
    assert (task.status, task.error_class) == (TaskStatus.FAILED, code)
    assert stack.conversation(ts).status is ConversationStatus.FAILED
    assert len(stack.model.requests) == 1


def test_a_stored_answer_is_not_bought_again_because_slack_was_down(stack: Stack) -> None:
    for method in ("chat.startStream", "chat.postMessage", "chat.update"):
        stack.slack.fail_next(method, error="internal_error", times=3)
    ts = stack.ask("hello")
    (record,) = stack.receive()
    (failed,) = stack.deliver([record])
    assert stack.thread(ts) == []
    (task,) = stack.tasks(ts)
    assert task.status is TaskStatus.COMPLETED
    waiting = [failed]
    while waiting:
        waiting = stack.deliver(waiting)
    assert "hello" in stack.answer(ts)
    assert len(stack.model.requests) == 1


def test_a_revoked_token_ends_the_turn_with_the_answer_stored(stack: Stack) -> None:
    stack.ask("hello")
    stack.settle()
    ts = stack.ask("again")
    stack.slack.refuse_token(DEMO.bot_token)
    assert stack.settle() == []
    (task,) = stack.tasks(ts)
    assert task.status is TaskStatus.COMPLETED


def test_nothing_that_was_said_is_in_the_log(
    stack: Stack, logged: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    stack.model.script(
        Behaviour(when="secret question", text="the secret answer"),
        Behaviour(when="private matter", break_after=1, deltas=["half ", "a reply"]),
    )
    stack.ask("a secret question")
    stack.ask("a private matter")
    stack.settle()
    assert stack.post(payloads.mention("a forged remark"), now=1)["statusCode"] == 401
    written = logged() + "".join(capsys.readouterr())
    assert len(log_lines(written)) >= 5
    for private in ("secret", "private", "half", "forged", DEMO.bot_token, SIGNING_SECRET, "v0=", "Alice", "alice"):
        assert private not in written.replace("parley/test/slack-signing-secret", "")


def test_one_correlation_id_runs_from_webhook_to_delivery(stack: Stack, logged: Callable[[], str]) -> None:
    stack.ask("hello")
    stack.settle()
    lines = [line for line in log_lines(logged()) if "correlation_id" in line]
    assert {line["correlation_id"] for line in lines} == {"request-id"}
    assert {"message taken", "turn ended"} <= {line["message"] for line in lines}


def test_too_little_time_gives_the_message_back_before_the_model_is_called(stack: Stack) -> None:
    ts = stack.ask("hello")
    (record,) = stack.receive()
    (failed,) = stack.deliver([record], seconds=10)
    assert stack.model.requests == []
    assert stack.deliver([failed]) == []
    assert "hello" in stack.answer(ts)


def test_odd_text_comes_through_as_it_is(stack: Stack) -> None:
    for text in (
        "🏳️‍🌈 é à ﷽ \u202eright to left",
        "a" * 39_000,
        "`<!channel>` & <b>",
        "\u0000 null",
        "\uff46\uff55\uff4c\uff4c",
    ):
        ts = stack.ask(payloads.escaped(text))
        stack.settle()
        assert stack.messages(ts)[1].text == text
        assert len(stack.thread(ts)) >= 1


def test_a_redelivery_after_everything_was_done_changes_nothing(stack: Stack) -> None:
    ts = stack.ask("hello")
    (record,) = stack.receive()
    assert stack.deliver([record]) == []
    before = stack.answer(ts)
    assert stack.deliver([again(record)]) == []
    assert stack.answer(ts) == before
    assert len(stack.model.requests) == 1
    assert stack.conversation(ts).status is ConversationStatus.COMPLETED


def test_ten_conversations_of_one_invocation_are_answered_at_the_same_time(stack: Stack) -> None:
    gate = threading.Event()
    stack.model.script(*[Behaviour(gate=gate, hold_at=1)] * 10)
    stamps = [stack.ask(f"conversation {number}") for number in range(10)]
    records = stack.receive()
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, records)
        stack.model.wait_for(lambda requests: sum(request.is_held for request in requests) == 10, timeout=20)
        gate.set()
        assert done.result() == []
    assert all(f"conversation {number}" in stack.answer(ts) for number, ts in enumerate(stamps))
