"""What a task keeps of its prompt: its parts, and enough to render it again to the letter, whatever kind it is."""

import json
from typing import Any

import boto3

from agent.rendering import render_stored
from core.configuration import AskPersonTool, SubAgentTool, ToolDefinition
from core.models import Task
from core.prompts import PromptManifest
from core.store import keys
from local.fake_tools.server import FakeTools
from local.standin_model import Behaviour, ToolCall
from tests.integration.cloud import TABLE_NAME
from tests.integration.turns.configured import make_settings, order_tool
from tests.integration.turns.stack import COMPANY, Stack

_READ = ToolCall("orders_getOrder", {"orderId": "A-1"}, call_id="call_read")
_ASK = ToolCall("ask", {"question": "Which size?"}, call_id="call_ask")


def configure(stack: Stack, settings_id: str, *tools: ToolDefinition) -> None:
    """Store settings whose prompt names who asks."""
    prompt = f"You are {settings_id} and help {{person}} of {{company}}."
    stack.store.directory.put_settings(make_settings(settings_id, prompt=prompt, tools=tools))


def check(stack: Stack, ts: str) -> list[str]:
    """The texts of all prompts of a thread, rendered again; each is what its task was told, to the letter."""
    conversation, messages = stack.conversation(ts), stack.messages(ts)
    told = []
    for task in stack.tasks(ts):
        prompt = render_stored(stack.store, conversation, task, messages)
        assert prompt.manifest.sha256 == PromptManifest.model_validate_json(task.llm_raw_prompt or "").sha256, task.id
        told.append(json.dumps([[each.role, each.text] for each in prompt.messages]))
    return told


def parts(task: Task) -> list[dict[str, Any]]:
    """The parts of a task's prompt."""
    given: list[dict[str, Any]] = json.loads(task.llm_structured_prompt or "")["parts"]
    return given


def test_the_answer_to_a_question_back_is_rendered_with_what_led_to_it(stack: Stack, book: FakeTools) -> None:
    ask = AskPersonTool(name="ask", description="Asks the person.", subject="person")
    configure(stack, "default", order_tool(book), ask)
    stack.model.script(Behaviour(text="Let me see.", tool_calls=[_READ, _ASK]), Behaviour(text="Ordered."))
    ts = stack.ask("Order a shirt like A-1")
    stack.settle()
    stack.ask("M, please", thread_ts=ts)
    assert stack.settle() == []
    stack.ask("thanks", thread_ts=ts)
    stack.settle()
    _, resumed, _ = check(stack, ts)
    assert "shipped" in resumed
    assert "M, please" in resumed
    assert "resumed@1" in (stack.tasks(ts)[1].llm_structured_prompt or "")


def test_a_sub_agents_prompt_is_rendered_with_who_asks(stack: Stack, book: FakeTools) -> None:
    configure(stack, "buyer", order_tool(book))
    configure(stack, "default", SubAgentTool(name="helper", description="Buys.", settings_id="buyer"))
    stack.model.script(
        Behaviour(tool_calls=[ToolCall("helper", {"task": "Look at A-1."})]),
        Behaviour(tool_calls=[_READ]),
        Behaviour(text="Shipped."),
        Behaviour(text="It is shipped."),
    )
    ts = stack.ask("How is A-1?")
    assert stack.settle() == []
    _, helper = check(stack, ts)
    assert "You are buyer and help Alice Adams of Acme Ltd." in helper
    assert "Look at A-1." in helper


def test_a_prompt_after_a_deletion_is_rendered_without_what_was_deleted(stack: Stack) -> None:
    ts = stack.ask("first")
    stack.settle()
    second = stack.ask("my secret", thread_ts=ts)
    stack.settle()
    question = stack.messages(ts)[3]
    assert stack.signal("delete", ts=ts, external_message_id=second, message_sent_at=question.created_at)
    stack.ask("and now?", thread_ts=ts)
    stack.settle()
    conversation, messages, task = stack.conversation(ts), stack.messages(ts), stack.tasks(ts)[-1]
    prompt = render_stored(stack.store, conversation, task, messages)
    assert prompt.manifest.sha256 == PromptManifest.model_validate_json(task.llm_raw_prompt or "").sha256


def test_a_task_names_the_parts_of_its_prompt_and_stores_them_once(stack: Stack) -> None:
    ts = stack.ask("first")
    stack.settle()
    stack.ask("second", thread_ts=ts)
    stack.settle()
    first, second = stack.tasks(ts)
    questions = [each for each in stack.messages(ts) if each.role == "user"]
    assert [each["role"] for each in parts(first)] == ["system", "user"]
    assert parts(first)[1]["message"] == questions[0].id
    instructions, history, asked = parts(second)
    assert instructions["input"] == "conversation"
    assert history == {
        "role": "conversation",
        "from": keys.ulid_of(questions[0].id),
        "until": questions[1].id,
        "count": 2,
        "toolDigests": 0,
    }
    assert asked == {"role": "user", "message": questions[1].id}
    partition, place = keys.task_key(COMPANY, second.id)
    item = boto3.client("dynamodb").get_item(TableName=TABLE_NAME, Key={"PK": {"S": partition}, "SK": {"S": place}})
    assert "llmRawPrompt" in item["Item"]
    assert "llmStructuredPrompt" not in item["Item"]
