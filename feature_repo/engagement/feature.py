"""One declared feature and the words that declare it.

A feature is plain data: a name, a type, what it means, and the measure that computes it from events.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from domain.events import EventType
from domain.values import Purpose
from feature_repo.engagement.measures import Count, Last, Measure, Rows

WINDOWS_DAYS = (1, 7, 30, 90)
"""Lengths of the half-open windows ``[as_of - w, as_of)``."""

LOOKBACK_DAYS = max(WINDOWS_DAYS)
"""No feature depends on an event older than this."""

KEYS = ("tenant", "recipient_id", "as_of")
"""First columns of every feature table, its key."""


class Kind(StrEnum):
    """What a feature speaks about."""

    RECIPIENT = "recipient"
    BEHAVIOURAL = "behavioural"
    CONTEXTUAL = "contextual"
    DERIVED = "derived"


class View(StrEnum):
    """The Feast view a stored feature belongs to."""

    ENGAGEMENT = "recipient_engagement"
    DELIVERY = "recipient_delivery"


class Dtype(StrEnum):
    """Type of a feature's column."""

    INT = "int64"
    FLOAT = "float64"
    TEXT = "string"
    MOMENT = "timestamp[us, UTC]"


@dataclass(frozen=True)
class Feature:
    """One declared feature.

    ``view`` and ``measure`` are None for a feature that is made when it is read; ``needs`` names the stored ones it
    is made from. ``window_days`` is None where
    no window applies.
    """

    name: str
    dtype: Dtype
    kind: Kind
    unit: str
    description: str
    view: View | None = None
    measure: Measure | None = None
    window_days: int | None = None
    purpose: Purpose = Purpose.PERSONALIZATION
    needs: tuple[str, ...] = ()


def word(event: EventType) -> str:
    """Return the event's name in a feature's name."""
    return "sent" if event is EventType.NOTIFICATION_SENT else event.value


def purpose_of(event: EventType) -> Purpose:
    """Return what the event's data must be allowed for: opens are tracked only where that was granted."""
    return Purpose.OPEN_TRACKING if event is EventType.OPENED else Purpose.PERSONALIZATION


def behaviour(
    name: str, days: int, unit: str, description: str, measure: Measure, *, dtype: Dtype, view: View
) -> Feature:
    """Declare what a recipient did in a window; ``name`` comes without the window."""
    return Feature(f"{name}_{days}d", dtype, Kind.BEHAVIOURAL, unit, description, view, measure, days)


def counts(view: View, events: tuple[EventType, ...], windows: tuple[int, ...]) -> Iterator[Feature]:
    """Declare the number of events, per type and window."""
    for event in events:
        for days in windows:
            yield Feature(
                name=f"{word(event)}_count_{days}d",
                dtype=Dtype.INT,
                kind=Kind.BEHAVIOURAL,
                unit="events",
                description=f"Events of type {event.value} in {days} days.",
                view=view,
                measure=Count(Rows(frozenset({event})), days),
                window_days=days,
                purpose=purpose_of(event),
            )


def last(view: View, name: str, rows: Rows, what: str, purpose: Purpose = Purpose.PERSONALIZATION) -> Feature:
    """Declare the moment of the newest event; ages are made from it when it is read."""
    return Feature(
        name=f"last_{name}_at",
        dtype=Dtype.MOMENT,
        kind=Kind.BEHAVIOURAL,
        unit="UTC, whole seconds",
        description=f"Newest {what} within {LOOKBACK_DAYS} days.",
        view=view,
        measure=Last(rows),
        window_days=LOOKBACK_DAYS,
        purpose=purpose,
    )
