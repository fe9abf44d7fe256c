"""The outbox: what has happened and is not yet reflected elsewhere, row by row, committed with its cause.

A row is deleted only when its effect is durable, so whoever carries it may forget it at any time.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    any_,
    cast,
    delete,
    func,
    select,
    text,
    update,
)

from adapters.postgres import dead_letters
from adapters.postgres.engine import Database
from adapters.postgres.tables import outbox
from domain.tenants import Tenant

EVENTS = "events"
"""Topic of stored events; the key is the recipient."""
REBUILD = "rebuild"
"""Topic of recipients whose online features may be lost; the key is the recipient."""
DEAD_ORIGIN = "stream"


@dataclass(frozen=True)
class OutboxRow:
    """One row: the message about ``key``, and when it was committed (real time)."""

    outbox_id: int
    topic: str
    key: str
    payload: Mapping[str, Any]
    recorded_at: datetime

    @property
    def occurred_at(self) -> datetime:
        """When what it tells of happened; its commit when it does not say."""
        try:
            return datetime.fromisoformat(self.payload["occurred_at"])
        except (KeyError, TypeError, ValueError):
            return self.recorded_at


@dataclass(frozen=True)
class Backlog:
    """How many rows wait for their effect, and since when the oldest does."""

    waiting: int
    oldest_at: datetime | None


class Outbox:
    """Rows waiting for their effect, tenant by tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tenants(self) -> list[str]:
        """Return every tenant's name."""
        with self._database.begin() as connection:
            return list(connection.execute(text("SELECT kairos_tenant_names()")).scalars())

    def publish(
        self, tenant: str, topic: str, *, epoch: str, limit: int, send: Callable[[list[OutboxRow]], None]
    ) -> int:
        """Send rows this epoch does not carry yet, oldest first, and mark them, in one transaction.

        Rows another relay holds are skipped. When ``send`` raises, nothing is marked.

        Returns:
            How many rows were sent.
        """
        fresh = (outbox.c.topic == topic) & outbox.c.published_epoch.is_distinct_from(epoch)
        query = select(outbox).where(fresh).order_by(outbox.c.outbox_id).limit(limit)
        with self._database.tenant(tenant) as connection:
            rows = _rows(connection, query.with_for_update(skip_locked=True))
            if rows:
                send(rows)
                sent = _among([row.outbox_id for row in rows])
                connection.execute(update(outbox).where(sent).values(published_epoch=epoch))
            return len(rows)

    def present(self, tenant: str, ids: Sequence[int]) -> dict[int, OutboxRow]:
        """Return which of these rows still wait for their effect, by id."""
        with self._database.tenant(tenant) as connection:
            rows = _rows(connection, select(outbox).where(_among(ids)))
        return {row.outbox_id: row for row in rows}

    def settle(self, tenant: str, ids: Sequence[int]) -> None:
        """Delete rows whose effect is durable."""
        with self._database.tenant(tenant) as connection:
            connection.execute(delete(outbox).where(_among(ids)))

    def bury(self, tenant: Tenant, rows: Sequence[OutboxRow], *, expected: str) -> None:
        """Turn rows into dead letters with reason ``consumer.failed``, in one transaction."""
        by_id = {row.outbox_id: row for row in rows}
        with self._database.tenant(tenant.tenant) as connection:
            gone = delete(outbox).where(_among(list(by_id)))
            # Whoever deletes the row writes the letter: two consumers that give up together write one.
            deleted = [by_id[each] for each in connection.execute(gone.returning(outbox.c.outbox_id)).scalars()]
            letters = [_letter(row, expected) for row in deleted]
            dead_letters.keep(connection, tenant, letters, [row.key for row in deleted])

    def forget(self, tenant: str, *, epoch: str) -> int:
        """Mark rows an epoch was to carry as unpublished; returns how many there were."""
        carried = outbox.c.published_epoch == epoch
        with self._database.tenant(tenant) as connection:
            return int(connection.execute(update(outbox).where(carried).values(published_epoch=None)).rowcount)

    def refill(self, tenant: str, *, since: datetime) -> int:
        """Queue a rebuild for every recipient with an event since a moment, unless one is queued.

        Returns:
            How many were queued.
        """
        with self._database.tenant(tenant) as connection:
            return int(connection.execute(_REFILL, {"tenant": tenant, "since": since, "topic": REBUILD}).rowcount)

    def backlog(self, tenant: str, topic: str = EVENTS) -> Backlog:
        """Return how much of a topic waits for its effect."""
        of_topic = outbox.c.topic == topic
        with self._database.tenant(tenant) as connection:
            waiting = connection.execute(select(func.count()).select_from(outbox).where(of_topic)).scalar_one()
            oldest = select(outbox.c.recorded_at).where(of_topic).order_by(outbox.c.outbox_id).limit(1)
            return Backlog(waiting, connection.execute(oldest).scalar_one_or_none())


_REFILL = text("""
INSERT INTO outbox (tenant, topic, key, payload)
SELECT :tenant, :topic, e.recipient_id, jsonb_build_object('occurred_at', max(e.occurred_at))
FROM event e
WHERE e.occurred_at >= :since
  AND NOT EXISTS (SELECT FROM outbox o WHERE o.topic = :topic AND o.key = e.recipient_id)
GROUP BY e.recipient_id
""")


def _letter(row: OutboxRow, expected: str) -> dict[str, Any]:
    return {
        "origin": DEAD_ORIGIN,
        "position": row.outbox_id,
        "reason": "consumer.failed",
        "field": None,
        "expected": expected,
        "raw": json.dumps({"topic": row.topic, "key": row.key, **row.payload}).encode(),
        "received_at": row.recorded_at,
    }


def _among(ids: Sequence[int]) -> ColumnElement[bool]:
    # One array instead of one parameter for each: ten thousand of those take half a second to write down.
    return outbox.c.outbox_id == any_(cast(list(ids), ARRAY(BigInteger)))


def _rows(connection: Connection, query: Any) -> list[OutboxRow]:
    return [
        OutboxRow(row.outbox_id, row.topic, row.key, row.payload, row.recorded_at) for row in connection.execute(query)
    ]
