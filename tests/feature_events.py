"""Event frames for feature tests: valid rows of the event table, one keyword from the case at hand."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pandas as pd

from domain.events import EVENT_COLUMNS, EventType
from feature_repo.engagement import transform

US = pd.DatetimeTZDtype("us", "UTC")
AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday, 00:00 UTC."""

_ids = count()


def an_event(kind: EventType, at: datetime, **more: Any) -> dict[str, Any]:
    """Return one event; ``properties`` as a mapping, local time as in UTC unless said otherwise."""
    properties = more.pop("properties", {})
    row = dict.fromkeys(EVENT_COLUMNS) | {
        "tenant": "t1",
        "source": "test",
        "event_id": f"e{next(_ids)}",
        "type": kind.value,
        "occurred_at": at,
        "received_at": at,
        "recipient_id": "r1",
        "local_hour_of_week": at.weekday() * 24 + at.hour,
        "local_date": at.date(),
        "properties": json.dumps(properties),
    }
    return row | more


def a_purchase(at: datetime, cents: int = 1_000, **more: Any) -> dict[str, Any]:
    return an_event(EventType.PURCHASE, at, **({"value_minor": cents, "currency": "USD"} | more))


def a_send(at: datetime, **more: Any) -> dict[str, Any]:
    return an_event(EventType.NOTIFICATION_SENT, at, **({"channel": "email", "campaign_id": "c1"} | more))


def events(*rows: dict[str, Any]) -> pd.DataFrame:
    """Return the rows as an event frame, typed as the lake's."""
    frame = pd.DataFrame(list(rows), columns=list(EVENT_COLUMNS))
    moments = {name: frame[name].astype(US) for name in ("occurred_at", "received_at")}
    return frame.assign(**moments, value_minor=frame["value_minor"].astype("Int64"))


def moments(asked: Iterable[tuple[str, datetime]] = (("r1", AS_OF),), tenant: str = "t1") -> pd.DataFrame:
    """Return recipients and moments to ask features for."""
    frame = pd.DataFrame(list(asked), columns=["recipient_id", "as_of"])
    return frame.assign(tenant=tenant, as_of=frame["as_of"].astype(US))


def features(*rows: dict[str, Any], at: datetime = AS_OF) -> pd.Series:
    """Return the features of recipient r1."""
    return transform.from_events(events(*rows), moments([("r1", at)])).iloc[0]
