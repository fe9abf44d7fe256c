"""Preferences: what a recipient chose to get, where, how often and when. A preference never stands for consent.

What it does not say it leaves to less specific preferences; which one wins is in ``preference_resolution``.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import Field, JsonValue, StringConstraints, model_validator

from domain.consent import Text
from domain.events import Name
from domain.object_schema import check_object_schema
from domain.preference_scopes import Scope
from domain.values import Frozen, Moment
from domain.weekly_windows import WeeklyWindows

MAX_PREFERENCES = 200
"""Preferences one recipient may have."""
_SettingName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class Frequency(StrEnum):
    """How often at most, from most to never."""

    IMMEDIATE = "immediate"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    NEVER = "never"

    @property
    def period(self) -> timedelta | None:
        """The least time between two messages; None when there is no such limit."""
        return _PERIODS.get(self)

    @property
    def strictness(self) -> int:
        """Grows from ``immediate`` to ``never``."""
        return _STRICTNESS[self]


_STRICTNESS = {frequency: position for position, frequency in enumerate(Frequency)}
_PERIODS = {
    Frequency.HOURLY: timedelta(hours=1),
    Frequency.DAILY: timedelta(days=1),
    Frequency.WEEKLY: timedelta(days=7),
    Frequency.MONTHLY: timedelta(days=30),
}
LONGEST_PERIOD = max(_PERIODS.values())


class PreferenceValue(Frozen):
    """What is chosen; null says nothing about it."""

    enabled: bool | None = None
    frequency: Frequency | None = None
    windows: WeeklyWindows | None = Field(
        default=None, description="Hours by weekday in the recipient's zone; an empty object means never."
    )
    settings: dict[_SettingName, JsonValue] | None = Field(
        default=None, max_length=32, description="Settings of the tenant's own, checked against its schema."
    )

    @model_validator(mode="after")
    def _says_something_once(self) -> Self:
        if self.enabled is None and self.frequency is None and self.windows is None and self.settings is None:
            raise ValueError("must say at least one of enabled, frequency, windows, settings")
        if self.enabled and self.frequency is Frequency.NEVER:
            raise ValueError("enabled true contradicts frequency never")
        return self

    @property
    def is_denial(self) -> bool:
        """True when it forbids, whatever else it says."""
        return self.enabled is False or self.frequency is Frequency.NEVER


class Preference(Frozen):
    """One choice, for one scope."""

    scope: Scope = Scope()
    value: PreferenceValue
    priority: int = Field(default=0, ge=-100, le=100, description="Among equally specific ones the higher wins.")
    is_active: bool = True
    expires_at: Moment | None = Field(default=None, description="From this moment on it says nothing.")
    source: Text = "api"
    tags: tuple[Name, ...] = Field(default=(), max_length=20)
    experiments: dict[Name, Name] = Field(
        default_factory=dict, max_length=20, description="Variants of experiments under which it was chosen."
    )

    @property
    def preference_id(self) -> str:
        """The preference's name: its scope's."""
        return self.scope.id

    def counts(self, now: datetime) -> bool:
        """Tell whether it says anything at a moment."""
        return self.is_active and (self.expires_at is None or now < self.expires_at)


class Finding(Frozen):
    """Something about a set of preferences that deserves a second look, or is not allowed."""

    field: str
    expected: str


def problems(given: Sequence[Preference], settings_schema: dict[str, JsonValue] | None) -> list[Finding]:
    """Return what keeps preferences from being stored: settings outside the schema, one scope said twice.

    Args:
        given: in the order they were sent; findings name positions in it.
        settings_schema: the tenant's JSON Schema of custom settings; None allows none.
    """
    return [*_bad_settings(given, settings_schema), *_twice(given)]


def conflicts(given: Sequence[Preference], now: datetime) -> list[Finding]:
    """Return pairs where a more specific preference allows what a more general one denies: meant so, or by mistake?

    They can be stored: the more specific one wins. Whoever edits preferences should see it.
    """
    found = []
    for position, specific in enumerate(given):
        for general in given:
            if _overrules(specific, general, now):
                expected = f"know that this overrules preference {general.preference_id}, which denies"
                found.append(Finding(field=f"{position}.value.enabled", expected=expected))
    return found


def _overrules(specific: Preference, general: Preference, now: datetime) -> bool:
    if not (specific.counts(now) and general.counts(now)):
        return False
    allows = specific.value.enabled is True and general.value.is_denial
    wider = specific.scope != general.scope and general.scope.specificity > specific.scope.specificity
    return allows and wider and _contains(general.scope, specific.scope)


def _contains(general: Scope, specific: Scope) -> bool:
    return (
        general.channel in ("*", specific.channel)
        and general.category in (None, specific.category)
        and general.content_type in (None, specific.content_type)
        and general.context.items() <= specific.context.items()
    )


def _bad_settings(given: Sequence[Preference], schema: dict[str, JsonValue] | None) -> Iterable[Finding]:
    for position, preference in enumerate(given):
        settings = preference.value.settings
        if settings is None:
            continue
        place = f"{position}.value.settings"
        if schema is None:
            yield Finding(field=place, expected="no settings: the tenant has declared no schema for them")
        elif (error := best_match(Draft202012Validator(schema).iter_errors(settings))) is not None:
            path = ".".join([place, *(str(part) for part in error.absolute_path)])
            # The library's message repeats the value; the rule says enough.
            yield Finding(field=path, expected=f"a value that satisfies {error.validator} of the tenant's schema")


def _twice(given: Sequence[Preference]) -> Iterable[Finding]:
    seen: dict[str, int] = {}
    for position, preference in enumerate(given):
        first = seen.setdefault(preference.preference_id, position)
        if first != position:
            yield Finding(field=f"{position}.scope", expected=f"another scope than that of {first}")


class PreferencePolicy(Frozen):
    """What a tenant says about preferences: its defaults, whether they are learned, and which settings there are."""

    defaults: tuple[Preference, ...] = Field(default=(), max_length=MAX_PREFERENCES)
    settings_schema: dict[str, JsonValue] | None = Field(default=None, description="JSON Schema of custom settings.")
    learned_defaults: bool = Field(
        default=False, description="Whether a new recipient gets the template that similar ones engaged with most."
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.settings_schema is not None:
            check_object_schema("settings_schema", self.settings_schema)
        found = problems(self.defaults, self.settings_schema)
        if found:
            raise ValueError(f"defaults.{found[0].field} must be {found[0].expected}")
        return self
