"""A turn with tools through the real doors: called once, recorded, replayed, bounded, and not to be misled."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest

from agent.tools.answers import OUTCOME_UNKNOWN
from core.configuration import Limits, SearchConversationsTool, ThirdPartyTool
from core.models import ConversationStatus, TaskStatus, ToolStatus, ToolType
from core.outside import OutsideHttp
from local.fake_slack.demo import DEMO
from local.fake_tools.api import make_document
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour, ToolCall, Usage
from tests.integration.cloud import TABLE_NAME
from tests.integration.meter import Meter
from tests.integration.turns.border import Border
from tests.integration.turns.configured import make_settings, order_tool
from tests.integration.turns.stack import COMPANY, Killed, Stack, again, load_door

_READ = ToolCall("orders_getOrder", {"orderId": "A-1"}, call_id="call_read")
_WRITE = ToolCall("orders_placeOrder", {"body": {"item": "coffee", "quantity": 1}}, call_id="call_write")
_ROUND = Behaviour(tool_calls=[_READ, _WRITE], usage=Usage(input_tokens=100, output_tokens=10))
_BOTH = 'call orders_getOrder {"orderId": "A-1"}\ncall orders_placeOrder {"body": {"item": "coffee", "quantity": 1}}'
_WRITE_TWICE = "\n".join(
    f'call orders_placeOrder {{"body": {{"item": "{item}", "quantity": 1}}}}' for item in ("tea", "milk")
)
_ANSWER = Behaviour(text="Order B-1 is placed.", usage=Usage(input_tokens=150, output_tokens=5))


def configure(stack: Stack, book: FakeTools, *, version: int = 1, **settings: Any) -> None:
    """Give the company settings of its own, with the order service as a tool."""
    search = SearchConversationsTool(name="search", description="Earlier conversations.")
    prompt = "You help {person} of {company} with orders."
    given: dict[str, Any] = {"tools": (order_tool(book), search), "prompt": prompt, **settings}
    stack.store.directory.put_settings(make_settings(version=version, **given))


def usages(stack: Stack, ts: str) -> list[Any]:
    """The tool usage records of a thread's first question."""
    question = stack.messages(ts)[1]
    return list(stack.store.list_tool_usages(COMPANY, question.id))


def test_what_tools_give_goes_into_the_answer_and_each_use_is_recorded(stack: Stack, book: FakeTools) -> None:
    configure(stack, book)
    stack.model.script(_ROUND, _ANSWER)
    ts = stack.ask("Order a coffee like A-1")
    assert stack.settle() == []
    assert stack.answer(ts) == "Order B-1 is placed."
    read, write = usages(stack, ts)
    assert (read.name, read.call_id, read.type, read.status) == (
        "orders_getOrder",
        "call_read",
        ToolType.TPA,
        ToolStatus.COMPLETED,
    )
    assert json.loads(write.request) == {"body": {"item": "coffee", "quantity": 1}}
    assert "B-1" in (write.response or "")
    assert write.message_id == stack.messages(ts)[1].id
    assert write.duration_ms is not None
    assert book.orders.effects == [write.idempotency_key]
    (task,) = stack.tasks(ts)
    assert (task.status, task.total_input_tokens, task.total_output_tokens) == (TaskStatus.COMPLETED, 250, 15)
    told = json.dumps(stack.model.requests[-1].body)
    assert "shipped" in told
    assert "B-1" in told


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_the_write_happens_once_wherever_the_process_dies(
    stack: Stack, book: FakeTools, border: Border, monkeypatch: pytest.MonkeyPatch, *, is_after: bool
) -> None:
    monkeypatch.setattr("agent.afterwards.Afterwards.is_needed", False)  # a title has tokens of its own
    configure(stack, book)
    border.is_after = is_after
    tokens = [0]
    for crossing in range(60):
        ts = stack.ask(_BOTH)
        (record,) = stack.receive()
        border.crossings, border.die_at = 0, crossing  # the first time round nobody dies
        try:
            assert stack.deliver([record]) == []
            is_dead = False
        except Killed:
            is_dead = True
        border.die_at = 0
        if is_dead:
            stack.processor = load_door("llm_processor")
            assert stack.deliver([again(record)]) == []
        where = f"died at crossing {crossing}"
        assert "coffee" in stack.answer(ts), where
        assert len(book.orders.effects) == crossing + 1, where
        statuses = [(usage.name, usage.status) for usage in usages(stack, ts)]
        assert statuses == [(_READ.name, ToolStatus.COMPLETED), (_WRITE.name, ToolStatus.COMPLETED)], where
        (task,) = stack.tasks(ts)
        assert task.status is TaskStatus.COMPLETED, where
        tokens.append(task.total_tokens or 0)
        assert abs(tokens[-1] - tokens[1]) <= 4, where  # the order's number grows
        assert len(stack.messages(ts)) == 3, where
        month = stack.store.month_usage(COMPANY, f"{datetime.now(UTC):%Y-%m}")[0]
        assert (month.messages, month.total_tokens) == (crossing + 1, sum(tokens)), where
        if crossing and not is_dead:
            break
    else:
        pytest.fail("the turn never ended without dying")
    assert crossing >= 18


