"""What a conversation remembers: tools of earlier turns, a summary, its title, its session, what it is about."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from agent.history import render_again
from agent.tools.answers import OUTCOME_UNKNOWN
from core.configuration import EntityMapping, Limits, ThirdPartyTool
from core.models import ApiKind, ConversationStatus, Role, TaskStatus
from core.prompts import PromptManifest
from core.store import keys
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour, ToolCall, Usage
from local.standin_model.recording import RecordedRequest
from tests.integration.cloud import TABLE_NAME
from tests.integration.meter import Meter
from tests.integration.turns.border import Border
from tests.integration.turns.configured import make_settings, order_tool
from tests.integration.turns.stack import COMPANY, Killed, Stack, again

_READ = ToolCall("orders_getOrder", {"orderId": "A-1"}, call_id="call_read")
_SPENT = Usage(input_tokens=100, output_tokens=10)
_REMEMBER = "Said since:"  # in what a model is asked for a summary, and for nothing else
_NAME = "Person: "  # begins what a model is asked for a title
_LONG = "Could somebody please tell me how I file my travel expenses for the trip to the customer in Lisbon?"
_SMALL = Limits(history_messages=6)


def configure(stack: Stack, **settings: Any) -> None:
    """Give the company settings of its own."""
    stack.store.directory.put_settings(make_settings(prompt="You help {person} of {company}.", **settings))


def orders(book: FakeTools, entity: EntityMapping | None = None) -> ThirdPartyTool:
    """The company's order service."""
    return order_tool(book, entity=entity)


def talk(stack: Stack, turns: int, *, thread_ts: str | None = None, text: str = "question") -> str:
    """So many turns in one thread; its ts."""
    for number in range(turns):
        ts = stack.ask(f"{text} {number}", thread_ts=thread_ts)
        thread_ts = thread_ts or ts
        assert stack.settle() == []
    assert thread_ts
    return thread_ts


def asked(stack: Stack, mark: str) -> list[str]:
    """The requests to the model that have this in their last message."""
    return [json.dumps(each.body, ensure_ascii=False) for each in stack.model.requests if mark in _question(each)]


def _question(request: RecordedRequest) -> str:
    body: dict[str, Any] = request.body or {}
    said: list[Any] = body.get("input") or body["messages"]
    return json.dumps(said[-1], ensure_ascii=False)


def summary(stack: Stack, ts: str) -> Any:
    return stack.store.recollections.find_summary(stack.conversation(ts))


@pytest.mark.parametrize("api_kind", list(ApiKind))
def test_what_tools_gave_is_known_in_the_next_turn_and_costs_no_request(stack: Stack, api_kind: ApiKind) -> None:
    with FakeTools() as book:
        configure(stack, tools=(orders(book),), api_kind=api_kind)
        stack.ask("to be warm")
        stack.settle()
        stack.model.script(Behaviour(tool_calls=[_READ]), Behaviour(text="It is on its way."))
        ts = stack.ask("How is order A-1?")
        stack.settle()
        stack.ask("And what did it cost?", thread_ts=ts)
        records = stack.receive()
        with Meter() as meter:
            assert stack.deliver(records) == []
    assert meter.requests <= 7, meter.by_operation
    assert meter.write_units <= 16, meter.largest
    told = json.dumps(stack.model.requests[-1].body)
    assert "shipped" in told
    assert "orders_getOrder" in told
    (digest,) = stack.messages(ts)[2].tool_digests
    assert (digest.name, json.loads(digest.request)) == ("orders_getOrder", {"orderId": "A-1"})


def test_a_summary_is_made_when_messages_no_longer_fit_and_stands_for_them(stack: Stack) -> None:
    configure(stack, limits=_SMALL)
    stack.model.script(Behaviour(when=_REMEMBER, text="They count questions; the first was 0.", usage=_SPENT))
    ts = talk(stack, 4)
    assert asked(stack, _REMEMBER) == [], "everything still fits"
    talk(stack, 1, thread_ts=ts, text="fifth")
    (request,) = asked(stack, _REMEMBER)
    assert "question 0" in request
    kept = summary(stack, ts)
    assert kept.text == "They count questions; the first was 0."
    stack.ask("and now?", thread_ts=ts)
    stack.settle()
    told = json.dumps((stack.model.requests[-1].body or {})["input"])
    assert "the first was 0" in told
    assert "question 0" not in told
    covered = [each.id for each in stack.messages(ts) if keys.ulid_of(each.id) <= kept.until]
    assert len(covered) == 1 + 6, "the opening and half of what was read go into it"
    assert len(asked(stack, _REMEMBER)) == 1, "and what comes next fits again"


