"""Signals on the deployed template, with the permissions that it gives: a stop by operations, a deletion."""

from datetime import UTC, datetime

import pytest

from core.events import SignalKind, SignalReceived
from core.models import Address
from tests.e2e.deployed import Deployed, wait_for

pytestmark = pytest.mark.timeout(600)
_SLOW = "write 900 words [[delay 200]]"


def test_operations_stop_an_answer_that_is_arriving(deployed: Deployed) -> None:
    ts = deployed.ask(_SLOW)
    wait_for(lambda: bool(deployed.answers(ts)), what="the answer to begin")
    shown = deployed.conversation(ts)["conversation"]
    assert "asked to stop" in deployed.run_ops("conversations", "stop", shown["userCompanyId"], shown["id"])
    stored = deployed.wait_for_conversation(ts, "CANCELED")
    assert [task["status"] for task in stored["tasks"]] == ["CANCELED"]
    (answer,) = deployed.wait_for_answers(ts)
    assert "Stopped" in answer["text"]


def test_a_deleted_question_is_erased_with_what_lies_in_the_bucket(deployed: Deployed) -> None:
    ts = deployed.ask(f"{_SLOW} {'about a secret ' * 2_000}")
    wait_for(lambda: bool(deployed.answers(ts)), what="the answer to begin")
    demo, now = deployed.stack.demo, datetime.now(UTC)
    deployed.publish(
        SignalReceived(
            kind=SignalKind.DELETE,
            external_id=f"delete-{ts}",
            address=Address(platform="slack", workspace_id=demo.team_id, channel_id=demo.channel_id, thread_id=ts),
            external_message_id=ts,
            message_sent_at=datetime.fromtimestamp(float(ts), UTC),
            external_user_id=demo.slack_user_id,
            sent_at=now,
            received_at=now,
            correlation_id="delete",
        )
    )
    stored = deployed.wait_for_conversation(ts, "CANCELED")
    assert "a secret" not in str(stored["messages"])
    (answer,) = deployed.wait_for_answers(ts)
    assert "deleted" in answer["text"]
