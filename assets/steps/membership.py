"""Writes which segment every recipient is in, from their tenant's newest day of features, and draws the sizes."""

from collections.abc import Mapping
from datetime import date, datetime

import pandas as pd
import pyarrow as pa

from adapters import segment_rows
from adapters.lake import Lake, NoSuchTable, Written
from assets.steps import event_days, feature_days, pictures
from assets.steps.online import newest_days
from models.segments import rfm

TABLE = segment_rows.TABLE
SCHEMA = pa.schema(
    [
        ("tenant", pa.string()),
        ("recipient_id", pa.string()),
        ("as_of", pa.timestamp("us", tz="UTC")),
        ("segment", pa.string()),
        ("recency_score", pa.int64()),
        ("frequency_score", pa.int64()),
        ("monetary_score", pa.int64()),
        ("score", pa.float64()),
        ("thresholds", pa.string()),
    ]
)


def write(lake: Lake, nows: Mapping[str, datetime]) -> tuple[Written, bytes]:
    """Replace the segment table, and return it with a picture of the sizes.

    Raises:
        Quarantined: the events behind a day broke their contract.
        NoSuchTable: no tenant has features yet.
    """
    newest = newest_days(lake, nows)
    if not newest:
        raise NoSuchTable(f"no tenant has a day in {feature_days.TABLE}; materialize it first")
    for day in set(newest.values()):
        lake.require_checked(event_days.TABLE, first=day - feature_days.LOOKBACK, last=day)
    members = pd.concat([_of(lake, tenant, day) for tenant, day in sorted(newest.items())], ignore_index=True)
    written = lake.write(TABLE, pa.Table.from_pandas(members[SCHEMA.names], schema=SCHEMA, preserve_index=False))
    sizes = {str(name): float(size) for name, size in members["segment"].value_counts().sort_index().items()}
    return written, pictures.bars(sizes, title="Recipients by segment", unit="recipients")


def _of(lake: Lake, tenant: str, day: date) -> pd.DataFrame:
    rows: pd.DataFrame = lake.read(feature_days.TABLE, day=day).to_pandas()
    return rfm.membership(rows[rows["tenant"] == tenant].reset_index(drop=True))
