"""What a plain warm turn costs in the table, from the door to the delivered answer."""

from datetime import UTC, datetime, timedelta

import pytest

from core.models import ContentPart, ContentType, ConversationStatus, Message, Role
from core.store import Opening, keys
from local.standin_model.script import Behaviour
from tests.integration.meter import Meter
from tests.integration.turns.stack import COMPANY, Stack

_QUESTION = "How do I file my travel expenses for last month's trip to the customer in Lisbon, and until when? " * 2
_ANSWER = "File them in the **expenses** tool: choose *Trip*, add the receipts, send it by the 10th of the month. " * 3
_PLAIN_TURN = (8, 16, 9)  # requests, write units, read units at the most


@pytest.mark.parametrize("earlier", [0, 998], ids=["of 1 message", "of 1,000 messages"])
def test_a_plain_warm_turn_stays_within_its_limits_however_long_the_conversation(stack: Stack, earlier: int) -> None:
    stack.model.script(*[Behaviour(text=_ANSWER)] * 3)
    stack.ask("another conversation, to be warm")
    first = stack.ask(_QUESTION)
    stack.settle()
    lengthen(stack, first, earlier)
    stack.ask(_QUESTION, thread_ts=first)
    records = stack.receive()
    with Meter() as meter:
        assert stack.deliver(records) == []
    spent = (meter.requests, meter.write_units, meter.read_units)
    assert all(used <= most for used, most in zip(spent, _PLAIN_TURN, strict=True)), (spent, meter.by_operation)
    print(f"plain warm turn after {earlier + 2} messages: {spent} {meter.by_operation}")


def lengthen(stack: Stack, ts: str, number: int) -> None:
    """Put older messages into the conversation, as earlier turns would have."""
    if not number:
        return
    conversation = stack.conversation(ts)
    began = datetime.now(UTC) - timedelta(days=2)
    opening = Opening(
        user_id=conversation.user_id,
        title=conversation.title,
        entity_type=conversation.entity_type,
        session_id=conversation.session_id,
        address=conversation.address,
        input=conversation.input,
    )
    task_id = keys.task_id(conversation.id, keys.message_ulid("slack", "T", "C", "earlier", began))
    claim = stack.store.claim_conversation(
        COMPANY, conversation.id, opening=opening, task_id=task_id, lease=timedelta(minutes=5), now=datetime.now(UTC)
    )
    for count in range(number):
        sent_at = began + timedelta(seconds=count)
        message_id = keys.message_id(conversation.id, keys.message_ulid("slack", "T", "C", str(count), sent_at))
        text = _ANSWER if count % 2 else _QUESTION
        message = Message(
            id=message_id,
            llm_conversation_id=conversation.id,
            role=Role.ASSISTANT if count % 2 else Role.USER,
            structured_user_prompt=None if count % 2 else text,
            llm_parsed_output=text if count % 2 else None,
            entity_type=conversation.entity_type,
            user_id=conversation.user_id,
            content=(ContentPart(type=ContentType.TEXT, text=text, message_id=message_id),),
            created_at=sent_at,
        )
        assert stack.store.questions.save(claim, message, opening_message=None) is None
    stack.store.release_claim(claim, status=ConversationStatus.COMPLETED, now=datetime.now(UTC))
