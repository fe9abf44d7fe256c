"""Preference templates: named sets of preferences for people who have something in common, in versions.

A template stands below everything a recipient chose and above the tenant's defaults. It is made of preferences, so it
never stands for consent and opens no gate above it. What it says to one recipient is settled when it is applied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field, JsonValue, model_validator

from domain.consent import Text
from domain.events import Identifier, Name
from domain.preferences import Finding, Preference, problems
from domain.segment_reading import RuleField
from domain.segments import Answer, Fact, Operator, Rule, Truth, answers, holds, subjects
from domain.values import Frozen, Moment

MAX_VALUES = 50
MAX_AUDIENCES = 20


class TemplateKind(StrEnum):
    """What a template is for; the list is closed."""

    SEGMENT = "segment"
    LIFECYCLE = "lifecycle"
    SEASONAL = "seasonal"
    CAUTIOUS = "cautious"
    CUSTOM = "custom"


class TemplateValue(Frozen):
    """One preference of a template, and for whom of its members it is; null is everybody."""

    preference: Preference
    when: RuleField | None = None


class Audience(Frozen):
    """People the template is meant for, by what is known of them."""

    name: Name
    rule: RuleField


class Template(Frozen):
    """One version of a template."""

    type: TemplateKind
    description: Text
    values: tuple[TemplateValue, ...] = Field(min_length=1, max_length=MAX_VALUES)
    conditions: RuleField | None = Field(
        default=None, description="Must be true of whoever it is applied to; null is everybody."
    )
    audiences: tuple[Audience, ...] = Field(default=(), max_length=MAX_AUDIENCES)

    @model_validator(mode="after")
    def _names_nothing_twice(self) -> Self:
        found = [each for each in problems(self.preferences, None) if each.field.endswith(".scope")]
        if found:
            raise ValueError(f"values.{found[0].field} must be {found[0].expected}")
        if len({each.name for each in self.audiences}) < len(self.audiences):
            raise ValueError("audiences must not have a name twice")
        return self

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """Every preference, whoever it is for."""
        return tuple(each.preference for each in self.values)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule in it."""
        asked = (self.conditions, *(each.when for each in self.values), *(each.rule for each in self.audiences))
        return tuple(rule for rule in asked if rule is not None)

    @property
    def facts(self) -> frozenset[str]:
        """The names of the facts its rules ask about."""
        return frozenset(each if isinstance(each, str) else each.name for each in subjects(self.rules))

    def audience(self, name: str) -> Audience | None:
        """Return an audience by name, None when there is none."""
        return next((each for each in self.audiences if each.name == name), None)

    def held(self, positions: Sequence[int]) -> tuple[Preference, ...]:
        """Return the preferences at some positions of ``values``."""
        return tuple(self.values[position].preference for position in positions)


class Membership(Frozen):
    """The template that was applied to a recipient, and which of its values are for them."""

    template_id: Name
    version: int
    held: tuple[int, ...] = Field(description="Positions in the template's values.")
    application_id: Identifier
    since: Moment

    @property
    def name(self) -> str:
        """The template and its version, as the rule that won is named."""
        return named(self.template_id, self.version)

    def says_the_same(self, other: "Membership | None") -> bool:
        """Tell whether another membership is of the same version with the same values."""
        return other is not None and (self.name, self.held) == (other.name, other.held)


def named(template_id: str, version: int) -> str:
    """Return what a version of a template is called where a rule is named."""
    return f"{template_id}@{version}"


class Reasoned(Frozen):
    """What one condition came to for a recipient; null is unknown, because the fact is missing or does not fit."""

    field: str
    fact: str
    operator: Operator
    truth: bool | None


@dataclass(frozen=True)
class Fit:
    """Whether a template may be applied to somebody, which of its values are for them, and why."""

    may_apply: bool
    held: tuple[int, ...]
    reasons: tuple[Reasoned, ...]

    @property
    def unmet(self) -> tuple[Reasoned, ...]:
        """The conditions of the template itself that did not come true."""
        return tuple(each for each in self.reasons if each.field.startswith("conditions") and each.truth is not True)


def fit(template: Template, facts: Mapping[str, Fact], now: datetime) -> Fit:
    """Return whether a template may be applied to whom these facts are about, and what of it holds for them."""
    told = _reasons("conditions", template.conditions, facts, now)
    for position, value in enumerate(template.values):
        told += _reasons(f"values.{position}.when", value.when, facts, now)
    held = tuple(position for position, value in enumerate(template.values) if holds(value.when, facts, now))
    return Fit(may_apply=holds(template.conditions, facts, now), held=held, reasons=tuple(told))


def refusals(template: Template, settings_schema: dict[str, JsonValue] | None) -> list[Finding]:
    """Return what keeps a template from being published: custom settings outside the tenant's schema."""
    found = problems(template.preferences, settings_schema)
    return [
        Finding(field=f"values.{position}.preference.{rest}", expected=each.expected)
        for each in found
        for position, _, rest in [each.field.partition(".")]
    ]


def _reasons(place: str, rule: Rule | None, facts: Mapping[str, Fact], now: datetime) -> list[Reasoned]:
    return [_reasoned(place, each) for each in answers(rule, facts, now)] if rule is not None else []


def _reasoned(place: str, answer: Answer) -> Reasoned:
    truth: Truth = answer.truth
    where = f"{place}.{answer.place}" if answer.place else place
    return Reasoned(field=where, fact=answer.fact, operator=answer.operator, truth=truth)
