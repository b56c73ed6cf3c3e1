"""What the stand-in model does when it is told to, by a script or in a message, and with requests that are wrong."""

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from openai import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)
from openai.types.chat import ChatCompletionMessageParam
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


def _post(model: StandInModel, path: str, body: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    """Status, headers and JSON body of the answer to bytes that no client package would send."""
    connection = http.client.HTTPConnection(urlsplit(model.base_url).netloc, timeout=10)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, json.load(response)
    finally:
        connection.close()


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


def test_leaving_the_block_ends_a_held_stream(model: StandInModel) -> None:
    with StandInModel() as other, OpenAI(base_url=other.base_url, api_key="any", max_retries=0) as client:
        other.script(Behaviour(deltas=["a", "b"], gate=threading.Event(), hold_at=1))
        stream = client.responses.create(model="any", input="Hello", stream=True)
        other.wait_for(lambda requests: requests[-1].is_held)
        other.__exit__(None, None, None)

        with pytest.raises(APIConnectionError):
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


def test_slow_and_delay_take_at_least_their_time_and_nothing_else_waits(client: OpenAI) -> None:
    started = time.monotonic()
    list(client.responses.create(model="any", input="Hello", stream=True))
    undirected = time.monotonic() - started
    times = [
        time.monotonic()
        for event in client.responses.create(model="any", input="Hello [[slow 0.3]] [[delay 20]]", stream=True)
        if event.type in {"response.in_progress", "response.output_text.delta"}
    ]

    assert undirected < 0.3
    assert times[1] - times[0] >= 0.25
    assert times[-1] - times[1] >= 0.02 * (len(times) - 2) * 0.9


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


@pytest.mark.parametrize("deltas", [0, 4, 10_000])
def test_a_broken_stream_ends_without_its_end(client: OpenAI, model: StandInModel, deltas: int) -> None:
    stream = client.responses.create(model="any", input=f"Hello [[break {deltas}]]", stream=True)
    events: list[ResponseStreamEvent] = []
    with pytest.raises(APIConnectionError):
        events.extend(stream)

    complete = client.responses.create(model="any", input=f"Hello [[break {deltas} x1]]", stream=True)
    assert complete is not None
    assert model.requests[0].outcome == "broken"
    assert model.requests[0].deltas_sent == (deltas if deltas < 10_000 else model.requests[0].deltas_sent)


def test_a_broken_stream_delivers_the_deltas_before_the_break(client: OpenAI, model: StandInModel) -> None:
    model.script(Behaviour(deltas=["a", "b", "c"], break_after=2))
    received: list[str] = []
    with pytest.raises(APIConnectionError):
        for chunk in client.chat.completions.create(model="any", messages=_asked("Hello"), stream=True):
            received.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 (the loop ends in an error)

    assert received == ["", "a", "b"]


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
    assert last.response.output_text == chat.choices[0].message.content == "".join(_deltas(events))
    assert "of this conversation" not in last.response.output_text


def test_brackets_that_are_no_directive_are_ordinary_text(client: OpenAI) -> None:
    for text in ("[[fail banana]]", "[[fail 200]]", "[[wiki]]", "[[slow]]", "[[refuse me]]"):
        assert text in client.responses.create(model="any", input=text).output_text


def test_help_lists_the_directives(client: OpenAI) -> None:
    assert "[[rate-limit 3]]" in client.responses.create(model="any", input="[[help]]").output_text


def test_a_script_can_be_posted_and_the_requests_read_from_outside(client: OpenAI, model: StandInModel) -> None:
    script = [{"text": "scripted", "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}, {"fail_status": 500}]
    status, _, body = _post(model, "/standin/script", json.dumps(script).encode())
    response = client.responses.create(model="any", input="Hello")
    with pytest.raises(InternalServerError):
        client.responses.create(model="any", input="Hello")
    seen = client.get("/../standin/requests", cast_to=dict[str, list[dict[str, object]]])

    assert (status, body) == (200, {"queued": 2})
    assert response.output_text == "scripted"
    assert [each["outcome"] for each in seen["requests"]] == ["finished", "refused"]
    assert "the-key" not in json.dumps(seen)


@pytest.mark.parametrize(
    "script",
    [{}, ["x"], [{"txt": "a"}], [{"fail_status": 200}], [{"slow_seconds": "1"}], [{"refuse": 1}], [{"gate": 1}]],
)
def test_a_posted_script_that_is_none_is_refused_whole(model: StandInModel, script: object) -> None:
    status, _, body = _post(model, "/standin/script", json.dumps(script).encode())

    assert status == 400
    assert "error" in body


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/responses", b"not JSON", 400),
        ("/v1/responses", b"\xff\xfe\x00", 400),
        ("/v1/responses", b"[" * 100_000, 400),
        ("/v1/responses", b"[]", 400),
        ("/v1/responses", b'{"input": "Hello"}', 400),
        ("/v1/responses", b'{"model": "any"}', 400),
        ("/v1/responses", b'{"model": "any", "input": "x", "max_output_tokens": "5"}', 400),
        ("/v1/responses", b'{"model": "any", "input": "x", "previous_response_id": "resp_1"}', 400),
        ("/v1/responses", b'{"model": "any", "input": [{"role": "nobody", "content": "x"}]}', 400),
        ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "Hello"}]}', 400),
        ("/v1/chat/completions", b'{"model": "any", "messages": []}', 400),
        ("/v1/embeddings", b"{}", 404),
        ("/v1/responses", b" " * (20 * 1024 * 1024 + 1), 413),
    ],
)
def test_a_request_that_is_wrong_gets_an_error_in_the_vendors_shape(
    model: StandInModel, path: str, body: bytes, status: int
) -> None:
    answered, headers, answer = _post(model, path, body)

    assert answered == status
    assert headers["x-request-id"] == "req_standin000001"
    assert isinstance(answer["error"], dict)
    assert answer["error"].keys() == {"message", "type", "param", "code"}
    assert model.requests[-1].outcome == "refused"


