"""One step of a price of volume: what was sent beside what the day's plan had for the same stretch of time.

The plan follows when decisions are usually asked for, not the clock: at one price all day, what is worth most is sent
whenever it comes, while an even plan would push sends into hours in which there is little worth sending. Before a
tenant's hours are known, the plan is even over the hours that are not quiet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from adapters.postgres.channel_prices import Counted, Drawn, Standing
from domain.expected import ChannelTerms
from domain.quiet_hours import QuietHours
from domain.stages import Settings
from domain.volume_targets import TENANT, VolumeTarget, windows
from models.volume import pacing
from models.volume.pacing import Floats, Pace

LEAST = 20
"""Messages a step needs to be judged: with fewer, chance is most of the error."""
FADED = 6 / 7
"""What is left each day of what earlier days say about the hours."""
KNOWN = 100.0
"""Decisions from which on the hours are taken from them."""
ELSEWHERE = 0.05
"""Share of a day's plan that is spread over all of its hours, whatever was seen."""
_HOURS = 24


@dataclass(frozen=True)
class Clock:
    """When a step is taken: the tenant's time and zone, and which hours are quiet."""

    now: datetime
    zone: ZoneInfo
    quiet: QuietHours
    counted_until: datetime


def opened(
    before: Standing | None, target: VolumeTarget, counted: Counted, drawn: Drawn, scope: str, clock: Clock
) -> Standing:
    """Return the price with which a day begins, or with which pacing begins: from what was worth what a day ago.

    Without a day ago, the price goes on as it was; it is 0 at first.
    """
    _, _, week = windows(clock.now, clock.zone)
    sent_week = counted.week + (before.sent_week if before is not None and before.at >= week else 0)
    settings = Settings.model_validate(drawn.settings) if drawn.settings is not None else None
    values = worths(drawn.expected, settings, scope) if settings is not None else np.zeros(0)
    price, scale = (before.price, before.scale) if before is not None else (0.0, _SCALE)
    if settings is not None and len(values):
        volume = target.of_today(sent_week - counted.day, now=clock.now, zone=clock.zone)
        total = volume * len(drawn.expected) / drawn.decisions
        price = pacing.softened_price(values, total, temperature=settings.temperature, floor=settings.epsilon / 2)
        # Below the temperature of the draw no difference in value moves a chance much.
        scale = max(float(values.std()), settings.temperature)
    hours = before.hours if before is not None else (0.0,) * _HOURS
    return Standing(
        price=price,
        scale=scale,
        error=0.0,
        at=clock.now,
        counted_until=clock.counted_until,
        sent=counted.day,
        planned=0.0,
        sent_day=counted.day,
        sent_week=sent_week,
        hours=tuple(FADED * old + new for old, new in zip(hours, counted.hours, strict=True)),
    )


_SCALE = 0.02


def worths(expected: Sequence[Mapping[str, Any]], settings: Settings, scope: str) -> Floats:
    """Return what each decision expected of a message on the scope, before any price; none where it was no option.

    Args:
        expected: terms by channel, as records keep them.
        settings: the weights of outcomes.
        scope: a channel, or everything: the best channel counts.
    """
    found = []
    for channels in expected:
        terms = [ChannelTerms.model_validate(kept) for name, kept in channels.items() if scope in {TENANT, name}]
        valued = [each.value(settings.weights) for each in terms if each.p_convert is not None]
        if valued:
            found.append(max(valued))
    return np.array(found, dtype=np.float64)


def stepped(before: Standing, target: VolumeTarget, counted: Counted, clock: Clock) -> Standing | None:
    """Return the price after the stretch since the last step, or None while too little was planned to judge it."""
    _, day_end, week = windows(clock.now, clock.zone)
    # A week begins at a day's beginning, and with every day a price is opened again.
    sent_week = (before.sent_week if before.at >= week else 0) + counted.week
    sent_day = before.sent_day + counted.day
    volume = target.of_today(sent_week - sent_day, now=clock.now, zone=clock.zone)
    left = volume - before.sent_day
    plan = profile(before.hours, clock.quiet)
    shares = [share(plan, before.at, clock.now, clock.zone), share(plan, clock.now, day_end, clock.zone)]
    planned = pacing.planned(left, np.array(shares), 0)
    is_over = left <= 0 and counted.day > 0
    if max(planned, counted.day / 2) < min(LEAST, volume / 4) and not is_over:
        return None
    pace = Pace(before.price, before.scale, before.error).after(counted.day, planned)
    return replace(
        before,
        price=pace.price,
        error=pace.error,
        at=clock.now,
        counted_until=clock.counted_until,
        sent=counted.day,
        planned=planned,
        sent_day=sent_day,
        sent_week=sent_week,
        hours=tuple(old + new for old, new in zip(before.hours, counted.hours, strict=True)),
    )


def ended(before: Standing) -> Standing:
    """Return the price of a scope that has no target any more: nothing. A target published later counts on from it."""
    return replace(before, price=0.0, error=0.0, sent=0, planned=0.0)


def profile(hours: Sequence[float], quiet: QuietHours) -> tuple[float, ...]:
    """Return the plan's share of each local hour of a day, all above 0, sum 1.

    Args:
        hours: decisions seen by local hour, shape (24,).
        quiet: the hours for which nothing is planned before enough was seen.
    """
    seen = sum(hours)
    if seen < KNOWN:
        hours = [float(not quiet.covers(hour)) for hour in range(_HOURS)]
        seen = sum(hours)
    return tuple((1 - ELSEWHERE) * each / seen + ELSEWHERE / _HOURS for each in hours)


def share(plan: Sequence[float], start: datetime, end: datetime, zone: ZoneInfo) -> float:
    """Return the plan's share of a stretch of time, hour by hour on the clock of the zone."""
    total, at = 0.0, start
    while at < end:
        local = at.astimezone(zone)
        past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        following = min(at + timedelta(hours=1) - past, end)
        total += plan[local.hour] * ((following - at) / timedelta(hours=1))
        at = following
    return total
