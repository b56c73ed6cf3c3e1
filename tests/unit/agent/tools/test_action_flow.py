"""Action flows as tools: what a function and a state machine are sent, and how their failures are told."""

import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber
from moto import mock_aws

from agent.tools import Tool, ToolContext, ToolResult
from agent.tools.action_flow import make_action_flow_tool
from core.configuration import ActionFlowTool
from core.errors import PermanentError, RetryableError
from core.models import ToolType
from local.fake_tools import FakeTools, Scripted

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_stepfunctions.client import SFNClient

_FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:book"
_MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:book"
_SCHEMA = {"type": "object", "properties": {"room": {"type": "string"}}, "required": ["room"]}
_SENT = {
    "arguments": {"room": "Köln"},
    "idempotencyKey": "key-1",
    "companyId": "co",
    "userId": "u",
    "conversationId": "conv",
}
_QUICK = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.fixture
def lambda_client() -> "LambdaClient":
    return boto3.client("lambda", config=_QUICK)


@pytest.fixture
def states_client() -> "SFNClient":
    return boto3.client("stepfunctions", config=_QUICK)


@pytest.fixture
def function(lambda_client: "LambdaClient") -> Iterator[Stubber]:
    with Stubber(lambda_client) as stub:
        yield stub


@pytest.fixture
def tool(lambda_client: "LambdaClient", states_client: "SFNClient") -> Tool:
    return make_action_flow_tool(_define(), lambda_client=lambda_client, states_client=states_client)


def _define(arn: str = _FUNCTION, **more: Any) -> ActionFlowTool:
    return ActionFlowTool(name="book", description="Books a room.", **{"parameters": _SCHEMA, "arn": arn, **more})


def _respond(stub: Stubber, payload: bytes, **more: str) -> None:
    body = StreamingBody(io.BytesIO(payload), len(payload))
    expected = {"FunctionName": _FUNCTION, "InvocationType": "RequestResponse", "Payload": ANY}
    stub.add_response("invoke", {"StatusCode": 200, "Payload": body, **more}, expected)


def test_flow_is_a_write_unless_the_definition_says_otherwise(
    tool: Tool, lambda_client: "LambdaClient", states_client: "SFNClient"
) -> None:
    assert (tool.name, tool.type, tool.is_write, tool.timeout_seconds) == ("book", ToolType.ACTION_FLOW, True, 20.0)
    assert tool.parameters["required"] == ["room"]
    read = make_action_flow_tool(_define(is_write=False), lambda_client=lambda_client, states_client=states_client)
    assert not read.is_write


def test_function_is_told_the_arguments_and_for_whom(services: FakeTools, context: ToolContext) -> None:
    client = boto3.client("lambda", config=_QUICK, endpoint_url=services.url)
    services.answer_next(Scripted(body='"booked, Grüße"'.encode()))
    tool = make_action_flow_tool(_define(), lambda_client=client, states_client=boto3.client("stepfunctions"))
    assert tool.run({"room": "Köln"}, context) == ToolResult(text="booked, Grüße")
    (call,) = services.calls
    assert call.json() == _SENT
    assert call.headers["x-amz-invocation-type"] == "RequestResponse"
    assert "book/invocations" in call.path


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b'{"id": 7}', '{"id": 7}'),
        (b"null", "null"),
        (b"not JSON", "not JSON"),
        (b'"\\ud800"', "?"),
        (b"[" * 50_000, "[" * 50_000),
        (b"", ""),
    ],
)
def test_answer_of_a_function_is_told(
    tool: Tool, function: Stubber, context: ToolContext, payload: bytes, told: str
) -> None:
    _respond(function, payload)
    assert tool.run({"room": "Köln"}, context) == ToolResult(text=told)


def test_long_answer_of_a_function_is_told_in_part(tool: Tool, function: Stubber, context: ToolContext) -> None:
    _respond(function, b"x" * 5_000_000)
    result = tool.run({"room": "Köln"}, context)
    assert result.text.endswith("[The answer is longer: these are its first 256 kB.]")
    assert len(result.text) < 263_000


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (
            json.dumps({"errorType": "Full", "errorMessage": "no room", "stackTrace": ["in secret.py"]}).encode(),
            "The flow failed. Full: no room",
        ),
        (json.dumps({"errorMessage": "x" * 9_000}).encode(), "The flow failed. " + "x" * 1_983),
        (b"not JSON", "The flow failed."),
        (b"[]", "The flow failed."),
    ],
)
def test_failure_of_a_function_is_told_without_its_stack(
    tool: Tool, function: Stubber, context: ToolContext, payload: bytes, told: str
) -> None:
    _respond(function, payload, FunctionError="Unhandled")
    assert tool.run({"room": "Köln"}, context) == ToolResult(text=told, is_error=True)


