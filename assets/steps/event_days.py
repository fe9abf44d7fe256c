"""Copies days of events from PostgreSQL to the lake, typed, in one order, so that equal events give equal bytes."""

from collections.abc import Callable, Sequence
from datetime import date

import pandas as pd
import pyarrow as pa

from adapters.lake import Lake, Written
from adapters.postgres.event_archive import EventArchive
from domain.events import EVENT_COLUMNS

TABLE = "raw_engagement_events"

_MOMENT = pa.timestamp("us", tz="UTC")
_TYPED = {
    "occurred_at": _MOMENT,
    "received_at": _MOMENT,
    "value_minor": pa.int64(),
    "local_hour_of_week": pa.int16(),
    "local_date": pa.date32(),
}
SCHEMA = pa.schema([(name, _TYPED.get(name, pa.string())) for name in EVENT_COLUMNS])
"""Types of the event table; without them a day on which a column is empty would get another type."""

Report = Callable[[str], object]
_REPORT_EVERY = 30
"""Days between two lines of progress."""


def copy_days(archive: EventArchive, lake: Lake, days: Sequence[date], report: Report) -> dict[date, Written]:
    """Replace these days of the event table by what PostgreSQL holds; a day without events becomes an empty table.

    Args:
        archive: the events.
        lake: where they go.
        days: UTC days.
        report: told how far it got.
    """
    written = {}
    for day, events in archive.read(days):
        written[day] = lake.write(TABLE, table_of(events), day=day)
        if len(written) % _REPORT_EVERY == 0 or len(written) == len(days):
            rows = sum(one.rows for one in written.values())
            report(f"{TABLE}: {len(written)} of {len(days)} days, {rows} events")
    return written


def table_of(events: pd.DataFrame) -> pa.Table:
    """Return an event frame in the types of the lake."""
    return pa.Table.from_pandas(events[list(EVENT_COLUMNS)], schema=SCHEMA, preserve_index=False)
