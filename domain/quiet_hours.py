"""Quiet hours: is it night where the recipient is, and when does it end?

Hours are read off the recipient's own clock, so a day with 23 or 25 hours needs no rule of its own. The start is
quiet, the end is not.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from domain.values import Frozen, Reason

Hour = Annotated[int, Field(ge=0, le=23)]
_DAYS_AHEAD = range(-1, 4)
"""Local days in which the next opening must lie: a zone that skips a whole day (Samoa, 2011) needs the third."""
_SECOND = timedelta(seconds=1)


class QuietHours(Frozen):
    """Local hours in which nobody is disturbed: [start, end), over midnight when start lies after end."""

    start: Hour = 21
    end: Hour = 8

    def covers(self, hour: int) -> bool:
        """True when the local hour is quiet; equal start and end mean that none is."""
        if self.start <= self.end:
            return self.start <= hour < self.end
        return hour >= self.start or hour < self.end


def refusal(hours: QuietHours, *, now: datetime, zone: ZoneInfo) -> Reason | None:
    """Return ``quiet_hours.now`` when it is quiet in the zone, otherwise None."""
    return Reason.QUIET_HOURS_NOW if hours.covers(now.astimezone(zone).hour) else None


def next_opening(hours: QuietHours, *, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment from now on, UTC, at which it is not quiet in the zone."""
    if refusal(hours, now=now, zone=zone) is None:
        return now
    ends = _following(hours.end, now=now, zone=zone)
    # A day whose open hours the clock skips over (midnight in Sao Paulo, until 2018) has no opening.
    return next(at for at in ends if refusal(hours, now=at, zone=zone) is None)


def next_closing(hours: QuietHours, *, now: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the next moment, UTC, at which quiet hours begin, or None when they never do."""
    return None if hours.start == hours.end else _following(hours.start, now=now, zone=zone)[0]


def _following(hour: int, *, now: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the next moments, UTC, at which a clock in the zone reaches the hour, the earliest first."""
    today = now.astimezone(zone).date()
    wall = (datetime.combine(today + timedelta(days=n), time(hour), zone) for n in _DAYS_AHEAD)
    return sorted(moment for at in wall if (moment := _reached(at)) > now)


def _reached(wall: datetime) -> datetime:
    """Return the moment, UTC, at which a clock first shows a wall time, or jumps over it."""
    after = wall.astimezone(UTC)
    if after.astimezone(wall.tzinfo).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return after
    # The jump lies between the two readings of a wall time that there is not: as of before it, and as of after it.
    before = wall.replace(fold=1).astimezone(UTC)
    offset = before.astimezone(wall.tzinfo).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) / 2
        before, after = (middle, after) if middle.astimezone(wall.tzinfo).utcoffset() == offset else (before, middle)
    return after.replace(microsecond=0)
