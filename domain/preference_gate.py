"""The preference gate: has the recipient chosen not to get this message here, now, or so soon after the last one?

Marketing passes all of it. A service message meets only what is said about a whole channel or about everything,
like the channel switches. Transactional and emergency messages are not asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from domain import weekly_windows
from domain.preference_resolution import Asked, Resolved, Stack, resolve
from domain.preference_scopes import Context, Scope
from domain.preferences import Preference
from domain.values import Channel, Frozen, Moment, Reason


class LastSent(Frozen):
    """When a recipient was last sent something of a type on a channel."""

    channel: Channel
    category: str
    content_type: str
    at: Moment


@dataclass(frozen=True)
class Choices:
    """What a recipient chose, the template applied to them, what the tenant says otherwise, and what was sent last."""

    preferences: tuple[Preference, ...] = ()
    defaults: tuple[Preference, ...] = ()
    sent: tuple[LastSent, ...] = ()
    template: tuple[Preference, ...] = ()
    template_name: str = ""

    @property
    def all(self) -> tuple[Preference, ...]:
        """Every preference that may speak, most binding first."""
        return (*self.preferences, *self.template, *self.defaults)

    def stack(self, **refusals: Reason | None) -> Stack:
        """Return everything that may speak, with what the gates ``law``, ``suppression`` and ``switch`` refuse."""
        return Stack(
            preferences=self.preferences,
            defaults=self.defaults,
            template=self.template,
            template_id=self.template_name,
            **refusals,
        )


@dataclass(frozen=True)
class Held:
    """A refusal, the rule that made it, and from when it no longer holds (None: it does not lift by itself)."""

    reason: Reason
    rule: str
    opens_at: datetime | None = None


def held(choices: Choices, asked: Asked, *, zone: ZoneInfo) -> Held | None:
    """Return what keeps a message back, or None when nothing does.

    Args:
        choices: what was chosen, as one consistent reading.
        asked: the message, its channel and the moment.
        zone: where the recipient is; windows are read off the clock there.
    """
    if asked.is_mandatory or not choices.all:
        return None
    resolved = resolve(choices.stack(), asked)
    return _off(resolved) or _outside(resolved, asked, zone) or _too_soon(resolved, choices, asked)


def _off(resolved: Resolved) -> Held | None:
    enabled = resolved.enabled
    return None if enabled.value else Held(Reason.PREFERENCE_OFF, enabled.rule.id)


def _outside(resolved: Resolved, asked: Asked, zone: ZoneInfo) -> Held | None:
    windows = resolved.windows
    if windows.value is None:
        return None
    opens_at = weekly_windows.next_opening(windows.value, now=asked.now, zone=zone)
    if opens_at is None:
        return Held(Reason.PREFERENCE_OFF, windows.rule.id)
    return None if opens_at == asked.now else Held(Reason.PREFERENCE_OUTSIDE_WINDOW, windows.rule.id, opens_at)


def _too_soon(resolved: Resolved, choices: Choices, asked: Asked) -> Held | None:
    frequency = resolved.frequency
    period = frequency.value.period
    if period is None:
        return None
    scope = _scope(frequency.rule.id, choices.all)
    # One that is dated after this question counts too: it was asked later and recorded first.
    others = [each.at for each in choices.sent if _counts_against(scope, each)]
    opens_at = max(others) + period if others else asked.now
    return None if opens_at <= asked.now else Held(Reason.PREFERENCE_FREQUENCY, frequency.rule.id, opens_at)


def _scope(rule_id: str, preferences: Sequence[Preference]) -> Scope:
    # A template's rule has the template's name before the scope's.
    scope_id = rule_id.rpartition(":")[2]
    return next(each.scope for each in preferences if each.preference_id == scope_id)


def _counts_against(scope: Scope, sent: LastSent) -> bool:
    """Tell whether a message counts: one that the scope is about, whatever the circumstances were."""
    anywhere: Context = {name: frozenset({value}) for name, value in scope.context.items()}
    return scope.fits(channel=sent.channel, category=sent.category, content_type=sent.content_type, context=anywhere)


def wants_digest(choices: Choices, asked: Asked) -> bool:
    """Tell whether the recipient chose to get such messages once a day or less often."""
    if asked.is_mandatory or not choices.all:
        return False
    period = resolve(choices.stack(), asked).frequency.value.period
    return period is not None and period >= _A_DAY


_A_DAY = timedelta(days=1)


def limits_frequency(choices: Choices) -> bool:
    """Tell whether anything chosen depends on what was sent before."""
    said = (each.value.frequency for each in choices.all)
    return any(frequency is not None and frequency.period is not None for frequency in said)


def after_sending(choices: Choices, sent: LastSent) -> Choices:
    """Return the choices as they stand when one more message was sent."""
    return replace(choices, sent=(*choices.sent, sent))
