"""The event log: one transaction holds the events, their keys, the outbox, the dead letters and the counts.

Storing the same event twice changes nothing; an acknowledged event is on disk; every item received is stored,
a duplicate or a dead letter, and the counts that say so commit with it.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection

from adapters.postgres import allowances, event_frames
from adapters.postgres.dead_letters import bury
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.event_statements import (
    BOOKS,
    COUNT_BATCH,
    KNOWN_DIGESTS,
    MAKE_PARTITION,
    STORE_NEW,
    TOTALS,
    ZONES,
)
from domain.events import EngagementEvent
from domain.ingest import Batch, Claim, Counts, Item, ItemVerdict, Key, local_time, timely, zone
from domain.tenants import Tenant


class EventLog:
    """Stores engagement events, each once, and says what became of every item."""

    def __init__(self, database: Database, effects: EventEffects, *, retention: timedelta) -> None:
        self._database = database
        self._effects = effects
        self._retention = retention
        self._days: set[date] = set()

    @allowances.again_if_moved
    def append(
        self, tenant: Tenant, items: Sequence[Item], *, origin: str, received_at: datetime, now: datetime
    ) -> list[ItemVerdict]:
        """Commit a batch and return the verdict of each item, in the order given.

        Args:
            tenant: whose events these are.
            items: what was parsed, good and bad.
            origin: where they came from, for dead letters: ``api`` or a file's name.
            received_at: when, in real time.
            now: the tenant's clock.

        Raises:
            Unavailable: PostgreSQL could not commit; nothing may be acknowledged.
        """
        items = [timely(item, now=now, max_age=self._retention) for item in items]
        batch = Batch(items)
        claims = list(batch.firsts.values())
        self._make_partitions({claim.event.occurred_at.date() for claim in claims})
        with self._database.tenant(tenant.tenant) as connection:
            new = _store_new(connection, tenant, claims, received_at)
            verdicts = batch.judge(new, _known(connection, set(batch.firsts) - new))
            fresh = [claim.event for claim in claims if claim.key in new]
            self._effects.apply(connection, tenant, fresh, now=now)
            _commit_counts(connection, tenant, items, verdicts, origin, received_at)
        return verdicts

    def conservation(self, tenant: str) -> Counts:
        """Return everything ever received for a tenant and what became of it."""
        with self._database.tenant(tenant) as connection:
            return Counts.model_validate(dict(connection.execute(TOTALS).mappings().one()))

    def books(self) -> dict[str, Counts]:
        """Return, for every tenant by name, everything ever received and what became of it."""
        with self._database.begin() as connection:
            rows = [dict(row) for row in connection.execute(BOOKS).mappings()]
        return {str(row.pop("tenant")): Counts.model_validate(row) for row in rows}

    def recent(self, tenant: str, recipients: Sequence[str], since: datetime, until: datetime) -> pd.DataFrame:
        """Return the events of some recipients in ``[since, until)``, with EVENT_COLUMNS."""
        with self._database.tenant(tenant) as connection:
            return event_frames.recent(connection, recipients, since, until)

    def _make_partitions(self, days: set[date]) -> None:
        """Create missing partitions before the batch's own transaction, which then waits for no table lock."""
        for day in sorted(days - self._days):
            with self._database.begin() as connection:
                connection.execute(MAKE_PARTITION, {"day": day})
            self._days.add(day)


def _store_new(connection: Connection, tenant: Tenant, claims: Sequence[Claim], received_at: datetime) -> set[Key]:
    """Store the events whose keys nobody had and return those keys; waits for whoever is claiming the same ones."""
    if not claims:
        return set()
    recipients = sorted({claim.event.recipient_id for claim in claims})
    declared = {row.recipient_id: row.time_zone for row in connection.execute(ZONES, {"recipient_id": recipients})}
    rows = ",".join(_row(claim, _zone(claim.event, declared.get(claim.event.recipient_id), tenant)) for claim in claims)
    given = {"tenant": tenant.tenant, "received_at": received_at, "rows": f"[{rows}]"}
    return {(source, event_id) for source, event_id in connection.execute(STORE_NEW, given)}


def _known(connection: Connection, keys: set[Key]) -> dict[Key, bytes]:
    if not keys:
        return {}
    rows = json.dumps([{"source": source, "event_id": event_id} for source, event_id in keys])
    known = connection.execute(KNOWN_DIGESTS, {"rows": rows})
    return {(row.source, row.event_id): bytes(row.digest) for row in known}


def _commit_counts(
    connection: Connection,
    tenant: Tenant,
    items: Sequence[Item],
    verdicts: Sequence[ItemVerdict],
    origin: str,
    received_at: datetime,
) -> None:
    pairs = zip(items, verdicts, strict=True)
    dead = [(item, answer.rejection) for item, answer in pairs if answer.rejection is not None]
    if dead:
        bury(connection, tenant, dead, origin=origin, received_at=received_at)
    counts = Counts.of(verdicts).model_dump()
    connection.execute(COUNT_BATCH, {"tenant": tenant.tenant, "origin": origin} | counts)


def _zone(event: EngagementEvent, declared: str | None, tenant: Tenant) -> ZoneInfo:
    """Return where the recipient is: by their profile, else by the event, else where the tenant is."""
    told = event.context.time_zone if event.context is not None else None
    for name in (declared, told):
        if name is not None and (found := zone(name)) is not None:
            return found
    return tenant.zone


def _row(claim: Claim, where: ZoneInfo) -> str:
    """Return the canonical text with what only the store needs added to it."""
    hour_of_week, local_date = local_time(claim.event.occurred_at, where)
    extra = f'"digest":"{claim.digest.hex()}","local_hour_of_week":{hour_of_week},"local_date":"{local_date}"'
    return f"{claim.text[:-1]},{extra}}}"
