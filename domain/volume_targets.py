"""Volume targets: how many marketing messages a tenant wants to send a day, or a week, on a channel and in all.

A target is what a price steers towards; it refuses nobody. What must never be exceeded is a rule of the contact budget.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from domain.calendar_units import CalendarUnit
from domain.values import Channel, Frozen

TENANT = "tenant"
"""The scope of the target for everything a tenant sends; every other scope is a channel."""
Volume = Annotated[int, Field(ge=1, le=1_000_000_000)]


class VolumeTarget(Frozen):
    """Messages in a day and in a week of the tenant's calendar; the tighter one holds."""

    messages_a_day: Volume | None = None
    messages_a_week: Volume | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        day, week = self.messages_a_day, self.messages_a_week
        if day is None and week is None:
            raise ValueError("messages_a_day or messages_a_week must be given")
        if day is not None and week is not None and week < day:
            raise ValueError("messages_a_week must be at least messages_a_day")
        return self

    def of_today(self, sent_before_today: int, *, now: datetime, zone: ZoneInfo) -> float:
        """Return how many messages the day may have: what is left of the week is spread over the days left.

        Args:
            sent_before_today: in this week, at least 0.
            now: of which day.
            zone: the tenant's.
        """
        volumes = [float(self.messages_a_day)] if self.messages_a_day is not None else []
        if self.messages_a_week is not None:
            days_left = _DAYS - now.astimezone(zone).weekday()
            volumes.append(max(self.messages_a_week - sent_before_today, 0) / days_left)
        return min(volumes)


_DAYS = 7


class VolumeTargets(Frozen):
    """A tenant's targets; a channel without one is not paced by itself."""

    tenant: VolumeTarget | None = Field(default=None, description="Of everything the tenant sends.")
    channels: Mapping[Channel, VolumeTarget] = Field(default_factory=dict)

    def by_scope(self) -> dict[str, VolumeTarget]:
        """Return every target by its scope."""
        whole = {TENANT: self.tenant} if self.tenant is not None else {}
        return whole | {channel.value: target for channel, target in self.channels.items()}


NO_TARGETS = VolumeTargets()


def windows(now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime, datetime]:
    """Return the start and the end of the tenant's day, and the start of its week, UTC."""
    start, end = CalendarUnit.DAY.bounds(now, zone)
    return start, end, CalendarUnit.WEEK.bounds(now, zone)[0]
