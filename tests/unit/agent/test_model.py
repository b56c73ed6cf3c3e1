"""The model room against the stand-in model, over real HTTP."""

import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from agent.model import OpenAIModel
from agent.model_values import Finished, ModelRequest, TextDelta
from core.errors import PermanentError, RetryableError, ServiceError
from core.models import ApiKind, Usage
from local.standin_model import Behaviour, StandInModel
from local.standin_model import Usage as Counted
from tests.unit.agent.model_server import ask, unused_port

KEY = "sk-secret-of-the-company"
LAYERS = Path(__file__).parents[3] / "layers"

both_apis = pytest.mark.parametrize("api_kind", list(ApiKind))


@pytest.fixture(scope="module")
def running() -> Iterator[StandInModel]:
    with StandInModel() as standin:
        yield standin


@pytest.fixture
def standin(running: StandInModel) -> StandInModel:
    running.clear()
    return running


@pytest.fixture(scope="module")
def model(running: StandInModel) -> Iterator[OpenAIModel]:
    with closing(OpenAIModel(api_key=lambda: KEY, base_url=running.base_url)) as model:
        yield model


def read(model: OpenAIModel, request: ModelRequest, seconds: float = 20) -> tuple[list[str], Finished]:
    """The deltas and the end; fails if anything comes after the end, or two of it."""
    *deltas, finished = model.stream(request, seconds=seconds)
    assert isinstance(finished, Finished)
    texts = [event.text for event in deltas if isinstance(event, TextDelta)]
    assert len(texts) == len(deltas)
    return texts, finished


def fail(model: OpenAIModel, request: ModelRequest, seconds: float = 20) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        list(model.stream(request, seconds=seconds))
    return caught.value


