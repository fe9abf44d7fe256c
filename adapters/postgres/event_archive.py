"""The event log as the assets see it: whole UTC days of every tenant, read only."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

import pandas as pd
from sqlalchemy import text

from adapters.postgres import event_frames
from adapters.postgres.engine import Database


class EventArchive:
    """Reads days of events through a role that may see every tenant; a role that may not sees none.

    Days before ``since`` are not looked at: the lake begins there.
    """

    def __init__(self, database: Database, *, since: date = date.min) -> None:
        self._database = database
        self._since = since

    def days(self) -> list[date]:
        """Return the UTC days that have events, in order."""
        with self._database.begin() as connection:
            return [day for day in event_frames.days(connection) if day >= self._since]

    def read(self, days: Sequence[date]) -> Iterator[tuple[date, pd.DataFrame]]:
        """Yield each day with its events, EVENT_COLUMNS, by tenant, recipient and moment; all of one snapshot."""
        with self._database.begin() as connection:
            connection.execute(_ONE_SNAPSHOT)
            for day in days:
                yield day, event_frames.read_day(connection, day)

    def counts(self, days: Sequence[date]) -> dict[date, int]:
        """Return the number of events of each day, 0 included."""
        if not days:
            return {}
        span = {"since": _midnight(min(days)), "until": _midnight(max(days) + timedelta(days=1))}
        with self._database.begin() as connection:
            found = {row.day: int(row.events) for row in connection.execute(_COUNTS, span)}
        return {day: found.get(day, 0) for day in days}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


_ONE_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

_COUNTS = text("""
SELECT CAST(occurred_at AT TIME ZONE 'UTC' AS date) AS day, count(*) AS events
FROM event WHERE occurred_at >= :since AND occurred_at < :until GROUP BY 1
""")
