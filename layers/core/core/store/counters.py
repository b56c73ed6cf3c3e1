"""Usage counters: what one person used on one day, and what a company used in a month."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from pynamodb.expressions.update import Action

from core.imports import Import
from core.models import Task, Value
from core.store import keys
from core.store.claims import Spent
from core.store.items import UsageItem
from core.store.table import Change, Table


class UsageCounter(Value):
    """What was used: by one person on one day, or by one company in one month."""

    company_id: str
    user_id: str | None = None
    period: str  # 2026-01-31 or 2026-01
    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cost: Decimal | None = None


def count_turn(
    company_id: str, conversation_id: str, user_id: str, task: Task | Spent, now: datetime, *, messages: int = 1
) -> list[Change]:
    """The writes that count one answered message, or what was spent beside one, on its day (UTC) and in its month."""
    day = now.astimezone(UTC).date()
    actions = _additions(task, messages)
    return [
        Change(keys.day_counter_key(company_id, day, user_id), actions),
        Change(keys.month_counter_key(company_id, day, conversation_id), actions),
    ]


def count_import(import_: Import, now: datetime) -> list[Change]:
    """The writes that count what the model took for an import, on the day (UTC) and in the month of its person."""
    day, company_id = now.astimezone(UTC).date(), import_.user_company_id
    actions = _additions(import_, 0)
    return [
        Change(keys.day_counter_key(company_id, day, import_.user_id), actions),
        Change(keys.month_counter_key(company_id, day, import_.id), actions),
    ]


def _additions(task: Task | Import | Spent, messages: int) -> Sequence[Action]:
    tokens = (
        (UsageItem.input_tokens, task.total_input_tokens),
        (UsageItem.output_tokens, task.total_output_tokens),
        (UsageItem.total_tokens, task.total_tokens),
    )
    additions = [UsageItem.messages.add(messages), *(counter.add(number) for counter, number in tokens if number)]
    if task.cost is not None:
        additions.append(UsageItem.cost.add(task.cost))
    return additions


class Counters:
    """What was counted. Reads may lag a moment behind writes."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def month(self, company_id: str, month: date) -> tuple[UsageCounter, ...]:
        """The company's month, summed, then each person's days in order."""
        shards: list[UsageItem] = []
        days: list[UsageCounter] = []
        for item in self._table.query(UsageItem, keys.usage_partition(company_id, month)):
            if item.sk.startswith(keys.MONTH_SHARDS):
                shards.append(item)
            elif item.sk.startswith(keys.DAY_COUNTERS):
                _, day, _, user = item.sk.split("#")
                days.append(_counter(company_id, f"{month:%Y-%m}-{day}", [item], user_id=keys.unescape(user)))
        return (_counter(company_id, f"{month:%Y-%m}", shards), *days)

    def company_month(self, company_id: str, month: date) -> UsageCounter:
        """The company's month, summed; nobody's days are read."""
        shards = UsageItem.sk.startswith(keys.MONTH_SHARDS)
        items = self._table.query(UsageItem, keys.usage_partition(company_id, month), shards)
        return _counter(company_id, f"{month:%Y-%m}", items)

    def day(self, company_id: str, user_id: str, day: date) -> UsageCounter:
        """One person's day; zeros where nothing was counted."""
        item = self._table.get(UsageItem, keys.day_counter_key(company_id, day, user_id))
        return _counter(company_id, day.isoformat(), [item] if item else [], user_id=user_id)


def _counter(company_id: str, period: str, items: list[UsageItem], *, user_id: str | None = None) -> UsageCounter:
    costs = [item.cost for item in items if item.cost is not None]
    return UsageCounter(
        company_id=company_id,
        user_id=user_id,
        period=period,
        messages=sum(int(item.messages or 0) for item in items),
        input_tokens=sum(int(item.input_tokens or 0) for item in items),
        output_tokens=sum(int(item.output_tokens or 0) for item in items),
        total_tokens=sum(int(item.total_tokens or 0) for item in items),
        cost=sum(costs, Decimal(0)) if costs else None,
    )