def test_an_unknown_path_or_method_gets_an_error_and_the_server_goes_on(client: OpenAI) -> None:
    with pytest.raises(NotFoundError):
        client.get("/nothing", cast_to=object)
    with pytest.raises(InternalServerError) as refused:
        client.delete("/models/stand-in", cast_to=object)

    assert refused.value.status_code == 501
    assert client.responses.create(model="any", input="Hello").status == "completed"


def test_a_connection_is_kept_alive_from_answer_to_answer(model: StandInModel) -> None:
    connection = http.client.HTTPConnection(urlsplit(model.base_url).netloc, timeout=10)
    sockets = set()
    for body in (b'{"model": "any", "input": "x"}', b"wrong", b'{"model": "any", "input": "x", "stream": true}'):
        connection.request("POST", "/v1/responses", body)
        sockets.add(connection.sock)
        connection.getresponse().read()
    connection.close()

    assert len(sockets) == 1


def test_models_are_listed(client: OpenAI) -> None:
    assert [each.id for each in client.models.list()] == ["stand-in"]
    assert client.models.retrieve("stand-in").owned_by == "stand-in"


def test_sixty_streams_at_once_are_all_answered(client: OpenAI, model: StandInModel) -> None:
    gate = threading.Event()
    model.script(*(Behaviour(when=f"Question {number}.", gate=gate, hold_at=5) for number in range(60)))

    def ask(number: int) -> str:
        return "".join(_deltas(list(client.responses.create(model="any", input=f"Question {number}.", stream=True))))

    with ThreadPoolExecutor(60) as pool:
        answers = pool.map(ask, range(60))
        model.wait_for(lambda requests: sum(request.is_held for request in requests) == 60, timeout=30)
        gate.set()
        assert all(f"> Question {number}.\n" in answer for number, answer in enumerate(answers))

    assert [request.outcome for request in model.requests] == ["finished"] * 60


def test_the_program_serves_until_it_is_told_to_stop_and_names_a_taken_port() -> None:
    program = [sys.executable, "-m", "local.standin_model", "--port"]
    with subprocess.Popen([*program, "0"], stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            url = next(word for word in running.stdout.readline().split() if word.startswith("http"))
            with OpenAI(base_url=url, api_key="any") as client:
                assert "stand-in" in client.responses.create(model="any", input="Hello").output_text
            second = subprocess.run(
                [*program, str(urlsplit(url).port)], capture_output=True, text=True, timeout=30, check=False
            )
        finally:
            running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == 0

    assert second.returncode == 1
    assert "in use" in second.stderr
