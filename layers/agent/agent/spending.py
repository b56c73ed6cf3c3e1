"""What one run of model and tools has taken of tokens and of money, and what its limits leave of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from agent.prices import cost_of
from core.configuration import Limits
from core.models import ToolUsage, Usage


@dataclass(frozen=True, slots=True)
class Totals:
    """Tokens and US dollars of a task's model calls so far; `is_priced` is False where one has no known price."""

    usage: Usage | None = None
    cost: Decimal = Decimal(0)
    is_priced: bool = True

    @classmethod
    def of(cls, usage: Usage | None, cost: Decimal | None) -> "Totals":
        """Of what was spent before the first model call; the price may not be known."""
        return cls(usage, cost or Decimal(0), usage is None or cost is not None)

    def with_abandoned(self, usages: Sequence[ToolUsage], model: str) -> "Totals":
        """With what the steps took whose uses of tools an edit left behind, when another process counted them."""
        spending = Spending(limits=Limits(), usage=self.usage, cost=self.cost, is_priced=self.is_priced)
        for usage in usages:
            if usage.place == 0 and not usage.under:  # a step's tokens are with its first use
                spending.count(model, usage.step_usage)
            if usage.spent and not usage.under:
                spending.add(usage.spent, usage.spent_cost)
        return spending.totals


@dataclass(kw_only=True)
class Spending:
    """Counts model calls, each once; `is_priced` is False where one of them has no known price."""

    limits: Limits
    usage: Usage | None = None
    cost: Decimal = Decimal(0)
    is_priced: bool = True

    @classmethod
    def after(cls, before: Totals, limits: Limits) -> "Spending":
        """Going on from what was spent already."""
        return cls(limits=limits, usage=before.usage, cost=before.cost, is_priced=before.is_priced)

    @property
    def totals(self) -> Totals:
        """The same, for a run that goes on with them."""
        return Totals(self.usage, self.cost, self.is_priced)

    @property
    def known_cost(self) -> Decimal | None:
        """What all calls so far cost; None where one of them has no known price."""
        return self.cost if self.is_priced and self.usage else None

    @property
    def is_over(self) -> bool:
        """Whether the limits leave nothing."""
        tokens, cost = self.limits.max_turn_tokens, self.limits.max_turn_cost
        if tokens is not None and (self.usage or Usage()).total_tokens >= tokens:
            return True
        return cost is not None and self.cost >= cost

    def rest(self) -> tuple[int | None, Decimal | None]:
        """What the limits leave of tokens and of money."""
        tokens, cost = self.limits.max_turn_tokens, self.limits.max_turn_cost
        used = self.usage or Usage()
        return tokens and tokens - used.total_tokens, cost and cost - self.cost

    def count(self, model: str, usage: Usage | None) -> None:
        """Add one model call; its price depends on that call alone."""
        price = cost_of(model, usage) if usage else None
        self.add(usage, price[0] if price else None)

    def add(self, usage: Usage | None, cost: Decimal | None) -> None:
        """Add what was counted elsewhere; None where its price is not known."""
        self.usage = _add(self.usage, usage)
        if cost is None:
            self.is_priced = False
        else:
            self.cost += cost


def _add(one: Usage | None, other: Usage | None) -> Usage | None:
    if one is None or other is None:
        return one or other
    mine, theirs = one.model_dump(), other.model_dump()
    return Usage(**{name: mine[name] + theirs[name] for name in mine})
