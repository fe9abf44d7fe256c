"""A small tenant with a known habit: who buys often answers campaigns often. The same seed gives the same events."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from domain.events import EngagementEvent, EventType
from domain.ingest import Item

FIRST = datetime(2025, 1, 6, tzinfo=UTC)
"""A Monday."""
DAY = timedelta(days=1)
CAMPAIGN_DAYS = (91, 106, 121, 136, 148)
"""Days on which everybody gets a message, once every window is filled; the last one's is open when the events end."""
WINDOW = timedelta(days=13)
DAYS = 152
PREFIX = "somebody-"
"""Begins every recipient's id, and no other text: where it turns up, somebody is named."""


@dataclass(frozen=True)
class Synthetic:
    """The events of one tenant, and until when they go."""

    events: tuple[EngagementEvent, ...]
    recipients: tuple[str, ...]
    end: datetime

    def items(self) -> list[Item]:
        """Return the events as what an ingest takes."""
        return [Item(place, b"", event) for place, event in enumerate(self.events)]


def a_tenant(*, recipients: int = 300, seed: int = 12, days: int = DAYS) -> Synthetic:
    """Return a tenant whose recipients' eagerness decides both how often they buy and whether they answer."""
    dice = np.random.default_rng(seed)
    names = tuple(f"{PREFIX}{number:04d}" for number in range(recipients))
    eager = dice.random(recipients)
    found: list[EngagementEvent] = []
    for who, name in enumerate(names):
        found += _purchases(who, name, eager[who], days, dice)
        found += _campaigns(who, name, eager[who], days, dice)
    return Synthetic(tuple(found), names, FIRST + days * DAY)


def _purchases(who: int, name: str, eager: float, days: int, dice: np.random.Generator) -> Iterator[EngagementEvent]:
    for day in np.flatnonzero(dice.random(days) < 0.02 + 0.4 * eager):
        drawn = int(dice.integers(8, 20))
        at = FIRST + int(day) * DAY + timedelta(hours=hour_of(who, drawn), minutes=int(dice.integers(60)))
        yield EngagementEvent.model_validate(
            {
                "source": "shop",
                "event_id": f"buy-{who}-{day}",
                "type": EventType.PURCHASE,
                "recipient_id": name,
                "occurred_at": at,
                "value": {"minor": int(dice.integers(100, 9_000)), "currency": "USD"},
                "properties": {"category": str(dice.choice(["grocery", "meat", "drinks"]))},
            }
        )


def hour_of(who: int, drawn: int) -> int:
    """Return the hour, UTC, at which somebody buys: early from 8 to 11 or late from 20 to 23, always the same."""
    return drawn % 4 + (8 if who % 2 else 20)


def _campaigns(who: int, name: str, eager: float, days: int, dice: np.random.Generator) -> Iterator[EngagementEvent]:
    for number, day in enumerate(CAMPAIGN_DAYS):
        sent, drawn, delay = FIRST + day * DAY + timedelta(hours=5), dice.random(), int(dice.integers(1, 12))
        if day >= days:
            return
        campaign = {"campaign_id": f"c{number}", "message_type": "coupon_a", "channel": "email", "recipient_id": name}
        yield EngagementEvent.model_validate(
            campaign
            | {
                "source": "crm",
                "event_id": f"send-{who}-{number}",
                "type": EventType.NOTIFICATION_SENT,
                "occurred_at": sent,
                "properties": {"attribution_ends_at": (sent + WINDOW).isoformat()},
            }
        )
        if drawn < 0.03 + 0.75 * eager**3 and sent + delay * DAY < FIRST + days * DAY:
            yield EngagementEvent.model_validate(
                campaign
                | {
                    "source": "crm",
                    "event_id": f"use-{who}-{number}",
                    "type": EventType.CONVERTED,
                    "occurred_at": sent + delay * DAY,
                }
            )
