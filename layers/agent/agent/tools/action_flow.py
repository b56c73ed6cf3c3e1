"""ACTION_FLOW: a company's own flows. A Lambda function gives its answer, a state machine is started.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html and
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from agent.tools import Tool, ToolContext, ToolResult
from agent.tools.answers import OUTCOME_UNKNOWN, make_text
from agent.tools.schema import check_schema, make_self_contained
from core.configuration import ActionFlowTool
from core.errors import PermanentError, RetryableError
from core.models import ToolType

if TYPE_CHECKING:
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_stepfunctions.client import SFNClient

_MAX_PAYLOAD_BYTES = 256 * 1024  # the limit of an execution's input; a function takes more, and needs no more
_MAX_ANSWER_BYTES = 256 * 1024  # that a model reads
_MAX_ERROR_LENGTH = 2_000  # characters
# What AWS answers as long as nobody changes the flow, its permissions or the settings.
_REFUSALS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "InvalidArn",
        "InvalidExecutionInput",
        "InvalidName",
        "InvalidParameterValueException",
        "InvalidRequestContentException",
        "KMSAccessDeniedException",
        "RequestTooLargeException",
        "ResourceNotFoundException",
        "StateMachineDeleting",
        "StateMachineDoesNotExist",
        "ValidationException",
    }
)


def make_action_flow_tool(
    definition: ActionFlowTool, *, lambda_client: "LambdaClient", states_client: "SFNClient"
) -> Tool:
    """The tool of one flow.

    Args:
        definition: What the settings say.
        lambda_client: Must not retry by itself: a call that timed out may be running still.
        states_client: May retry: a run is started once, however often it is asked for.

    Raises:
        PermanentError: The schema of the arguments is not usable.
    """
    check_schema(definition.parameters)
    if ":states:" in definition.arn:
        return _ActionFlow(definition, lambda payload, key: _start(states_client, definition, payload, key))
    return _ActionFlow(definition, lambda payload, _: _invoke(lambda_client, definition, payload))


class _ActionFlow:
    type = ToolType.ACTION_FLOW

    def __init__(self, definition: ActionFlowTool, ask: Callable[[bytes, str], ToolResult]) -> None:
        self.name = definition.name
        self.description = definition.description
        self.parameters = make_self_contained(definition.parameters)
        self.is_write = definition.is_write
        self.timeout_seconds = definition.timeout_seconds
        self._ask = ask

    def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Ask the flow. Raises as `Tool.run` does."""
        payload = {
            "arguments": dict(arguments),
            "idempotencyKey": context.idempotency_key,
            "companyId": context.company_id,
            "userId": context.user_id,
            "conversationId": context.conversation_id,
        }
        body = json.dumps(payload, ensure_ascii=False).encode()
        if len(body) > _MAX_PAYLOAD_BYTES:
            return ToolResult(text=f"The arguments are over {_MAX_PAYLOAD_BYTES} bytes: write less.", is_error=True)
        try:
            return self._ask_flow(body, context.idempotency_key)
        except RetryableError as exc:
            if self.is_write and exc.is_outcome_unknown:
                return ToolResult(text=f"{exc.message}. {OUTCOME_UNKNOWN}", is_error=True)
            raise

    def _ask_flow(self, body: bytes, key: str) -> ToolResult:
        try:
            return self._ask(body, key)
        except ClientError as exc:
            raise _translate(exc, self.name) from exc
        except (ConnectTimeoutError, EndpointConnectionError) as exc:
            raise RetryableError("flow-unreachable", f"no connection to the flow {self.name}") from exc
        except BotoCoreError as exc:
            message = f"the flow {self.name} gave no answer"
            raise RetryableError("flow-no-answer", message, is_outcome_unknown=True) from exc


def _invoke(client: "LambdaClient", definition: ActionFlowTool, payload: bytes) -> ToolResult:
    answer = client.invoke(FunctionName=definition.arn, InvocationType="RequestResponse", Payload=payload)
    with closing(answer["Payload"]) as body:
        content = body.read(_MAX_ANSWER_BYTES + 1)
    if answer.get("FunctionError"):
        return ToolResult(text=_describe_failure(content), is_error=True)
    text = content[:_MAX_ANSWER_BYTES].decode(errors="replace")
    if len(content) > _MAX_ANSWER_BYTES:
        return ToolResult(text=f"{text}\n[The answer is longer: these are its first {_MAX_ANSWER_BYTES // 1024} kB.]")
    return ToolResult(text=_unwrap(text))


def _describe_failure(content: bytes) -> str:
    """What the function says of its failure, without the stack that it sends along."""
    try:
        error = json.loads(content)
    except (ValueError, RecursionError):
        error = None
    if not isinstance(error, dict):
        return "The flow failed."
    said = ": ".join(str(error[word]) for word in ("errorType", "errorMessage") if error.get(word))
    return make_text(f"The flow failed. {said}".strip()[:_MAX_ERROR_LENGTH])


def _unwrap(text: str) -> str:
    """A function that answers with a text sends it as a JSON string: the text itself. All else as it came."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return make_text(value) if isinstance(value, str) else text


def _start(client: "SFNClient", definition: ActionFlowTool, payload: bytes, key: str) -> ToolResult:
    """Start a run whose name is made from the key: AWS takes a name once (for an express state machine it does not)."""
    name = hashlib.sha256(key.encode()).hexdigest()[:40]
    with suppress(client.exceptions.ExecutionAlreadyExists):  # started by an earlier try of this call
        client.start_execution(stateMachineArn=definition.arn, name=name, input=payload.decode())
    return ToolResult(text=f"The run is started and goes on by itself; it gives no answer here. Reference: {name}")


def _translate(error: ClientError, name: str) -> PermanentError | RetryableError:
    code = error.response["Error"]["Code"]
    if code in _REFUSALS:
        return PermanentError("flow-refused", f"the flow {name} cannot be used: {code}")
    is_unknown = error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500
    return RetryableError("flow-unavailable", f"the flow {name} answered {code}", is_outcome_unknown=is_unknown)
