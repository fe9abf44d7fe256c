"""What a tenant says its custom profile attributes look like: a plain part of JSON Schema, nothing that can run long.

Attributes are single values, so a rule names a type, a list, bounds or lengths. Patterns and references are left out:
a pattern somebody wrote can keep a processor busy for hours.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from pydantic import ConfigDict, Field, model_validator

from domain.profiles import MAX_ATTRIBUTES, AttributeName, AttributeText, AttributeValue
from domain.values import Frozen

MAX_LISTED_VALUES = 500
Bound = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)] | Annotated[float, Field(allow_inf_nan=False)]
Length = Annotated[int, Field(ge=0, le=500)]
_OF_NUMBERS = ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum")
_OF_TEXT = ("min_length", "max_length")


class AttributeRule(Frozen):
    """What one attribute may be; the words are those of JSON Schema."""

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True)

    type: Literal["string", "integer", "number", "boolean"]
    description: AttributeText | None = None
    enum: tuple[AttributeValue, ...] | None = Field(default=None, min_length=1, max_length=MAX_LISTED_VALUES)
    minimum: Bound | None = None
    maximum: Bound | None = None
    exclusive_minimum: Bound | None = Field(default=None, alias="exclusiveMinimum")
    exclusive_maximum: Bound | None = Field(default=None, alias="exclusiveMaximum")
    min_length: Length | None = Field(default=None, alias="minLength")
    max_length: Length | None = Field(default=None, alias="maxLength")

    @model_validator(mode="after")
    def _speaks_of_its_type(self) -> Self:
        other = {"string": _OF_NUMBERS, "boolean": (*_OF_NUMBERS, *_OF_TEXT)}.get(self.type, _OF_TEXT)
        if any(getattr(self, name) is not None for name in other):
            raise ValueError(f"must have no bound or length that says nothing of a {self.type}")
        return self


class AttributeSchema(Frozen):
    """What a tenant's attributes look like; without any rule every attribute is taken."""

    model_config = ConfigDict(validate_by_name=False, validate_by_alias=True)

    type: Literal["object"] = "object"
    properties: dict[AttributeName, AttributeRule] = Field(default_factory=dict, max_length=MAX_ATTRIBUTES)
    required: tuple[AttributeName, ...] = Field(default=(), max_length=MAX_ATTRIBUTES)
    additional_properties: bool = Field(
        default=True, alias="additionalProperties", description="Whether attributes without a rule are taken."
    )

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if len(set(self.required)) != len(self.required):
            raise ValueError("must name each attribute once in required")
        if not self.additional_properties and set(self.required) - self.properties.keys():
            raise ValueError("must have a rule for each attribute in required, as no others are taken")
        return self

    @property
    def document(self) -> dict[str, Any]:
        """The schema in JSON, as it was written."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Fault(Frozen):
    """An attribute that is not as the tenant says."""

    field: str
    expected: str


class AttributesRefused(Exception):
    """Attributes are not as the tenant's schema says; ``faults`` name them, and what was expected, never a value."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        super().__init__(f"{len(faults)} attributes are not as the schema says")


def check(schema: AttributeSchema | None, attributes: Mapping[str, Any]) -> None:
    """Make sure that attributes are as the schema says; None takes all.

    Raises:
        AttributesRefused: with every attribute at fault, by name.
    """
    if schema is None:
        return
    errors = Draft202012Validator(schema.document).iter_errors(dict(attributes))
    faults = {(fault.field, fault.expected): fault for error in errors for fault in _faults(schema, attributes, error)}
    if faults:
        raise AttributesRefused(tuple(faults[name] for name in sorted(faults)))


def _faults(schema: AttributeSchema, attributes: Mapping[str, Any], error: ValidationError) -> Iterator[Fault]:
    if error.validator == "required":
        for name in sorted(set(schema.required) - attributes.keys()):
            yield Fault(field=f"attributes.{name}", expected="a value; the tenant's schema requires this attribute")
    elif error.validator == "additionalProperties":
        for name in sorted(attributes.keys() - schema.properties.keys()):
            yield Fault(field=f"attributes.{name}", expected="no attribute of this name; the tenant's schema has none")
    else:
        name = str(error.absolute_path[0])
        expected = _words(str(error.validator), error.validator_value)
        yield Fault(field=f"attributes.{name}", expected=f"{expected}, as the tenant's schema says")


def _words(keyword: str, value: Any) -> str:
    if keyword == "enum":
        return "one of the listed values"
    return {
        "type": f"a value of type {value}",
        "minimum": f"a number of at least {value}",
        "maximum": f"a number of at most {value}",
        "exclusiveMinimum": f"a number above {value}",
        "exclusiveMaximum": f"a number below {value}",
        "minLength": f"text of at least {value} characters",
        "maxLength": f"text of at most {value} characters",
    }[keyword]