def test_a_round_of_two_tools_adds_two_requests_and_five_write_units_at_the_most(stack: Stack, book: FakeTools) -> None:
    configure(stack, book)
    stack.model.script(_ANSWER, _ANSWER, _ROUND, _ANSWER)
    stack.ask("warm up")
    ts = stack.ask("warm up too")
    stack.settle()
    stack.ask("Order a coffee", thread_ts=ts)
    records = stack.receive()
    with Meter() as meter:
        assert stack.deliver(records) == []
    assert meter.requests <= 10, meter.by_operation
    assert meter.write_units <= 21, meter.by_operation
    assert len(book.orders.effects) == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (ToolCall("orders_placeOrder", {"body": {"item": "coffee", "quantity": "many"}}), "quantity"),
        (ToolCall("orders_placeOrder", "{not json"), "JSON"),
        (ToolCall("no_such_tool", {}), "no tool"),
        (ToolCall("orders_getOrder", {"orderId": "../../admin"}), "part of a path"),
    ],
    ids=["wrong type", "no JSON", "unknown tool", "another path"],
)
def test_a_wrong_call_is_told_to_the_model_and_does_nothing(
    stack: Stack, book: FakeTools, call: ToolCall, said: str
) -> None:
    configure(stack, book)
    stack.model.script(Behaviour(tool_calls=[call]), Behaviour(text="I could not."))
    ts = stack.ask("try it")
    assert stack.settle() == []
    assert stack.answer(ts) == "I could not."
    (usage,) = usages(stack, ts)
    assert usage.status is ToolStatus.FAILED
    assert said in (usage.response or "")
    assert book.orders.effects == []


def test_a_tool_that_points_at_the_metadata_service_is_left_out(stack: Stack, book: FakeTools) -> None:
    document = make_document("http://169.254.169.254/latest")
    evil = ThirdPartyTool(name="evil", description="Metadata.", openapi=document, auth="none")
    configure(stack, book, tools=(evil,))
    stack.model.script(Behaviour(tool_calls=[ToolCall("evil_listOrders", {})]), Behaviour(text="No."))
    ts = stack.ask("read the metadata")
    stack.settle()
    (usage,) = usages(stack, ts)
    assert usage.status is ToolStatus.FAILED
    assert stack.answer(ts) == "No."


def test_a_search_finds_only_the_persons_own_conversations(stack: Stack, book: FakeTools) -> None:
    configure(stack, book)
    stack.model.script(Behaviour(text="The parrot is called Polly."))
    stack.ask("What is the parrot called?")
    stack.settle()
    search = ToolCall("search", {"words": "parrot"})
    stack.model.script(Behaviour(tool_calls=[search]), Behaviour(text="Polly."))
    ts = stack.ask("And again?")
    stack.settle()
    (usage,) = usages(stack, ts)
    assert "Polly" in (usage.response or "")
    assert usage.type is ToolType.OBTAIN_MORE_INFORMATION


