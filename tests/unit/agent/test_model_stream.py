"""What servers with a compatible API really send: cut anywhere, incomplete, too much, or in a dialect of their own."""

import json
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import repeat

import pytest

from agent.model import OpenAIModel
from agent.model_values import Finished, TextDelta
from core.errors import PermanentError, RetryableError, ServiceError
from core.models import ApiKind, Usage
from tests.unit.agent.model_server import ModelServer, Scripted, ask, chat_events, error, responses_events

type Answers = Callable[..., tuple[OpenAIModel, ModelServer]]


@pytest.fixture
def answering() -> Iterator[Answers]:
    """Starts a server that gives these answers, and a model that asks it."""
    running: list[tuple[OpenAIModel, ModelServer]] = []

    def start(*answers: Scripted | bytes) -> tuple[OpenAIModel, ModelServer]:
        server = ModelServer(*(Scripted(pieces=[each]) if isinstance(each, bytes) else each for each in answers))
        server.__enter__()
        running.append((OpenAIModel(api_key=lambda: "sk", base_url=server.base_url), server))
        return running[-1]

    yield start
    for model, server in running:
        model.close()
        server.__exit__()


def read(model: OpenAIModel, api_kind: ApiKind = ApiKind.CHAT) -> tuple[str, Finished]:
    *deltas, finished = model.stream(ask(api_kind), seconds=20)
    assert isinstance(finished, Finished)
    return "".join(event.text for event in deltas if isinstance(event, TextDelta)), finished


def fail(model: OpenAIModel, api_kind: ApiKind = ApiKind.CHAT) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        list(model.stream(ask(api_kind), seconds=20))
    return caught.value


@pytest.mark.parametrize(("api_kind", "write"), [(ApiKind.CHAT, chat_events), (ApiKind.RESPONSES, responses_events)])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_characters_survive_however_the_network_cuts_them(
    answering: Answers, api_kind: ApiKind, write: Callable[..., bytes], size: int
) -> None:
    stream = write("Grüße ", "東京", " 👩‍🚀\n\ndata: x\u2028")
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    model, _ = answering(Scripted(pieces=pieces))
    assert read(model, api_kind)[0] == "Grüße 東京 👩‍🚀\n\ndata: x\u2028"


def test_line_ends_comments_and_other_fields_do_not_matter(answering: Answers) -> None:
    stream = b": hello\r\n\r\nretry: 10\n\nid: 1\n" + chat_events("one ", "two").replace(b"\n", b"\r\n")
    model, _ = answering(stream.replace(b"data: ", b"data:"))
    assert read(model)[0] == "one two"


def test_an_event_may_span_several_data_lines(answering: Answers) -> None:
    stream = b'data: {"choices": [{"delta":\ndata: {"content": "one"}, "finish_reason": "stop"}]}\n\n'
    model, _ = answering(stream)
    assert read(model)[0] == "one"


def test_a_stream_may_end_without_a_last_blank_line_or_the_word_done(answering: Answers) -> None:
    model, _ = answering(chat_events("one", done=False).rstrip(b"\n"))
    assert read(model) == ("one", Finished("stop", None, "stand-in", None))


def test_the_word_done_alone_is_no_complete_answer(answering: Answers) -> None:
    model, _ = answering(chat_events("half an ans", reason=None))
    error = fail(model)
    assert (type(error), error.code) == (RetryableError, "model-stream-broken")


@pytest.mark.parametrize("usage", [None, {}])
def test_usage_that_the_server_does_not_send_is_unknown_and_not_zero(answering: Answers, usage: object) -> None:
    model, _ = answering(chat_events("one", usage=usage))
    assert read(model)[1].usage is None


def test_usage_without_details_counts_what_is_there(answering: Answers) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "prompt_tokens_details": None}
    model, _ = answering(chat_events("one", usage=usage))
    assert read(model)[1].usage == Usage(input_tokens=7, output_tokens=5, total_tokens=12)


def test_a_running_usage_count_ends_at_its_last_value(answering: Answers) -> None:
    chunks = [
        {"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 7, "completion_tokens": 1}},
        {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 7, "completion_tokens": 2}},
    ]
    model, _ = answering(b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks))
    assert read(model)[1].usage == Usage(input_tokens=7, output_tokens=2, total_tokens=9)


