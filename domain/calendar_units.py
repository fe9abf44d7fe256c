"""Units of the calendar, as a clock on the wall of some zone shows them: minute, hour, day, week, month."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class CalendarUnit(StrEnum):
    """One unit; weeks begin on Monday."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def longest(self) -> timedelta:
        """The longest this unit can be: a day at most has 25 hours, and a month 31 days and one hour."""
        return _LONGEST[self]

    def bounds(self, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the start (in) and the end (out) of the unit that holds a moment, UTC.

        Minutes and hours run on through a change of the clock; days, weeks and months begin at local midnight, or at
        the first moment after it where the clock skips midnight.
        """
        if self in {CalendarUnit.MINUTE, CalendarUnit.HOUR}:
            return _running(now, zone, self.longest)
        local = now.astimezone(zone).date()
        if self is CalendarUnit.WEEK:
            first = local - timedelta(days=local.weekday())
            return _midnight(first, zone), _midnight(first + timedelta(days=7), zone)
        if self is CalendarUnit.MONTH:
            first = local.replace(day=1)
            following = (first + timedelta(days=31)).replace(day=1)
            return _midnight(first, zone), _midnight(following, zone)
        return _midnight(local, zone), _midnight(local + timedelta(days=1), zone)


_LONGEST = {
    CalendarUnit.MINUTE: timedelta(minutes=1),
    CalendarUnit.HOUR: timedelta(hours=1),
    CalendarUnit.DAY: timedelta(hours=25),
    CalendarUnit.WEEK: timedelta(days=7, hours=1),
    CalendarUnit.MONTH: timedelta(days=31, hours=1),
}


def _running(now: datetime, zone: ZoneInfo, length: timedelta) -> tuple[datetime, datetime]:
    """Return the minute or hour of a zone whose offset need not be whole hours."""
    offset = now.astimezone(zone).utcoffset() or timedelta(0)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    start = now.astimezone(UTC) - ((now - epoch + offset) % length)
    return start, start + length


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # In a gap the first reading counts from before it, which is the moment the clock jumps past midnight.
    return datetime.combine(day, time(0), zone).astimezone(UTC)