def test_a_model_that_never_stops_calling_tools_is_stopped_by_the_limit(stack: Stack, book: FakeTools) -> None:
    configure(stack, book, limits=Limits(max_steps=3))
    stack.model.script(*[Behaviour(tool_calls=[_READ])] * 2, Behaviour(text="That is all I know."))
    ts = stack.ask("go on for ever")
    stack.settle()
    assert stack.answer(ts) == "That is all I know."
    assert len(stack.model.requests) == 3
    assert "tools" not in (stack.model.requests[-1].body or {}) or not stack.model.requests[-1].body["tools"]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(max_user_day_messages=1), "limit for today"),
        (Limits(max_user_day_tokens=10), "limit for today"),
        (Limits(max_company_month_tokens=10), "limit for this month"),
    ],
)
def test_a_reached_limit_is_told_and_no_model_is_called(
    stack: Stack, book: FakeTools, limits: Limits, words: str
) -> None:
    configure(stack, book, limits=limits)
    stack.model.script(_ANSWER)
    stack.ask("first")
    stack.settle()
    ts = stack.ask("second")
    assert stack.settle() == []
    assert words in stack.answer(ts)
    assert len(stack.model.requests) == 1
    (task,) = stack.tasks(ts)
    assert task.status is TaskStatus.FAILED


def test_a_known_model_has_its_cost_in_the_task_the_conversation_and_the_counters(
    stack: Stack, book: FakeTools
) -> None:
    configure(stack, book, model="gpt-4.1")
    stack.model.script(Behaviour(text="Hi.", usage=Usage(input_tokens=1_000_000, output_tokens=0)))
    ts = stack.ask("what does it cost?")
    stack.settle()
    (task,) = stack.tasks(ts)
    assert task.cost is not None
    assert task.cost > Decimal("0.5")
    assert task.price_version
    assert stack.conversation(ts).total_cost == task.cost
    assert stack.store.month_usage(COMPANY, f"{datetime.now(UTC):%Y-%m}")[0].cost == task.cost


def test_the_fallback_model_answers_where_the_first_one_does_not(stack: Stack, book: FakeTools) -> None:
    configure(stack, book, fallback_model="other-model")
    stack.model.script(*[Behaviour(fail_status=500)] * 2, Behaviour(text="The other one answers."))
    ts = stack.ask("anybody there?")
    assert stack.settle() == []
    assert stack.answer(ts) == "The other one answers."
    assert (stack.model.requests[-1].body or {})["model"] == "other-model"


def test_an_answer_of_a_fixed_shape_is_parsed_and_mended_at_most_twice(stack: Stack, book: FakeTools) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    configure(stack, book, tools=(), output_configuration=schema)
    stack.model.script(Behaviour(text='{"n": "one"}'), Behaviour(text="not at all"), Behaviour(text='{"n": 1}'))
    ts = stack.ask("a number")
    stack.settle()
    reply = stack.messages(ts)[-1]
    assert json.loads(reply.llm_parsed_output or "") == {"n": 1}
    assert reply.content[0].json_value == {"n": 1}
    assert json.loads(stack.answer(ts)) == {"n": 1}
    stack.model.script(*[Behaviour(text="never")] * 3)
    ts = stack.ask("a number again")
    assert stack.settle() == []
    (task,) = stack.tasks(ts)
    assert (task.status, task.error_class) == (TaskStatus.FAILED, "output-misfit")


def test_an_edit_of_the_settings_leaves_running_conversations_as_they_were(stack: Stack, book: FakeTools) -> None:
    configure(stack, book, tools=(), model="first-model")
    ts = stack.ask("begin")
    stack.settle()
    configure(stack, book, version=2, tools=(), model="second-model")
    stack.processor = load_door("llm_processor")
    stack.ask("go on", thread_ts=ts)
    stack.settle()
    other = stack.ask("a new one")
    stack.settle()
    assert [(r.body or {})["model"] for r in stack.model.requests] == ["first-model", "first-model", "second-model"]
    assert stack.tasks(other)[0].llm_settings_id == "default:v2"


