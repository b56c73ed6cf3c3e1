"""The estimate of tokens against counts of OpenAI's o200k_base, language by language; docs/tokens.md is made of these.

The counts were taken once, on 2026-11-22, with the vocabulary itself.
"""

import json
import time
from pathlib import Path

import pytest

from agent.tokens import cut_to_tokens, estimate_tokens

_COUNTS = json.loads((Path(__file__).parent / "token_counts.json").read_text(encoding="utf-8"))
COUNTED = {kind: (int(each["tokens"]), str(each["text"])) for kind, each in _COUNTS.items()}


@pytest.mark.parametrize("kind", COUNTED)
def test_the_estimate_is_rather_too_high_and_never_far_too_low(kind: str) -> None:
    counted, text = COUNTED[kind]
    assert -0.1 <= (estimate_tokens(text) - counted) / counted <= 0.65


def test_the_sum_of_all_languages_is_estimated_within_a_quarter() -> None:
    counted = sum(number for number, _ in COUNTED.values())
    assert 1 <= sum(estimate_tokens(text) for _, text in COUNTED.values()) / counted <= 1.25


def test_nothing_is_no_token_and_odd_characters_are_some() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("\ud800\x00\U0001f600") >= 3


def test_a_text_made_to_be_slow_is_not() -> None:
    started = time.perf_counter()
    estimate_tokens("a\u0431" * 100_000)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("kind", COUNTED)
def test_a_text_is_cut_to_what_it_may_have(kind: str) -> None:
    _, text = COUNTED[kind]
    cut = cut_to_tokens(text * 20, 50)
    assert cut.endswith("…")
    assert 25 <= estimate_tokens(cut[:-1]) <= 50
    assert (text * 20).startswith(cut[:-1])
    assert cut_to_tokens(text, 1_000) == text
