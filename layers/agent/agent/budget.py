"""What people and companies may use together: asked before the model is, only where the settings set a limit."""

from datetime import datetime
from decimal import Decimal

from core.configuration import Limits
from core.errors import PermanentError
from core.store import Store


def check_budget(limits: Limits, store: Store, *, company_id: str, user_id: str, now: datetime) -> None:
    """Return if the person's day and the company's month have room for one more turn.

    Turns that run at the same time do not see each other: a limit may be passed by what is in flight.

    Raises:
        PermanentError: `limit-user-day` or `limit-company-month`.
    """
    if limits.max_user_day_messages or limits.max_user_day_tokens or limits.max_user_day_cost:
        day = store.day_usage(company_id, user_id, now.date())
        if (
            _is_reached(day.messages, limits.max_user_day_messages)
            or _is_reached(day.total_tokens, limits.max_user_day_tokens)
            or _is_reached(day.cost, limits.max_user_day_cost)
        ):
            raise PermanentError("limit-user-day", "the person's daily limit is reached")
    if limits.max_company_month_tokens or limits.max_company_month_cost:
        month = store.company_month_usage(company_id, f"{now:%Y-%m}")
        if _is_reached(month.total_tokens, limits.max_company_month_tokens) or _is_reached(
            month.cost, limits.max_company_month_cost
        ):
            raise PermanentError("limit-company-month", "the company's monthly limit is reached")


def _is_reached(used: int | Decimal | None, limit: int | Decimal | None) -> bool:
    return limit is not None and used is not None and used >= limit