def test_new_conversation_starts_afresh_in_the_same_thread(stack: Stack) -> None:
    ts = stack.ask("My colour is blue.")
    stack.settle()
    stack.ask("New conversation", thread_ts=ts)
    stack.settle()
    stack.ask("What is my colour?", thread_ts=ts)
    stack.settle()
    assert "blue" not in json.dumps(stack.model.requests[-1].body)
    assert len(stack.conversations()) == 2
    assert "new conversation" in stack.thread(ts)[1].text


def test_a_stopped_answer_keeps_what_was_said(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.stopping._SECONDS_BETWEEN", 0.02)
    gate = threading.Event()
    stack.model.script(Behaviour(deltas=["Half ", "of ", "it ", "all."], gate=gate, hold_at=1))
    ts = stack.ask("tell me everything")
    records = stack.receive()
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, records)
        assert stack.slack.wait_for(lambda: bool(stack.thread(ts)), seconds=20)
        conversation = stack.conversation(ts)
        assert stack.store.interruptions.request_cancel(COMPANY, conversation.id)
        gate.set()
        assert done.result() == []
    assert stack.conversation(ts).status is ConversationStatus.CANCELED
    assert stack.messages(ts)[-1].text.startswith("Half")
    assert "Stopped" in stack.answer(ts)
    (task,) = stack.tasks(ts)
    assert task.status is TaskStatus.CANCELED
    stack.ask("and now?", thread_ts=ts)
    stack.settle()
    assert stack.conversation(ts).status is ConversationStatus.COMPLETED


def test_a_refusal_and_a_failure_speak_the_persons_language(stack: Stack) -> None:
    stack.model.script(Behaviour(fail_status=401))
    ts = stack.ask("Guten Morgen, können Sie mir bitte bei meiner Reisekostenabrechnung helfen?")
    stack.settle()
    assert "Betriebsteam" in stack.answer(ts)
    assert stack.messages(ts)[1].language == "de"
    assert DEMO.bot_user_id == stack.thread(ts)[0].user


