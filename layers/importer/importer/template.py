"""What an import makes: a company's records as JSON Schema, with hints and a rule for what does not fit."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, field_validator

from core.models import Value

MAX_FIELDS = 512
_MAX_NAME = 200  # characters


class Contract(StrEnum):
    """What happens to what does not fit.

    FREEZE refuses a file with a column that the template does not know and rejects rows that do not fit;
    DISCARD_ROW rejects the row; DISCARD_VALUE rejects only the value: the field becomes null, if it is not required.
    """

    FREEZE = "freeze"
    DISCARD_ROW = "discard_row"
    DISCARD_VALUE = "discard_value"


class FieldHint(Value):
    """What a schema cannot say of a field.

    Attributes:
        aliases: Other names that its column may have.
        description: For the model and for people.
        unit: What a number is counted in ("kg", "EUR", "%"), so that another unit is converted or asked for.
        decimal: What its numbers have before their decimals, where that is known.
        date_order: How its dates are written, where that is known.
        country: ISO 3166 code for telephone numbers without a country.
        nulls: Texts that mean nothing is there.
        values: What a text of the file means, for fields with a closed list of values.
    """

    aliases: tuple[str, ...] = ()
    description: str = ""
    unit: str = ""
    decimal: Literal[".", ",", ""] = ""
    date_order: Literal["dmy", "mdy", "ymd", ""] = ""
    country: str = ""
    nulls: tuple[str, ...] = ()
    values: dict[str, str] = Field(default_factory=dict)


class Template(Value):
    """What the records of an import look like.

    Attributes:
        name: As the company calls it.
        version: An edit makes a new one.
        record: JSON Schema of one record: an object whose properties are the fields.
        hints: By field.
        contract: What happens to what does not fit.
        is_one_per_document: A document is one record (an invoice) instead of holding any number of them (a list).
        max_errors: Rejected rows at which an import fails; None leaves it at one half of the rows.
    """

    name: str
    version: int = Field(default=1, ge=1)
    record: dict[str, Any]
    hints: dict[str, FieldHint] = Field(default_factory=dict)
    contract: Contract = Contract.DISCARD_ROW
    is_one_per_document: bool = False
    max_errors: int | None = Field(default=None, ge=0)

    @field_validator("record")
    @classmethod
    def _has_fields(cls, record: dict[str, Any]) -> dict[str, Any]:
        properties = record.get("properties")
        if record.get("type") != "object" or not isinstance(properties, dict) or not properties:
            raise ValueError('a template\'s record is a JSON Schema with "type": "object" and "properties"')
        if len(properties) > MAX_FIELDS or any(len(name) > _MAX_NAME for name in properties):
            msg = f"a template has at most {MAX_FIELDS} fields with names of at most {_MAX_NAME} characters"
            raise ValueError(msg)
        if not all(isinstance(schema, dict) for schema in properties.values()):
            raise ValueError("each property of a template's record is a JSON Schema object")
        return record

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its fields, in the schema's order, which is the order of the output."""
        return tuple(self.record["properties"])

    @property
    def required(self) -> frozenset[str]:
        """The fields without which there is no record."""
        return frozenset(self.record.get("required", ()))

    def schema_of(self, field: str) -> dict[str, Any]:
        """JSON Schema of one field."""
        schema: dict[str, Any] = self.record["properties"][field]
        return schema

    def hint_of(self, field: str) -> FieldHint:
        """What is known of a field besides its schema."""
        return self.hints.get(field, FieldHint())
