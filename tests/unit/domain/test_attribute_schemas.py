"""What a tenant says of its attributes: every one at fault is named, no value is repeated, nothing runs long."""

import pytest
from pydantic import ValidationError

from domain.attribute_schemas import AttributeSchema, AttributesRefused, check

SHOP = AttributeSchema.model_validate(
    {
        "properties": {
            "tier": {"type": "string", "enum": ["gold", "silver"]},
            "visits": {"type": "integer", "minimum": 0, "exclusiveMaximum": 1000},
            "nickname": {"type": "string", "minLength": 2, "maxLength": 5},
            "is_member": {"type": "boolean"},
        },
        "required": ["tier"],
        "additionalProperties": False,
    }
)


def fields(attributes, schema=SHOP):
    with pytest.raises(AttributesRefused) as caught:
        check(schema, attributes)
    return {fault.field: fault.expected for fault in caught.value.faults}


@pytest.mark.parametrize("attributes", [{"tier": "gold"}, {"tier": "silver", "visits": 0, "nickname": "Zoë"}])
def test_what_is_as_the_schema_says_is_taken(attributes):
    check(SHOP, attributes)


def test_without_a_schema_or_a_rule_everything_is_taken():
    for schema in (None, AttributeSchema()):
        check(schema, {"anything": "at all", "number": 1.5})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("tier", "hunter2", "one of the listed values"),
        ("visits", -7, "a number of at least 0"),
        ("visits", 1000, "a number below 1000"),
        ("visits", "hunter2", "a value of type integer"),
        ("visits", True, "a value of type integer"),
        ("nickname", "Z", "text of at least 2 characters"),
        ("nickname", "hunter2", "text of at most 5 characters"),
        ("is_member", 1, "a value of type boolean"),
        ("unheard_of", "hunter2", "no attribute of this name"),
    ],
)
def test_what_is_not_is_named_with_what_was_expected_and_without_its_value(name, value, expected):
    found = fields({"tier": "gold"} | {name: value})
    assert list(found) == [f"attributes.{name}"]
    assert found[f"attributes.{name}"].startswith(expected)
    assert "hunter2" not in str(found)


def test_everything_at_fault_is_named_at_once():
    assert set(fields({"visits": -1, "one": 1, "two": 2})) == {
        "attributes.tier", "attributes.visits", "attributes.one", "attributes.two",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "array"}, "type"),
        ({"$ref": "#"}, "$ref"),
        ({"properties": {"a": {"type": "string", "pattern": "(a+)+$"}}}, "pattern"),
        ({"properties": {"a": {"type": "object"}}}, "properties"),
        ({"properties": {"a": {}}}, "type"),
        ({"properties": {"A b": {"type": "string"}}}, "properties"),
        ({"properties": {"a": {"type": "string", "minimum": 1}}}, "bound"),
        ({"properties": {"a": {"type": "integer", "maxLength": 1}}}, "bound"),
        ({"required": ["a", "a"]}, "once"),
        ({"required": ["a"], "additionalProperties": False}, "rule for each"),
        ({"properties": {"a": {"type": "number", "enum": []}}}, "enum"),
        ({"additional_properties": False}, "additional_properties"),
    ],
)
def test_a_schema_that_says_something_else_is_refused(schema, place):
    with pytest.raises(ValidationError) as caught:
        AttributeSchema.model_validate(schema)
    assert place in str(caught.value)


def test_a_schema_is_read_back_as_it_was_written():
    assert AttributeSchema.model_validate(SHOP.document) == SHOP
    assert SHOP.document["properties"]["visits"] == {"type": "integer", "minimum": 0, "exclusiveMaximum": 1000}
