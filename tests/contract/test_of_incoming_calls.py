"""Who is let in, and what becomes a question, once."""

from collections.abc import Callable

import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError

from tests.contract.stage import Stage

_LATE = 2 * 3_600  # seconds; the longest that a platform's proof is good for, and then some


def _no_connection(*_: object) -> None:
    raise EndpointConnectionError(endpoint_url="https://sqs.eu-central-1.amazonaws.com")


def test_a_call_of_the_platform_becomes_a_question(stage: Stage) -> None:
    message = stage.ask("What is the plan?")
    assert (message.address.platform, message.address.workspace_id) == (stage.name, stage.platform.workspace_id)
    assert message.external_user_id == stage.platform.person[0]
    assert message.external_user_workspace_id == stage.platform.workspace_id
    assert message.is_addressed
    assert stage.outbound().read_text(message) == "What is the plan?", "without the assistant's own name"


@pytest.mark.parametrize("is_body_there", [True, False])
def test_a_call_without_a_proof_is_refused(stage: Stage, is_body_there: bool) -> None:
    call = stage.platform.question("let me in", "channel")
    body = call.body if is_body_there else b""
    assert stage.deliver(type(call)(path=call.path, body=body))[0] == 401
    assert stage.is_quiet()


def test_a_forged_call_is_refused(stage: Stage) -> None:
    call = stage.platform.question("let me in", "channel")
    status, answer = stage.deliver(stage.signed(call, is_forged=True))
    assert (status, sorted(answer)) == (401, ["error", "message"])
    assert stage.is_quiet()


def test_a_call_whose_proof_was_changed_is_refused(stage: Stage) -> None:
    call = stage.signed(stage.platform.question("let me in", "channel"))
    proof = call.headers[stage.platform.proof]
    for place in (len(proof) // 2, -10):
        other = "a" if proof[place] != "a" else "b"
        changed = proof[:place] + other + proof[place:][1:]
        assert stage.deliver(call.with_headers(**{stage.platform.proof: changed}))[0] in (401, 403)
    assert stage.is_quiet()


def test_a_stale_call_is_refused(stage: Stage) -> None:
    call = stage.platform.question("let me in", "channel")
    assert stage.deliver(stage.signed(call, late=_LATE))[0] == 401
    assert stage.is_quiet()


def test_a_call_from_the_future_is_refused(stage: Stage) -> None:
    call = stage.platform.question("let me in", "channel")
    assert stage.deliver(stage.signed(call, late=-_LATE))[0] == 401
    assert stage.is_quiet()


@pytest.mark.parametrize("spoiled", ["é", "v0=é", "Bearer é.é.é", "\U0001f511", "\udcff", "x" * 20_000])
def test_a_proof_that_is_not_ascii_is_refused(stage: Stage, spoiled: str) -> None:
    call = stage.signed(stage.platform.question("let me in", "channel"))
    assert stage.deliver(call.with_headers(**{stage.platform.proof: spoiled}))[0] == 401
    proof = call.headers[stage.platform.proof]
    assert stage.deliver(call.with_headers(**{stage.platform.proof: f"{proof[:-1]}é"}))[0] == 401
    assert stage.is_quiet()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xef\xbb\xbf{}", b"[" * 20_000, b"{}"])
def test_a_signed_call_that_says_nothing_readable_becomes_nothing(stage: Stage, body: bytes) -> None:
    call = stage.platform.question("hello", "channel")
    assert stage.deliver(stage.signed(type(call)(path=call.path, body=body)))[0] < 500
    assert stage.is_quiet()


def test_a_call_that_is_too_long_is_refused(stage: Stage) -> None:
    call = stage.platform.question("hello", "channel")
    assert stage.deliver(stage.signed(type(call)(path=call.path, body=b'{"a": "' + b"x" * 1_000_000 + b'"}')))[0] == 413
    assert stage.is_quiet()


def test_nothing_that_was_said_and_no_proof_is_logged(stage: Stage, logged: Callable[[], str]) -> None:
    call = stage.signed(stage.platform.question("a word that is nobody's business", "channel"))
    stage.deliver(call)
    stage.deliver(call.with_headers(**{stage.platform.proof: "spoiled-proof"}))
    assert logged(), "something is logged"
    for secret in ("nobody's business", "spoiled-proof", call.headers[stage.platform.proof]):
        assert secret not in logged()


def test_the_handshake_is_answered(stage: Stage) -> None:
    call, expected = stage.platform.handshake()
    assert stage.deliver(call)[0] == 401, "only where it is signed"
    assert stage.deliver(stage.signed(call)) == (200, expected)
    assert stage.is_quiet()


def test_a_replayed_call_is_one_question(stage: Stage) -> None:
    call = stage.signed(stage.platform.question("only once", "channel"))
    assert [stage.deliver(call)[0] for _ in range(3)] == [200] * 3
    assert len(stage.messages()) == 1, "all have one deduplication id"


def test_what_the_platform_sends_again_keeps_its_id(stage: Stage) -> None:
    call = stage.platform.question("only once", "direct")
    stage.take(call)
    stage.take(stage.platform.sent_again(call))
    assert len(stage.messages()) == 1


def test_a_message_and_its_twin_are_one_question(stage: Stage) -> None:
    call = stage.platform.question("only once", "channel")
    stage.take(call)
    stage.take(stage.platform.twin(call))
    assert len(stage.messages()) == 1


def test_two_questions_of_one_conversation_stand_in_one_group(stage: Stage) -> None:
    first = stage.ask()
    stage.take(stage.platform.question("And then?", "channel", thread=first))
    (second,) = stage.messages()
    assert second.group_id == first.group_id
    assert second.deduplication_id != first.deduplication_id
    assert stage.ask().group_id != first.group_id
    assert stage.ask(place="direct").group_id != first.group_id


def test_the_assistant_s_own_message_is_ignored(stage: Stage) -> None:
    stage.take(stage.platform.own_message())
    assert stage.is_quiet()


def test_another_bot_s_message_is_ignored(stage: Stage) -> None:
    stage.take(stage.platform.other_bot())
    assert stage.is_quiet()


def test_what_people_say_to_each_other_is_ignored(stage: Stage) -> None:
    stage.take(stage.platform.chatter())
    assert stage.is_quiet()


def test_the_platform_is_asked_to_send_again_while_the_queue_is_gone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = stage.signed(stage.platform.question("hello", "channel"))
    with monkeypatch.context() as moment:
        moment.setattr(BaseClient, "_make_api_call", _no_connection)
        status, answer = stage.deliver(call)
    assert (status, sorted(answer)) == (503, ["error", "message"])
    assert stage.deliver(call)[0] == 200
    assert len(stage.messages()) == 1
