"""The stand-in model's answers, read by the real openai package over real HTTP."""

import json
from collections.abc import Iterator
from datetime import date
from enum import Enum
from typing import Annotated, Literal

import pytest
from openai import BadRequestError, OpenAI, pydantic_function_tool
from openai.types.chat import ChatCompletionChunk, ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from openai.types.responses import FunctionToolParam, ResponseInputParam, ResponseStreamEvent
from pydantic import BaseModel, Field, TypeAdapter

from local.standin_model import StandInModel

_WEATHER: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_CHAT_TOOL: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": _WEATHER},
}
_TOOL: FunctionToolParam = {"type": "function", "name": "get_weather", "parameters": _WEATHER, "strict": False}


@pytest.fixture
def model() -> Iterator[StandInModel]:
    with StandInModel() as running:
        yield running


@pytest.fixture
def client(model: StandInModel) -> Iterator[OpenAI]:
    with OpenAI(base_url=model.base_url, api_key="any", max_retries=0) as opened:
        yield opened


def _asked(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def _chat_text(client: OpenAI, text: str) -> str:
    return client.chat.completions.create(model="any", messages=_asked(text)).choices[0].message.content or ""


def test_every_answer_says_it_comes_from_a_stand_in_and_repeats_the_question(client: OpenAI) -> None:
    chat = _chat_text(client, "What is a lease?")
    responses = client.responses.create(model="any", input="What is a lease?").output_text

    assert chat == responses
    assert "stand-in model" in chat
    assert "> What is a lease?" in chat


def test_the_same_question_gets_the_same_answer_from_another_server(client: OpenAI) -> None:
    with StandInModel() as other, OpenAI(base_url=other.base_url, api_key="any") as other_client:
        first = client.responses.create(model="any", input="Hello")
        second = other_client.responses.create(model="any", input="Hello")

    assert first.output == second.output
    assert (
        (first.id, first._request_id) == (second.id, second._request_id) == ("resp_standin000001", "req_standin000001")
    )


def test_a_long_question_is_repeated_only_in_part(client: OpenAI) -> None:
    assert len(_chat_text(client, "very " * 10_000)) < 600


def test_the_answer_counts_the_earlier_messages_it_was_given(client: OpenAI) -> None:
    history: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
        {"role": "user", "content": [{"type": "text", "text": "Three"}]},
    ]
    chat = client.chat.completions.create(model="any", messages=history)
    responses = client.responses.create(
        model="any",
        instructions="Be brief.",
        input=[
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "Two"},
            {"role": "user", "content": [{"type": "input_text", "text": "Three"}]},
        ],
    )

    assert "2 earlier messages" in (chat.choices[0].message.content or "")
    assert responses.output_text == chat.choices[0].message.content


def test_a_streamed_chat_answer_is_the_whole_answer_in_pieces_and_ends_with_its_usage(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="any", messages=_asked("Hello"))
    chunks = list(
        client.chat.completions.create(
            model="any", messages=_asked("Hello"), stream=True, stream_options={"include_usage": True}
        )
    )

    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1]]
    assert len(pieces) > 10
    assert "".join(pieces) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_chat_stream_has_no_usage_unless_it_is_asked_for(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="any", messages=_asked("Hello"), stream=True))

    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_a_streamed_response_brings_the_vendors_events_in_order(client: OpenAI) -> None:
    events = list(client.responses.create(model="any", input="Hello", stream=True))

    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == "".join(
        event.delta for event in events if event.type == "response.output_text.delta"
    )
    assert last.response.usage is not None


@pytest.mark.parametrize(
    "text", ["Hello", "call get_weather", "Hello [[refuse]]", "Hello [[truncate]]", "Hello [[fail-after 3]]"]
)
def test_every_streamed_event_is_complete_by_the_vendors_own_types(client: OpenAI, text: str) -> None:
    kinds: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
    with client.responses.with_streaming_response.create(model="any", input=text, stream=True, tools=[_TOOL]) as raw:
        lines = list(raw.iter_lines())
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]

    assert [kinds.validate_python(each).type for each in data] == [
        line.removeprefix("event: ") for line in lines if line.startswith("event: ")
    ]


