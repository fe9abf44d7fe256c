"""Feature tables with every stored column, filled by a seed; a third of what may be missing is."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.engagement import catalog
from feature_repo.engagement.catalog import Dtype

MOMENT = "datetime64[us, UTC]"


def feature_table(tenant: str, recipients: Sequence[str], as_of: datetime, *, seed: int = 0) -> pd.DataFrame:
    """Return one row per recipient in ``catalog.columns()``."""
    dice = np.random.default_rng(seed)
    count = len(recipients)
    columns: dict[str, object] = {
        "tenant": [tenant] * count,
        "recipient_id": list(recipients),
        "as_of": pd.Series([as_of] * count, dtype=MOMENT),
    }
    for feature in catalog.stored():
        columns[feature.name] = _values(feature.dtype, as_of, dice, count)
    for name in ("engagement_as_of", "delivery_as_of"):
        columns[name] = pd.Series([as_of.replace(microsecond=0)] * count, dtype=MOMENT)
    return pd.DataFrame(columns)[list(catalog.columns())]


def _values(dtype: Dtype, as_of: datetime, dice: np.random.Generator, count: int) -> object:
    missing = dice.random(count) < 1 / 3
    if dtype is Dtype.INT:
        return dice.integers(-3, 2**40, count)
    if dtype is Dtype.FLOAT:
        return np.where(missing, np.nan, dice.random(count))
    if dtype is Dtype.TEXT:
        return [None if none else "Getränke" for none in missing]
    return pd.Series([as_of.replace(microsecond=0)] * count, dtype=MOMENT).where(~missing)


def write_day(lake: Path, table: pd.DataFrame, day: str, *, created_at: datetime | None = None) -> None:
    """Write a partition of the lake's feature table, as the nightly asset does."""
    folder = lake / "core_recipient_engagement_daily" / f"date={day}"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = table["as_of"] if created_at is None else pd.Series([created_at] * len(table), dtype=MOMENT)
    table.assign(created_at=stamp.to_numpy()).astype({"created_at": MOMENT}).to_parquet(folder / "part.parquet")
