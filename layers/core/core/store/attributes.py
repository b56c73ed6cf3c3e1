"""How PynamoDB stores what it has no attribute for: times, exact numbers, lists and maps of plain values."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pynamodb.attributes import Attribute, BooleanAttribute, NumberAttribute, UnicodeAttribute

from core.models import to_iso


class TimeAttribute(Attribute[datetime]):
    """A time as ISO 8601 in UTC with milliseconds; sorts as text."""

    attr_type = "S"

    def serialize(self, value: datetime) -> str:
        """The stored form."""
        return to_iso(value)

    def deserialize(self, value: str) -> datetime:
        """The time."""
        return datetime.fromisoformat(value)


class InstantAttribute(Attribute[datetime]):
    """A time as milliseconds since 1970: a third of the bytes, where people do not look and every turn writes."""

    attr_type = "N"

    def serialize(self, value: datetime) -> str:
        """The stored form."""
        return str(round(value.timestamp() * 1000))

    def deserialize(self, value: str) -> datetime:
        """The time."""
        return datetime.fromtimestamp(int(value) / 1000, UTC)


class DecimalAttribute(Attribute[Decimal]):
    """An exact number; PynamoDB's own passes through a float."""

    attr_type = "N"

    def serialize(self, value: Decimal) -> str:
        """The stored form."""
        return format(value, "f")

    def deserialize(self, value: str) -> Decimal:
        """The number."""
        return Decimal(value)


class TextsAttribute(Attribute[Sequence[str]]):
    """A list of texts."""

    attr_type = "L"

    def serialize(self, value: Sequence[str]) -> list[dict[str, Any]]:
        """The stored form."""
        return [_pack(text) for text in value]

    def deserialize(self, value: list[dict[str, Any]]) -> list[str]:
        """The texts."""
        return [text["S"] for text in value]


class DocumentAttribute(Attribute[Mapping[str, Any]]):
    """A map of JSON's types, but for null and fractions, which nothing of ours has."""

    attr_type = "M"

    def serialize(self, value: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The stored form."""
        return {name: _pack(field) for name, field in value.items()}

    def deserialize(self, value: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """The map."""
        return {name: _unpack(field) for name, field in value.items()}


class DocumentsAttribute(Attribute[Sequence[Mapping[str, Any]]]):
    """A list of such maps."""

    attr_type = "L"

    def serialize(self, value: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The stored form."""
        return [_pack(document) for document in value]

    def deserialize(self, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The maps."""
        return [_unpack(document) for document in value]


def make_text(name: str) -> UnicodeAttribute:
    """A text that may be missing."""
    return UnicodeAttribute(null=True, attr_name=name)


def make_number(name: str) -> NumberAttribute:
    """A number that may be missing."""
    return NumberAttribute(null=True, attr_name=name)


def make_time(name: str) -> TimeAttribute:
    """A time that may be missing."""
    return TimeAttribute(null=True, attr_name=name)


def make_flag(name: str) -> BooleanAttribute:
    """A yes or no that may be missing."""
    return BooleanAttribute(null=True, attr_name=name)


def make_texts(name: str) -> TextsAttribute:
    """A list of texts that may be missing."""
    return TextsAttribute(null=True, attr_name=name)


def make_document(name: str) -> DocumentAttribute:
    """A map of plain values that may be missing."""
    return DocumentAttribute(null=True, attr_name=name)


def _pack(plain: object) -> dict[str, Any]:
    match plain:
        case str():
            return {"S": plain}
        case bool():
            return {"BOOL": plain}
        case int():
            return {"N": str(plain)}
        case Mapping():
            return {"M": {name: _pack(field) for name, field in plain.items()}}
    msg = f"no {type(plain).__name__} is stored within a document"
    raise TypeError(msg)


def _unpack(stored: dict[str, Any]) -> Any:
    [(kind, plain)] = stored.items()
    match kind:
        case "N":
            return int(plain)
        case "M":
            return {name: _unpack(field) for name, field in plain.items()}
    return plain
