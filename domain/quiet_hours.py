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
_DAYS_AHEAD = range(-1, 3)
"""Local days in which the next opening must lie: a zone that skips a whole day (Samoa, 2011) needs the third."""


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
    return now if refusal(hours, now=now, zone=zone) is None else _next(hours.end, now=now, zone=zone)


def next_closing(hours: QuietHours, *, now: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the next moment, UTC, at which quiet hours begin, or None when they never do."""
    return None if hours.start == hours.end else _next(hours.start, now=now, zone=zone)


def _next(hour: int, *, now: datetime, zone: ZoneInfo) -> datetime:
    today = now.astimezone(zone).date()
    wall = (datetime.combine(today + timedelta(days=n), time(hour), zone) for n in _DAYS_AHEAD)
    # In a gap the first reading (fold 0) counts from before it, which is the moment the clock jumps past the hour.
    return min(moment for at in wall if (moment := at.astimezone(UTC)) > now)
