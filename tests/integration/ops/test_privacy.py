"""Stop, export, delete, forget and retention, as an operator gives them."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.events import SignalKind, SignalReceived
from core.imports import Import, ImportOrigin
from core.models import Conversation, ConversationStatus, Identity, Role, TaskStatus, ToolStatus, ToolType, ToolUsage
from core.store import Store, keys
from tests.integration.ops.conftest import CommandLine
from tests.integration.ops.test_conversations import ADDRESS, CONVERSATION, NOW, ULID, claimed, message

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

TOOL = ToolUsage(
    name="weather_find",
    call_id="call_1",
    type=ToolType.TPA,
    request='{"town":"Aachen"}',
    response="snow\n" * 200,
    message_id=keys.message_id(CONVERSATION, ULID),
    status=ToolStatus.COMPLETED,
    started_at=NOW,
    duration_ms=4567,
    idempotency_key="k",
)


@pytest.fixture
def answered(acme: CommandLine, store: Store) -> CommandLine:
    """A conversation of one question, answered with a tool."""
    claim, _, task = claimed(store)
    store.finish_tool_usages(claim, [TOOL])
    reply = message(Role.ASSISTANT, keys.reply_ulid(ULID), "Snow.")
    store.commit_reply(claim, reply, task.model_copy(update={"status": TaskStatus.COMPLETED}), now=NOW)
    return acme


def test_a_conversation_shows_the_tools_it_used(answered: CommandLine) -> None:
    out = answered.done("conversations", "show", "acme", CONVERSATION).out
    for shown in ("weather_find", "TPA", "COMPLETED", "4 567", '{"town":"Aachen"}', "snow snow", "…"):
        assert shown in out
    shown_json = answered.done("conversations", "show", "acme", CONVERSATION, "--json").json
    assert [ToolUsage.model_validate(each) for each in shown_json["toolUsages"]] == [TOOL]


def test_a_running_answer_is_asked_to_stop(
    acme: CommandLine, store: Store, sqs: "SQSClient", queue_urls: dict[str, str]
) -> None:
    _, _, task = claimed(store)
    assert "asked to stop" in acme.done("conversations", "stop", "acme", CONVERSATION).out
    (published,) = sqs.receive_message(QueueUrl=queue_urls["signals"])["Messages"]
    signal = SignalReceived.model_validate_json(published["Body"])
    assert (signal.kind, signal.address) == (SignalKind.STOP, ADDRESS)
    assert (signal.reference, signal.external_user_id) == (f"ops:{task.id}", "")


def test_where_nothing_runs_a_stop_says_so(answered: CommandLine) -> None:
    assert "nothing runs" in answered.done("conversations", "stop", "acme", CONVERSATION).out


def test_an_export_and_a_deletion_know_the_imports_that_a_conversation_began(
    answered: CommandLine, store: Store
) -> None:
    origin = ImportOrigin(
        address=ADDRESS, question_id=keys.message_id(CONVERSATION, ULID), external_message_id="1", external_user_id="U1"
    )
    begun = Import(
        id="imp_0123456789abcdef",
        user_id="usr_a",
        user_company_id="acme",
        input_file_name="a.csv",
        input_file_url=store.imports.files.url("imports/acme/usr_a/imp_0123456789abcdef/a.csv"),
        origin=origin,
        created_at=NOW,
        updated_at=NOW,
    )
    store.imports.begun.create(CONVERSATION, begun, None)
    store.imports.files.put(begun.input_file_url, [b"a\n", b"1\n"])

    (exported,) = answered.done("conversations", "export", "acme", CONVERSATION).json["imports"]
    assert (exported["id"], exported["inputFileName"]) == (begun.id, "a.csv")

    answered.done("conversations", "delete", "acme", CONVERSATION, "--yes")
    assert store.imports.get("acme", begun.id) is None
    assert store.imports.files.read_small(begun.input_file_url, 99) is None


def test_an_export_has_everything(answered: CommandLine) -> None:
    exported = answered.done("conversations", "export", "acme", CONVERSATION).json
    assert Conversation.model_validate(exported["conversation"]).id == CONVERSATION
    assert {name: len(exported[name]) for name in ("messages", "tasks", "toolUsages")} == {
        "messages": 2,
        "tasks": 1,
        "toolUsages": 1,
    }
    assert exported["toolUsages"][0]["response"] == TOOL.response


def test_a_conversation_is_deleted_when_the_operator_is_sure(answered: CommandLine, store: Store) -> None:
    refused = answered("conversations", "delete", "acme", CONVERSATION, typed="n\n")
    assert refused.code == 1
    assert store.get_conversation("acme", CONVERSATION)
    assert f"{CONVERSATION} deleted" in answered.done("conversations", "delete", "acme", CONVERSATION, "--yes").out
    assert store.list_messages("acme", CONVERSATION) == ()
    for command in ("delete", "export"):
        options = ("--yes",) if command == "delete" else ()
        gone = answered("conversations", command, "acme", CONVERSATION, *options)
        assert gone.code == 1
        assert "has no conversation" in gone.err


def test_a_conversation_that_is_busy_says_so(acme: CommandLine, store: Store) -> None:
    claim, _, _ = claimed(store)
    store.renew_claim(claim, lease=timedelta(days=36_500), now=NOW)
    refused = acme("conversations", "delete", "acme", CONVERSATION, "--yes")
    assert refused.code == 1
    assert "another turn runs" in refused.err


def link(store: Store) -> None:
    store.directory.put_identity(
        Identity(
            company_id="acme",
            platform="slack",
            workspace_id="T1",
            external_user_id="U1",
            user_id="alice",
            email="alice@acme.example",
            created_at=NOW,
        )
    )


def test_a_person_is_exported_and_forgotten(answered: CommandLine, store: Store) -> None:
    link(store)
    exported = answered.done("users", "export", "--company", "acme", "--user", "alice@acme.example").json
    assert exported["user"]["id"] == "alice"
    assert [each["externalUserId"] for each in exported["identities"]] == ["U1"]
    assert [each["conversation"]["id"] for each in exported["conversations"]] == [CONVERSATION]
    forget = ("users", "forget", "--company", "acme", "--user", "alice@acme.example")
    assert answered(*forget, typed="n\n").code == 1
    assert store.directory.get_user("acme", "alice")
    assert "deleted or cleared: 1" in answered.done(*forget, "--yes").out
    assert store.directory.list_users("acme") == ()
    assert store.directory.list_identities("acme") == ()
    assert store.list_conversations("acme", "alice") == ()
    assert "has no user" in answered(*forget, "--yes").err


def test_what_a_forgotten_person_said_in_the_last_minute_is_found_by_the_id(acme: CommandLine, store: Store) -> None:
    acme.done("users", "forget", "--company", "acme", "--user", "alice", "--yes")
    claim, _, _ = claimed(store)
    store.release_claim(claim, status=ConversationStatus.FAILED, now=NOW)
    assert "cleared: 1" in acme.done("users", "forget", "--company", "acme", "--user", "alice", "--yes").out
    assert store.get_conversation("acme", CONVERSATION) is None
    assert acme("users", "forget", "--company", "acme", "--user", "alice", "--yes").code == 1


def test_a_company_keeps_what_is_said_for_its_days(answered: CommandLine, store: Store) -> None:
    retention = ("companies", "retention", "acme")
    assert answered(*retention, "30", typed="n\n").code == 1
    out = answered.done(*retention, "30", "--yes").out
    assert "kept for 30 days; conversations of before: 1" in out
    company = store.directory.get_company("acme")
    assert company is not None
    assert company.retention_days == 30
    assert answered.done("companies", "list", "--json").json[0]["retentionDays"] == 30
    assert "until somebody deletes it" in answered.done(*retention, "off").out
    assert store.find_conversation_id("acme", ADDRESS) == CONVERSATION


@pytest.mark.parametrize("days", ["0", "3651", "soon", "-1"])
def test_days_are_a_number_or_off(acme: CommandLine, days: str) -> None:
    assert acme("companies", "retention", "acme", "--yes", "--", days).code == 2
