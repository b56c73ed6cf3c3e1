"""Tools over both APIs: with the stand-in model, and in all the ways in which servers stream their calls."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from agent.model import OpenAIModel
from agent.model_values import Finished, ModelMessage, ModelRequest, ModelTool, TextDelta
from agent.tools import ToolCall
from core.errors import PermanentError, RetryableError, ServiceError
from core.models import ApiKind, Role
from local.standin_model import Behaviour, StandInModel
from local.standin_model import ToolCall as Called
from tests.unit.agent.model_server import ModelServer, Scripted, ask

type Answers = Callable[..., OpenAIModel]
type Delta = dict[str, object]

WEATHER = ModelTool(
    name="weather",
    description="The weather of a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
CLOCK = ModelTool(name="clock", description="The time.", parameters={"type": "object", "properties": {}})

both_apis = pytest.mark.parametrize("api_kind", list(ApiKind))


def ask_with_tools(api_kind: ApiKind, *messages: ModelMessage, text: str = "What is up?") -> ModelRequest:
    request = ask(api_kind, text)
    return replace(request, tools=(WEATHER, CLOCK), messages=(*request.messages, *messages))


def read(model: OpenAIModel, request: ModelRequest) -> tuple[str, Finished]:
    *deltas, finished = model.stream(request, seconds=20)
    assert isinstance(finished, Finished)
    return "".join(event.text for event in deltas if isinstance(event, TextDelta)), finished


def fail(model: OpenAIModel, api_kind: ApiKind) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        list(model.stream(ask_with_tools(api_kind), seconds=20))
    return caught.value


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
    with closing(OpenAIModel(api_key=lambda: "sk", base_url=running.base_url)) as model:
        yield model


@pytest.fixture
def answering() -> Iterator[Answers]:
    """Starts a server that gives these answers, and a model that asks it."""
    running: list[tuple[OpenAIModel, ModelServer]] = []

    def start(*answers: bytes) -> OpenAIModel:
        server = ModelServer(*(Scripted(pieces=[each]) for each in answers))
        server.__enter__()
        running.append((OpenAIModel(api_key=lambda: "sk", base_url=server.base_url), server))
        return running[-1][0]

    yield start
    for model, server in running:
        model.close()
        server.__exit__()


@both_apis
def test_the_calls_come_with_the_end_in_their_order_and_what_was_said_before_them_as_text(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    calls = (Called("weather", {"city": "Zürich 🏔"}, "call_a"), Called("clock", "{}", "call_b"))
    standin.script(Behaviour(deltas=("Let me ", "look."), tool_calls=calls))
    text, finished = read(model, ask_with_tools(api_kind))
    assert text == "Let me look."
    assert finished.finish_reason == "tool_calls"
    assert [(call.call_id, call.name) for call in finished.calls] == [("call_a", "weather"), ("call_b", "clock")]
    assert [json.loads(call.arguments) for call in finished.calls] == [{"city": "Zürich 🏔"}, {}]
    assert finished.usage is not None


@both_apis
def test_arguments_are_handed_on_as_the_model_wrote_them(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    standin.script(Behaviour(tool_calls=(Called("weather", '{"city": "Be'),)))
    assert read(model, ask_with_tools(api_kind))[1].calls[0].arguments == '{"city": "Be'


@both_apis
def test_an_answer_without_calls_has_none(standin: StandInModel, model: OpenAIModel, api_kind: ApiKind) -> None:
    standin.script(Behaviour(text="hello"))
    text, finished = read(model, ask_with_tools(api_kind))
    assert (text, finished.finish_reason, finished.calls) == ("hello", "stop", ())


@both_apis
def test_the_model_goes_on_with_the_results_of_its_calls(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    text = 'call weather {"city": "Bern"}\ncall clock'
    _, finished = read(model, ask_with_tools(api_kind, text=text))
    assert [call.name for call in finished.calls] == ["weather", "clock"]
    asked = ModelMessage(Role.ASSISTANT, "I look.", calls=finished.calls)
    results = [ModelMessage(Role.SYSTEM, f"result of {call.name}", call_id=call.call_id) for call in finished.calls]
    answer, finished = read(model, ask_with_tools(api_kind, asked, *results, text=text))
    assert finished.finish_reason == "stop"
    assert "`weather`: result of weather" in answer
    assert "`clock`: result of clock" in answer


@both_apis
def test_calls_that_were_cut_off_are_not_made(standin: StandInModel, model: OpenAIModel, api_kind: ApiKind) -> None:
    call = Called("weather", {"city": "Bern"})
    standin.script(
        Behaviour(deltas=("a ", "b"), tool_calls=(call,), truncate=True),
        Behaviour(deltas=("a ", "b"), tool_calls=(call,), filter=True),
    )
    for reason in ("length", "content_filter"):
        _, finished = read(model, ask_with_tools(api_kind))
        assert (finished.finish_reason, finished.calls) == (reason, ())


@both_apis
def test_a_stream_that_breaks_off_in_a_call_is_tried_once_more(
    standin: StandInModel, model: OpenAIModel, api_kind: ApiKind
) -> None:
    call = Called("weather", {"city": "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"})
    standin.script(Behaviour(tool_calls=(call,), break_after=2), Behaviour(tool_calls=(call,)))
    _, finished = read(model, ask_with_tools(api_kind))
    assert [json.loads(each.arguments) for each in finished.calls] == [call.arguments]
    assert len(standin.requests) == 2


def chat(*deltas: Delta, reason: str = "tool_calls") -> bytes:
    """The bytes of a Chat Completions stream whose chunks each hold one entry of `tool_calls`."""
    chunks: list[object] = [{"choices": [{"delta": {"tool_calls": [delta]}}]} for delta in deltas]
    chunks.append({"choices": [{"delta": {}, "finish_reason": reason}]})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def delta(
    index: int | None = None, call_id: str | None = None, name: str | None = None, arguments: object = ""
) -> Delta:
    """One entry of `tool_calls`; None leaves a field out."""
    function: Delta = {"arguments": arguments} if name is None else {"arguments": arguments, "name": name}
    made: Delta = {"index": index, "id": call_id, "type": "function", "function": function}
    return {field: value for field, value in made.items() if value is not None}


BERN, KYIV = '{"city": "Bern"}', '{"city": "Kyiv"}'
TWO = [("weather", BERN), ("weather", KYIV)]


@pytest.mark.parametrize(
    "deltas",
    [
        [delta(0, "a", "weather", BERN), delta(1, "b", "weather", KYIV)],
        [delta(0, "a", "weather"), delta(0, None, None, BERN), delta(1, "b", "weather"), delta(1, None, None, KYIV)],
        [delta(0, "a", "weather"), delta(1, "b", "weather"), delta(1, "", "", KYIV), delta(0, "", "", BERN)],
        [delta(3, "a", "weather", BERN), delta(7, "b", "weather", KYIV)],
        [delta(None, "a", "weather", BERN), delta(None, "b", "weather", KYIV)],
        [delta(0, "a", "weather", BERN), delta(0, "b", "weather", KYIV)],
        [delta(0, "", "weather", BERN), delta(0, "", "weather", KYIV)],
        [delta(None, None, "weather", BERN), delta(None, None, "weather", KYIV)],
        [delta(0, None, "weather", '{"city": '), delta(0, None, "weather", '"Bern"}'), delta(1, None, "weather", KYIV)],
        [delta(0, "a"), delta(0, None, "weather", BERN), delta(1, "b"), delta(1, None, "weather", KYIV)],
        [delta(0, "a", "weather", {"city": "Bern"}), delta(1, "b", "weather", {"city": "Kyiv"})],
        [delta(0, "same", "weather", BERN), delta(1, "same", "weather", KYIV)],
    ],
    ids=[
        "whole",
        "in pieces",
        "mixed, with empty names",
        "any index",
        "no index",
        "one index",
        "one index, no id",
        "no index, no id",
        "name repeated",
        "id before name",
        "arguments as an object",
        "one id",
    ],
)
def test_calls_are_understood_in_the_forms_in_use(answering: Answers, deltas: list[Delta]) -> None:
    calls = read(answering(chat(*deltas)), ask_with_tools(ApiKind.CHAT))[1].calls
    assert [(call.name, call.arguments) for call in calls] == TWO
    ids = [call.call_id for call in calls]
    assert all(ids)
    assert len(set(ids)) == 2


def test_two_calls_of_one_tool_without_arguments_are_two(answering: Answers) -> None:
    model = answering(chat(delta(0, "a", "clock"), delta(0, "b", "clock")))
    calls = read(model, ask_with_tools(ApiKind.CHAT))[1].calls
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [("a", "clock", ""), ("b", "clock", "")]


def test_a_call_without_an_id_gets_one_that_no_other_answer_has(answering: Answers) -> None:
    model = answering(*[chat(delta(0, None, "clock", "{}"))] * 2)
    first, second = (read(model, ask_with_tools(ApiKind.CHAT))[1].calls[0].call_id for _ in range(2))
    assert first != second


@pytest.mark.parametrize("reason", ["stop", "function_call"])
def test_calls_are_calls_whatever_the_server_calls_the_end(answering: Answers, reason: str) -> None:
    _, finished = read(answering(chat(delta(0, "a", "clock", "{}"), reason=reason)), ask_with_tools(ApiKind.CHAT))
    assert (finished.finish_reason, len(finished.calls)) == ("tool_calls", 1)


def test_an_end_for_calls_without_any_is_a_plain_end(answering: Answers) -> None:
    _, finished = read(answering(chat(reason="tool_calls")), ask_with_tools(ApiKind.CHAT))
    assert (finished.finish_reason, finished.calls) == ("stop", ())


def test_a_name_that_could_not_be_sent_back_is_made_one_that_can(answering: Answers) -> None:
    model = answering(chat(delta(0, "a", "functions.wetter für " + "x" * 100, "{}")))
    name = read(model, ask_with_tools(ApiKind.CHAT))[1].calls[0].name
    assert name.startswith("functions_wetter_f_r_xxx")
    assert len(name) == 64


def test_a_call_of_nothing_is_a_broken_stream(answering: Answers) -> None:
    error = fail(answering(*[chat(delta(0, "a", "", "{}"))] * 2), ApiKind.CHAT)
    assert (type(error), error.code) == (RetryableError, "model-stream-broken")


def responses(*events: Delta, output: object = (), status: str = "completed") -> bytes:
    """The bytes of a Responses API stream."""
    last: Delta = {"type": f"response.{status}", "response": {"status": status, "output": output}}
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (*events, last))


def item(kind: str, call_id: str, arguments: str, **fields: object) -> Delta:
    """An event about a call as an output item."""
    call = {
        "type": "function_call",
        "call_id": call_id,
        "name": "weather",
        "arguments": arguments,
        "id": f"fc_{call_id}",
    }
    return {"type": f"response.output_item.{kind}", "item": call, **fields}


def arguments(kind: str, field: str, text: str, **fields: object) -> Delta:
    return {"type": f"response.function_call_arguments.{kind}", field: text, **fields}


@pytest.mark.parametrize(
    "stream",
    [
        responses(item("done", "a", BERN, output_index=0), item("done", "b", KYIV, output_index=1)),
        responses(
            item("added", "a", "", output_index=1),
            arguments("delta", "delta", BERN[:5], output_index=1),
            arguments("delta", "delta", BERN[5:], output_index=1),
            item("added", "b", "", output_index=2),
            arguments("delta", "delta", KYIV, output_index=2),
        ),
        responses(
            item("added", "a", ""),
            item("added", "b", ""),
            arguments("delta", "delta", "{", item_id="fc_b"),
            arguments("done", "arguments", KYIV, item_id="fc_b"),
            arguments("done", "arguments", BERN, item_id="fc_a"),
        ),
        responses(output=[{"type": "reasoning"}, *(item("", *each)["item"] for each in (("a", BERN), ("b", KYIV)))]),
    ],
    ids=["done only", "pieces only", "no index, whole arguments", "in the end only"],
)
def test_calls_of_the_responses_api_are_understood_in_the_forms_in_use(answering: Answers, stream: bytes) -> None:
    _, finished = read(answering(stream), ask_with_tools(ApiKind.RESPONSES))
    assert finished.finish_reason == "tool_calls"
    assert finished.calls == (
        ToolCall(call_id="a", name="weather", arguments=BERN),
        ToolCall(call_id="b", name="weather", arguments=KYIV),
    )


def test_what_a_reasoning_model_thinks_is_no_call(answering: Answers) -> None:
    thought = {"type": "response.output_item.done", "item": {"type": "reasoning", "id": "rs_1"}, "output_index": 0}
    model = answering(responses(thought, item("done", "a", BERN, output_index=1)))
    assert len(read(model, ask_with_tools(ApiKind.RESPONSES))[1].calls) == 1


@pytest.mark.parametrize(
    ("api_kind", "stream"),
    [
        (ApiKind.CHAT, chat(*(delta(n, f"c{n}", "clock", "{}") for n in range(33)))),
        (ApiKind.CHAT, chat(delta(0, "a", "clock", "x" * 65_537))),
        (ApiKind.CHAT, chat(delta(0, "a", "clock"), *[delta(0, None, None, "x" * 1_000)] * 66)),
        (ApiKind.RESPONSES, responses(*(item("done", f"c{n}", BERN, output_index=n) for n in range(33)))),
        (ApiKind.RESPONSES, responses(item("done", "a", "x" * 65_537, output_index=0))),
        (ApiKind.RESPONSES, responses(*[arguments("delta", "delta", "x" * 1_000, output_index=0)] * 66)),
    ],
    ids=["33 calls", "whole", "pieces"] * 2,
)
def test_more_calls_or_arguments_than_a_turn_can_use_end_the_call(
    answering: Answers, api_kind: ApiKind, stream: bytes
) -> None:
    error = fail(answering(stream), api_kind)
    assert (type(error), error.code) == (PermanentError, "model-flood")


def test_as_many_calls_and_arguments_as_are_allowed_pass(answering: Answers) -> None:
    longest = '{"city": "' + "x" * (64 * 1024 - 12) + '"}'
    stream = chat(*(delta(n, f"c{n}", "clock", "{}") for n in range(31)), delta(31, "last", "weather", longest))
    calls = read(answering(stream), ask_with_tools(ApiKind.CHAT))[1].calls
    assert (len(calls), calls[-1].arguments) == (32, longest)


@pytest.mark.parametrize("tool_calls", [7, "x", {"a": 1}, [7, None, "x"], [{"function": 7, "index": "a"}], [{}]])
def test_calls_of_another_shape_do_not_break_the_reader(answering: Answers, tool_calls: object) -> None:
    chunk = {"choices": [{"delta": {"content": "one", "tool_calls": tool_calls}, "finish_reason": "stop"}]}
    text, finished = read(answering(b"data: " + json.dumps(chunk).encode() + b"\n\n"), ask_with_tools(ApiKind.CHAT))
    assert (text, finished.finish_reason, finished.calls) == ("one", "stop", ())
