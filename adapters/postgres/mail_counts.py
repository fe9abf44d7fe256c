"""How much e-mail a tenant sent and how often somebody complained, per UTC day, counted as the events are stored."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, func, select, text

from adapters.postgres.law_tables import mail_count
from domain.events import EngagementEvent, EventType
from domain.values import Channel

SHARDS = 16
_COUNTED = (EventType.NOTIFICATION_SENT, EventType.DELIVERED, EventType.COMPLAINED)
_FRESH = timedelta(seconds=30)


def count(connection: Connection, tenant: str, events: Iterable[EngagementEvent]) -> None:
    """Count newly stored events, in the transaction that stores them; call it after every other lock was taken."""
    found: Counter[tuple[date, EventType]] = Counter(
        (event.occurred_at.date(), event.type)
        for event in events
        if event.channel is Channel.EMAIL and event.type in _COUNTED
    )
    if found:
        days = sorted({day for day, _ in found})
        sent, delivered, complained = ([found[day, each] for day in days] for each in _COUNTED)
        given = {"day": days, "sent": sent, "delivered": delivered, "complained": complained}
        connection.execute(_COUNT, {"tenant": tenant, "shards": SHARDS} | given)


_COUNT = text("""
INSERT INTO mail_count (tenant, day, shard, sent, delivered, complained)
SELECT :tenant, day, pg_backend_pid() % :shards, sent, delivered, complained FROM unnest(CAST(:day AS date[]),
    CAST(:sent AS bigint[]), CAST(:delivered AS bigint[]), CAST(:complained AS bigint[]))
    AS given (day, sent, delivered, complained) ORDER BY day
ON CONFLICT (tenant, day, shard) DO UPDATE SET sent = mail_count.sent + excluded.sent,
    delivered = mail_count.delivered + excluded.delivered, complained = mail_count.complained + excluded.complained
""")


class ComplaintShares:
    """Tells a tenant's complaints per e-mail sent; a reading serves for half a minute."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, int], tuple[datetime, float | None]] = {}

    def read(self, connection: Connection, tenant: str, *, now: datetime, days: int) -> float | None:
        """Return the share in [0, 1] over the days up to now, or None when nothing was sent in them.

        Args:
            connection: a transaction of the tenant.
            tenant: whose mail.
            now: the tenant's clock.
            days: UTC days before today that count besides it.
        """
        known = self._read.get((tenant, days))
        if known is not None and abs(now - known[0]) < _FRESH:
            return known[1]
        found = share(connection, now=now, days=days)
        self._read[tenant, days] = (now, found)
        return found


def share(connection: Connection, *, now: datetime, days: int) -> float | None:
    """Return complaints per e-mail sent (or delivered, where that was reported more) of the connection's tenant."""
    sums = [func.coalesce(func.sum(each), 0) for each in (mail_count.c.sent, mail_count.c.delivered)]
    complained = func.coalesce(func.sum(mail_count.c.complained), 0)
    since, until = now.date() - timedelta(days=days), now.date()
    row = connection.execute(select(*sums, complained).where(mail_count.c.day.between(since, until))).one()
    sent = max(int(row[0]), int(row[1]))
    return min(1.0, int(row[2]) / sent) if sent else None
