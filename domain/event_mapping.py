"""A mapping: how each field of an event is made from one row of somebody's file.

A row that cannot be mapped is refused by field; an empty cell leaves its field out. Amounts are scaled in decimal
arithmetic, stamps without an offset need a declared zone.
"""

import re
from collections.abc import Mapping as Values
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    StringConstraints,
    Tag,
    model_validator,
)

from domain import cell_values
from domain.cell_values import TIME, Rounding, Unmapped, cell, text
from domain.events import EngagementEvent, EventAttribution, EventContext, Money
from domain.naive_times import Choice, NoSuchMoment, moment
from domain.tenants import ZoneName
from domain.values import Frozen

_NESTED: dict[str, type[BaseModel]] = {"value": Money, "context": EventContext, "attribution": EventAttribution}
_PLAIN = frozenset(EngagementEvent.model_fields) - set(_NESTED) - {"properties"}
_REQUIRED = tuple(name for name, field in EngagementEvent.model_fields.items() if field.is_required())
_TARGETS = _PLAIN | {f"{group}.{name}" for group, model in _NESTED.items() for name in model.model_fields}
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


class NeedsZone(ValueError):
    """Stamps have no offset and the mapping does not say where they were written."""


Column = Annotated[str, StringConstraints(min_length=1)]


class Constant(Frozen):
    """The same value in every event."""

    constant: JsonValue


class Template(Frozen):
    """A text with columns in braces, such as ``sale-{store}-{ticket}``; all of them must be filled."""

    template: Annotated[str, StringConstraints(pattern=r"\{[^{}]+\}")]

    @property
    def columns(self) -> list[str]:
        """The columns it uses."""
        return _PLACEHOLDER.findall(self.template)


_LEAST_FACTOR, _LARGEST_FACTOR = Decimal("1e-9"), Decimal("1e9")
"""A few characters can name a number that no memory holds as an integer."""


class FromColumn(Frozen):
    """A column's value: as it is, or translated, scaled or read as a time."""

    column: Column
    values: dict[str, JsonValue] | None = Field(default=None, description="What each value of the column becomes.")
    times: Decimal | None = Field(
        default=None,
        ge=_LEAST_FACTOR,
        le=_LARGEST_FACTOR,
        allow_inf_nan=False,
        description="A factor; gives an integer.",
    )
    round: Rounding = Rounding.HALF_EVEN
    type: Literal["text", "integer", "number", "boolean", "json"] | None = None
    format: str | None = Field(default=None, description="strptime's, unix_seconds or unix_milliseconds.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in ("values", "times", "type", "format") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{given[1]} cannot be combined with {given[0]}")
        return self


def _kind(spec: Any) -> str:
    given = spec if isinstance(spec, dict) else getattr(spec, "__dict__", {})
    return next((name for name in ("constant", "template") if name in given), "column")


Spec = Annotated[
    Annotated[Constant, Tag("constant")] | Annotated[Template, Tag("template")] | Annotated[FromColumn, Tag("column")],
    Discriminator(_kind),
    BeforeValidator(lambda spec: {"column": spec} if isinstance(spec, str) else spec),
]
"""How one field is made; a bare text is the name of a column."""


