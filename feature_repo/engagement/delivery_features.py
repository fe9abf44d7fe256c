"""Features of the view ``recipient_delivery``: what we sent, by which channel, and how it was answered.

A rate is the share of messages sent that were answered by now, so it lies in [0, 1] and is missing when nothing
was sent.
"""

from collections.abc import Iterator

from domain.events import EventType
from domain.values import Channel, Purpose
from feature_repo.engagement.feature import (
    LOOKBACK_DAYS,
    WINDOWS_DAYS,
    Dtype,
    Feature,
    Kind,
    View,
    behaviour,
    counts,
    last,
    purpose_of,
    word,
)
from feature_repo.engagement.measures import Column, Count, Mean, Measure, Rows, Total

_SENT = Rows(frozenset({EventType.NOTIFICATION_SENT}))
_RESPONSES = (
    EventType.DELIVERED,
    EventType.OPENED,
    EventType.CLICKED,
    EventType.DISMISSED,
    EventType.CONVERTED,
)
_RARE_FATES = (EventType.FAILED, EventType.BOUNCED, EventType.COMPLAINED, EventType.UNSUBSCRIBED)
RATES = {
    "open_rate": (Column.HAS_OPENED, "opened", Purpose.OPEN_TRACKING),
    "click_rate": (Column.HAS_CLICKED, "clicked", Purpose.PERSONALIZATION),
    "dismissal_rate": (Column.HAS_DISMISSED, "dismissed", Purpose.PERSONALIZATION),
    "conversion_rate": (Column.HAS_CONVERTED, "answered by a conversion", Purpose.PERSONALIZATION),
}
CHANNEL_RATES = ("open_rate", "click_rate", "conversion_rate")


def declared() -> Iterator[Feature]:
    """Declare the view's features in column order."""
    yield from _sends_and_answers()
    yield from _rates()


def _sends_and_answers() -> Iterator[Feature]:
    yield from counts(View.DELIVERY, (EventType.NOTIFICATION_SENT, *_RESPONSES), WINDOWS_DAYS)
    yield from counts(View.DELIVERY, _RARE_FATES, (LOOKBACK_DAYS,))
    for channel in Channel:
        for days in WINDOWS_DAYS[1:]:
            measure = Count(Rows(_SENT.types, channel), days)
            what = f"Messages sent by {channel.value} in {days} days."
            yield _sends(f"sent_count_{channel.value}", days, "events", what, measure)
    for days in WINDOWS_DAYS[2:]:
        answered = Total(_SENT, days, Column.HAS_CONVERTED)
        what = f"Messages sent in {days} days that were answered by a conversion."
        yield _sends("sent_converted_count", days, "events", what, answered)
    for event in (EventType.NOTIFICATION_SENT, EventType.OPENED, EventType.CLICKED, EventType.CONVERTED):
        rows = Rows(frozenset({event}))
        yield last(View.DELIVERY, word(event), rows, f"{event.value} event", purpose_of(event))


def _sends(name: str, days: int, unit: str, description: str, measure: Measure) -> Feature:
    return behaviour(name, days, unit, description, measure, dtype=Dtype.INT, view=View.DELIVERY)


def _rates() -> Iterator[Feature]:
    for rate, (column, done, purpose) in RATES.items():
        places: list[tuple[Channel | None, int]] = [(None, 30), (None, 90)]
        places += [(channel, 90) for channel in Channel if rate in CHANNEL_RATES]
        for channel, days in places:
            where = f" by {channel.value}" if channel else ""
            yield Feature(
                name=f"{rate}_{channel.value}_{days}d" if channel else f"{rate}_{days}d",
                dtype=Dtype.FLOAT,
                kind=Kind.BEHAVIOURAL,
                unit="fraction",
                description=f"Share of messages sent{where} in {days} days that were {done} by now.",
                view=View.DELIVERY,
                measure=Mean(Rows(_SENT.types, channel), days, column),
                window_days=days,
                purpose=purpose,
            )
