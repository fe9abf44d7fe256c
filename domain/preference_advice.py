"""Advice on a recipient's preferences: what their own answers suggest, on what evidence; only they can apply it.

Pure. Advice is never a consent. It can mute, or ask for less or more often; it lifts nothing that anybody denied.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from domain.preference_gate import Choices
from domain.preference_scopes import Scope
from domain.preferences import Frequency, Preference, PreferenceValue
from domain.values import Frozen, Moment, Reason

SOURCE = "recipient:recommendation"
"""The source of a preference that a recipient made of advice."""
SILENT_FOR = timedelta(days=90)
"""For how long what was accepted or dismissed is not suggested again."""
_ID_DIGITS = 16


class Kind(StrEnum):
    """What advice is about."""

    CHANNEL = "channel"
    CATEGORY = "category"
    FREQUENCY = "frequency"


class Basis(StrEnum):
    """Why there is or is not something to suggest."""

    SUGGESTED = "suggested"
    NOTHING_BETTER = "nothing_better"
    NOT_ENOUGH_DATA = "not_enough_data"
    ANSWERED = "answered_recently"
    DENIED = "would_lift_a_denial"
    NO_PROFILING = "profiling_refused"


class Act(StrEnum):
    """What a recipient said to advice."""

    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


class Counted(Frozen):
    """The evidence for one channel, category or weekly volume: counts, and the posterior of an answer."""

    name: str
    messages: int
    answered: int = Field(description="Messages that were clicked or led to a conversion.")
    mean: float = Field(description="Of the Beta posterior, 0 to 1.")
    low: float = Field(description="Lower end of the 90 % interval.")
    high: float
    weekly_utility: float | None = Field(default=None, description="Of a weekly volume, in answers a week.")


class Recommendation(Frozen):
    """One suggestion: the preference it would store, instead of what, and why."""

    recommendation_id: str
    kind: Kind
    scope: Scope
    value: PreferenceValue = Field(description="What accepting stores for the scope, beside what stands there.")
    better: Counted = Field(description="What the evidence speaks for.")
    worse: Counted = Field(description="What it speaks against.")


class Advice(Frozen):
    """What is suggested to a recipient now, and for each kind why that or why nothing."""

    basis: Basis
    refusal: Reason | None = Field(default=None, description="Why nothing may be learned from what they did.")
    since: Moment
    until: Moment
    messages: int = Field(description="Messages of the window that were looked at.")
    kinds: dict[Kind, Basis]
    evidence: dict[Kind, tuple[Counted, ...]] = Field(default_factory=dict)
    recommendations: tuple[Recommendation, ...] = ()


class Answer(Frozen):
    """What a recipient said to one recommendation."""

    recommendation_id: str
    act: Act
    at: Moment
    silent_until: Moment


def name_of(scope: Scope, value: PreferenceValue) -> str:
    """Return the name of a suggestion, 16 hexadecimal digits; the same suggestion has the same name for everybody."""
    told = f"{scope.id}|{value.model_dump_json(exclude_none=True)}"
    return hashlib.sha256(told.encode()).hexdigest()[:_ID_DIGITS]


def suggested(kind: Kind, scope: Scope, value: PreferenceValue, better: Counted, worse: Counted) -> Recommendation:
    """Return a recommendation under its name."""
    return Recommendation(
        recommendation_id=name_of(scope, value), kind=kind, scope=scope, value=value, better=better, worse=worse
    )


def weekly(level: int) -> Frequency:
    """Return the frequency that leaves room for so many messages a week, 1 to 7, and for as few more as there is."""
    return Frequency.WEEKLY if level <= 1 else Frequency.DAILY


def own(choices: Choices, scope: Scope, now: Moment) -> Preference | None:
    """Return what the recipient themselves said for exactly this scope, if it counts."""
    return next((each for each in choices.preferences if each.scope == scope and each.counts(now)), None)


def verdict(each: Recommendation, choices: Choices, silent: Iterable[str], now: Moment) -> Basis:
    """Return whether a suggestion may be made: it must change something, lift no denial, and not be answered already.

    Args:
        each: the suggestion.
        choices: what the recipient chose, their template, and the tenant's defaults.
        silent: names of suggestions that were answered not long ago.
        now: the tenant's clock.
    """
    if each.recommendation_id in set(silent):
        return Basis.ANSWERED
    present = own(choices, each.scope, now)
    if present is not None and present.value.is_denial:
        return Basis.NOTHING_BETTER if each.value.is_denial else Basis.DENIED
    if each.value.is_denial:
        return Basis.SUGGESTED
    if lifts_denial(choices, now):
        return Basis.DENIED
    return Basis.SUGGESTED if _changes_frequency(each.value.frequency, present, choices, now) else Basis.NOTHING_BETTER


def _changes_frequency(wanted: Frequency | None, present: Preference | None, choices: Choices, now: Moment) -> bool:
    """Tell whether a frequency is new: stricter than what stands for anybody, looser only in place of their own."""
    if wanted is None:
        return False
    stands = present.value.frequency if present is not None else None
    if stands is not None:
        return wanted is not stands
    limits = [said.value.frequency for said in choices.all if said.value.frequency is not None and said.counts(now)]
    return all(wanted.strictness > limit.strictness for limit in limits)


def lifts_denial(choices: Choices, now: Moment) -> bool:
    """Tell whether a frequency for everything could stand in place of a "never" of the template or of the tenant.

    The recipient's own denials of more specific scopes go on to win; those for everything are found by their scope.
    """
    beaten: Sequence[Preference] = (*choices.template, *choices.defaults)
    return any(each.value.frequency is Frequency.NEVER and each.counts(now) for each in beaten)


def accepted(each: Recommendation, choices: Choices, now: Moment) -> Preference:
    """Return the preference that accepting stores: what stands for the scope, with what is suggested in it."""
    present = own(choices, each.scope, now)
    if present is None:
        return Preference(scope=each.scope, value=each.value, source=SOURCE)
    said = each.value.model_dump(exclude_none=True)
    value = PreferenceValue.model_validate(present.value.model_dump(exclude_none=True) | said)
    return present.model_copy(update={"value": value, "source": SOURCE})
