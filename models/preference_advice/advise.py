"""From a recipient's messages to what is suggested to them: at most one channel, one category and one volume."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from domain.preference_advice import Advice, Basis, Counted, Kind, Recommendation, suggested, verdict, weekly
from domain.preference_gate import Choices
from domain.preference_scopes import Scope
from domain.preferences import PreferenceValue
from domain.values import Channel, Reason
from models.preference_advice import score
from models.preference_advice.score import Message, Posterior
from models.preference_advice.spec import FEWEST_MESSAGES, WINDOW_DAYS

_Found = tuple[Basis, tuple[Counted, ...], Recommendation | None]
_MUTED = PreferenceValue(enabled=False)


def refused(refusal: Reason, now: datetime) -> Advice:
    """Return the advice to somebody from whose behaviour nothing may be learned: none, and why."""
    kinds = dict.fromkeys(Kind, Basis.NO_PROFILING)
    since = now - timedelta(days=WINDOW_DAYS)
    return Advice(basis=Basis.NO_PROFILING, refusal=refusal, since=since, until=now, messages=0, kinds=kinds)


def advise(messages: Sequence[Message], choices: Choices, silent: Collection[str], now: datetime) -> Advice:
    """Return what is suggested.

    Args:
        messages: those of the window, in any order.
        choices: what the recipient chose, their template and the tenant's defaults.
        silent: names of suggestions that were answered not long ago.
        now: the tenant's clock.
    """
    found = _found(messages) if len(messages) >= FEWEST_MESSAGES else dict.fromkeys(Kind, _NOTHING_KNOWN)
    kinds: dict[Kind, Basis] = {}
    made: list[Recommendation] = []
    for kind, (basis, _, each) in found.items():
        kinds[kind] = verdict(each, choices, silent, now) if each is not None else basis
        if each is not None and kinds[kind] is Basis.SUGGESTED:
            made.append(each)
    return Advice(
        basis=_together(kinds),
        since=now - timedelta(days=WINDOW_DAYS),
        until=now,
        messages=len(messages),
        kinds=kinds,
        evidence={kind: counted for kind, (_, counted, _) in found.items() if counted},
        recommendations=tuple(made),
    )


_NOTHING_KNOWN: _Found = (Basis.NOT_ENOUGH_DATA, (), None)


def _found(messages: Sequence[Message]) -> dict[Kind, _Found]:
    channels, categories = score.by_channel(messages), score.by_category(messages)
    return {
        Kind.CHANNEL: _muted(Kind.CHANNEL, channels),
        Kind.CATEGORY: _muted(Kind.CATEGORY, categories),
        Kind.FREQUENCY: _paced(score.volume(messages)),
    }


def _muted(kind: Kind, found: Mapping[str, Posterior]) -> _Found:
    """Return the channel or category that is answered much less than the best one, to be muted."""
    counted = {name: _counted(name, each) for name, each in found.items()}
    pair = score.much_worse(found)
    if pair is None:
        known = sum(each.is_enough for each in found.values())
        basis = Basis.NOTHING_BETTER if known > 1 else Basis.NOT_ENOUGH_DATA
        return basis, tuple(counted.values()), None
    worse, better = pair
    scope = Scope(channel=Channel(worse)) if kind is Kind.CHANNEL else Scope(category=worse)
    each = suggested(kind, scope, _MUTED, counted[better], counted[worse])
    return Basis.SUGGESTED, tuple(counted.values()), each


def _paced(found: score.Volume) -> _Found:
    """Return how often everything may come, where another weekly volume is worth enough more."""
    levels = [level for level, each in enumerate(found.chances) if level > 0 and each.messages]
    counted = {level: _counted(str(level), found.chances[level], found.utilities[level]) for level in levels}
    told = tuple(counted.values())
    if not found.is_better:
        return Basis.NOTHING_BETTER if found.is_enough else Basis.NOT_ENOUGH_DATA, told, None
    value = PreferenceValue(frequency=weekly(found.best))
    present = _counted(str(found.present), found.chances[found.present], found.utilities[found.present])
    return Basis.SUGGESTED, told, suggested(Kind.FREQUENCY, Scope(), value, counted[found.best], present)


def _counted(name: str, each: Posterior, weekly_utility: float | None = None) -> Counted:
    return Counted(
        name=name,
        messages=each.messages,
        answered=each.answered,
        mean=round(each.mean, 6),
        low=round(each.low, 6),
        high=round(each.high, 6),
        weekly_utility=None if weekly_utility is None else round(weekly_utility, 6),
    )


def _together(kinds: Mapping[Kind, Basis]) -> Basis:
    """Return what holds of the whole: something is suggested, else the kind about which most is known."""
    order = (Basis.SUGGESTED, Basis.ANSWERED, Basis.DENIED, Basis.NOTHING_BETTER)
    return next((basis for basis in order if basis in kinds.values()), Basis.NOT_ENOUGH_DATA)
