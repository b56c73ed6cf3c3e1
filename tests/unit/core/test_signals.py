"""The contract of signals: what one says, and how SQS groups and deduplicates it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.events import MessageReceived, SignalKind, SignalReceived
from core.models import Address

_CONTRACTS = Path(__file__).parent / "contracts"
_NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
_PLACE = Address(platform="slack", workspace_id="T1", channel_id="C1", thread_id="1.2")


def _signal(**fields: object) -> SignalReceived:
    least = {
        "kind": "stop",
        "external_id": "S1",
        "address": _PLACE,
        "sent_at": _NOW,
        "received_at": _NOW,
        "correlation_id": "request-1",
    }
    return SignalReceived.model_validate({**least, **fields})


@pytest.mark.parametrize("path", sorted(_CONTRACTS.glob("signal_received_v1*.json")), ids=lambda path: path.stem)
def test_every_signal_a_release_has_published_still_validates(path: Path) -> None:
    signal = SignalReceived.model_validate_json(path.read_bytes())

    assert signal.kind is SignalKind.EDIT
    assert signal.text == "How late is it, really?"


def test_a_signal_has_the_group_of_its_conversation() -> None:
    message = MessageReceived(
        address=_PLACE,
        external_message_id="1.3",
        external_user_id="U1",
        sent_at=_NOW,
        received_at=_NOW,
        correlation_id="request-1",
    )

    assert _signal().group_id == message.group_id


def test_a_signal_sent_again_is_the_same_one_and_another_kind_is_not() -> None:
    assert _signal().deduplication_id == _signal(correlation_id="request-2").deduplication_id
    assert _signal().deduplication_id != _signal(kind="feedback").deduplication_id
    assert _signal().deduplication_id != _signal(external_id="S2").deduplication_id


def test_a_kind_of_a_later_release_is_read_and_means_nothing_here() -> None:
    assert _signal(kind="shout").kind is SignalKind.UNKNOWN


@pytest.mark.parametrize(
    "fields",
    [{"external_id": ""}, {"value": "maybe"}, {"text": "x" * 40_001}, {"reference": "x" * 513}],
)
def test_what_no_platform_means_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        _signal(**fields)
