"""One step of a price of volume: what was sent beside what the day's plan had for the same stretch of time.

The plan follows when decisions are usually asked for, not the clock: at one price all day, what is worth most is sent
whenever it comes, while an even plan would push sends into hours in which there is little worth sending. Before a
tenant's hours are known, the plan is even over the hours that are not quiet.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from adapters.postgres.channel_prices import Counted, Standing
from domain.quiet_hours import QuietHours
from domain.volume_targets import VolumeTarget, windows
from models.volume import pacing
from models.volume.pacing import Pace
from models.volume.spec import STEPS_A_DAY
from serving.volume_values import Valued

LEAST = 5
"""Messages a step needs to be judged: with fewer, chance is most of the error."""
FADED = 6 / 7
"""What is left each day of what earlier days say about the hours."""
KNOWN = 100
"""Decisions from which on the hours, and what messages are worth, are taken from them."""
AGAIN = timedelta(minutes=10)
"""After which it is looked again whether what messages are worth is known."""
WHOLE = timedelta(hours=20)
"""Of a day must have been seen to say anything of its hours."""
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
    before: Standing | None, target: VolumeTarget, counted: Counted, valued: Valued, scope: str, clock: Clock
) -> Standing:
    """Return the price with which a day begins, or pacing: the one under which the day before had sent so much.

    Where nothing says what messages are worth, the price goes on as it was, 0 at first, and its scale is 0: unknown.
    """
    day, day_end, week = windows(clock.now, clock.zone)
    sent_day = counted.day + (before.sent_day if before is not None and before.at >= day else 0)
    sent_week = counted.week + (before.sent_week if before is not None and before.at >= week else 0)
    hours = before.hours if before is not None else (0.0,) * _HOURS
    if clock.now - valued.since >= WHOLE and (before is None or before.at < day):
        hours = tuple(FADED * old + new for old, new in zip(hours, valued.hours, strict=True))
    price, scale = (before.price, before.scale) if before is not None else (0.0, 0.0)
    if (found := valued.without(scope)) is not None:
        left = target.of_today(sent_week - sent_day, now=clock.now, zone=clock.zone) - sent_day
        plan = profile(hours, clock.quiet)
        # As many decisions as were seen, for what their share of the day is of the share that is left of it.
        ratio = share(plan, valued.since, clock.now, clock.zone) / share(plan, clock.now, day_end, clock.zone)
        price, scale = found.price(max(left, 0.0) * ratio * valued.sampled)
    return Standing(
        price=price,
        scale=scale,
        error=0.0,
        at=clock.now,
        counted_until=clock.counted_until,
        sent=counted.day,
        planned=0.0,
        sent_day=sent_day,
        sent_week=sent_week,
        hours=hours,
    )


def is_opening(before: Standing | None, counted: Counted, clock: Clock) -> bool:
    """Tell whether the day or pacing begins, or what messages are worth may be known by now for the first time."""
    day, _, _ = windows(clock.now, clock.zone)
    if before is None or before.at < day:
        return True
    # By rules nothing is ever worth anything: that is not asked every minute.
    return before.scale == 0 and counted.decisions >= KNOWN and clock.now - before.at >= AGAIN


def stepped(before: Standing, target: VolumeTarget, counted: Counted, clock: Clock) -> Standing | None:
    """Return the price after the stretch since the last step, or None while too little was planned to judge it."""
    if before.scale == 0:
        return None
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
    pace = Pace(before.price, before.scale, before.error).after(
        counted.day, planned, steps=STEPS_A_DAY * planned / volume if volume else 1.0
    )
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
