"""Queue contracts: what a message says, what it may hold, and how SQS groups and deduplicates it."""

import json
import string
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.events import FileReference, MessageReceived
from core.models import Address

_CONTRACTS = Path(__file__).parent / "contracts"
_SENT = datetime(2026, 1, 31, 9, 30, 1, 123456, tzinfo=UTC)
_QUEUE_KEY_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)  # what SQS allows
_SQS_LIMIT = 1024 * 1024  # bytes of a message

# Ids full of what SQS refuses, and of the separator of keys.
_ids = st.one_of(st.text(min_size=1, max_size=200), st.text(alphabet=":a", min_size=1, max_size=4))


_LEAST: dict[str, object] = {
    "external_message_id": "1.3",
    "external_user_id": "U1",
    "sent_at": _SENT,
    "received_at": _SENT,
    "correlation_id": "request-1",
}


def _message(
    *,
    platform: str = "slack",
    workspace_id: str = "T1",
    channel_id: str = "C1",
    thread_id: str = "1.2",
    **fields: object,
) -> MessageReceived:
    address = Address(platform=platform, workspace_id=workspace_id, channel_id=channel_id, thread_id=thread_id)
    return MessageReceived.model_validate({"address": address, **_LEAST, **fields})


def _is_queue_key(key: str) -> bool:
    return 1 <= len(key) <= 128 and _QUEUE_KEY_CHARACTERS.issuperset(key)


@pytest.mark.parametrize("path", sorted(_CONTRACTS.glob("message_received_v1*.json")), ids=lambda path: path.stem)
def test_every_message_a_release_has_published_still_validates(path: Path) -> None:
    message = MessageReceived.model_validate_json(path.read_bytes())

    assert message.version == 1
    assert message.external_message_id == "1769851801.000200"
    assert message.external_user_id == "U012AB3CD"
    assert message.address.workspace_id == "T012AB3CD"
    assert message.sent_at == datetime(2026, 1, 31, 9, 30, 1, tzinfo=UTC)
    assert message.received_at == datetime(2026, 1, 31, 9, 30, 1, 742000, tzinfo=UTC)
    assert message.correlation_id == "Jl9XRgAAIAMEPQw="


def test_every_field_of_a_released_message_is_still_published_unchanged() -> None:
    released = json.loads((_CONTRACTS / "message_received_v1.json").read_bytes())

    published = json.loads(MessageReceived.model_validate(released).model_dump_json(by_alias=True))

    assert published == {**published, **released}


def test_fields_a_newer_release_added_are_ignored() -> None:
    message = MessageReceived.model_validate_json((_CONTRACTS / "message_received_v1_newer.json").read_bytes())

    published = json.loads(message.model_dump_json(by_alias=True))
    assert (message.text, message.is_addressed) == ("What is new?", False)
    assert {"locale", "quoted"}.isdisjoint(published)
    assert "enterpriseId" not in published["address"]
    assert "seconds" not in published["files"][0]


def test_fields_a_release_did_not_know_have_harmless_defaults() -> None:
    message = MessageReceived.model_validate_json((_CONTRACTS / "message_received_v1_least.json").read_bytes())

    assert (message.text, message.files, message.is_addressed) == ("", (), True)
    assert (message.address.thread_id, message.address.is_direct) == ("", False)


def test_a_message_of_another_version_is_refused() -> None:
    with pytest.raises(ValidationError):
        _message(version=2)


def test_a_published_message_reads_back_equal() -> None:
    message = _message(text="Zażółć 🐝", files=(FileReference(id="F1", size=3),), is_addressed=False)
    whole = message.model_copy(
        update={"sent_at": _SENT.replace(microsecond=123000), "received_at": _SENT.replace(microsecond=0)}
    )

    assert MessageReceived.model_validate_json(whole.model_dump_json(by_alias=True)) == whole


def test_times_travel_in_utc_with_milliseconds() -> None:
    message = _message(sent_at=_SENT.astimezone(timezone(timedelta(hours=2))))

    assert message.sent_at.tzinfo is UTC
    assert json.loads(message.model_dump_json(by_alias=True))["sentAt"] == "2026-01-31T09:30:01.123Z"


