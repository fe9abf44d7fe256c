"""Which preference wins: one ordered list, most binding first, and one evaluator for every caller.

Each field of the value is decided by itself, by the first rule of the list that says something about it. Nothing
further down can widen what is further up; among rules that are equally binding the strictest holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import JsonValue

from domain.preference_scopes import Context, PreferenceKind
from domain.preferences import Frequency, Preference, PreferenceValue
from domain.values import Channel, MessageClass, Reason
from domain.weekly_windows import WeeklyWindows, Window


class Level(StrEnum):
    """Who speaks, most binding first."""

    LAW = "law"
    SUPPRESSION = "suppression"
    MANDATORY = "mandatory"
    SWITCH = "channel_switch"
    RECIPIENT = "recipient"
    TEMPLATE = "template"
    TENANT_DEFAULT = "tenant_default"
    BUILT_IN = "built_in"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that speaks about a message: who says it, and which preference or reason it is."""

    level: Level
    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class FieldOutcome:
    """What holds for one field, the rule that won, and those it beat that said something else or the same."""

    value: Any
    rule: Rule
    beaten: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What holds for one message on one channel at one moment."""

    enabled: FieldOutcome
    frequency: FieldOutcome
    windows: FieldOutcome
    settings: FieldOutcome


@dataclass(frozen=True)
class Asked:
    """The message in question."""

    channel: Channel
    category: str
    content_type: str
    message_class: MessageClass
    now: datetime
    context: Context = field(default_factory=dict)
    is_emergency: bool = False

    @property
    def is_mandatory(self) -> bool:
        """True for messages that preferences cannot mute."""
        return self.message_class is MessageClass.TRANSACTIONAL or self.is_emergency


@dataclass(frozen=True)
class Stack:
    """Everything that may speak; ``law``, ``suppression`` and ``switch`` are the refusals of those gates, if any."""

    preferences: Sequence[Preference] = ()
    defaults: Sequence[Preference] = ()
    template: Sequence[Preference] = ()
    template_id: str = "template"
    law: Reason | None = None
    suppression: Reason | None = None
    switch: Reason | None = None


class _Said(NamedTuple):
    """What one rule says about each field; None says nothing about it."""

    enabled: bool | None
    frequency: Frequency | None = None
    windows: WeeklyWindows | None = None
    settings: dict[str, JsonValue] | None = None


class _Speaker(NamedTuple):
    rule: Rule
    said: _Said
    rank: tuple[Any, ...]


_ORDER = {level: position for position, level in enumerate(Level)}
_DENIED = _Said(enabled=False)
_REQUIRED = _Said(enabled=True, frequency=Frequency.IMMEDIATE)
_WHOLE_CHANNEL = frozenset({PreferenceKind.GLOBAL, PreferenceKind.CHANNEL})
_rule = lru_cache(maxsize=4_096)(Rule)
"""Recipients share scopes, and so the rules that are named by them."""
_brief = lru_cache(maxsize=64)(_Said)
"""What has neither windows nor settings is one of a few."""
_MANDATORY_RANK = (_ORDER[Level.MANDATORY],)
_BUILT_IN = _Speaker(Rule(level=Level.BUILT_IN, kind="built_in", id="built_in"), _REQUIRED, (_ORDER[Level.BUILT_IN],))
_SILENCE = FieldOutcome(None, _BUILT_IN.rule, ())
"""A field that nobody said anything about."""


def resolve(stack: Stack, asked: Asked) -> Resolved:
    """Return what holds for a message, with the rule that won each field and those it beat."""
    speakers = sorted(_speakers(stack, asked), key=_rank)
    # What is mandatory has no windows and no settings of anybody else's making.
    binding = speakers
    if asked.is_mandatory:
        binding = [speaker for speaker in speakers if speaker.rank[0] <= _ORDER[Level.MANDATORY]]
    return Resolved(
        enabled=_outcome(binding, speakers, 0, key=bool),
        frequency=_outcome(binding, speakers, 1, key=_leniency),
        windows=_outcome(binding, speakers, 2, key=_open_minutes),
        settings=_outcome(binding, speakers, 3, key=_equally),
    )


def _rank(speaker: _Speaker) -> tuple[Any, ...]:
    return speaker.rank


def _speakers(stack: Stack, asked: Asked) -> list[_Speaker]:
    found = []
    for level, reason in ((Level.LAW, stack.law), (Level.SUPPRESSION, stack.suppression), (Level.SWITCH, stack.switch)):
        if reason is not None:
            found.append(_Speaker(_rule(level, "refusal", reason.value), _DENIED, (_ORDER[level],)))
    if asked.is_mandatory:
        name = "emergency" if asked.is_emergency else asked.message_class.value
        found.append(_Speaker(_rule(Level.MANDATORY, "class", name), _REQUIRED, _MANDATORY_RANK))
    _add_chosen(found, Level.RECIPIENT, stack.preferences, asked)
    _add_chosen(found, Level.TEMPLATE, stack.template, asked, stack.template_id)
    _add_chosen(found, Level.TENANT_DEFAULT, stack.defaults, asked)
    found.append(_BUILT_IN)
    return found


def _add_chosen(
    found: list[_Speaker], level: Level, given: Sequence[Preference], asked: Asked, prefix: str = ""
) -> None:
    """Add those of some preferences that are about the message and hold now; the inner loop of every resolution."""
    order = _ORDER[level]
    for preference in given:
        scope = preference.scope
        if not scope.fits(
            channel=asked.channel, category=asked.category, content_type=asked.content_type, context=asked.context
        ) or not preference.counts(asked.now):
            continue
        compiled = scope.compiled
        said = _heard(preference.value, compiled.kind, asked)
        if said is not None:
            name = f"{prefix}:{compiled.id}" if prefix else compiled.id
            rank = (order, compiled.specificity, -preference.priority)
            found.append(_Speaker(_rule(level, compiled.kind.value, name), said, rank))


def _heard(value: PreferenceValue, kind: PreferenceKind, asked: Asked) -> _Said | None:
    """Return what a preference says to a class: a service message hears on and off of whole channels only."""
    enabled = False if value.is_denial else value.enabled
    if asked.message_class is MessageClass.SERVICE:
        return _brief(enabled, None) if kind in _WHOLE_CHANNEL and enabled is not None else None
    if value.windows is None and value.settings is None:
        return _brief(enabled, value.frequency)
    return _Said(enabled, value.frequency, value.windows, value.settings)


def _leniency(frequency: Frequency) -> int:
    return -frequency.strictness


def _equally(_: Any) -> int:
    """Settings have no order of strictness: the first said holds."""
    return 0


def _open_minutes(windows: dict[Any, tuple[Window, ...]]) -> int:
    """Count the minutes a week that windows are open at most: fewer are stricter."""
    return sum(end - start for day in windows.values() for start, end in (window.minutes for window in day))


def _outcome(
    binding: Sequence[_Speaker], speakers: Sequence[_Speaker], field_at: int, *, key: Callable[[Any], Any]
) -> FieldOutcome:
    """Return the first said value; of several equally binding ones that with the least ``key``, the strictest."""
    winner: _Speaker | None = None
    for speaker in binding:
        said = speaker.said[field_at]
        if said is None:
            continue
        if winner is None:
            winner = speaker
        elif speaker.rank != winner.rank:
            break
        elif key(said) < key(winner.said[field_at]):
            winner = speaker
    if winner is None:
        # Nobody binding spoke; what was said without binding is still named.
        beaten = [each.rule for each in speakers if each.said[field_at] is not None]
        return FieldOutcome(None, _BUILT_IN.rule, tuple(beaten)) if beaten else _SILENCE
    beaten = [each.rule for each in speakers if each is not winner and each.said[field_at] is not None]
    return FieldOutcome(winner.said[field_at], winner.rule, tuple(beaten))