def test_the_summary_takes_up_the_one_before_and_its_tokens_are_counted(stack: Stack) -> None:
    configure(stack, limits=_SMALL)
    stack.model.script(
        Behaviour(when=_REMEMBER, text="Part one.", usage=_SPENT), Behaviour(when="(none)", text="never asked")
    )
    ts = talk(stack, 12)
    first, second, *_ = asked(stack, _REMEMBER)
    assert "(none)" in first
    assert "Part one." in second
    assert "question 0" not in second
    spent = sum(task.total_tokens or 0 for task in stack.tasks(ts))
    total = stack.conversation(ts).total_tokens
    assert total > spent + 110
    month = stack.store.month_usage(COMPANY, f"{datetime.now(UTC):%Y-%m}")
    assert (month[0].messages, month[0].total_tokens) == (12, total)
    assert month[1].total_tokens == total


def test_no_turn_waits_for_a_summary_and_none_fails_with_it(stack: Stack) -> None:
    configure(stack, limits=_SMALL)
    delivered: list[bool] = []
    ts = talk(stack, 4)
    stream = stack.processor.collaborators.model.stream

    def watch(request: Any, *, seconds: float) -> Any:
        if _REMEMBER in request.messages[-1].text:
            delivered.append(not stack.thread(ts)[-1].is_streaming and "fifth" in stack.thread(ts)[-1].text)
        return stream(request, seconds=seconds)

    stack.processor.collaborators.model.stream = watch
    stack.model.script(Behaviour(when=_REMEMBER, fail_status=400), Behaviour(when=_REMEMBER, refuse=True))
    talk(stack, 1, thread_ts=ts, text="fifth")
    assert delivered == [True]
    assert summary(stack, ts) is None
    assert stack.tasks(ts)[-1].status is TaskStatus.COMPLETED
    talk(stack, 1, thread_ts=ts, text="sixth")
    assert "Nothing is known" in summary(stack, ts).text, "a refusal is not asked for again and again"
    talk(stack, 1, thread_ts=ts, text="seventh")
    assert len(delivered) == 2