@both_apis
def test_the_answer_comes_in_pieces_and_its_end_last(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    standin.script(Behaviour(deltas=("Grüße ", "aus ", "東京 🗼")))
    texts, finished = read(model, ask(api_kind))
    assert texts == ["Grüße ", "aus ", "東京 🗼"]
    assert finished.finish_reason == "stop"
    assert finished.model == "stand-in"
    assert finished.request_id is not None
    assert finished.request_id.startswith("req_standin")


@both_apis
def test_a_piece_is_there_before_the_answer_is_complete(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    gate = threading.Event()
    standin.script(Behaviour(deltas=("one ", "two"), gate=gate, hold_at=1))
    events = model.stream(ask(api_kind), seconds=20)
    assert next(events) == TextDelta("one ")
    standin.wait_for(lambda asked: asked[-1].is_held)
    gate.set()
    assert next(events) == TextDelta("two")


@both_apis
def test_usage_is_counted(standin: StandInModel, model: OpenAIModel, api_kind: ApiKind) -> None:
    counted = Counted(input_tokens=120, output_tokens=45, cached_tokens=100, reasoning_tokens=30)
    standin.script(Behaviour(usage=counted))
    _, finished = read(model, ask(api_kind))
    assert finished.usage == Usage(
        input_tokens=120, output_tokens=45, total_tokens=165, cached_tokens=100, reasoning_tokens=30
    )


@both_apis
def test_the_vendor_is_sent_the_prompt_the_limit_and_an_opaque_person(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    read(model, ask(api_kind, "Hello", limit=77))
    (asked,) = standin.requests
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    if api_kind is ApiKind.RESPONSES:
        assert asked.path == "/v1/responses"
        expected = {"input": messages, "max_output_tokens": 77, "store": False}
    else:
        assert asked.path == "/v1/chat/completions"
        expected = {"messages": messages, "max_tokens": 77, "stream_options": {"include_usage": True}}
    assert asked.body == expected | {"model": "stand-in", "stream": True, "user": "opaque-person"}


def test_a_rotated_key_is_used_at_once(standin: StandInModel) -> None:
    keys = iter(["sk-old", "sk-new\n"])
    with closing(OpenAIModel(api_key=lambda: next(keys), base_url=standin.base_url)) as model:
        read(model, ask(ApiKind.CHAT))
        read(model, ask(ApiKind.CHAT))
    assert [asked.headers["authorization"] for asked in standin.requests] == ["Bearer sk-old", "Bearer sk-new"]


def test_the_error_of_whoever_keeps_the_key_passes_through(standin: StandInModel) -> None:
    def no_key() -> str:
        raise RetryableError("secrets-unavailable", "not now", retry_after=timedelta(seconds=9))

    model = OpenAIModel(api_key=no_key, base_url=standin.base_url)
    assert fail(model, ask(ApiKind.CHAT)).code == "secrets-unavailable"


@pytest.mark.parametrize("key", ["", " \n", "sk-one\nsk-two", "sk-ümlaut"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(standin: StandInModel, key: str) -> None:
    error = fail(OpenAIModel(api_key=lambda: key, base_url=standin.base_url), ask(ApiKind.CHAT))
    assert isinstance(error, PermanentError)
    assert error.code == "model-unauthorized"
    assert "sk-" not in "".join(traceback.format_exception(error))
    assert standin.requests == []


@both_apis
@pytest.mark.parametrize(
    ("status", "fail_code", "kind", "code"),
    [
        (429, "insufficient_quota", PermanentError, "model-quota"),
        (429, "credit_balance_exhausted", PermanentError, "model-quota"),
        (402, None, PermanentError, "model-quota"),
        (429, "rate_limit_exceeded", RetryableError, "model-rate-limited"),
        (401, "invalid_api_key", PermanentError, "model-unauthorized"),
        (403, None, PermanentError, "model-unauthorized"),
        (404, "model_not_found", PermanentError, "model-unknown"),
        (400, "context_length_exceeded", PermanentError, "context-too-long"),
        (400, "invalid_image_format", PermanentError, "images-refused"),
        (413, None, PermanentError, "context-too-long"),
        (400, "invalid_value", PermanentError, "model-request"),
        (422, None, PermanentError, "model-request"),
        (408, None, RetryableError, "model-unavailable"),
        (500, "server_error", RetryableError, "model-unavailable"),
        (503, None, RetryableError, "model-unavailable"),
    ],
)
def test_each_refusal_says_whether_to_try_again(
    standin: StandInModel,
    model: OpenAIModel,
    api_kind: ApiKind,
    status: int,
    fail_code: str | None,
    kind: type[ServiceError],
    code: str,
) -> None:
    behaviour = Behaviour(fail_status=status, fail_code=fail_code)
    standin.script(behaviour, behaviour)
    error = fail(model, ask(api_kind))
    assert (type(error), error.code) == (kind, code)
    assert str(status) in error.message


@both_apis
def test_errors_show_neither_the_prompt_nor_the_key(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    for behaviour in (Behaviour(fail_status=400), Behaviour(hang_up=True), Behaviour(break_after=2)):
        standin.clear()
        standin.script(behaviour, behaviour)
        error = fail(model, ask(api_kind, "the merger is on Friday"))
        shown = "".join(traceback.format_exception(error))
        assert "merger" not in shown
        assert KEY not in shown


@both_apis
@pytest.mark.parametrize(
    "first", [Behaviour(fail_status=503), Behaviour(hang_up=True), Behaviour(break_after=0), Behaviour(retry_after=0)]
)
def test_a_passing_failure_before_the_first_piece_is_tried_once_more(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind, first: Behaviour
) -> None:
    standin.script(first, Behaviour(text="here it is"))
    texts, _ = read(model, ask(api_kind))
    assert "".join(texts) == "here it is"
    assert len(standin.requests) == 2


def test_a_failure_that_lasts_is_tried_no_more_than_twice(standin: StandInModel, model: OpenAIModel) -> None:
    standin.script(*[Behaviour(fail_status=500)] * 3)
    assert fail(model, ask(ApiKind.CHAT)).code == "model-unavailable"
    assert len(standin.requests) == 2


def test_no_second_try_begins_that_cannot_end_in_time(standin: StandInModel, model: OpenAIModel) -> None:
    standin.script(Behaviour(retry_after=2), Behaviour())
    assert fail(model, ask(ApiKind.CHAT), seconds=1.5).code == "model-rate-limited"
    assert len(standin.requests) == 1


def test_a_longer_rate_limit_goes_back_to_the_queue_with_its_wait(standin: StandInModel, model: OpenAIModel) -> None:
    standin.script(Behaviour(retry_after=30))
    error = fail(model, ask(ApiKind.RESPONSES))
    assert isinstance(error, RetryableError)
    assert error.retry_after == timedelta(seconds=30)
    assert len(standin.requests) == 1


@both_apis
def test_a_stream_that_breaks_off_is_no_answer(standin: StandInModel, model: OpenAIModel, api_kind: ApiKind) -> None:
    standin.script(Behaviour(deltas=("one ", "two ", "three"), break_after=2))
    events = model.stream(ask(api_kind), seconds=20)
    assert [next(events), next(events)] == [TextDelta("one "), TextDelta("two ")]
    with pytest.raises(RetryableError) as caught:
        next(events)
    assert caught.value.code == "model-stream-broken"
    assert len(standin.requests) == 1


@both_apis
def test_a_failure_in_the_middle_of_the_stream_is_an_error(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    standin.script(Behaviour(deltas=("one ", "two"), fail_after=1))
    error = fail(model, ask(api_kind))
    assert (type(error), error.code) == (RetryableError, "model-unavailable")


@both_apis
def test_a_refusal_is_text_and_says_that_it_is_one(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    standin.script(Behaviour(refuse=True))
    texts, finished = read(model, ask(api_kind))
    assert "".join(texts)
    assert finished.finish_reason == "refusal"


@both_apis
def test_the_content_filter_and_the_token_limit_are_told_apart(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    standin.script(Behaviour(filter=True), Behaviour(truncate=True))
    assert read(model, ask(api_kind))[1].finish_reason == "content_filter"
    assert read(model, ask(api_kind))[1].finish_reason == "length"


@both_apis
def test_a_question_that_the_filter_rejects_has_an_empty_answer(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    standin.script(Behaviour(fail_status=400, fail_code="content_filter"))
    texts, finished = read(model, ask(api_kind))
    assert (texts, finished.finish_reason, finished.usage) == ([], "content_filter", None)


def test_a_model_that_answers_in_silence_is_given_up_at_the_time_limit(
    standin: StandInModel, model: OpenAIModel
) -> None:
    gate = threading.Event()
    standin.script(Behaviour(gate=gate))
    started = time.monotonic()
    error = fail(model, ask(ApiKind.RESPONSES), seconds=0.5)
    assert (type(error).__mro__[1], error.code) == (RetryableError, "model-timeout")
    assert 0.4 < time.monotonic() - started < 3
    assert [asked.outcome for asked in standin.wait_for(lambda asked: asked[-1].outcome != "open")] == ["client_gone"]


def test_a_read_that_still_waits_is_cut_off_at_the_time_limit(standin: StandInModel, model: OpenAIModel) -> None:
    standin.script(Behaviour(deltas=("a", "b", "c"), delay_ms=1_500))
    started = time.monotonic()
    assert fail(model, ask(ApiKind.RESPONSES), seconds=2.0).code == "model-timeout"  # each wait alone is below 2 s
    assert 1.9 < time.monotonic() - started < 2.9  # the third piece would come after 3 s


def test_a_stream_that_drips_on_is_cut_off_at_the_time_limit(standin: StandInModel, model: OpenAIModel) -> None:
    standin.script(Behaviour(deltas=("drop ",) * 200, delay_ms=20))
    error = fail(model, ask(ApiKind.CHAT), seconds=0.5)
    assert error.code == "model-timeout"
    standin.wait_for(lambda asked: asked[-1].outcome == "client_gone")


def test_a_model_that_falls_silent_is_given_up_before_the_time_limit(standin: StandInModel) -> None:
    gate = threading.Event()
    standin.script(Behaviour(deltas=("one ", "two"), gate=gate, hold_at=1))
    with closing(OpenAIModel(api_key=lambda: KEY, base_url=standin.base_url, read_seconds=0.3)) as model:
        events = model.stream(ask(ApiKind.CHAT), seconds=20)
        next(events)
        with pytest.raises(RetryableError) as caught:
            next(events)
    assert caught.value.code == "model-timeout"
    gate.set()


def test_nothing_is_asked_without_time(standin: StandInModel, model: OpenAIModel) -> None:
    assert fail(model, ask(ApiKind.CHAT), seconds=0).code == "model-timeout"
    assert standin.requests == []


@both_apis
def test_whoever_stops_listening_ends_the_call(standin: StandInModel, model: OpenAIModel, api_kind: ApiKind) -> None:
    standin.script(Behaviour(deltas=("one ", "two ", "three"), gate=threading.Event(), hold_at=1))
    for _ in model.stream(ask(api_kind), seconds=20):
        break
    standin.wait_for(lambda asked: asked[-1].outcome == "client_gone")


def test_a_server_that_is_not_there_is_worth_another_try() -> None:
    model = OpenAIModel(api_key=lambda: KEY, base_url=f"http://127.0.0.1:{unused_port()}/v1")
    error = fail(model, ask(ApiKind.CHAT))
    assert (type(error), error.code) == (RetryableError, "model-unreachable")


def test_forty_conversations_stream_at_once(standin: StandInModel, model: OpenAIModel) -> None:
    gate = threading.Event()
    standin.script(
        *[Behaviour(when=f"number {n}.", deltas=("answer ", str(n)), gate=gate, hold_at=1) for n in range(40)]
    )
    with ThreadPoolExecutor(40) as pool:
        answers = [pool.submit(read, model, ask(list(ApiKind)[n % 2], f"number {n}.")) for n in range(40)]
        try:
            standin.wait_for(lambda asked: sum(each.is_held for each in asked) == 40, timeout=30)
        finally:
            gate.set()
        texts = ["".join(answer.result()[0]) for answer in answers]
    assert texts == [f"answer {n}" for n in range(40)]


def test_naming_the_model_imports_no_vendor_package() -> None:
    code = (
        "import sys, agent.model, agent.model_values; print(sorted({'openai', 'httpx2', 'httpx'} & set(sys.modules)))"
    )
    path = {"PYTHONPATH": f"{LAYERS}/core:{LAYERS}/agent"}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_prewarming_builds_the_client_before_the_first_question(standin: StandInModel) -> None:
    code = (
        "import sys; from agent.model import OpenAIModel;"
        f"OpenAIModel(api_key=lambda: 'k', base_url='{standin.base_url}').prewarm(); print('openai' in sys.modules)"
    )
    path = {"PYTHONPATH": f"{LAYERS}/core:{LAYERS}/agent"}
    done = subprocess.run([sys.executable, "-c", code], env=path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    assert standin.requests == []
