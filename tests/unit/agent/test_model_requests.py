"""The dialect of each kind of server, told from its address, and tools and schemas as each API wants them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent.model import OpenAIModel
from agent.model_requests import Dialect
from agent.model_values import ModelImage, ModelMessage, ModelRequest, ModelTool
from agent.tools import ToolCall
from core.errors import PermanentError
from core.models import ApiKind, Role
from tests.unit.agent.model_server import ModelServer, Scripted, ask, chat_events, error, responses_events

LOOSE: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
STRICT = LOOSE | {"required": ["city"], "additionalProperties": False}
OPENAI, LOCAL = "https://api.openai.com/v1", "http://localhost:11434/v1"

both_apis = pytest.mark.parametrize(
    ("api_kind", "events"), [(ApiKind.CHAT, chat_events), (ApiKind.RESPONSES, responses_events)]
)


@pytest.mark.parametrize(
    ("base_url", "chat_limit", "person", "is_cache_key_sent"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens", "safety_identifier", True),
        ("https://eu.api.openai.com/v1", "max_completion_tokens", "safety_identifier", True),
        ("https://ours.openai.azure.com/openai/v1/", "max_completion_tokens", "user", True),
        ("https://ours.openai.azure.us/openai/v1/", "max_completion_tokens", "user", True),
        ("http://localhost:11434/v1", "max_tokens", "user", False),
        ("https://openai.com.example.org/v1", "max_tokens", "user", False),
        ("https://notopenai.com/v1", "max_tokens", "user", False),
    ],
)
def test_each_server_is_spoken_to_in_its_own_words(
    base_url: str, chat_limit: str, person: str, is_cache_key_sent: bool
) -> None:
    chat = Dialect(base_url).write(ask(ApiKind.CHAT))
    responses = Dialect(base_url).write(ask(ApiKind.RESPONSES))
    shared = {"model", "stream", person} | ({"prompt_cache_key"} if is_cache_key_sent else set())
    assert chat.keys() == shared | {"messages", "stream_options", chat_limit}
    assert responses.keys() == shared | {"input", "max_output_tokens", "store"}
    assert chat[person] == responses[person] == "opaque-person"
    assert chat[chat_limit] == responses["max_output_tokens"] == 500


def test_a_tool_is_offered_in_the_form_of_each_api() -> None:
    tools = (
        ModelTool(name="weather", description="The weather.", parameters=STRICT),
        ModelTool(name="search", description="Finds.", parameters=LOOSE),
    )
    weather = {"name": "weather", "description": "The weather.", "parameters": STRICT, "strict": True}
    search = {"name": "search", "description": "Finds.", "parameters": LOOSE}
    assert Dialect(OPENAI).write(replace(ask(ApiKind.RESPONSES), tools=tools))["tools"] == [
        {"type": "function", **weather},
        {"type": "function", **search, "strict": False},
    ]
    assert Dialect(OPENAI).write(replace(ask(ApiKind.CHAT), tools=tools))["tools"] == [
        {"type": "function", "function": weather},
        {"type": "function", "function": search},
    ]


@pytest.mark.parametrize(("schema", "is_strict"), [(STRICT, True), (LOOSE, False)])
def test_a_schema_for_the_answer_is_sent_in_the_form_of_each_api(schema: dict[str, Any], is_strict: bool) -> None:
    named = {"name": "answer", "schema": schema, "strict": is_strict}
    responses = Dialect(OPENAI).write(replace(ask(ApiKind.RESPONSES), output_schema=schema))
    assert responses["text"] == {"format": {"type": "json_schema", **named}}
    chat = Dialect(OPENAI).write(replace(ask(ApiKind.CHAT), output_schema=schema))
    assert chat["response_format"] == {"type": "json_schema", "json_schema": named}


def test_pictures_are_sent_in_the_form_of_each_api() -> None:
    image = ModelImage(url="s3://ours/x", media_type="image/png", encoded="iVBORw0K")
    seeing = (ModelMessage(Role.USER, "What is this?", images=(image,)),)
    url = "data:image/png;base64,iVBORw0K"
    responses = Dialect(OPENAI).write(replace(ask(ApiKind.RESPONSES), messages=seeing))
    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": url}]
    assert responses["input"] == [{"role": "user", "content": parts}]
    chat = Dialect(OPENAI).write(replace(ask(ApiKind.CHAT), messages=seeing))
    pieces = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    assert chat["messages"] == [{"role": "user", "content": pieces}]
    assert "iVBORw0K" not in repr(seeing)


def test_calls_and_their_results_are_sent_back_in_the_form_of_each_api() -> None:
    calls = tuple(ToolCall(call_id=f"call_{n}", name="weather", arguments=f'{{"city": "{n}"}}') for n in "ab")
    messages = (
        ModelMessage(Role.USER, "Where is it warmer?"),
        ModelMessage(Role.ASSISTANT, "I look.", calls=calls),
        ModelMessage(Role.SYSTEM, "12", call_id="call_a"),
        ModelMessage(Role.SYSTEM, "", call_id="call_b"),
    )
    assert Dialect(OPENAI).write(replace(ask(ApiKind.RESPONSES), messages=messages))["input"] == [
        {"role": "user", "content": "Where is it warmer?"},
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "call_a", "name": "weather", "arguments": '{"city": "a"}'},
        {"type": "function_call", "call_id": "call_b", "name": "weather", "arguments": '{"city": "b"}'},
        {"type": "function_call_output", "call_id": "call_a", "output": "12"},
        {"type": "function_call_output", "call_id": "call_b", "output": ""},
    ]
    assert Dialect(OPENAI).write(replace(ask(ApiKind.CHAT), messages=messages))["messages"] == [
        {"role": "user", "content": "Where is it warmer?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {
                    "id": f"call_{n}",
                    "type": "function",
                    "function": {"name": "weather", "arguments": f'{{"city": "{n}"}}'},
                }
                for n in "ab"
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "12"},
        {"role": "tool", "tool_call_id": "call_b", "content": ""},
    ]


def test_an_assistant_that_only_called_says_nothing() -> None:
    call = ToolCall(call_id="a", name="clock", arguments="{}")
    request = replace(ask(ApiKind.RESPONSES), messages=(ModelMessage(Role.ASSISTANT, "", calls=(call,)),))
    assert Dialect(OPENAI).write(request)["input"] == [
        {"type": "function_call", "call_id": "a", "name": "clock", "arguments": "{}"}
    ]
    (message,) = _messages(replace(request, api_kind=ApiKind.CHAT))
    assert message["content"] == ""


@pytest.mark.parametrize("arguments", ["", "not json", '{"city": "Be', "[1]", "[" * 100_000], ids=range(5))
def test_arguments_that_a_server_would_refuse_are_not_sent_back(arguments: str) -> None:
    call = ToolCall(call_id="a", name="clock", arguments=arguments)
    request = replace(ask(ApiKind.CHAT), messages=(ModelMessage(Role.ASSISTANT, "", calls=(call,)),))
    assert _messages(request)[0]["tool_calls"][0]["function"]["arguments"] == "{}"


def _messages(request: ModelRequest) -> Any:
    return Dialect(LOCAL).write(request)["messages"]


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels - 1):
        schema = _object(a=schema)
    return schema


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        _object(),
        _object(a=TEXT, b={"type": ["integer", "null"], "description": "How many."}),
        _object(a={"type": "array", "items": _object(b={"enum": ["x", "y"]})}),
        _object(a={"anyOf": [TEXT, _object(b={"const": 1})]}),
        _object(a={"$ref": "#/$defs/node"}) | {"$defs": {"node": _object(next={"$ref": "#"})}, "title": "Tree"},
        _nested(5),
        _object(**{f"p{n}": TEXT for n in range(100)}),
    ],
    ids=range(7),
)
def test_a_schema_that_fits_is_enforced(schema: dict[str, Any]) -> None:
    assert _is_enforced(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        TEXT,
        {"type": ["object", "null"]},
        {"type": "object"},
        {"type": "object", "properties": {}, "additionalProperties": True},
        _object(a=TEXT) | {"required": []},
        _object(a=TEXT) | {"required": ["a", "a"]},
        _object(a=TEXT) | {"required": ["b"]},
        _object(a=TEXT) | {"required": "a"},
        _object(a=TEXT) | {"anyOf": [_object()]},
        _object(a=TEXT) | {"properties": [TEXT]},
        _object(a={"type": "object"}),
        _object(a={"type": "array"}),
        _object(a={"type": "array", "items": {"type": "object"}}),
        _object(a={}),
        _object(a=True),  # type: ignore[arg-type]  # a schema may be a truth value
        _object(a={"type": "text"}),
        _object(a=TEXT | {"minLength": 1}),
        _object(a=TEXT | {"default": "x"}),
        _object(a=TEXT | {"nullable": True}),
        _object(a={"allOf": [TEXT]}),
        _object(a={"oneOf": [TEXT]}),
        _object(a={"anyOf": TEXT}),
        _object(a={"anyOf": [TEXT, {"type": "object"}]}),
        _object(a={"enum": [str(n) for n in range(501)]}),
        _object(a={"$ref": "#/$defs/x", "description": "x"}) | {"$defs": {"x": TEXT}},
        _object(a={"$ref": "https://example.com/x.json"}),
        _object() | {"$defs": {"x": {"type": "object"}}},
        _nested(6),
        _object(**{f"p{n}": TEXT for n in range(101)}),
    ],
    ids=range(30),
)
def test_a_schema_that_strict_mode_would_refuse_is_a_hint(schema: dict[str, Any]) -> None:
    assert not _is_enforced(schema)


def _is_enforced(schema: dict[str, Any]) -> bool:
    tool = ModelTool(name="weather", description="The weather.", parameters=schema)
    body: Any = Dialect(OPENAI).write(replace(ask(ApiKind.RESPONSES), tools=(tool,), output_schema=schema))
    assert body["tools"][0]["strict"] is body["text"]["format"]["strict"]
    return bool(body["tools"][0]["strict"])


@both_apis
@pytest.mark.parametrize("code", ["unsupported_parameter", "unsupported_value"])
def test_a_temperature_that_a_model_refuses_is_left_out_for_that_model_only(
    api_kind: ApiKind, events: Callable[..., bytes], code: str
) -> None:
    answers = [error(400, code=code, param="temperature"), *(Scripted(pieces=[events("one")]) for _ in range(3))]
    with ModelServer(*answers) as server:
        model = OpenAIModel(api_key=lambda: "sk", base_url=server.base_url)
        request = replace(ask(api_kind), temperature=0.2)
        for name in ("thinker", "thinker", "talker"):
            list(model.stream(replace(request, model=name), seconds=20))
        model.close()
    sent = [(asked.body["model"], asked.body.get("temperature")) for asked in server.asked]
    assert sent == [("thinker", 0.2), ("thinker", None), ("thinker", None), ("talker", 0.2)]


@both_apis
@pytest.mark.parametrize("param", ["tools", "text", "response_format", "tools[0].strict"])
def test_nothing_that_an_answer_needs_is_left_out(api_kind: ApiKind, events: Callable[..., bytes], param: str) -> None:
    tool = ModelTool(name="weather", description="The weather.", parameters=STRICT)
    request = replace(ask(api_kind), tools=(tool,), output_schema=STRICT)
    with ModelServer(error(400, code="unsupported_parameter", param=param), Scripted(pieces=[events("one")])) as server:
        model = OpenAIModel(api_key=lambda: "sk", base_url=server.base_url)
        with pytest.raises(PermanentError) as caught:
            list(model.stream(request, seconds=20))
        model.close()
    assert caught.value.code == "model-request"