def test_the_model_that_answered_is_named_by_the_server(answering: Answers) -> None:
    model, _ = answering(responses_events("one", model="stand-in-2026-10-01", id="resp_1"))
    finished = read(model, ApiKind.RESPONSES)[1]
    assert (finished.model, finished.request_id) == ("stand-in-2026-10-01", "resp_1")


def test_what_a_model_thinks_is_not_its_answer(answering: Answers) -> None:
    thinking = b'data: {"choices": [{"delta": {"reasoning_content": "hm", "content": null}}]}\n\n'
    model, _ = answering(thinking + chat_events("one"))
    assert read(model)[0] == "one"


def test_more_text_than_an_answer_can_be_ends_the_call(answering: Answers) -> None:
    model, _ = answering(Scripted(pieces=[chat_events("x" * 100_000, done=False, reason=None)] * 12))
    error = fail(model)
    assert (type(error), error.code) == (PermanentError, "model-flood")


def test_an_event_without_an_end_ends_the_call(answering: Answers) -> None:
    model, _ = answering(Scripted(pieces=repeat(b"data: " + b"x" * 65_536)))
    assert fail(model).code == "model-flood"


def test_data_lines_without_an_end_end_the_call(answering: Answers) -> None:
    model, _ = answering(Scripted(pieces=repeat(b"data: " + b"x" * 65_536 + b"\n")))
    assert fail(model).code == "model-flood"


@pytest.mark.parametrize(
    "data", [b"<html>", b"[" * 200_000, b"\xff\xfe", b'{"choices": [{"delta": {"content": "caf\xe9'], ids=len
)
def test_what_is_not_json_is_a_broken_stream(answering: Answers, data: bytes) -> None:
    model, _ = answering(*[b"data: " + data + b"\n\n"] * 2)
    error = fail(model)
    assert (type(error), error.code) == (RetryableError, "model-stream-broken")


@pytest.mark.parametrize("data", [b"[]", b"7", b'{"choices": [7, {"delta": 7}]}', b'{"choices": {"delta": "x"}}'])
def test_json_of_another_shape_is_no_text(answering: Answers, data: bytes) -> None:
    model, _ = answering(b"data: " + data + b"\n\n" + chat_events("one"))
    assert read(model)[0] == "one"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"error": {"message": "too long", "type": "BadRequestError", "param": None, "code": 400}}, "model-request"),
        ({"object": "error", "message": "gone", "type": "NotFoundError", "code": 404}, "model-unknown"),
        ({"error": {"message": "busy", "type": "rate_limit_error", "code": None}}, "model-rate-limited"),
        ({"error": "out of memory"}, "model-request"),
    ],
)
def test_an_error_within_a_chat_stream_is_understood_in_the_forms_in_use(
    answering: Answers, data: object, code: str
) -> None:
    model, _ = answering(b"data: " + json.dumps(data).encode() + b"\n\n")
    assert fail(model).code == code


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None},
        {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "slow"}},
        {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}},
    ],
)
def test_an_error_within_a_responses_stream_is_understood_in_the_forms_in_use(
    answering: Answers, event: object
) -> None:
    model, _ = answering(b"data: " + json.dumps(event).encode() + b"\n\n")
    error = fail(model, ApiKind.RESPONSES)
    assert (type(error), error.code) == (RetryableError, "model-rate-limited")


def test_a_policy_that_stops_a_responses_stream_is_the_content_filter(answering: Answers) -> None:
    event = {"type": "response.failed", "response": {"error": {"code": "bio_policy", "message": "no"}}}
    model, _ = answering(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert read(model, ApiKind.RESPONSES)[1].finish_reason == "content_filter"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "17"}, 17),
        ({"retry-after": "17.5"}, 17.5),
        ({"retry-after-ms": "2500", "retry-after": "9"}, 2.5),
        ({"date": "Fri, 30 Oct 2026 10:00:00 GMT", "retry-after": "Fri, 30 Oct 2026 10:02:00 GMT"}, 120),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-4"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "999999"}, None),
        ({}, None),
    ],
)
def test_the_wait_of_a_rate_limit_is_read_in_every_form(
    answering: Answers, headers: dict[str, str], seconds: float | None
) -> None:
    model, server = answering(error(429, code="rate_limit_exceeded", headers=headers))
    caught = fail(model)
    assert isinstance(caught, RetryableError)
    assert caught.retry_after == (None if seconds is None else timedelta(seconds=seconds))
    assert len(server.asked) == 1


