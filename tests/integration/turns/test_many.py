"""Many conversations at once with everything going wrong at times: nothing lost, nothing doubled, nothing reordered."""

import os
import random
from collections import deque
from datetime import UTC, datetime

import pytest

from core.models import ConversationStatus, Role, TaskStatus
from local.fake_slack import payloads
from tests.integration.turns.border import Border
from tests.integration.turns.stack import COMPANY, Killed, Record, Stack, again, load_door

_CONVERSATIONS = int(os.environ.get("CONVERSATIONS", "30"))  # `make soak` takes 200
_MESSAGES = 5
_AT_ONCE = 10


@pytest.mark.timeout(3600)
def test_many_conversations_with_redeliveries_failures_and_kills_come_out_whole(stack: Stack, border: Border) -> None:
    chance = random.Random(20261122)
    threads = _ask_everything(stack, chance)
    waiting = _by_conversation(stack.receive())
    assert sum(map(len, waiting.values())) == _CONVERSATIONS * _MESSAGES
    deaths = 0
    while waiting:
        chosen = chance.sample(sorted(waiting), min(_AT_ONCE, len(waiting)))
        batch = [waiting[conversation][0] for conversation in chosen]
        border.crossings, border.die_at = 0, chance.randrange(1, 100) if chance.random() < 0.5 else 0
        border.is_after = chance.random() < 0.5
        try:
            failed = {record["messageId"] for record in stack.deliver(batch)}
        except Killed:
            deaths += 1
            stack.processor = load_door("llm_processor")
            failed = {record["messageId"] for record in batch}
        border.die_at = 0
        for conversation, record in zip(chosen, batch, strict=True):
            if record["messageId"] in failed:
                waiting[conversation][0] = _second(record)
            elif chance.random() > 0.1:  # else it is delivered once more although it is done
                waiting[conversation].popleft()
        waiting = {conversation: records for conversation, records in waiting.items() if records}
    assert deaths >= 5

    total = 0
    for number, ts in enumerate(threads):
        messages = stack.messages(ts)
        assert [m.role for m in messages] == [Role.SYSTEM, *[Role.USER, Role.ASSISTANT] * _MESSAGES]
        asked = [m.text for m in messages if m.role is Role.USER]
        assert [text.split(" [[")[0] for text in asked] == [_text(number, each) for each in range(_MESSAGES)]
        answers = stack.thread(ts)
        assert len(answers) == _MESSAGES
        assert all(_text(number, each) in answer.text for each, answer in enumerate(answers))
        assert not any(answer.is_streaming for answer in answers)
        tasks = stack.tasks(ts)
        assert [task.status for task in tasks] == [TaskStatus.COMPLETED] * _MESSAGES
        total += sum(task.total_tokens or 0 for task in tasks)
        stored = stack.conversation(ts)
        assert stored.status is ConversationStatus.COMPLETED
        assert stored.total_tokens == sum(task.total_tokens or 0 for task in tasks)
    month = stack.store.month_usage(COMPANY, f"{datetime.now(UTC):%Y-%m}")[0]
    assert (month.messages, month.total_tokens) == (_CONVERSATIONS * _MESSAGES, total)


def _text(conversation: int, message: int) -> str:
    return f"conversation {conversation:03} message {message}"


def _ask_everything(stack: Stack, chance: random.Random) -> list[str]:
    """Ask all questions, the conversations interleaved; the threads."""
    threads: list[str] = []
    for message in range(_MESSAGES):
        for conversation in range(_CONVERSATIONS):
            trouble = " [[fail 500 x2]]" if chance.random() < 0.05 else ""
            text = _text(conversation, message) + trouble
            if message == 0:
                threads.append(stack.ask(text))
            else:
                assert stack.post(payloads.mention(text, thread_ts=threads[conversation]))["statusCode"] == 200
    return threads


def _by_conversation(records: list[Record]) -> dict[str, deque[Record]]:
    found: dict[str, deque[Record]] = {}
    for record in records:
        found.setdefault(record["attributes"]["MessageGroupId"], deque()).append(record)
    return found


def _second(record: Record) -> Record:
    """The next delivery; never the last one, so that bad luck alone sends nothing to the dead letters."""
    return again({**record, "attributes": {**record["attributes"], "ApproximateReceiveCount": "1"}})
