"""What a model call costs: the vendor's list prices in US dollars per million tokens, and since when they are ours.

Source: the model pages and the pricing page of https://developers.openai.com/api/docs/pricing, stored copies read on
2026-11-22 together with the resellers and price trackers that quote them, the newest of 2026-11-06. Standard tier,
without the surcharge for regional processing, and without fees per use of the vendor's own tools. What is not in the
table has no price: a local model, a fine-tuned one, a name that a gateway made up.

From GPT-5.6 on, what is written into the prompt cache costs a quarter more than other input. The usage that is counted
here does not tell it from other input, so that such a call may cost a little more than this says.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from core.models import Usage

PRICE_VERSION = "openai-2026-11-22"  # change it with every change of the table

_LONG_PROMPT_TOKENS = 272_000  # above this, some models charge the whole call at another rate
_LONG_INPUT_FACTOR = Decimal(2)
_LONG_OUTPUT_FACTOR = Decimal("1.5")
_SMALLEST = Decimal("0.00000001")
_MILLION = Decimal(1_000_000)
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class _Price:
    input: Decimal
    cached: Decimal | None  # None: what comes out of the cache costs what other input does
    output: Decimal
    has_long_rate: bool = False


def _price(input_: str, cached: str | None, output: str, *, has_long_rate: bool = False) -> _Price:
    return _Price(Decimal(input_), None if cached is None else Decimal(cached), Decimal(output), has_long_rate)


_PRICES = {
    "gpt-6.1-sol": _price("2", "0.10", "10", has_long_rate=True),
    "gpt-6.1-terra": _price("1", "0.05", "5", has_long_rate=True),
    "gpt-6-astra": _price("10", "1", "50", has_long_rate=True),
    "gpt-6-sol": _price("2", "0.20", "10", has_long_rate=True),
    "gpt-6-luna": _price("0.10", "0.01", "0.50", has_long_rate=True),
    # The list price: a promotion at 4, 0.40 and 20 was promised until 2026-11-21.
    "gpt-5.6": _price("5", "0.50", "30", has_long_rate=True),
    "gpt-5.6-sol": _price("5", "0.50", "30", has_long_rate=True),
    "gpt-5.6-terra": _price("2", "0.20", "12", has_long_rate=True),
    "gpt-5.6-luna": _price("0.20", "0.02", "1.20", has_long_rate=True),
    "gpt-5.5": _price("5", "0.50", "30", has_long_rate=True),
    "gpt-5.5-pro": _price("30", None, "180", has_long_rate=True),
    "gpt-5.4": _price("2.50", "0.25", "15", has_long_rate=True),
    "gpt-5.4-pro": _price("30", None, "180", has_long_rate=True),
    "gpt-5.4-mini": _price("0.75", "0.075", "4.50"),
    "gpt-5.4-nano": _price("0.20", "0.02", "1.25"),
    "gpt-5.2": _price("1.75", "0.175", "14"),
    "gpt-5.2-pro": _price("21", None, "168"),
    "gpt-5.1": _price("1.25", "0.125", "10"),
    # gpt-5, -pro, -mini and -nano shut down on 2026-12-11; what they answered keeps its price.
    "gpt-5": _price("1.25", "0.125", "10"),
    "gpt-5-pro": _price("15", None, "120"),
    "gpt-5-mini": _price("0.25", "0.025", "2"),
    "gpt-5-nano": _price("0.05", "0.005", "0.40"),
    "gpt-4.1": _price("2", "0.50", "8"),
    "gpt-4.1-mini": _price("0.40", "0.10", "1.60"),
    "gpt-4.1-nano": _price("0.10", "0.025", "0.40"),
    "gpt-4o": _price("2.50", "1.25", "10"),
    "gpt-4o-2024-05-13": _price("5", None, "15"),
    "gpt-4o-mini": _price("0.15", "0.075", "0.60"),
    "o3": _price("2", "0.50", "8"),
    "o3-mini": _price("1.10", "0.55", "4.40"),
    "o4-mini": _price("1.10", "0.275", "4.40"),
    "gpt-4o-transcribe": _price("2.50", None, "10"),
    "gpt-4o-mini-transcribe": _price("1.25", None, "5"),
    "gpt-4-turbo": _price("10", None, "30"),
    "gpt-4": _price("30", None, "60"),
    "gpt-3.5-turbo": _price("0.50", None, "1.50"),
}


_SECOND_PRICES = {
    "gpt-transcribe": Decimal("0.0045") / 60,
    "whisper-1": Decimal("0.006") / 60,
}


def cost_of_transcript(model: str, usage: Usage | None, seconds: float | None) -> Decimal | None:
    """US dollars for a recording, by its tokens or by its length; None where neither is known, or no price."""
    if usage and (price := cost_of(model, usage)):
        return price[0]
    return None if seconds is None else cost_of_seconds(model, seconds)


def cost_of_seconds(model: str, seconds: float) -> Decimal | None:
    """US dollars for a recording that is billed by its length; None where the model's price is not known."""
    price = _SECOND_PRICES.get(model)
    return None if price is None else (price * Decimal(str(seconds))).quantize(_SMALLEST)


def cost_of(model: str, usage: Usage) -> tuple[Decimal, str] | None:
    """US dollars for one model call, and the version of the prices; None where the model's price is not known.

    Reasoning tokens are part of the output and cost the same.

    Args:
        model: The model that answered; a dated snapshot costs what its model does.
        usage: Of one call: some models charge a long prompt at another rate, so that sums of calls would mislead.
    """
    price = _PRICES.get(model) or _PRICES.get(_SNAPSHOT.sub("", model))
    if price is None:
        return None
    cached = min(usage.cached_tokens, usage.input_tokens)
    cached_price = price.input if price.cached is None else price.cached
    input_cost = (usage.input_tokens - cached) * price.input + cached * cached_price
    output_cost = usage.output_tokens * price.output
    if price.has_long_rate and usage.input_tokens > _LONG_PROMPT_TOKENS:
        input_cost, output_cost = input_cost * _LONG_INPUT_FACTOR, output_cost * _LONG_OUTPUT_FACTOR
    return (input_cost + output_cost) / _MILLION, PRICE_VERSION
