"""What all values are made of, and the few that a webhook makes: its cold start pays for every class that it loads.

JSON and stored names are the camelCase form of the Python names (`userCompanyId` for `user_company_id`). Times are
aware UTC datetimes here and ISO 8601 with milliseconds in JSON.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        msg = "a time needs its zone: give it in UTC, ending in Z"
        raise ValueError(msg)
    return value.astimezone(UTC)


def to_iso(value: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, the form in which every time is stored (`2026-01-31T09:30:00.123Z`)."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[datetime, AfterValidator(_in_utc), PlainSerializer(to_iso, return_type=str, when_used="json")]


class Value(BaseModel):
    """A frozen value with camelCase JSON names."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")


class ApiKind(StrEnum):
    """Which of the model API's two surfaces is spoken."""

    RESPONSES = "responses"
    CHAT = "chat"


class Address(Value):
    """Where a conversation takes place on its platform. `thread_id` is empty where the channel itself is the thread."""

    platform: str
    workspace_id: str
    channel_id: str
    thread_id: str = ""
    is_direct: bool = False
