"""Events as data frames: EVENT_COLUMNS with fixed types, whatever the rows are.

Moments are ``datetime64[us, UTC]`` (DuckDB 2 and Feast cannot compare nanoseconds), amounts are ``Int64``, local
dates are ``datetime.date``, documents are JSON text, and an empty answer has the same columns and types.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Row, Text, cast, select, text
from sqlalchemy.sql.elements import ColumnElement

from adapters.postgres.tables import event
from domain.events import EVENT_COLUMNS

_DOCUMENTS = ("properties", "context", "attribution")
_MOMENTS = ("occurred_at", "received_at")
MOMENT = pd.DatetimeTZDtype("us", "UTC")
_COLUMNS = [cast(event.c[name], Text).label(name) if name in _DOCUMENTS else event.c[name] for name in EVENT_COLUMNS]
_ORDER = (event.c.tenant, event.c.recipient_id, event.c.occurred_at, event.c.source, event.c.event_id)


def recent(connection: Connection, recipients: Sequence[str], since: datetime, until: datetime) -> pd.DataFrame:
    """Return the events of these recipients in ``[since, until)``, by recipient and moment."""
    return _frame(connection, event.c.recipient_id.in_(list(recipients)), _between(since, until))


def read_day(connection: Connection, day: date) -> pd.DataFrame:
    """Return the events of one UTC day, by tenant, recipient and moment."""
    midnight = datetime.combine(day, time.min, UTC)
    return _frame(connection, _between(midnight, midnight + timedelta(days=1)))


def days(connection: Connection) -> list[date]:
    """Return the UTC days that have events, in order."""
    return list(connection.execute(_DAYS).scalars())


# One index probe per day instead of a scan of every event: a loose index scan, as PostgreSQL has none of its own.
_DAYS = text("""
SELECT CAST(lower AS date) FROM (
    SELECT to_date(right(relname, 8), 'YYYYMMDD') AT TIME ZONE 'UTC' AS lower
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = CAST('event' AS regclass)
) AS partitions
WHERE EXISTS (
    SELECT FROM event WHERE occurred_at >= lower AND occurred_at < lower + interval '1 day')
ORDER BY lower
""")


def _between(since: datetime, until: datetime) -> ColumnElement[bool]:
    return (event.c.occurred_at >= since) & (event.c.occurred_at < until)


def _frame(connection: Connection, *conditions: ColumnElement[bool]) -> pd.DataFrame:
    rows: Sequence[Row[Any]] = connection.execute(select(*_COLUMNS).where(*conditions).order_by(*_ORDER)).all()
    frame = pd.DataFrame.from_records([tuple(row) for row in rows], columns=list(EVENT_COLUMNS))
    # Not through a float, which pandas would take where some amounts are absent: it holds no large amount exactly.
    frame["value_minor"] = pd.array([row.value_minor for row in rows], dtype="Int64")
    for name in _MOMENTS:
        frame[name] = pd.to_datetime(frame[name], utc=True).astype(MOMENT)
    return frame.astype({"local_hour_of_week": "int16"})
