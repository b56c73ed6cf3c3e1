"""What the model reads of a conversation: what fits, in order, and the same again from its manifest."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.afterwards import find_boundary
from agent.digests import make_digests
from agent.entities import find_entity
from agent.history import Prompt, render_again, render_prompt
from agent.model_values import ModelMessage
from agent.tokens import estimate_tokens
from core.configuration import ActionFlowTool, EntityMapping, Input, Limits, ThirdPartyTool
from core.models import (
    ApiKind,
    ContentPart,
    ContentType,
    Message,
    Role,
    ToolDigest,
    ToolStatus,
    ToolType,
    ToolUsage,
)
from core.prompts import PromptManifest
from core.store import Entity, Summary, keys

START = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
CONVERSATION = "cnv_1"
VARIABLES = {"{company}": "Acme", "{person}": "Alice"}
DIGEST = ToolDigest(name="orders_get", request='{"id": 7}', response="shipped on Monday")
SUMMARY = Summary(until="0" * 26, text="They like tea.", since=START, created_at=START)


def make_input(**limits: int) -> Input:
    return Input(
        settings_id="default",
        settings_version=1,
        prompts=("You help {person}.",),
        model="m",
        api_kind=ApiKind.CHAT,
        limits=Limits.model_validate(limits),
    )


def message(place: int, text: str, *, digests: tuple[ToolDigest, ...] = ()) -> Message:
    role = Role.ASSISTANT if place % 2 else Role.USER
    ulid = keys.message_ulid("slack", "T", "C", str(place), START + timedelta(minutes=place))
    id_ = keys.message_id(CONVERSATION, ulid)
    return Message(
        id=id_,
        llm_conversation_id=CONVERSATION,
        role=role,
        entity_type="CHANNEL",
        user_id="u",
        content=(ContentPart(type=ContentType.TEXT, text=text, message_id=id_),),
        tool_digests=digests,
        created_at=START + timedelta(minutes=place),
    )


def talk(turns: int, text: str = "word", *, digests: tuple[ToolDigest, ...] = ()) -> list[Message]:
    """So many questions with their replies, and one more question."""
    return [message(place, f"{text} {place}", digests=digests if place % 2 else ()) for place in range(2 * turns + 1)]


def render(messages: list[Message], *, summary: Summary | None = None, **limits: int) -> Prompt:
    return render_prompt(make_input(**limits), messages[:-1], messages[-1], summary=summary, variables=VARIABLES)


def texts(prompt: Prompt) -> list[str]:
    return [each.text for each in prompt.messages]


def estimate(messages: tuple[ModelMessage, ...]) -> int:
    return sum(estimate_tokens(each.text) for each in messages)


def test_the_whole_of_a_short_conversation_is_read_in_order() -> None:
    prompt = render(talk(2))
    assert texts(prompt) == ["You help Alice.", "word 0", "word 1", "word 2", "word 3", "word 4"]
    assert not prompt.is_cut


@pytest.mark.parametrize("turns", [5, 50, 400])
def test_what_is_read_is_bounded_however_long_the_conversation_is(turns: int) -> None:
    prompt = render(talk(turns, "word " * 50, digests=(DIGEST,)), history_messages=200, history_tokens=1_000)
    assert estimate(prompt.messages) <= 1_000 + estimate_tokens("You help Alice.")
    assert prompt.is_cut == (turns > 5)
    assert prompt.messages[-1].text == f"{'word ' * 50} {2 * turns}"


def test_the_window_has_at_most_so_many_messages_and_begins_with_a_person() -> None:
    prompt = render(talk(10), history_messages=5)
    assert texts(prompt)[1:] == ["word 16", "word 17", "word 18", "word 19", "word 20"]
    assert prompt.is_cut


def test_no_history_is_read_where_the_limit_is_none() -> None:
    assert texts(render(talk(3), history_messages=0)) == ["You help Alice.", "word 6"]


def test_what_tools_gave_is_read_as_calls_each_with_its_result() -> None:
    prompt = render([message(0, "status?"), message(1, "On its way.", digests=(DIGEST, DIGEST)), message(2, "when?")])
    asked, told, other, said = prompt.messages[2:6]
    assert [call.name for call in asked.calls] == ["orders_get", "orders_get"]
    assert [call.call_id for call in asked.calls] == [told.call_id, other.call_id]
    assert len({call.call_id for call in asked.calls}) == 2
    assert (told.text, said.text) == ("shipped on Monday", "On its way.")


def test_what_tools_gave_goes_first_from_the_oldest_turn_on_and_only_then_the_messages() -> None:
    digest = ToolDigest(name="orders_get", response="shipped " * 20)
    everything = talk(4, "word " * 20, digests=(digest,))
    seen: set[tuple[int, int]] = set()
    for tokens in range(1_000, 249, -10):
        prompt = render(everything, history_tokens=tokens)
        results = [each for each in prompt.messages if each.call_id]
        messages = [each for each in prompt.messages[1:] if each.text.startswith("word")]
        assert len(messages) == 9 or len(results) <= 1, "results go first; one may have the room of half a turn"
        if results and len(results) < 4:
            assert prompt.messages[-3].call_id, "the newest result is the last to go"
        seen.add((len(results), len(messages)))
    assert {(4, 9), (1, 9), (0, 9)} <= seen
    assert min(messages for _, messages in seen) < 9


def test_a_summary_stands_before_the_window_and_never_among_the_instructions() -> None:
    prompt = render(talk(1), summary=SUMMARY)
    assert prompt.messages[1].role is Role.USER
    assert "They like tea." in prompt.messages[1].text
    assert prompt.manifest.summary == SUMMARY.until


@pytest.mark.parametrize("summary", [None, SUMMARY], ids=["no summary", "a summary"])
@pytest.mark.parametrize("tokens", [250, 400, 700, 12_000])
def test_a_manifest_gives_the_same_prompt_again_also_when_the_conversation_went_on(
    tokens: int, summary: Summary | None
) -> None:
    everything = talk(12, "word " * 20, digests=(DIGEST,))
    first = render(everything[:17], summary=summary, history_tokens=tokens)
    stored = PromptManifest.model_validate_json(first.manifest.model_dump_json(by_alias=True, exclude_defaults=True))
    changed = make_input(history_tokens=9_000)  # the window is the manifest's, whatever a limit would choose
    again = render_again(changed, stored, everything, everything[16], summary=summary)
    assert again.messages == first.messages
    assert again.manifest.sha256 == stored.sha256


def test_a_changed_message_gives_another_hash() -> None:
    everything = talk(2)
    first = render(everything)
    changed = [message(0, "another word"), *everything[1:]]
    again = render_again(make_input(), first.manifest, changed, changed[-1], summary=None)
    assert again.manifest.sha256 != first.manifest.sha256


def test_prompts_of_one_conversation_begin_alike() -> None:
    everything = talk(5)
    before, after = texts(render(everything[:7])), texts(render(everything[:9]))
    assert after[: len(before)] == before


def test_a_new_summary_leaves_half_of_the_room_and_begins_with_a_person() -> None:
    everything = talk(10)
    limits = Limits(history_messages=20)
    until = find_boundary(everything[:-1], limits)
    assert until == keys.ulid_of(everything[9].id)
    assert find_boundary(everything[:4], Limits(history_messages=20)) is None
    long = [message(0, "word " * 9_000), message(1, "yes")]
    assert find_boundary(long, Limits(history_tokens=1_000)) == keys.ulid_of(long[-1].id)


def usage(response: str, *, name: str = "orders_get", status: ToolStatus = ToolStatus.COMPLETED) -> ToolUsage:
    return ToolUsage(
        name=name,
        call_id="c",
        type=ToolType.TPA,
        request='{"id":  7}',
        response=response,
        message_id="m",
        status=status,
        started_at=START,
        idempotency_key="k",
    )


def test_a_digest_is_short_and_a_request_that_is_not_is_left_out() -> None:
    (digest,) = make_digests([usage("ж " * 500)])
    assert digest.request == '{"id": 7}'
    assert digest.response.endswith("…")
    assert len(digest.response.encode()) <= 200
    (other,) = make_digests([usage("ok").model_copy(update={"request": '{"a": "' + "x" * 90 + '"}'})])
    assert other.request == ""
    assert len(make_digests([usage("ok")] * 40)) == 6


ABOUT = EntityMapping(type="ORDER", id_pointer="/order/lines/0/id")
ORDER = '{"order": {"lines": [{"id": "A-1"}]}}'
FLOW = ActionFlowTool(
    name="orders_get",
    description="d",
    parameters={},
    arn="arn:aws:lambda:eu-central-1:123456789012:function:orders",
    entity=ABOUT,
)
API = ThirdPartyTool(name="orders", description="d", openapi={}, entity=EntityMapping(type="CASE", id_pointer="/id"))


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (ORDER, Entity(type="ORDER", id="A-1")),
        (ORDER.replace('"A-1"', "17"), Entity(type="ORDER", id="17")),
        (ORDER.replace("A-1", "A#1"), None),
        (ORDER.replace("A-1", "x" * 65), None),
        (ORDER.replace('"A-1"', "true"), None),
        (ORDER.replace('"A-1"', '{"a": 1}'), None),
        ('{"order": {"lines": []}}', None),
        ("not json", None),
        ("[" * 100_000, None),
        ("9" * 10_000, None),
    ],
)
def test_an_entity_is_what_the_settings_point_at_and_nothing_odd(response: str, found: Entity | None) -> None:
    input_ = make_input().model_copy(update={"tools": (API, FLOW)})
    assert find_entity(input_, [usage(response)]) == found


def test_the_last_result_that_names_an_entity_counts_and_a_failed_one_does_not() -> None:
    input_ = make_input().model_copy(update={"tools": (API, FLOW)})
    other = usage('HTTP 200\n{"id": "C-9"}', name="orders_open")
    failed = usage('HTTP 200\n{"id": "C-7"}', name="orders_open", status=ToolStatus.FAILED)
    assert find_entity(input_, [usage(ORDER), other, failed]) == Entity(type="CASE", id="C-9")
    assert find_entity(input_, [other, usage(ORDER)]) == Entity(type="ORDER", id="A-1")
    assert find_entity(input_, []) is None
    assert find_entity(make_input(), [usage(ORDER)]) is None


def test_limits_that_counted_characters_are_read_as_tokens() -> None:
    assert Limits.model_validate({"historyCharacters": 48_000}) == Limits()
    assert Limits.model_validate({"historyCharacters": 4_000, "historyMessages": 6}).history_tokens == 1_000
    assert Limits.model_validate({"historyCharacters": 4_000, "historyTokens": 900}).history_tokens == 900
    with pytest.raises(ValueError, match="historyCharacters"):
        Limits.model_validate({"historyCharacters": "many"})