def test_a_write_that_gave_its_result_is_noted_before_the_next_one_runs(
    stack: Stack, book: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(stack, book)
    ts = stack.ask(_WRITE_TWICE)
    (record,) = stack.receive()
    to_service, calls = OutsideHttp.request, []
    at_death: list[ToolStatus] = []

    def request(self: OutsideHttp, *args: Any, **kwargs: Any) -> object:
        calls.append(1)
        if len(calls) == 2:  # what the table holds now is all that a process that is killed leaves behind
            at_death.extend(usage.status for usage in usages(stack, ts))
            raise Killed
        return to_service(self, *args, **kwargs)

    with monkeypatch.context() as dying:
        dying.setattr(OutsideHttp, "request", request)
        with pytest.raises(Killed):
            stack.deliver([record])
    assert at_death == [ToolStatus.COMPLETED, ToolStatus.STARTED]
    assert stack.deliver([again(record)]) == []
    assert len(book.orders.effects) == 2
    assert len([call for call in book.orders.calls if call.method == "POST"]) == 2


def test_a_write_without_a_word_is_told_as_unknown_not_as_undone(
    stack: Stack, book: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(stack, book)
    released = threading.Event()
    to_service = OutsideHttp.request

    def request(self: OutsideHttp, *args: Any, **kwargs: Any) -> object:
        released.wait(20)
        return to_service(self, *args, **kwargs)

    monkeypatch.setattr(OutsideHttp, "request", request)
    monkeypatch.setattr("agent.using._GRACE_SECONDS", -19.0)
    stack.model.script(Behaviour(tool_calls=[_WRITE]), Behaviour(text="I am not sure."))
    ts = stack.ask("order")
    stack.settle()
    released.set()
    (usage,) = usages(stack, ts)
    assert "no result within" in (usage.response or "")
    assert OUTCOME_UNKNOWN in (usage.response or "")


def test_what_a_failed_turn_took_is_counted(stack: Stack, book: FakeTools) -> None:
    configure(stack, book)
    stack.model.script(_ROUND, Behaviour(fail_status=401))
    ts = stack.ask("order")
    stack.settle()
    (task,) = stack.tasks(ts)
    assert (task.status, task.total_tokens) == (TaskStatus.FAILED, 110)
    month = stack.store.month_usage(COMPANY, f"{datetime.now(UTC):%Y-%m}")[0]
    assert (month.messages, month.total_tokens) == (0, 110)


def test_the_cost_of_a_turn_is_the_sum_of_its_calls(stack: Stack, book: FakeTools) -> None:
    configure(stack, book, model="gpt-5.4")
    one = Usage(input_tokens=200_000, output_tokens=0)  # two together would pass the rate of long prompts
    stack.model.script(Behaviour(tool_calls=[_READ], usage=one), Behaviour(text="Done.", usage=one))
    ts = stack.ask("what does it cost?")
    stack.settle()
    (task,) = stack.tasks(ts)
    assert task.total_input_tokens == 400_000
    assert task.cost == Decimal("2.50") * 400_000 / 1_000_000


def test_a_turn_that_takes_too_long_ends_in_a_clear_message(stack: Stack, book: FakeTools) -> None:
    configure(stack, book, limits=Limits(max_seconds=5))
    stack.model.script(Behaviour(text="late", slow_seconds=30))
    ts = stack.ask("be quick")
    assert stack.settle() == []
    assert "longer than one answer may take" in stack.answer(ts)
    assert len(stack.model.requests) == 1


def test_a_prompt_that_is_too_long_for_the_model_is_shortened_once(stack: Stack, book: FakeTools) -> None:
    configure(stack, book)
    stack.model.script(
        Behaviour(tool_calls=[_READ]),
        Behaviour(fail_status=400, fail_code="context_length_exceeded"),
        Behaviour(text="Short enough."),
    )
    first = stack.ask("earlier")
    stack.model.clear()
    stack.settle()
    stack.model.script(Behaviour(fail_status=400, fail_code="context_length_exceeded"), Behaviour(text="Short enough."))
    stack.ask("and now?", thread_ts=first)
    assert stack.settle() == []
    assert stack.thread(first)[-1].text == "Short enough."
    assert "earlier" not in json.dumps((stack.model.requests[-1].body or {})["input"])


def test_a_stopped_answer_that_is_delivered_again_stays_stopped(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.stopping._SECONDS_BETWEEN", 0.02)
    gate = threading.Event()
    stack.model.script(Behaviour(deltas=["Half ", "of ", "it."], gate=gate, hold_at=1))
    ts = stack.ask("tell me everything")
    (record,) = stack.receive()
    with ThreadPoolExecutor(1) as invocation:
        done = invocation.submit(stack.deliver, [record])
        assert stack.slack.wait_for(lambda: bool(stack.thread(ts)), seconds=20)
        assert stack.store.interruptions.request_cancel(COMPANY, stack.conversation(ts).id)
        gate.set()
        assert done.result() == []
    assert stack.deliver([again(record)]) == []
    assert stack.conversation(ts).status is ConversationStatus.CANCELED
    assert len(stack.thread(ts)) == 1


def test_a_thread_that_is_used_is_kept_as_long_as_its_conversation(stack: Stack) -> None:
    stack.store.directory.set_retention(COMPANY, 7)
    stack.processor = load_door("llm_processor")
    ts = stack.ask("hello")
    stack.settle()
    dynamodb = boto3.client("dynamodb")
    key = {"PK": {"S": f"C#{COMPANY}#H#slack#{DEMO.channel_id}#{ts}"}, "SK": {"S": "#"}}
    names, values = {"#t": "ttl"}, {":days": {"N": str(3 * 86_400)}}
    shortened = dynamodb.update_item(
        TableName=TABLE_NAME,
        Key=key,
        UpdateExpression="SET #t = #t - :days",
        ExpressionAttributeNames=names,
        ExpressionAttributeValues=values,
        ReturnValues="ALL_NEW",
    )["Attributes"]
    stack.ask("again", thread_ts=ts)
    stack.settle()
    renewed = dynamodb.get_item(TableName=TABLE_NAME, Key=key)["Item"]
    assert int(renewed["ttl"]["N"]) > int(shortened["ttl"]["N"])
