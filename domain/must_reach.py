"""Messages that must reach: the channels tried in turn, how long each may take, and what counts as reached."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from domain.events import EventType
from domain.values import Channel, Frozen

MAX_WAIT_MINUTES = 7 * 24 * 60
Minutes = Annotated[int, Field(ge=1, le=MAX_WAIT_MINUTES)]


class Reached(StrEnum):
    """What must be heard of a message before it counts as having reached."""

    DELIVERED = "delivered"
    OPENED = "opened"

    @property
    def told_by(self) -> frozenset[EventType]:
        """The events that tell so: whoever opened a message was delivered it."""
        return _DELIVERED if self is Reached.DELIVERED else _OPENED


_OPENED = frozenset({EventType.OPENED, EventType.CLICKED, EventType.CONVERTED})
_DELIVERED = _OPENED | {EventType.DELIVERED, EventType.DISMISSED}


class MustReach(Frozen):
    """How a message goes on to another channel while nobody heard that it reached its recipient."""

    channels: tuple[Channel, ...] = Field(min_length=1, description="In the order in which they are tried.")
    wait_minutes: tuple[Minutes, ...] = Field(
        min_length=1,
        max_length=len(Channel),
        description="After the first send, the second and so on; the last repeats.",
    )
    until: Reached = Field(default=Reached.DELIVERED, description="What ends it.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channels must not name a channel twice")
        return self

    def wait(self, sends: int) -> timedelta:
        """Return how long to wait for an outcome after so many sends, 1 or more."""
        return timedelta(minutes=self.wait_minutes[min(sends, len(self.wait_minutes)) - 1])
