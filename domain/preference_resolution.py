"""Which preference wins: one ordered list, most binding first, and one evaluator for every caller.

Each field of the value is decided by itself, by the first rule of the list that says something about it. Nothing
further down can widen what is further up; among rules that are equally binding the strictest holds.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any

from domain.preference_scopes import Context, PreferenceKind
from domain.preferences import Frequency, Preference, PreferenceValue
from domain.values import Channel, Frozen, MessageClass, Reason
from domain.weekly_windows import Window


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


class Rule(Frozen):
    """One rule that speaks about a message: who says it, and which preference or reason it is."""

    level: Level
    kind: str
    id: str


class FieldOutcome(Frozen):
    """What holds for one field, the rule that won, and those it beat that said something else or the same."""

    value: Any
    rule: Rule
    beaten: tuple[Rule, ...]


class Resolved(Frozen):
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


@dataclass(frozen=True)
class _Speaker:
    rule: Rule
    value: PreferenceValue
    rank: tuple[Any, ...]


_LEVELS = list(Level)
_DENIED = PreferenceValue(enabled=False)
_REQUIRED = PreferenceValue(enabled=True, frequency=Frequency.IMMEDIATE)
_BUILT_IN = PreferenceValue(enabled=True, frequency=Frequency.IMMEDIATE)
_WHOLE_CHANNEL = frozenset({PreferenceKind.GLOBAL, PreferenceKind.CHANNEL})


def resolve(stack: Stack, asked: Asked) -> Resolved:
    """Return what holds for a message, with the rule that won each field and those it beat."""
    speakers = sorted(_speakers(stack, asked), key=lambda speaker: speaker.rank)
    # What is mandatory has no windows and no settings of anybody else's making.
    last = _LEVELS.index(Level.MANDATORY) if asked.is_mandatory else len(_LEVELS)
    binding = [speaker for speaker in speakers if speaker.rank[0] <= last]
    return Resolved(
        enabled=_outcome(binding, speakers, _enabled, key=bool),
        frequency=_outcome(binding, speakers, lambda value: value.frequency, key=lambda f: -f.strictness),
        windows=_outcome(binding, speakers, lambda value: value.windows, key=_open_minutes),
        settings=_outcome(binding, speakers, lambda value: value.settings, key=_equally),
    )


def _speakers(stack: Stack, asked: Asked) -> Iterable[_Speaker]:
    denials = ((Level.LAW, stack.law), (Level.SUPPRESSION, stack.suppression), (Level.SWITCH, stack.switch))
    for level, reason in denials:
        if reason is not None:
            yield _Speaker(Rule(level=level, kind="refusal", id=reason.value), _DENIED, (_LEVELS.index(level),))
    if asked.is_mandatory:
        name = "emergency" if asked.is_emergency else asked.message_class.value
        rule = Rule(level=Level.MANDATORY, kind="class", id=name)
        yield _Speaker(rule, _REQUIRED, (_LEVELS.index(Level.MANDATORY),))
    yield from _chosen(Level.RECIPIENT, stack.preferences, asked)
    yield from _chosen(Level.TEMPLATE, stack.template, asked, stack.template_id)
    yield from _chosen(Level.TENANT_DEFAULT, stack.defaults, asked)
    rule = Rule(level=Level.BUILT_IN, kind="built_in", id="built_in")
    yield _Speaker(rule, _BUILT_IN, (_LEVELS.index(Level.BUILT_IN),))


def _chosen(level: Level, given: Iterable[Preference], asked: Asked, prefix: str = "") -> Iterable[_Speaker]:
    for preference in given:
        scope, value = preference.scope, _heard(preference, asked)
        if (
            value is not None
            and preference.counts(asked.now)
            and scope.fits(
                channel=asked.channel, category=asked.category, content_type=asked.content_type, context=asked.context
            )
        ):
            name = f"{prefix}:{scope.id}" if prefix else scope.id
            rank = (_LEVELS.index(level), scope.specificity, -preference.priority)
            yield _Speaker(Rule(level=level, kind=scope.kind.value, id=name), value, rank)


def _heard(preference: Preference, asked: Asked) -> PreferenceValue | None:
    """Return what a preference says to a class: a service message hears on and off of whole channels only."""
    if asked.message_class is not MessageClass.SERVICE:
        return preference.value
    enabled = _enabled(preference.value)
    return PreferenceValue(enabled=enabled) if preference.scope.kind in _WHOLE_CHANNEL and enabled is not None else None


def _enabled(value: PreferenceValue) -> bool | None:
    return False if value.is_denial else value.enabled


def _equally(_: Any) -> int:
    """Settings have no order of strictness: the first said holds."""
    return 0


def _open_minutes(windows: dict[Any, tuple[Window, ...]]) -> int:
    """Count the minutes a week that windows are open at most: fewer are stricter."""
    return sum(end - start for day in windows.values() for start, end in (window.minutes for window in day))


def _outcome(
    binding: Sequence[_Speaker],
    speakers: Sequence[_Speaker],
    of: Callable[[PreferenceValue], Any],
    *,
    key: Callable[[Any], Any],
) -> FieldOutcome:
    """Return the first said value; of several equally binding ones that with the least ``key``, the strictest."""
    said = [(speaker, of(speaker.value)) for speaker in binding if of(speaker.value) is not None]
    first = next((list(group) for _, group in groupby(said, key=lambda each: each[0].rank)), None)
    nobody = speakers[-1]
    winner, value = min(first, key=lambda each: key(each[1])) if first else (nobody, None)
    beaten = tuple(s.rule for s in speakers if s is not winner and of(s.value) is not None)
    return FieldOutcome(value=value, rule=winner.rule, beaten=beaten)