def test_a_process_that_dies_over_a_summary_loses_nothing_but_that(stack: Stack, border: Border) -> None:
    configure(stack, limits=_SMALL)
    ts = talk(stack, 4)
    for die_at in range(1, 80):
        stack.ask("and?", thread_ts=ts)
        (record,) = stack.receive()
        border.crossings, border.die_at, border.is_after = 0, die_at, bool(die_at % 2)
        try:
            stack.deliver([record])
        except Killed:
            border.die_at = 0
            assert stack.deliver([again(record)]) == []
        else:
            border.die_at = 0
            break
    messages = [each for each in stack.messages(ts) if each.role is not Role.SYSTEM]
    assert [each.role for each in messages] == [Role.USER, Role.ASSISTANT] * (len(messages) // 2)
    assert stack.conversation(ts).message_count == len(messages)
    assert summary(stack, ts) is not None


def test_a_summary_is_kept_no_longer_than_what_it_tells_and_starts_over_then(stack: Stack) -> None:
    configure(stack, limits=_SMALL)
    stack.store.directory.set_retention(COMPANY, 7)
    ts = talk(stack, 5)
    conversation = stack.conversation(ts)
    assert conversation.summary_until
    partition, place = keys.summary_key(COMPANY, conversation.id, conversation.summary_until)
    key = {"PK": {"S": partition}, "SK": {"S": place}}
    dynamodb = boto3.client("dynamodb")
    item = dynamodb.get_item(TableName=TABLE_NAME, Key=key)["Item"]
    question = stack.messages(ts)[0]
    assert question.created_at < datetime.fromtimestamp(int(item["ttl"]["N"]), UTC) < datetime.now(UTC) + timedelta(9)
    dynamodb.put_item(TableName=TABLE_NAME, Item={**item, "ttl": {"N": "1"}})
    talk(stack, 1, thread_ts=ts, text="later")
    told = asked(stack, "later 0")[0]
    assert "Summary of the earlier part" not in told
    assert "question 4" in told
    renewed = stack.conversation(ts).summary_until
    assert renewed
    assert renewed > conversation.summary_until
    assert "(none)" in asked(stack, _REMEMBER)[-1]


def test_forgetting_a_person_forgets_summaries_of_what_they_said(stack: Stack) -> None:
    configure(stack, limits=_SMALL)
    ts = talk(stack, 5)
    assert summary(stack, ts) is not None
    conversation = stack.conversation(ts)
    stack.store.privacy.delete_conversation(COMPANY, conversation.id)
    assert stack.store.recollections.find_summary(conversation) is None


@pytest.mark.parametrize("tokens", [300, 2_000])
def test_the_tokens_of_a_turn_are_bounded_however_long_the_conversation(stack: Stack, tokens: int) -> None:
    configure(stack, limits=Limits(history_tokens=tokens))
    ts = talk(stack, 30, text="a question of some words, and then some more of them, number")
    used = [task.total_input_tokens or 0 for task in stack.tasks(ts)]
    assert max(used) <= tokens + 250, used  # the instructions, and what the estimate may be off
    assert len(asked(stack, _REMEMBER)) <= 15, "a summary is rare"


def test_every_prompt_is_rendered_again_to_the_letter(stack: Stack) -> None:
    with FakeTools() as book:
        configure(stack, tools=(orders(book),), limits=Limits(history_messages=4, history_tokens=600))
        stack.model.script(Behaviour(when="A-1", tool_calls=[_READ]), Behaviour(when="A-1", text="Shipped."))
        ts = talk(stack, 1, text="How is A-1?")
        talk(stack, 9, thread_ts=ts)
    conversation, messages = stack.conversation(ts), stack.messages(ts)
    summaries, digests = set(), 0
    for task in stack.tasks(ts):
        manifest = PromptManifest.model_validate_json(task.llm_raw_prompt or "")
        summaries.add(manifest.summary)
        digests += manifest.digests
        kept = stack.store.recollections.find_summary(conversation, manifest.summary) if manifest.summary else None
        question = next(each for each in messages if each.id == task.message_id)
        input_ = stack.store.get_input(COMPANY, conversation.input)
        prompt = render_again(input_, manifest, messages, question, summary=kept)
        assert prompt.manifest.sha256 == manifest.sha256
        assert "Alice Adams" in prompt.messages[0].text
        assert prompt.parts["question"] > 0
    assert len(summaries) >= 3
    assert digests


def test_a_turn_in_a_conversation_with_a_summary_stays_within_its_limits(stack: Stack) -> None:
    configure(stack, limits=_SMALL)
    stack.model.script(Behaviour(when=_REMEMBER, text="What was said before. " * 250))
    stack.ask("to be warm")
    ts = talk(stack, 5)
    stack.ask("and now?", thread_ts=ts)
    records = stack.receive()
    with Meter() as meter:
        assert stack.deliver(records) == []
    assert meter.requests <= 8, meter.by_operation
    assert meter.write_units <= 16, meter.largest
    assert meter.read_units <= 9
    assert max(meter.largest.values()) < 1024


# The title


def test_a_long_first_question_gets_a_title_after_its_answer(stack: Stack) -> None:
    stack.model.script(Behaviour(when=_NAME, text='"Travel  expenses to Lisbon."', usage=_SPENT))
    ts = stack.ask(_LONG)
    stack.settle()
    conversation = stack.conversation(ts)
    assert conversation.title == "Travel expenses to Lisbon"
    assert conversation.total_tokens == (stack.tasks(ts)[0].total_tokens or 0) + 110
    assert len(asked(stack, _NAME)) == 1
    talk(stack, 1, thread_ts=ts)
    assert len(asked(stack, _NAME)) == 1


@pytest.mark.parametrize("behaviour", [Behaviour(when=_NAME, fail_status=400), Behaviour(when=_NAME, filter=True)])
def test_without_a_title_the_question_stays_one(stack: Stack, behaviour: Behaviour) -> None:
    stack.model.script(behaviour)
    ts = stack.ask(_LONG)
    assert stack.settle() == []
    assert stack.conversation(ts).title == _LONG[:80]


def test_a_short_first_question_is_its_own_title(stack: Stack) -> None:
    ts = talk(stack, 1, text="What is our wifi password?")
    assert stack.conversation(ts).title == "What is our wifi password? 0"
    assert len(stack.model.requests) == 1


# The session, and what it is about


def test_a_session_ends_after_a_long_silence_and_not_before(stack: Stack) -> None:
    configure(stack, limits=Limits(session_idle_minutes=60))
    ts = talk(stack, 1)
    first = stack.conversation(ts).session_id
    talk(stack, 1, thread_ts=ts)
    assert stack.conversation(ts).session_id == first
    _rest(stack, ts, timedelta(minutes=61))
    talk(stack, 1, thread_ts=ts)
    second = stack.conversation(ts).session_id
    assert second != first
    talk(stack, 1, thread_ts=ts)
    assert stack.conversation(ts).session_id == second


def test_a_session_without_a_limit_never_ends(stack: Stack) -> None:
    configure(stack, limits=Limits(session_idle_minutes=None))
    ts = talk(stack, 1)
    first = stack.conversation(ts).session_id
    _rest(stack, ts, timedelta(days=400))
    talk(stack, 1, thread_ts=ts)
    assert stack.conversation(ts).session_id == first


def _rest(stack: Stack, ts: str, duration: timedelta) -> None:
    """Let the last turn have ended so long ago."""
    partition, place = keys.conversation_key(COMPANY, stack.conversation(ts).id)
    boto3.client("dynamodb").update_item(
        TableName=TABLE_NAME,
        Key={"PK": {"S": partition}, "SK": {"S": place}},
        UpdateExpression="SET GSI1SK = :then",
        ExpressionAttributeValues={":then": {"S": (datetime.now(UTC) - duration).isoformat()}},
    )


def test_a_tool_says_what_the_conversation_is_about_from_then_on(stack: Stack) -> None:
    with FakeTools() as book:
        configure(stack, tools=(orders(book, EntityMapping(type="ORDER", id_pointer="/id")),))
        stack.model.script(Behaviour(text="Hello."), Behaviour(tool_calls=[_READ]), Behaviour(text="Shipped."))
        ts = talk(stack, 1)
        assert stack.conversation(ts).entity_type == "CHANNEL"
        talk(stack, 1, thread_ts=ts, text="How is A-1?")
        talk(stack, 1, thread_ts=ts, text="And now?")
    conversation = stack.conversation(ts)
    assert (conversation.entity_type, conversation.entity_id) == ("ORDER", "A-1")
    about = [each.entity_type for each in stack.messages(ts)]
    assert about == ["CHANNEL"] * 4 + ["ORDER"] * 3
    found = boto3.client("dynamodb").query(
        TableName=TABLE_NAME,
        IndexName="GSI2",
        KeyConditionExpression="GSI2PK = :about",
        ExpressionAttributeValues={":about": {"S": keys.entity_partition(COMPANY, "ORDER", "A-1")}},
    )
    assert [item["PK"]["S"] for item in found["Items"]] == [keys.conversation_partition(COMPANY, conversation.id)]


def test_a_new_conversation_is_created_before_anything_is_asked_in_it(stack: Stack) -> None:
    ts = talk(stack, 1)
    stack.ask("/new", thread_ts=ts)
    (record,) = stack.receive()
    for _ in range(2):
        assert stack.deliver([record]) == []
    (created,) = [each for each in stack.conversations() if each.status is ConversationStatus.CREATED]
    assert (created.title, created.message_count, created.lease_until) == ("", 0, None)
    talk(stack, 1, thread_ts=ts, text="the first of the new one")
    started = stack.store.get_conversation(COMPANY, created.id)
    assert started
    assert (started.status, started.title) == (ConversationStatus.COMPLETED, "the first of the new one 0")
    assert started.session_id == created.session_id


# Calls without a result


@pytest.mark.parametrize("api_kind", list(ApiKind))
def test_the_model_never_sees_a_call_without_its_result_wherever_the_process_died(
    stack: Stack, border: Border, api_kind: ApiKind
) -> None:
    calls = 'call orders_getOrder {"orderId": "A-1"}\ncall orders_getOrder {"orderId": "A-2"}'
    with FakeTools() as book:
        configure(stack, tools=(orders(book),), api_kind=api_kind)
        for crossing in range(60):
            ts = stack.ask(calls)
            (record,) = stack.receive()
            border.crossings, border.die_at = 0, crossing
            try:
                stack.deliver([record])
            except Killed:
                border.die_at = 0
                assert stack.deliver([again(record)]) == []
                assert "not_found" in stack.answer(ts), "what the second call gave"
            else:
                border.die_at = 0
                if crossing:
                    break
            stack.ask("and now?", thread_ts=ts)
            assert stack.settle() == []
    assert crossing > 10
    assert not [each for each in stack.model.requests if each.outcome == "refused"], "as calls without a result are"


def test_a_started_tool_that_is_gone_after_a_crash_is_told_as_unknown(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeTools() as book:
        configure(stack, tools=(orders(book),))
        write = ToolCall("orders_placeOrder", {"body": {"item": "coffee", "quantity": 1}}, call_id="call_write")
        stack.model.script(Behaviour(tool_calls=[write]), Behaviour(text="I do not know whether it is ordered."))
        ts = stack.ask("Order a coffee")
        (record,) = stack.receive()
        plan = stack.processor.collaborators.store.start_tool_usages

        def die(*arguments: Any) -> None:
            plan(*arguments)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(stack.processor.collaborators.store, "start_tool_usages", die)
            with pytest.raises(Killed):
                stack.deliver([record])
        monkeypatch.setattr("agent.tools.toolbox.Toolbox._make", lambda _self, _definition: ())
        assert stack.deliver([again(record)]) == []
    assert stack.answer(ts) == "I do not know whether it is ordered."
    assert OUTCOME_UNKNOWN in json.dumps(stack.model.requests[-1].body)
    assert book.orders.effects == []