def test_every_chat_chunk_is_complete_by_the_vendors_own_types_and_done_ends_them(client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(
        model="any", messages=_asked("call get_weather"), stream=True, tools=[_CHAT_TOOL]
    ) as raw:
        lines = [line for line in raw.iter_lines() if line]

    assert lines[-1] == "data: [DONE]"
    for line in lines[:-1]:
        ChatCompletionChunk.model_validate_json(line.removeprefix("data: "), strict=True)


def test_the_helpers_of_the_package_read_both_streams(client: OpenAI) -> None:
    with client.responses.stream(model="any", input="Hello") as stream:
        response = stream.get_final_response()
    with client.chat.completions.stream(model="any", messages=_asked("Hello")) as chat_stream:
        completion = chat_stream.get_final_completion()

    assert response.output_text == completion.choices[0].message.content != ""


def test_lines_that_call_offered_tools_become_tool_calls(client: OpenAI) -> None:
    text = 'Please:\ncall get_weather {"city": "Bern"}\ncall get_weather {"city": "Zürich"}\ncall me later'
    chat = client.chat.completions.create(model="any", messages=_asked(text), tools=[_CHAT_TOOL])
    response = client.responses.create(model="any", input=text, tools=[_TOOL])

    message = chat.choices[0].message
    assert chat.choices[0].finish_reason == "tool_calls"
    assert message.content is None
    called = [call.function.arguments for call in message.tool_calls or [] if call.type == "function"]
    assert [json.loads(arguments) for arguments in called] == [{"city": "Bern"}, {"city": "Zürich"}]
    assert called == [item.arguments for item in response.output if item.type == "function_call"]
    assert len({item.call_id for item in response.output if item.type == "function_call"}) == 2


def test_streamed_tool_calls_add_up_to_their_arguments(client: OpenAI) -> None:
    text = 'call get_weather {"city": "Llanfairpwllgwyngyll"}\ncall get_weather {"city": "Å"}'
    with client.chat.completions.stream(model="any", messages=_asked(text), tools=[_CHAT_TOOL]) as chat_stream:
        calls = chat_stream.get_final_completion().choices[0].message.tool_calls or []
    events = list(client.responses.create(model="any", input=text, tools=[_TOOL], stream=True))

    assert [call.function.arguments for call in calls] == ['{"city": "Llanfairpwllgwyngyll"}', '{"city": "Å"}']
    for index, call in enumerate(calls):
        deltas = [e for e in events if e.type == "response.function_call_arguments.delta" and e.output_index == index]
        assert "".join(event.delta for event in deltas) == call.function.arguments
    assert sum(event.type == "response.function_call_arguments.delta" for event in events) > 2


def test_tool_results_are_quoted_in_the_answer(client: OpenAI) -> None:
    question = 'call get_weather {"city": "Bern"}'
    first = client.responses.create(model="any", input=question, tools=[_TOOL])
    call = first.output[0]
    assert call.type == "function_call"
    conversation: ResponseInputParam = [
        {"role": "user", "content": question},
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": '{"celsius": 21}'},
    ]
    second = client.responses.create(model="any", input=conversation, tools=[_TOOL])

    chat = client.chat.completions.create(
        model="any",
        tools=[_CHAT_TOOL],
        messages=[
            {"role": "user", "content": question},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": '{"celsius": 21}'},
        ],
    )

    assert '`get_weather`: {"celsius": 21}' in second.output_text
    assert chat.choices[0].message.content == second.output_text


def test_without_parallel_tool_calls_they_come_one_after_the_other(client: OpenAI) -> None:
    question = 'call get_weather {"city": "A"}\ncall get_weather {"city": "B"}'
    conversation: ResponseInputParam = [{"role": "user", "content": question}]
    arguments: list[str] = []
    while len(arguments) < 3:
        response = client.responses.create(model="any", input=conversation, tools=[_TOOL], parallel_tool_calls=False)
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            break
        assert len(calls) == 1
        arguments.append(calls[0].arguments)
        conversation.append(
            {"type": "function_call", "call_id": calls[0].call_id, "name": "get_weather", "arguments": arguments[-1]}
        )
        conversation.append({"type": "function_call_output", "call_id": calls[0].call_id, "output": "fine"})

    assert arguments == ['{"city": "A"}', '{"city": "B"}']


def test_a_required_tool_is_called_with_arguments_that_fit_its_schema(client: OpenAI) -> None:
    class Booking(BaseModel):
        """Book a room."""

        room: Annotated[int, Field(ge=3)]

    completion = client.chat.completions.parse(
        model="any", messages=_asked("Hello"), tools=[pydantic_function_tool(Booking)], tool_choice="required"
    )

    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.parsed_arguments == Booking(room=3)


def test_a_tool_that_was_not_offered_is_not_called_and_the_answer_says_so(client: OpenAI) -> None:
    assert "`get_weather`: no such tool was offered" in _chat_text(client, 'call get_weather {"city": "Bern"}')


def test_a_tool_call_without_a_result_is_refused_as_the_vendor_does(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="No tool result found for c1"):
        client.responses.create(
            model="any",
            input=[
                {"role": "user", "content": "Hello"},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            ],
        )


class _Colour(Enum):
    RED = "red"
    BLUE = "blue"


class _Leaf(BaseModel):
    kind: Literal["leaf"]
    weight: Annotated[float, Field(gt=0, lt=0.5)]


class _Branch(BaseModel):
    kind: Literal["branch"]
    children: Annotated[list["_Branch | _Leaf"], Field(min_length=2)]
    parent: "_Branch | None"


class _Everything(BaseModel):
    colour: _Colour
    colours: Annotated[list[_Colour], Field(min_length=2)]
    distinct: Annotated[set[str], Field(min_length=3)]
    tree: _Branch
    nothing: None
    maybe: int | None
    count: Annotated[int, Field(gt=10, multiple_of=7)]
    below: Annotated[int, Field(lt=-5)]
    share: Annotated[float, Field(ge=0.25, le=0.75)]
    is_on: bool
    born: date
    mail: str = Field(json_schema_extra={"format": "email"}, pattern=r"^\S+@\S+\.\S+$")
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    digits: Annotated[str, Field(pattern=r"^\d{4,}$", min_length=6)]
    long: Annotated[str, Field(min_length=50, max_length=60)]
    short: Annotated[str, Field(max_length=3)]
    pair: tuple[int, str]


def test_a_json_schema_is_filled_with_a_valid_instance(client: OpenAI) -> None:
    chat = client.chat.completions.parse(model="any", messages=_asked("Hello"), response_format=_Everything)
    response = client.responses.parse(model="any", input="Hello", text_format=_Everything)

    assert isinstance(chat.choices[0].message.parsed, _Everything)
    assert chat.choices[0].message.parsed == response.output_parsed


def test_a_json_schema_is_filled_while_streaming_too(client: OpenAI) -> None:
    with client.responses.stream(model="any", input="Hello", text_format=_Everything) as stream:
        response = stream.get_final_response()

    assert (
        response.output_parsed == client.responses.parse(model="any", input="x", text_format=_Everything).output_parsed
    )


def test_a_schema_without_a_finite_instance_is_refused(client: OpenAI) -> None:
    endless: dict[str, object] = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(
            model="any", input="Hello", text={"format": {"type": "json_schema", "name": "endless", "schema": endless}}
        )

    assert refused.value.code == "invalid_json_schema"


def test_json_mode_answers_with_an_object(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model="any", messages=_asked("Hello"), response_format={"type": "json_object"}
    )

    assert json.loads(completion.choices[0].message.content or "") == {"model": "stand-in", "asked": "Hello"}


def test_a_long_answer_has_exactly_as_many_words_as_asked_for(client: OpenAI) -> None:
    text = _chat_text(client, "Please write 1003 words about leases")

    body = text.split("## 1003 words", 1)[1]
    assert len([word for word in body.split() if word not in {"-", "```"}]) == 1003
    assert "```" in body
    assert "Sentence 125 of this text" in body


def test_tokens_are_counted_by_rule_and_a_known_prefix_is_cached(client: OpenAI) -> None:
    history = "x" * 8_000
    first = client.responses.create(model="any", instructions=history, input="One").usage
    second = client.responses.create(model="any", instructions=history, input="Two").usage
    short = client.responses.create(model="any", instructions=history[:4_000], input="Two").usage
    assert first is not None
    assert second is not None
    assert short is not None

    assert first.input_tokens == second.input_tokens == 2_005
    assert first.total_tokens == first.input_tokens + first.output_tokens
    assert first.input_tokens_details.cached_tokens == 0
    assert second.input_tokens_details.cached_tokens == 15 * 128
    assert short.input_tokens_details.cached_tokens == 0


def test_reasoning_costs_output_tokens(client: OpenAI) -> None:
    plain = client.responses.create(model="any", input="Hello").usage
    thought = client.responses.create(model="any", input="Hello", reasoning={"effort": "high"}).usage
    assert plain is not None
    assert thought is not None

    assert thought.output_tokens_details.reasoning_tokens == 256
    assert thought.output_tokens == plain.output_tokens + 256


def test_a_token_limit_cuts_the_answer_off(client: OpenAI) -> None:
    chat = client.chat.completions.create(model="any", messages=_asked("Hello"), max_completion_tokens=5)
    response = client.responses.create(model="any", input="Hello", max_output_tokens=5)

    assert chat.choices[0].finish_reason == "length"
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert response.usage.output_tokens == 5
    assert response.output_text == chat.choices[0].message.content
