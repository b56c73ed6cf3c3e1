"""What a call costs, in US dollars."""

from decimal import Decimal

import pytest

from agent.prices import PRICE_VERSION, cost_of
from core.models import Usage


def _usage(input_tokens: int = 0, output_tokens: int = 0, cached: int = 0, reasoning: int = 0) -> Usage:
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=input_tokens + output_tokens,
        cached_tokens=cached,
        reasoning_tokens=reasoning,
    )


@pytest.mark.parametrize(
    ("model", "usage", "dollars"),
    [
        ("gpt-5-mini", _usage(1_000_000), "0.25"),
        ("gpt-5-mini", _usage(0, 1_000_000), "2"),
        ("gpt-5-mini", _usage(1_000_000, 0, cached=1_000_000), "0.025"),
        ("gpt-5-mini", _usage(1_000, 500, cached=600), "0.001115"),
        ("gpt-4.1", _usage(300_000), "0.6"),
        ("gpt-4o", _usage(1_000, 0, cached=1_000), "0.00125"),
        ("gpt-5-pro", _usage(1_000, 0, cached=1_000), "0.015"),
        ("gpt-5-mini", _usage(), "0"),
    ],
)
def test_each_kind_of_token_has_its_price(model: str, usage: Usage, dollars: str) -> None:
    assert cost_of(model, usage) == (Decimal(dollars), PRICE_VERSION)


def test_reasoning_is_part_of_the_output() -> None:
    assert cost_of("o3", _usage(10, 900, reasoning=800)) == cost_of("o3", _usage(10, 900))


def test_a_long_prompt_costs_more_where_the_vendor_says_so() -> None:
    assert cost_of("gpt-5.4", _usage(272_000, 1_000)) == (Decimal("0.695"), PRICE_VERSION)
    assert cost_of("gpt-5.4", _usage(272_001, 1_000, cached=272_001)) == (Decimal("0.1585005"), PRICE_VERSION)
    assert cost_of("gpt-5.4-mini", _usage(300_000)) == (Decimal("0.225"), PRICE_VERSION)


@pytest.mark.parametrize(
    ("snapshot", "model"),
    [
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gpt-6.1-sol-2026-09-29", "gpt-6.1-sol"),
        ("o4-mini-2025-04-16", "o4-mini"),
    ],
)
def test_a_dated_snapshot_costs_what_its_model_does(snapshot: str, model: str) -> None:
    usage = _usage(1_234, 567, cached=89)
    assert cost_of(snapshot, usage) == cost_of(model, usage) != None  # noqa: E711 - three things are compared


def test_a_snapshot_with_a_price_of_its_own_keeps_it() -> None:
    assert cost_of("gpt-4o-2024-05-13", _usage(1_000_000)) == (Decimal(5), PRICE_VERSION)
    assert cost_of("gpt-4o-2024-08-06", _usage(1_000_000)) == (Decimal("2.5"), PRICE_VERSION)


@pytest.mark.parametrize(
    "model",
    [
        "",
        "stand-in",
        "llama3.2",
        "gpt-5-mini-turbo",
        "my-gpt-5-mini",
        "openai/gpt-5-mini",
        "ft:gpt-4o-mini-2024-07-18:acme::abc",
        "gpt-4o-audio-preview",
        "gpt-5-mini-2025",
        "GPT-5-mini",
    ],
)
def test_a_model_without_a_known_price_costs_an_unknown_sum_and_not_nothing(model: str) -> None:
    assert cost_of(model, _usage(1_000, 1_000)) is None


def test_more_cached_than_read_is_never_a_negative_price() -> None:
    assert cost_of("gpt-5-mini", _usage(10, 0, cached=1_000_000)) == cost_of("gpt-5-mini", _usage(10, 0, cached=10))
