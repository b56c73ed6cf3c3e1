"""How long what people say is kept: from when on an item counts as gone, and what ends the life of its texts in S3."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

# Days after which the bucket's lifecycle deletes an object, by its tag; one rule of template.yaml each.
TEXT_DAYS = (2, 8, 31, 91, 181, 366, 731, 1096, 1826, 3651)


@dataclass(frozen=True, slots=True)
class Expiry:
    """When something written now is gone.

    Attributes:
        ttl: In seconds since 1970, always a midnight (UTC), so that everything of one day goes together and what is
            used daily needs its new time written once a day. DynamoDB deletes within days of it; reads hide it at once.
        text_days: The age at which the bucket deletes a text; never before its item is gone.
    """

    ttl: int
    text_days: int


def expiry_after(days: int | None, now: datetime) -> Expiry | None:
    """The expiry of what is to be kept for so many whole days from `now`; None where it is kept for good."""
    if days is None:
        return None
    last_day = (now.astimezone(UTC) + timedelta(days=days)).date()
    midnight = datetime.combine(last_day + timedelta(days=1), time(), UTC)
    text_days = next((longest for longest in TEXT_DAYS if longest > days), days + 1)
    return Expiry(ttl=int(midnight.timestamp()), text_days=text_days)


def read_clock() -> datetime:
    """The time by which reads hide what has expired."""
    return datetime.now(UTC)  # noqa: TID251 - every reader must hide it, also one that was handed no clock
