"""Preferences of two ids that turn out to be one person: of each field the stricter holds, for every message.

The most specific preference wins, so a permission of one id could overrule a denial of the other from a scope beside
or above its own. Such a permission is not taken over, and a frequency or hours that would win so become the stricter.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from domain.preference_scopes import Scope
from domain.preferences import Frequency, Preference, PreferenceValue
from domain.weekly_windows import intersection


def merged(ours: Sequence[Preference], theirs: Sequence[Preference], *, now: datetime) -> dict[str, Preference | None]:
    """Return what one person chose after two ids of theirs were merged, by preference id.

    Args:
        ours: of the id that stays.
        theirs: of the other id; what says nothing at ``now`` is not taken over.
        now: the moment of the merge.

    Returns:
        Every scope that either named; None where nothing is left to say.
    """
    our = {each.preference_id: each for each in ours if each.counts(now)}
    their = {each.preference_id: each for each in theirs if each.counts(now)}
    idle: dict[str, Preference | None] = {each.preference_id: each for each in ours if not each.counts(now)}
    found = {name: _one(our.get(name), their.get(name), our, their) for name in sorted(our.keys() | their.keys())}
    return idle | found


_Chosen = dict[str, Preference]


def _one(one: Preference | None, other: Preference | None, our: _Chosen, their: _Chosen) -> Preference | None:
    base = one or other
    if base is None:
        return None
    others = _Others(base, one, other, our, their)
    fields: dict[str, Any] = {"enabled": _enabled(one, other, others), "frequency": _frequency(one, other, others)}
    fields |= {"windows": _windows(one, other, others), "settings": _settings(one, other)}
    if fields["frequency"] is Frequency.NEVER and all(each.value.enabled is None for each in (one, other) if each):
        fields["enabled"] = None
    if all(value is None for value in fields.values()):
        return None
    value = PreferenceValue.model_validate(fields)
    changes: dict[str, Any] = {"value": value, "priority": others.priority}
    if one is not None and other is not None:
        changes["expires_at"] = _expiry(one, other, value)
    return base.model_copy(update=changes)


class _Others:
    """The preferences of the other id that one scope's preferences would win over somewhere."""

    def __init__(
        self, base: Preference, one: Preference | None, other: Preference | None, our: _Chosen, their: _Chosen
    ) -> None:
        both = one is not None and other is not None
        self.priority = max(each.priority for each in (one, other) if each is not None)
        self.outranks_its_own = both and one.priority != other.priority  # type: ignore[union-attr]
        ours = _beaten(base.scope, self.priority, our.values())
        theirs = _beaten(base.scope, self.priority, their.values())
        self._ours, self._theirs = ours, theirs

    def against(self, *, one_speaks: bool, other_speaks: bool) -> list[Preference]:
        """Return those that may not be won over by what only one of the ids said, or said with less priority."""
        if self.outranks_its_own:
            return [*self._ours, *self._theirs]
        if one_speaks and other_speaks:
            return []
        return self._theirs if one_speaks else self._ours


def _beaten(scope: Scope, priority: int, given: Iterable[Preference]) -> list[Preference]:
    rank = (scope.specificity, -priority)
    others = (each for each in given if each.scope != scope and _overlap(scope, each.scope))
    return [each for each in others if rank <= (each.scope.specificity, -each.priority)]


def _overlap(one: Scope, other: Scope) -> bool:
    """Tell whether a message may be about both; circumstances can always meet, and a type be of any category."""
    return (
        (one.channel == other.channel or "*" in (one.channel, other.channel))
        and (one.category == other.category or None in (one.category, other.category))
        and (one.content_type == other.content_type or None in (one.content_type, other.content_type))
    )


def _says(preference: Preference | None) -> bool | None:
    if preference is None:
        return None
    return False if preference.value.is_denial else preference.value.enabled


def _enabled(one: Preference | None, other: Preference | None, others: _Others) -> bool | None:
    said = [_says(one), _says(other)]
    if False in said:
        return False
    if True not in said:
        return None
    beaten = others.against(one_speaks=said[0] is not None, other_speaks=said[1] is not None)
    outlives = one is not None and other is not None and one.expires_at != other.expires_at
    return None if outlives or any(each.value.is_denial for each in beaten) else True


def _frequency(one: Preference | None, other: Preference | None, others: _Others) -> Frequency | None:
    said = [each.value.frequency if each is not None else None for each in (one, other)]
    if said == [None, None]:
        return None
    beaten = others.against(one_speaks=said[0] is not None, other_speaks=said[1] is not None)
    periods = [
        each for each in (*said, *(each.value.frequency for each in beaten)) if each not in (None, Frequency.NEVER)
    ]
    # To say never is to deny, which ``enabled`` says; it would hide the limit from whoever excepts a message from it.
    return max(periods, key=lambda each: each.strictness) if periods else Frequency.NEVER


def _windows(one: Preference | None, other: Preference | None, others: _Others) -> Any:
    said = [each.value.windows if each is not None else None for each in (one, other)]
    if said == [None, None]:
        return None
    beaten = others.against(one_speaks=said[0] is not None, other_speaks=said[1] is not None)
    return intersection([each for each in (*said, *(each.value.windows for each in beaten)) if each is not None])


def _settings(one: Preference | None, other: Preference | None) -> Any:
    """Return the settings of the id that stays, else of the other: they allow and deny nothing."""
    said = (each.value.settings for each in (one, other) if each is not None)
    return next((each for each in said if each is not None), None)


def _expiry(one: Preference, other: Preference, value: PreferenceValue) -> datetime | None:
    """Return until when it holds: what restricts as long as either would, what only allows as long as both."""
    ends = [each.expires_at for each in (one, other)]
    restricts = value.is_denial or value.frequency is not None or value.windows is not None
    if restricts:
        return None if None in ends else max(each for each in ends if each is not None)
    return min((each for each in ends if each is not None), default=None)