def test_arguments_over_the_cap_are_not_sent(tool: Tool, function: Stubber, context: ToolContext) -> None:
    result = tool.run({"room": "x" * 300_000}, context)
    assert result.is_error
    assert "write less" in result.text
    function.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "RequestTooLargeException"])
def test_function_that_cannot_be_used_is_given_up(
    tool: Tool, function: Stubber, context: ToolContext, code: str
) -> None:
    function.add_client_error("invoke", code, "arn:aws:secret", http_status_code=400)
    with pytest.raises(PermanentError) as caught:
        tool.run({"room": "Köln"}, context)
    assert code in caught.value.message
    assert "secret" not in caught.value.message


def test_function_that_is_busy_may_be_tried_again(tool: Tool, function: Stubber, context: ToolContext) -> None:
    function.add_client_error("invoke", "TooManyRequestsException", http_status_code=429)
    with pytest.raises(RetryableError) as caught:
        tool.run({"room": "Köln"}, context)
    assert not caught.value.is_outcome_unknown


@pytest.mark.parametrize("is_write", [True, False])
def test_function_that_gives_no_answer_is_asked_once_and_its_outcome_told_as_unknown(
    services: FakeTools, context: ToolContext, *, is_write: bool
) -> None:
    client = boto3.client("lambda", config=_QUICK, endpoint_url=services.url)
    definition = _define(is_write=is_write)
    tool = make_action_flow_tool(definition, lambda_client=client, states_client=boto3.client("stepfunctions"))
    services.answer_next(Scripted(body=b"x" * 100, drip_seconds=2.0))
    started = time.monotonic()
    if is_write:
        result = tool.run({"room": "Köln"}, context)
        assert result.is_error
        assert "not known whether this took effect" in result.text
    else:
        with pytest.raises(RetryableError) as caught:
            tool.run({"room": "Köln"}, context)
        assert caught.value.is_outcome_unknown
    assert time.monotonic() - started < 5.0
    assert len(services.calls) == 1


def test_state_machine_runs_once_however_often_it_is_started(context: ToolContext) -> None:
    with mock_aws():
        states = boto3.client("stepfunctions")
        role = boto3.client("iam").create_role(RoleName="book", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
        arn = states.create_state_machine(name="book", definition=definition, roleArn=role)["stateMachineArn"]
        tool = make_action_flow_tool(_define(arn), lambda_client=boto3.client("lambda"), states_client=states)
        first = tool.run({"room": "Köln"}, context)
        again = tool.run({"room": "Köln"}, context)
        other = tool.run({"room": "Köln"}, replace(context, idempotency_key="key-2"))
        runs = states.list_executions(stateMachineArn=arn)["executions"]
        sent = [states.describe_execution(executionArn=run["executionArn"])["input"] for run in runs]
    assert first == again
    assert not first.is_error
    assert first != other
    assert sorted(run["name"] for run in runs) == sorted(text.rpartition(" ")[2] for text in (first.text, other.text))
    assert _SENT in [json.loads(each) for each in sent]


def test_run_that_an_earlier_try_started_is_referred_to(
    context: ToolContext, lambda_client: "LambdaClient", states_client: "SFNClient"
) -> None:
    tool = make_action_flow_tool(_define(_MACHINE), lambda_client=lambda_client, states_client=states_client)
    with Stubber(states_client) as stub:
        stub.add_client_error("start_execution", "ExecutionAlreadyExists", http_status_code=400)
        result = tool.run({"room": "Köln"}, context)
    assert not result.is_error
    assert "Reference: " in result.text
    assert "123456789012" not in result.text


def test_state_machine_that_is_not_there_is_given_up(
    context: ToolContext, lambda_client: "LambdaClient", states_client: "SFNClient"
) -> None:
    tool = make_action_flow_tool(_define(_MACHINE), lambda_client=lambda_client, states_client=states_client)
    with Stubber(states_client) as stub:
        stub.add_client_error("start_execution", "StateMachineDoesNotExist", http_status_code=400)
        with pytest.raises(PermanentError):
            tool.run({"room": "Köln"}, context)


def test_flow_with_a_schema_that_cannot_be_used_makes_no_tool(
    lambda_client: "LambdaClient", states_client: "SFNClient"
) -> None:
    definition = _define(parameters={"type": "object", "properties": {"a": {"$ref": "https://evil.example/"}}})
    with pytest.raises(PermanentError):
        make_action_flow_tool(definition, lambda_client=lambda_client, states_client=states_client)