def test_spent_money_is_told_by_the_error_type_whatever_the_code(answering: Answers) -> None:
    model, _ = answering(error(429, type="insufficient_quota", code="a_limit_of_tomorrow"))
    assert fail(model).code == "model-quota"


def test_details_that_are_no_codes_are_not_shown(answering: Answers) -> None:
    model, _ = answering(error(400, code="the prompt was: secret plans", param="messages[0]"))
    assert fail(model).message == "the model API refuses the request (HTTP 400, parameter messages[0])"


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_what_the_vendor_quotes_stays_out_of_the_error(answering: Answers, status: int) -> None:
    quoting = error(status, message="Incorrect key sk-123. You asked: the merger is on Friday", code="x")
    within = {"error": {"message": "You asked: the merger is on Friday", "code": "sk-123 merger"}}
    for answer in (quoting, b"data: " + json.dumps(within).encode() + b"\n\n", b"data: the merger\n\n"):
        model, _ = answering(answer, answer)
        shown = "".join(traceback.format_exception(fail(model)))
        assert "merger" not in shown
        assert "sk-123" not in shown


def test_an_error_page_of_a_proxy_is_an_error_like_any_other(answering: Answers) -> None:
    page = Scripted(status=502, headers={"content-type": "text/html"}, pieces=[b"<html>bad gateway</html>"])
    model, _ = answering(page, page)
    assert fail(model).code == "model-unavailable"


def test_a_parameter_the_server_does_not_know_is_not_sent_again(answering: Answers) -> None:
    refusal = error(400, code="unknown_parameter", param="stream_options")
    model, server = answering(refusal, chat_events("one"), chat_events("two"))
    assert [read(model)[0], read(model)[0]] == ["one", "two"]
    assert ["stream_options" in asked.body for asked in server.asked] == [True, False, False]


def test_the_limit_changes_its_name_where_the_server_wants_the_other_one(answering: Answers) -> None:
    refusal = error(400, code="unsupported_parameter", param="max_tokens")
    model, server = answering(refusal, chat_events("one"), chat_events("two"))
    assert [read(model)[0], read(model)[0]] == ["one", "two"]
    sent = [{name: asked.body[name] for name in asked.body if name.startswith("max_")} for asked in server.asked]
    assert sent == [{"max_tokens": 500}, {"max_completion_tokens": 500}, {"max_completion_tokens": 500}]


def test_an_answer_is_never_asked_for_without_a_limit(answering: Answers) -> None:
    refusals = [error(400, code="unsupported_parameter", param=f"max_{name}tokens") for name in ("", "completion_")]
    model, server = answering(*refusals)
    assert fail(model).code == "model-request"
    assert len(server.asked) == 2


def test_a_server_that_keeps_refusing_the_same_parameter_is_asked_twice(answering: Answers) -> None:
    model, server = answering(*[error(400, code="unknown_parameter", param="user")] * 3)
    assert fail(model).code == "model-request"
    assert len(server.asked) == 2


def test_a_redirect_is_not_followed_with_the_prompt(answering: Answers) -> None:
    _, elsewhere = answering(chat_events("stolen"))
    model, _ = answering(Scripted(status=307, headers={"location": f"{elsewhere.base_url}/chat/completions"}))
    assert fail(model).code == "model-request"
    assert elsewhere.asked == []


def test_a_server_that_holds_the_connection_after_its_answer_does_not_hold_the_answer(answering: Answers) -> None:
    model, _ = answering(Scripted(pieces=[chat_events("one")], linger=True))
    started = time.monotonic()
    assert read(model)[0] == "one"
    assert time.monotonic() - started < 2


def test_one_connection_serves_one_answer_after_the_other(answering: Answers) -> None:
    model, server = answering(chat_events("one"), responses_events("two"), error(401), chat_events("three"))
    read(model)
    read(model, ApiKind.RESPONSES)
    fail(model)
    read(model)
    assert len({asked.client for asked in server.asked}) == 1
