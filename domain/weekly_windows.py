"""Weekly windows: the local hours of each weekday in which a recipient wants to be reached.

Read off the recipient's own clock, so a day with 23 or 25 hours needs no rule of its own. A window's start is open,
its end is not; one whose end lies before its start goes on after midnight and belongs to the day it starts on.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, model_validator

from domain.values import Frozen

QUARTER = timedelta(minutes=15)
"""Windows start and end on quarter hours, and so do all offsets from UTC in use: a search in these steps is exact."""
_SEARCH = timedelta(days=9)
"""A week, and a day more on each side: a zone may skip a whole day (Samoa, 2011)."""
_DAY_MINUTES = 24 * 60
_DAY_QUARTERS = 24 * 4
_MOST_A_DAY = 8
WallTime = Annotated[str, StringConstraints(pattern=r"^(([01]\d|2[0-3]):(00|15|30|45)|24:00)$")]


class Weekday(StrEnum):
    """A day of the week, Monday first."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_WEEK = tuple(Weekday)


class Window(Frozen):
    """Local hours: [start, end), over midnight when the end lies before the start."""

    start: WallTime
    end: WallTime

    @model_validator(mode="after")
    def _is_some_time(self) -> Self:
        if self.start in (self.end, "24:00"):
            raise ValueError("start must differ from end and lie before 24:00")
        return self

    @property
    def minutes(self) -> tuple[int, int]:
        """Start and end as minutes after midnight of the day it starts on; the end may lie beyond 1,440."""
        start, end = _minutes(self.start), _minutes(self.end)
        return start, end if end > start else end + _DAY_MINUTES


WeeklyWindows = Annotated[
    dict[Weekday, Annotated[tuple[Window, ...], Field(max_length=_MOST_A_DAY)]],
    Field(max_length=len(Weekday), description="Windows by weekday; a day that is not named has none."),
]


def covers(windows: dict[Weekday, tuple[Window, ...]], *, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether a moment lies in one of the windows, by the clock in the zone."""
    local = now.astimezone(zone)
    minute = local.hour * 60 + local.minute
    today, yesterday = _WEEK[local.weekday()], _WEEK[local.weekday() - 1]
    started_today = any(start <= minute < end for start, end in _of(windows, today))
    return started_today or any(minute < end - _DAY_MINUTES for _, end in _of(windows, yesterday))


def next_opening(windows: dict[Weekday, tuple[Window, ...]], *, now: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first moment from now on, UTC, that lies in a window, or None when there never is one."""
    if covers(windows, now=now, zone=zone):
        return now
    at = now.astimezone(UTC).replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
    last = at + _SEARCH
    while at < last:
        at += QUARTER
        if covers(windows, now=at, zone=zone):
            return at
    return None


def intersection(given: Sequence[dict[Weekday, tuple[Window, ...]]]) -> dict[Weekday, tuple[Window, ...]]:
    """Return the hours that lie in a window of every one of some weeks; one at least must be given.

    A day gets its longest windows when it would have more than may be said.
    """
    if all(each == given[0] for each in given):
        return given[0]
    common = set.intersection(*(_quarters(windows) for windows in given))
    found: dict[Weekday, tuple[Window, ...]] = {}
    for position, day in enumerate(_WEEK):
        first = position * _DAY_QUARTERS
        runs: list[list[int]] = []
        for quarter in sorted(each - first for each in common if first <= each < first + _DAY_QUARTERS):
            if runs and runs[-1][1] == quarter:
                runs[-1][1] = quarter + 1
            else:
                runs.append([quarter, quarter + 1])
        longest = sorted(sorted(runs, key=lambda run: run[0] - run[1])[:_MOST_A_DAY])
        if longest:
            found[day] = tuple(Window(start=_wall(start), end=_wall(end)) for start, end in longest)
    return found


def _quarters(windows: dict[Weekday, tuple[Window, ...]]) -> set[int]:
    """Return the quarter hours of the week that lie in a window, counted from Monday 00:00."""
    found: set[int] = set()
    for position, day in enumerate(_WEEK):
        for start, end in _of(windows, day):
            first = position * _DAY_QUARTERS
            found.update((first + each) % (len(_WEEK) * _DAY_QUARTERS) for each in range(start // 15, end // 15))
    return found


def _wall(quarter: int) -> str:
    return f"{quarter // 4:02}:{quarter % 4 * 15:02}"


def _of(windows: dict[Weekday, tuple[Window, ...]], day: Weekday) -> list[tuple[int, int]]:
    return [window.minutes for window in windows.get(day, ())]


def _minutes(wall: str) -> int:
    hours, minutes = wall.split(":")
    return int(hours) * 60 + int(minutes)