class EventMapping(Frozen):
    """How every field of an event is made; the targets are the contract's fields, dotted where they are nested."""

    fields: dict[str, Spec]
    time_zone: ZoneName | None = Field(default=None, description="Where stamps without an offset were written.")
    ambiguous: Choice = Field(default=Choice.REJECT, description="For a stamp in the hour that comes twice.")
    skipped: Choice = Field(default=Choice.REJECT, description="For a stamp in the hour that is left out.")
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","

    @model_validator(mode="after")
    def _targets(self) -> Self:
        for target, spec in self.fields.items():
            if target not in _TARGETS and not re.fullmatch(r"properties\.[^.\s]{1,100}", target):
                raise ValueError(f"fields.{target}: not a field of an event; use properties.<name> for your own")
            if isinstance(spec, FromColumn) and spec.format is not None and target != TIME:
                raise ValueError(f"fields.{target}: format is for occurred_at only")
        for name in _REQUIRED:
            if name not in self.fields:
                raise ValueError(f"fields: {name} is missing; every event needs it")
        return self

    @cached_property
    def columns(self) -> dict[str, str]:
        """Every column the mapping reads, with the target that reads it."""
        read: dict[str, str] = {}
        for target, spec in self.fields.items():
            if isinstance(spec, FromColumn):
                read[spec.column] = target
            elif isinstance(spec, Template):
                read |= dict.fromkeys(spec.columns, target)
        return read

    def apply(self, row: Values[str, Any]) -> dict[str, Any]:
        """Return the event of a row, as a producer would send it.

        Raises:
            Unmapped: a value cannot be made what its field needs.
            NeedsZone: the stamp has no offset and no zone is declared.
        """
        event: dict[str, Any] = {}
        for target, spec in self.fields.items():
            value = self._time(spec, row) if target == TIME else _value(target, spec, row)
            if value is not None:
                _put(event, target, value)
        if "value" in event and "minor" not in event["value"]:
            # A currency alone, often a constant, is no amount.
            del event["value"]
        return event

    def _time(self, spec: Spec, row: Values[str, Any]) -> Any:
        form = spec.format if isinstance(spec, FromColumn) else None
        value = cell(row, spec.column) if isinstance(spec, FromColumn) else _value(TIME, spec, row)
        if value is None:
            return None
        stamp = cell_values.stamp(value, form)
        if stamp.tzinfo is not None:
            return stamp.isoformat(timespec="microseconds")
        if self.time_zone is None:
            raise NeedsZone("occurred_at: the stamps have no offset; say where they were written with time_zone")
        try:
            zone = ZoneInfo(self.time_zone)
            return moment(stamp, zone, ambiguous=self.ambiguous, skipped=self.skipped).isoformat()
        except NoSuchMoment as error:
            raise Unmapped(TIME, str(error)) from None


def identity(columns: list[str], *, source: str | None) -> EventMapping:
    """Return the mapping for a file whose columns are named like the fields of an event.

    Args:
        columns: the file's.
        source: the source of every event, instead of a column.

    Raises:
        ValueError: a column has another name, or a required field has no column.
    """
    fields: dict[str, Spec] = {
        name: FromColumn(column=name, type="integer" if name == "value.minor" else None) for name in columns
    }
    return EventMapping(fields=fields if source is None else fields | {"source": Constant(constant=source)})


def _put(event: dict[str, Any], target: str, value: Any) -> None:
    group, _, name = target.partition(".")
    if name:
        event.setdefault(group, {})[name] = value
    else:
        event[target] = value


def _value(target: str, spec: Spec, row: Values[str, Any]) -> Any:
    if isinstance(spec, Constant):
        return spec.constant
    if isinstance(spec, Template):
        cells = {column: cell(row, column) for column in spec.columns}
        if any(value is None for value in cells.values()):
            return None
        return _PLACEHOLDER.sub(lambda match: text(cells[match[1]]), spec.template)
    value = cell(row, spec.column)
    return None if value is None else _converted(target, spec, value)


def _converted(target: str, spec: FromColumn, value: Any) -> Any:
    if spec.values is not None:
        if text(value) not in spec.values:
            raise Unmapped(target, f"one of the values listed for column {spec.column}")
        return spec.values[text(value)]
    if spec.times is not None:
        return cell_values.scaled(target, value, spec.times, spec.round)
    if spec.type is not None:
        return cell_values.READERS[spec.type](target, value)
    # The contract's fields are text but for the amount; what goes into properties keeps its type.
    is_text = not target.startswith("properties.") and target != "value.minor"
    return text(value) if is_text else cell_values.plain(target, value)
