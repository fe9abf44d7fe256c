"""Puts each tenant's newest day of features online, and compares what is online with the table it came from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from adapters.feature_store import FeatureStore
from adapters.lake import Lake
from assets.steps import event_days, feature_days
from feature_repo.engagement import at_read, catalog

Report = Callable[[str], object]
_DAY = timedelta(days=1)
_STEP = timedelta(microseconds=1)
SAMPLE = 100
"""Recipients per tenant compared between online and offline."""


@dataclass(frozen=True)
class Parity:
    """A comparison of online values with the table: recipients compared, those that are newer online, differences."""

    compared: int
    newer_online: int
    missing_online: int
    differing: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """True when every value compared is the same."""
        return not self.differing and not self.missing_online


def newest_days(lake: Lake, nows: Mapping[str, datetime]) -> dict[str, date]:
    """Return each tenant's newest day of features that ends not after its clock.

    A sandbox lives in its own year, so the newest day of the table is not everybody's.
    """
    if not lake.days(feature_days.TABLE):
        return {}
    table = lake.select(feature_days.TABLE, columns=["tenant", "as_of"]).group_by(["tenant", "as_of"]).aggregate([])
    found: dict[str, date] = {}
    for tenant, as_of in zip(table["tenant"].to_pylist(), table["as_of"].to_pylist(), strict=True):
        day = (as_of - _DAY).date()
        if tenant in nows and as_of <= nows[tenant] and day > found.get(tenant, date.min):
            found[tenant] = day
    return found


def publish(lake: Lake, store: FeatureStore, nows: Mapping[str, datetime], report: Report) -> dict[str, date]:
    """Load every tenant's newest day of features into the online store; doing it again changes nothing.

    Args:
        lake: holds the feature table.
        store: the online store; a row the stream made newer stays.
        nows: the tenants' clocks.
        report: told how far it got.

    Returns:
        The day that is online now, by tenant.

    Raises:
        Quarantined: the events behind a day broke their contract.
    """
    newest = newest_days(lake, nows)
    for day in sorted(set(newest.values())):
        lake.require_checked(event_days.TABLE, first=day - feature_days.LOOKBACK, last=day)
        end = datetime(day.year, day.month, day.day, tzinfo=UTC) + _DAY
        store.materialize(end - _STEP, end)
        report(f"online features: {day} for {sum(value == day for value in newest.values())} tenants")
    return newest


def rows(lake: Lake, newest: Mapping[str, date]) -> int:
    """Return how many recipients have their newest day online."""
    return sum(
        int(pc.sum(pc.equal(lake.read(feature_days.TABLE, day=day)["tenant"], tenant)).as_py() or 0)
        for tenant, day in newest.items()
    )


def compare(lake: Lake, store: FeatureStore, newest: Mapping[str, date]) -> Parity:
    """Compare a sample of online rows, evenly spread over the recipients, with the day they were loaded from."""
    compared = newer = missing = 0
    differing: dict[str, int] = {}
    for tenant, day in sorted(newest.items()):
        offline = _sample(lake, tenant, day)
        online = store.online(tenant, list(offline["recipient_id"]))
        for place, (_, row) in enumerate(offline.iterrows()):
            stamp = online[_AS_OF[0]][place]
            if stamp is None:
                missing += 1
            elif any(online[name][place] != row[name] for name in _AS_OF):
                newer += 1
            else:
                compared += 1
                for name in store.columns:
                    if not _same(online[name][place], row[name]):
                        differing[name] = differing.get(name, 0) + 1
    return Parity(compared, newer, missing, differing)


_AS_OF = tuple(at_read.AS_OF.values())


def _sample(lake: Lake, tenant: str, day: date) -> pd.DataFrame:
    rows: pd.DataFrame = lake.read(feature_days.TABLE, day=day).to_pandas()
    mine = rows[rows["tenant"] == tenant]
    return mine.iloc[:: max(1, len(mine) // SAMPLE)].head(SAMPLE)[["recipient_id", *_names()]]


def _names() -> list[str]:
    return [feature.name for feature in catalog.stored()]


def _same(online: Any, offline: Any) -> bool:
    if online is None or pd.isna(offline):
        return online is None and bool(pd.isna(offline))
    return bool(online == offline)
