"""Online features of some recipients, recomputed from the event log as of now.

The same function as at night; the values replace what is online, so repeating it changes nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pandas as pd

from adapters.feature_store import FeatureStore
from adapters.postgres.events import EventLog
from domain.events import FUTURE_TOLERANCE
from feature_repo.engagement import catalog
from feature_repo.engagement.transform import from_events

LOOKBACK = timedelta(days=catalog.LOOKBACK_DAYS)
"""No feature depends on an event older than this."""
_INSTANT = timedelta(microseconds=1)

Compute = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]
"""Events and moments to features, as ``transform.from_events``."""


class LiveFeatures:
    """Brings online features up to date."""

    def __init__(self, event_log: EventLog, store: FeatureStore, compute: Compute = from_events) -> None:
        self._event_log = event_log
        self._store = store
        self._compute = compute

    def refresh(self, tenant: str, recipients: Sequence[str], now: datetime) -> None:
        """Recompute some recipients and write the result online.

        Args:
            tenant: whose recipients these are.
            recipients: whom to recompute, without repetitions.
            now: the tenant's clock.
        """
        events = self._event_log.recent(tenant, recipients, now - LOOKBACK, now + FUTURE_TOLERANCE + _INSTANT)
        self._store.write(self._compute(events, _moments(tenant, recipients, events, now)))


def _moments(tenant: str, recipients: Sequence[str], events: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Return as of when each recipient is computed: now, or just after an event whose sender's clock is ahead.

    An event is in the windows of later moments only, so one from the near future would otherwise be left out until
    something else happens. The moment never goes back, because earlier such events count here too.
    """
    newest = events.groupby("recipient_id")["occurred_at"].max() + _INSTANT
    as_of = newest.reindex(list(recipients)).fillna(now)
    as_of = as_of.where(as_of > now, pd.Timestamp(now))
    frame = pd.DataFrame({"tenant": tenant, "recipient_id": list(recipients), "as_of": as_of.to_numpy()})
    return frame.assign(as_of=pd.to_datetime(frame["as_of"], utc=True).astype("datetime64[us, UTC]"))
