"""Outcomes: how a message fared, reported by whoever sent it; each becomes an event like any other."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field, JsonValue

from domain.events import FUTURE_TOLERANCE, EventType, Identifier, Money
from domain.values import Frozen, Moment

SOURCE = "outcome"
"""The source of the events that outcomes become."""
EARLIEST: timedelta = FUTURE_TOLERANCE
"""How long before its decision an outcome may be dated: clocks drift."""


MAX_EVENT_ID = 120
"""Leaves room for the decision's id before it."""


class OutcomeType(StrEnum):
    """What may be reported of a message."""

    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    DISMISSED = "dismissed"
    CONVERTED = "converted"
    FAILED = "failed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    OPTED_OUT = "opted_out"

    @property
    def event_type(self) -> EventType:
        """The event that says the same."""
        return _OTHERWISE.get(self) or EventType(self.value)


_OTHERWISE = {OutcomeType.SENT: EventType.NOTIFICATION_SENT, OutcomeType.OPTED_OUT: EventType.UNSUBSCRIBED}


class OutcomeReport(Frozen):
    """How the message of a decision fared."""

    type: OutcomeType
    recipient_id: Identifier = Field(description="The decision's recipient; its record names only a pseudonym.")
    occurred_at: Moment
    event_id: Identifier | None = Field(
        default=None,
        max_length=MAX_EVENT_ID,
        description="Yours, for what happens more than once; otherwise each type is reported once.",
    )
    value: Money | None = None
    properties: dict[str, JsonValue] = Field(default_factory=dict, max_length=256)

    def id_for(self, decision_id: str) -> str:
        """Return the event's id: the reporter's within the decision, or the type, which then happens once."""
        return f"{decision_id}/{self.event_id or self.type.value}"
