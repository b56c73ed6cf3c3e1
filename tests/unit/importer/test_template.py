"""A template is checked before it is used."""

import pytest
from pydantic import ValidationError

from importer.template import FieldHint, Template

_RECORD = {"type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "number"}}, "required": ["a"]}


def test_a_template_names_its_fields_in_the_schemas_order() -> None:
    template = Template(name="t", record=_RECORD, hints={"a": FieldHint(unit="kg")})
    assert template.fields == ("b", "a")
    assert template.required == {"a"}
    assert template.schema_of("b") == {"type": "string"}
    assert (template.hint_of("a").unit, template.hint_of("b").unit) == ("kg", "")
    assert Template.model_validate_json(template.model_dump_json(by_alias=True)) == template


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"type": "array", "properties": {"a": {}}},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a" * 201: {}}},
        {"type": "object", "properties": {f"f{number}": {} for number in range(513)}},
    ],
)
def test_a_record_that_is_no_object_with_fields_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Template(name="t", record=record)
