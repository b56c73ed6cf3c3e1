"""The stand-in model as a server: its own endpoints, wrong requests, many connections, the program."""

import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from openai import InternalServerError, NotFoundError, OpenAI

from local.standin_model import Behaviour, StandInModel


@pytest.fixture
def model() -> Iterator[StandInModel]:
    with StandInModel() as running:
        yield running


@pytest.fixture
def client(model: StandInModel) -> Iterator[OpenAI]:
    with OpenAI(base_url=model.base_url, api_key="the-key", max_retries=0) as opened:
        yield opened


def _post(model: StandInModel, path: str, body: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    """Status, headers and JSON body of the answer to bytes that no client package would send."""
    connection = http.client.HTTPConnection(urlsplit(model.base_url).netloc, timeout=10)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, json.load(response)
    finally:
        connection.close()


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


def test_a_connection_left_open_does_not_keep_the_server_from_ending() -> None:
    with StandInModel() as model:
        connection = http.client.HTTPConnection(urlsplit(model.base_url).netloc, timeout=10)
        connection.request("GET", "/v1/models")
        connection.getresponse().read()
        assert connection.sock is not None

    assert connection.sock.recv(1) == b""
    connection.close()


def test_models_are_listed(client: OpenAI) -> None:
    assert [each.id for each in client.models.list()] == ["stand-in"]
    assert client.models.retrieve("stand-in").owned_by == "stand-in"


def test_sixty_streams_at_once_are_all_answered(client: OpenAI, model: StandInModel) -> None:
    gate = threading.Event()
    model.script(*(Behaviour(when=f"Question {number}.", gate=gate, hold_at=5) for number in range(60)))

    def ask(number: int) -> str:
        stream = client.responses.create(model="any", input=f"Question {number}.", stream=True)
        return "".join(event.delta for event in stream if event.type == "response.output_text.delta")

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
