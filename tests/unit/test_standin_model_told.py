"""What the stand-in model does when it is told to, by a script or in a message."""

import threading
import time
from collections.abc import Iterator

import pytest
from openai import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    OpenAI,
    RateLimitError,
)
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from openai.types.responses import ResponseStreamEvent

from local.standin_model import Behaviour, StandInModel, ToolCall, Usage


@pytest.fixture
def model() -> Iterator[StandInModel]:
    with StandInModel() as running:
        yield running


@pytest.fixture
def client(model: StandInModel) -> Iterator[OpenAI]:
    with OpenAI(base_url=model.base_url, api_key="the-key", max_retries=0) as opened:
        yield opened


def _asked(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


def _deltas(events: list[ResponseStreamEvent]) -> list[str]:
    return [event.delta for event in events if event.type == "response.output_text.delta"]


def test_a_scripted_answer_comes_word_for_word_with_its_usage(client: OpenAI, model: StandInModel) -> None:
    usage = Usage(input_tokens=10, output_tokens=7, cached_tokens=4, reasoning_tokens=2)
    model.script(Behaviour(deltas=["a b", "", " c"], usage=usage))
    events = list(client.responses.create(model="any", input="Hello", stream=True))

    assert _deltas(events) == ["a b", "", " c"]
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.usage is not None
    assert last.response.usage.total_tokens == 17
    assert last.response.usage.input_tokens_details.cached_tokens == 4
    assert last.response.usage.output_tokens_details.reasoning_tokens == 2


def test_behaviours_are_used_one_per_request_in_their_order(client: OpenAI, model: StandInModel) -> None:
    model.script(Behaviour(text="one"), Behaviour(text="two"))
    answers = [client.responses.create(model="any", input="Hello").output_text for _ in range(3)]

    assert answers[:2] == ["one", "two"]
    assert "stand-in" in answers[2]


def test_a_behaviour_can_wait_for_the_message_it_is_meant_for(client: OpenAI, model: StandInModel) -> None:
    model.script(Behaviour(when="beta", text="for beta"), Behaviour(when="alpha", text="for alpha"))

    assert client.responses.create(model="any", input="alpha").output_text == "for alpha"
    assert client.responses.create(model="any", input="beta").output_text == "for beta"


def test_scripted_tool_calls_come_after_the_text_and_keep_their_ids(client: OpenAI, model: StandInModel) -> None:
    behaviour = Behaviour(
        text="Let me look.", tool_calls=[ToolCall("look", {"a": 1}, "c1"), ToolCall("look", "not JSON")]
    )
    model.script(behaviour, behaviour)
    response = client.responses.create(model="any", input="Hello")
    message = client.chat.completions.create(model="any", messages=_asked("Hello")).choices[0].message

    assert response.output_text == message.content == "Let me look."
    calls = [item for item in response.output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in calls] == [("look", '{"a":1}'), ("look", "not JSON")]
    assert calls[0].call_id == "c1"


def test_a_gate_holds_a_stream_after_so_many_deltas_until_it_opens(client: OpenAI, model: StandInModel) -> None:
    gate = threading.Event()
    model.script(Behaviour(deltas=["a", "b", "c"], gate=gate, hold_at=2))
    stream = client.responses.create(model="any", input="Hello", stream=True)

    assert [next(stream).type for _ in range(6)][-1] == "response.output_text.delta"
    held = model.wait_for(lambda requests: requests[-1].is_held)[-1]
    assert (held.deltas_sent, held.outcome) == (2, "open")
    gate.set()
    assert _deltas(list(stream)) == ["c"]
    assert (held.deltas_sent, held.outcome) == (3, "finished")


def test_a_client_that_goes_away_is_noticed_while_the_stream_is_held(client: OpenAI, model: StandInModel) -> None:
    model.script(Behaviour(deltas=["a", "b"], gate=threading.Event(), hold_at=1))
    stream = client.responses.create(model="any", input="Hello", stream=True)
    model.wait_for(lambda requests: requests[-1].is_held)
    stream.close()

    model.wait_for(lambda requests: requests[-1].outcome == "client_gone")


def test_leaving_the_block_ends_a_held_stream() -> None:
    with StandInModel() as model:
        client = OpenAI(base_url=model.base_url, api_key="any", max_retries=0)
        model.script(Behaviour(deltas=["a", "b"], gate=threading.Event(), hold_at=1))
        stream = client.responses.create(model="any", input="Hello", stream=True)
        model.wait_for(lambda requests: requests[-1].is_held)

    with client, pytest.raises(APIConnectionError):
        list(stream)


def test_requests_are_recorded_with_what_was_sent(client: OpenAI, model: StandInModel) -> None:
    client.chat.completions.create(model="gpt-x", messages=_asked("Hello"), temperature=0.5)

    (request,) = model.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer the-key"
    assert request.question == "Hello"
    assert request.body["temperature"] == 0.5
    model.clear()
    assert model.requests == []


def test_slow_and_delay_take_at_least_their_time(client: OpenAI) -> None:
    times = [
        time.monotonic()
        for event in client.responses.create(model="any", input="Hello [[slow 0.3]] [[delay 10]]", stream=True)
        if event.type in {"response.in_progress", "response.output_text.delta"}
    ]

    assert times[1] - times[0] >= 0.25
    assert times[-1] - times[1] >= 0.01 * (len(times) - 2) * 0.9


def test_a_slow_answer_runs_into_the_callers_timeout(client: OpenAI, model: StandInModel) -> None:
    with pytest.raises(APITimeoutError):
        client.with_options(timeout=0.2).responses.create(model="any", input="Hello [[slow 60]]")

    model.wait_for(lambda requests: requests[-1].outcome == "client_gone")


@pytest.mark.parametrize(
    ("directive", "error", "code"),
    [
        ("[[fail 500]]", InternalServerError, None),
        ("[[fail 503]]", InternalServerError, None),
        ("[[fail 401]]", AuthenticationError, "invalid_api_key"),
        ("[[fail 400 context_length_exceeded]]", BadRequestError, "context_length_exceeded"),
        ("[[fail 429 insufficient_quota]]", RateLimitError, "insufficient_quota"),
        ("[[rate-limit 3]]", RateLimitError, "rate_limit_exceeded"),
    ],
)
def test_a_told_failure_is_an_error_in_the_vendors_shape(
    client: OpenAI, model: StandInModel, directive: str, error: type[APIError], code: str | None
) -> None:
    with pytest.raises(error) as failed:
        client.responses.create(model="any", input=f"Hello {directive}", stream=True)

    assert failed.value.code == code
    assert "stand-in" in failed.value.message
    assert model.requests[-1].outcome == "refused"


def test_a_rate_limit_says_how_long_to_wait(client: OpenAI) -> None:
    with pytest.raises(RateLimitError) as limited:
        client.responses.create(model="any", input="Hello [[rate-limit 3]]")

    assert limited.value.response.headers["retry-after"] == "3"
    assert limited.value.request_id == "req_standin000001"


def test_a_limited_directive_ends_after_so_many_requests_with_the_same_message(client: OpenAI) -> None:
    for text in ("Hello [[fail 500 x2]]", "Another [[fail 500 x2]]"):
        for _ in range(2):
            with pytest.raises(InternalServerError):
                client.responses.create(model="any", input=text)
        assert "stand-in" in client.responses.create(model="any", input=text).output_text


def test_the_clients_own_retry_gets_past_a_single_failure(client: OpenAI, model: StandInModel) -> None:
    client.with_options(max_retries=1).responses.create(model="any", input="Hello [[fail 500 x1]]")

    assert [request.outcome for request in model.requests] == ["refused", "finished"]


@pytest.mark.parametrize(("after", "received"), [(0, []), (2, ["a", "b"]), (9, ["a", "b", "c"])])
def test_a_broken_stream_brings_the_deltas_before_the_break_and_no_end(
    client: OpenAI, model: StandInModel, after: int, received: list[str]
) -> None:
    model.script(*[Behaviour(deltas=["a", "b", "c"], break_after=after)] * 2)
    events: list[ResponseStreamEvent] = []
    chunks: list[ChatCompletionChunk] = []
    with pytest.raises(APIConnectionError):
        events.extend(client.responses.create(model="any", input="Hello", stream=True))
    with pytest.raises(APIConnectionError):
        chunks.extend(client.chat.completions.create(model="any", messages=_asked("Hello"), stream=True))

    assert _deltas(events) == received
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", *received]
    assert [(request.outcome, request.deltas_sent) for request in model.requests] == [("broken", len(received))] * 2


def test_a_message_can_break_its_stream_once(client: OpenAI) -> None:
    text = "Hello [[break 4 x1]]"
    with pytest.raises(APIConnectionError):
        list(client.responses.create(model="any", input=text, stream=True))

    assert list(client.responses.create(model="any", input=text, stream=True))[-1].type == "response.completed"


@pytest.mark.parametrize("is_streaming", [False, True])
def test_a_connection_can_be_closed_without_a_word(client: OpenAI, is_streaming: bool) -> None:
    with pytest.raises(APIConnectionError):
        client.responses.create(model="any", input="Hello [[hang-up]]", stream=is_streaming)


def test_a_stream_can_fail_in_the_middle(client: OpenAI) -> None:
    events = list(client.responses.create(model="any", input="Hello [[fail-after 2]]", stream=True))
    with pytest.raises(APIError, match="in the middle") as failed:
        list(client.chat.completions.create(model="any", messages=_asked("Hello [[fail-after 2]]"), stream=True))

    last = events[-1]
    assert len(_deltas(events)) == 2
    assert last.type == "response.failed"
    assert last.response.status == "failed"
    assert last.response.error is not None
    assert last.response.error.code == failed.value.code == "server_error"


def test_a_refusal_comes_as_a_refusal(client: OpenAI) -> None:
    with client.responses.stream(model="any", input="Hello [[refuse]]") as stream:
        kinds = {event.type for event in stream}
        part = stream.get_final_response().output[0]
    with client.chat.completions.stream(model="any", messages=_asked("Hello [[refuse]]")) as chat_stream:
        message = chat_stream.get_final_completion().choices[0].message

    assert {"response.refusal.delta", "response.refusal.done"} <= kinds
    assert part.type == "message"
    assert part.content[0].type == "refusal"
    assert part.content[0].refusal == message.refusal
    assert message.content is None or message.content == ""


@pytest.mark.parametrize(
    ("directive", "finish", "reason"),
    [("truncate", "length", "max_output_tokens"), ("filter", "content_filter", "content_filter")],
)
def test_an_answer_can_be_cut_off(client: OpenAI, directive: str, finish: str, reason: str) -> None:
    text = f"Hello [[{directive}]]"
    chat = client.chat.completions.create(model="any", messages=_asked(text))
    events = list(client.responses.create(model="any", input=text, stream=True))

    last = events[-1]
    assert chat.choices[0].finish_reason == finish
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == reason
    assert last.response.output[0].type == "message"
    assert last.response.output[0].status == "incomplete"
    assert last.response.output_text == chat.choices[0].message.content == "".join(_deltas(events))
    assert "of this conversation" not in last.response.output_text


def test_brackets_that_are_no_directive_are_ordinary_text(client: OpenAI) -> None:
    for text in ("[[fail banana]]", "[[fail 200]]", "[[wiki]]", "[[slow]]", "[[refuse me]]"):
        assert text in client.responses.create(model="any", input=text).output_text


def test_help_lists_the_directives(client: OpenAI) -> None:
    assert "[[rate-limit 3]]" in client.responses.create(model="any", input="[[help]]").output_text