def test_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="zone"):
        _message(sent_at="2026-01-31T09:30:01.123")


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "x" * 40_001},
        {"files": [{"id": "F"}] * 21},
        {"files": [{"id": "F", "size": -1}]},
        {"files": [{"id": "F", "url": "x" * 4097}]},
        {"files": [{"id": "F", "name": "x" * 513}]},
        {"files": [{"id": ""}]},
        {"external_message_id": ""},
        {"external_message_id": "x" * 513},
        {"external_user_id": "x" * 513},
        {"correlation_id": "x" * 129},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_message_larger_than_its_bounds_is_refused(fields: dict[str, object]) -> None:
    address = Address(platform="slack", workspace_id="T1", channel_id="C1")
    assert MessageReceived.model_validate({"address": address, **_LEAST})

    with pytest.raises(ValidationError):
        MessageReceived.model_validate({"address": address, **_LEAST, **fields})


def test_the_largest_message_fits_into_the_queue() -> None:
    escaped = "\x01"  # six bytes in JSON, the most a character takes
    file = FileReference(id=escaped * 512, name=escaped * 512, media_type=escaped * 255, size=2**53, url=escaped * 4096)
    message = _message(
        text=escaped * 40_000,
        files=(file,) * 20,
        external_message_id=escaped * 512,
        external_user_id=escaped * 512,
        correlation_id=escaped * 128,
    )

    assert len(message.model_dump_json(by_alias=True).encode()) < _SQS_LIMIT


@given(platform=_ids, workspace_id=_ids, channel_id=_ids, thread_id=st.just("") | _ids, external_message_id=_ids)
def test_queue_keys_are_valid_for_any_ids(
    platform: str, workspace_id: str, channel_id: str, thread_id: str, external_message_id: str
) -> None:
    message = _message(
        platform=platform,
        workspace_id=workspace_id,
        channel_id=channel_id,
        thread_id=thread_id,
        external_message_id=external_message_id,
    )

    assert _is_queue_key(message.group_id)
    assert _is_queue_key(message.deduplication_id)


def test_an_operator_can_read_the_keys_of_plain_ids() -> None:
    message = _message()

    assert message.group_id == "slack:T1:C1:1.2"
    assert message.deduplication_id == "slack:T1:C1:1.3:a"


@given(one=st.tuples(_ids, _ids, _ids), other=st.tuples(_ids, _ids, _ids))
def test_two_conversations_never_share_a_group(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assume(one != other)
    first, second = (
        _message(workspace_id=workspace, channel_id=channel, thread_id=thread)
        for workspace, channel, thread in (one, other)
    )

    assert first.group_id != second.group_id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("T:1", "C", "2"), ("T", "1:C", "2")),
        (("T", "C:1", "2"), ("T", "C", "1:2")),
        (("T", "é", "2"), ("T", "è", "2")),
    ],
)
def test_ids_that_hold_a_colon_cannot_displace_another_message(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    first, second = (
        _message(workspace_id=workspace, channel_id=channel, external_message_id=message_id)
        for workspace, channel, message_id in (one, other)
    )

    assert first.deduplication_id != second.deduplication_id


def test_a_mention_and_its_twin_are_one_message_where_both_name_the_assistant() -> None:
    mention = _message(text="<@U0BOT> hello", correlation_id="request-1")
    twin = _message(text="<@U0BOT> hello", correlation_id="request-2", received_at=_SENT + timedelta(seconds=1))

    assert (mention.group_id, mention.deduplication_id) == (twin.group_id, twin.deduplication_id)


def test_a_silent_twin_does_not_displace_the_mention() -> None:
    mention, silent = _message(), _message(is_addressed=False)

    assert mention.group_id == silent.group_id
    assert mention.deduplication_id != silent.deduplication_id


@pytest.mark.parametrize(
    "elsewhere", [{"platform": "teams"}, {"workspace_id": "T2"}, {"channel_id": "C2"}, {"external_message_id": "9.9"}]
)
def test_the_same_id_in_another_place_is_another_message(elsewhere: dict[str, str]) -> None:
    assert _message().deduplication_id != _message(**elsewhere).deduplication_id
