"""Conversations, failures and usage, as an operator reads them."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.history import render_prompt
from core.configuration import Input
from core.models import (
    Address,
    ApiKind,
    ContentPart,
    ContentType,
    Conversation,
    ConversationStatus,
    ImageReference,
    Message,
    Role,
    Task,
    TaskStatus,
)
from core.store import Claim, Opening, Store, keys
from tests.integration.ops.conftest import CommandLine

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
ADDRESS = Address(platform="slack", workspace_id="T1", channel_id="C1", thread_id="1700000000.000100")
CONVERSATION = "cnv_1"
ULID = keys.message_ulid("slack", "T1", "C1", "m1", NOW)


def claimed(store: Store) -> tuple[Claim, Message, Task]:
    """A conversation whose question is stored and whose task runs."""
    assert store.open_conversation("acme", ADDRESS, CONVERSATION) == CONVERSATION
    opening = Opening(
        user_id="alice", title="Weather", entity_type="user", session_id="s", address=ADDRESS, input="0" * 64
    )
    task_id = keys.task_id(CONVERSATION, ULID)
    claim = store.claim_conversation(
        "acme", CONVERSATION, opening=opening, task_id=task_id, lease=timedelta(minutes=1), now=NOW
    )
    question = message(Role.USER, ULID, "Will it rain in [bold]Aachen[/bold]?")
    store.questions.save(claim, question, opening_message=None)
    task = Task(
        id=task_id,
        llm_conversation_id=CONVERSATION,
        message_id=question.id,
        status=TaskStatus.IN_PROGRESS,
        llm_settings_id="default",
        created_at=NOW,
        updated_at=NOW,
    )
    return claim, question, store.start_task(claim, task)


def message(role: Role, ulid: str, text: str) -> Message:
    message_id = keys.message_id(CONVERSATION, ulid)
    image = ImageReference(url="s3://bucket/cat.png", media_type="image/png", size=2048)
    parts = [ContentPart(type=ContentType.TEXT, text=text, message_id=message_id)]
    if role is Role.USER:
        parts.append(ContentPart(type=ContentType.IMAGE, image=image, message_id=message_id))
    return Message(
        id=message_id,
        llm_conversation_id=CONVERSATION,
        role=role,
        user_prompt=text if role is Role.USER else None,
        entity_type="user",
        user_id="alice",
        content=tuple(parts),
        finish_reason="stop" if role is Role.ASSISTANT else None,
        created_at=NOW,
    )


@pytest.fixture
def answered(acme: CommandLine, store: Store) -> CommandLine:
    """A conversation of one answered question."""
    claim, _, task = claimed(store)
    reply = message(Role.ASSISTANT, keys.reply_ulid(ULID), "No,\nit will snow.")
    done = task.model_copy(
        update={
            "status": TaskStatus.COMPLETED,
            "total_input_tokens": 1200,
            "total_output_tokens": 34,
            "total_tokens": 1234,
            "cached_tokens": 1000,
            "model": "gpt-5-mini-2026-01-01",
            "duration_ms": 4321,
            "time_to_first_token_ms": 321,
        }
    )
    store.commit_reply(claim, reply, done, now=NOW)
    return acme


def test_a_conversation_shows_its_messages_parts_and_tasks(answered: CommandLine) -> None:
    out = answered.done("conversations", "show", "acme", CONVERSATION).out
    for shown in (
        f"Conversation {CONVERSATION}",
        "COMPLETED",
        "Will it rain in [bold]Aachen[/bold]?",
        "[image image/png, 2048 bytes: s3://bucket/cat.png]",
        "it will snow.",
        "gpt-5-mini-2026-01-01",
        "1 200",
        "4 321",
    ):
        assert shown in out
    assert out.index("Will it rain") < out.index("it will snow") < out.index("gpt-5-mini")


def test_a_conversation_as_json_has_everything(answered: CommandLine) -> None:
    shown = answered.done("conversations", "show", "acme", CONVERSATION, "--json").json
    assert Conversation.model_validate(shown["conversation"]).status is ConversationStatus.COMPLETED
    question, reply = (Message.model_validate(each) for each in shown["messages"])
    assert (question.text, reply.text) == ("Will it rain in [bold]Aachen[/bold]?", "No,\nit will snow.")
    assert [Task.model_validate(each).total_tokens for each in shown["tasks"]] == [1234]


def test_a_conversation_is_found_by_its_thread(answered: CommandLine) -> None:
    thread = ["--workspace", "T1", "--channel", "C1", "--thread", ADDRESS.thread_id]
    assert answered.done("conversations", "find", "--company", "acme", *thread).out == f"{CONVERSATION}\n"
    assert f"Conversation {CONVERSATION}" in answered.done("conversations", "show", "acme", *thread).out
    ran = answered("conversations", "find", "--company", "acme", *thread[:-1], "1.1")
    assert (ran.code, ran.out) == (1, "")
    assert "1.1" in ran.err


def test_a_persons_conversations_are_listed(answered: CommandLine) -> None:
    listed = answered.done("conversations", "list", "--company", "acme", "--user", "alice@acme.example")
    assert listed.rows == [[CONVERSATION, "Weather", "COMPLETED", "2", "1 234", "2026-11-22 09:30:00"]]


def test_people_without_conversations_have_none(acme: CommandLine) -> None:
    ran = acme.done("conversations", "list", "--company", "acme", "--user", "alice")
    assert ran.out == ""
    assert "no conversations yet" in ran.err
    assert acme("conversations", "show", "acme", "cnv_unknown").code == 1
    assert acme("conversations", "show", "acme").code == 2


def test_failed_turns_are_listed(acme: CommandLine, store: Store) -> None:
    assert "no turn" in acme.done("conversations", "failed", "--company", "acme").err
    claim, _, task = claimed(store)
    failed = task.model_copy(
        update={"status": TaskStatus.FAILED, "error_class": "PermanentError", "error_message": "quota"}
    )
    store.fail_turn(claim, failed, now=NOW)
    rows = acme.done("conversations", "failed", "--company", "acme").rows
    assert rows == [[CONVERSATION, "2026-11-22 09:30:00", "PermanentError", "quota"]]


def test_usage_is_the_month_and_then_each_day(answered: CommandLine) -> None:
    rows = answered.done("usage", "--company", "acme", "--month", "2026-11").rows
    assert rows == [["2026-11", "all", "1", "1 200", "34", "-"], ["2026-11-22", "alice", "1", "1 200", "34", "-"]]
    assert "nothing was used in 2026-10" in answered.done("usage", "--company", "acme", "--month", "2026-10").err


def test_what_was_used_without_a_message_is_shown(acme: CommandLine, store: Store) -> None:
    claim, _, task = claimed(store)
    spent = {"total_input_tokens": 1200, "total_output_tokens": 34, "total_tokens": 1234}
    store.fail_turn(claim, task.model_copy(update={"status": TaskStatus.FAILED, **spent}), now=NOW)
    rows = acme.done("usage", "--company", "acme", "--month", "2026-11").rows
    assert rows[0] == ["2026-11", "all", "0", "1 200", "34", "-"]


@pytest.mark.parametrize("month", ["2026", "2026-13", "11-2026", "2026-11-22"])
def test_a_month_is_written_in_one_way(acme: CommandLine, month: str) -> None:
    assert acme("usage", "--company", "acme", "--month", month).code == 2


def test_a_prompt_is_rendered_again_and_checked(acme: CommandLine, store: Store) -> None:
    claim, question, task = claimed(store)
    input_ = Input(
        settings_id="default", settings_version=1, prompts=("You help {person}.",), model="m", api_kind=ApiKind.CHAT
    )
    sha256 = store.save_input("acme", input_)
    prompt = render_prompt(input_, (), question, variables={"{person}": "Alice"})
    manifest = prompt.manifest.model_copy(update={"input": sha256})  # as earlier releases wrote it
    kept = task.model_copy(update={"llm_raw_prompt": manifest.model_dump_json(by_alias=True)})
    store.start_task(claim, kept)
    shown = acme.done("conversations", "prompt", "acme", CONVERSATION)
    assert "You help Alice." in shown.out
    assert "Will it rain" in shown.out
    assert "to the letter" in shown.out
    told = acme.done("conversations", "prompt", "acme", CONVERSATION, "--task", task.id, "--json").json
    assert told["isSame"] is True
    assert told["tokens"]["question"] > 0
    other = manifest.model_copy(update={"sha256": "0" * 64})
    store.start_task(claim, task.model_copy(update={"llm_raw_prompt": other.model_dump_json(by_alias=True)}))
    assert "NOT what the model read" in acme.done("conversations", "prompt", "acme", CONVERSATION).out
    assert acme("conversations", "prompt", "acme", CONVERSATION, "--task", "no").code == 1
