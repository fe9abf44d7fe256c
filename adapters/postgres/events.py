"""The event log: one transaction holds the events, their keys, the outbox, the dead letters and the counts.

Storing the same event twice changes nothing; an acknowledged event is on disk; every item received is stored,
a duplicate or a dead letter, and the counts that say so commit with it.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection

from adapters.postgres import event_frames
from adapters.postgres.dead_letters import bury
from adapters.postgres.engine import Database
from adapters.postgres.event_statements import (
    CLAIM_KEYS,
    COUNT_BATCH,
    EVENT_ARRAYS,
    KNOWN_DIGESTS,
    MAKE_PARTITION,
    STORE_EVENTS,
    TOTALS,
    ZONES,
)
from domain.events import EngagementEvent
from domain.ingest import Batch, Counts, Item, ItemVerdict, Key, Verdict, local_time, timely, zone
from domain.tenants import Tenant


class EventEffects(Protocol):
    """What else changes when an event is stored, such as a consent that an ``unsubscribed`` event withdraws."""

    def apply(self, connection: Connection, tenant: Tenant, events: Sequence[EngagementEvent]) -> None:
        """Apply the effects of newly stored events, in the transaction that stores them."""


class EventLog:
    """Stores engagement events, each once, and says what became of every item."""

    def __init__(self, database: Database, effects: EventEffects, *, retention: timedelta) -> None:
        self._database = database
        self._effects = effects
        self._retention = retention
        self._days: set[date] = set()

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
        self._make_partitions({event.occurred_at.date() for event, _ in batch.claims.values()})
        with self._database.tenant(tenant.tenant) as connection:
            new = _claim(connection, tenant.tenant, batch)
            verdicts = batch.judge(new, _known(connection, set(batch.claims) - new))
            _commit_events(connection, tenant, _stored(items, verdicts), self._effects, received_at)
            _commit_counts(connection, tenant, items, verdicts, origin, received_at)
        return verdicts

    def conservation(self, tenant: str) -> Counts:
        """Return everything ever received for a tenant and what became of it."""
        with self._database.tenant(tenant) as connection:
            return Counts.model_validate(dict(connection.execute(TOTALS).mappings().one()))

    def recent(self, tenant: str, recipients: Sequence[str], since: datetime, until: datetime) -> pd.DataFrame:
        """Return the events of some recipients in ``[since, until)``, with EVENT_COLUMNS."""
        with self._database.tenant(tenant) as connection:
            return event_frames.recent(connection, recipients, since, until)

    def read_day(self, day: date) -> pd.DataFrame:
        """Return the events of one UTC day, of every tenant the role may see, with EVENT_COLUMNS."""
        with self._database.begin() as connection:
            return event_frames.read_day(connection, day)

    def days(self) -> list[date]:
        """Return the UTC days that have events, of every tenant the role may see, in order."""
        with self._database.begin() as connection:
            return event_frames.days(connection)

    def _make_partitions(self, days: set[date]) -> None:
        """Create missing partitions before the batch's own transaction, which then waits for no table lock."""
        for day in sorted(days - self._days):
            with self._database.begin() as connection:
                connection.execute(MAKE_PARTITION, {"day": day})
            self._days.add(day)


def _claim(connection: Connection, tenant: str, batch: Batch) -> set[Key]:
    """Claim the batch's keys and return those nobody had; waits for whoever is claiming the same ones."""
    if not batch.claims:
        return set()
    ordered = sorted(batch.claims)
    rows = {
        "source": [source for source, _ in ordered],
        "event_id": [event_id for _, event_id in ordered],
        "digest": [batch.claims[key][1] for key in ordered],
        "occurred_at": [batch.claims[key][0].occurred_at for key in ordered],
    }
    claimed = connection.execute(CLAIM_KEYS, {"tenant": tenant} | rows)
    return {(source, event_id) for source, event_id in claimed}


def _known(connection: Connection, keys: set[Key]) -> dict[Key, bytes]:
    if not keys:
        return {}
    asked = {"source": [source for source, _ in keys], "event_id": [event_id for _, event_id in keys]}
    return {(row.source, row.event_id): bytes(row.digest) for row in connection.execute(KNOWN_DIGESTS, asked)}


def _stored(items: Sequence[Item], verdicts: Sequence[ItemVerdict]) -> list[EngagementEvent]:
    pairs = zip(items, verdicts, strict=True)
    return [item.event for item, answer in pairs if answer.verdict is Verdict.STORED and item.event is not None]


def _commit_events(
    connection: Connection,
    tenant: Tenant,
    events: Sequence[EngagementEvent],
    effects: EventEffects,
    received_at: datetime,
) -> None:
    if not events:
        return
    recipients = sorted({event.recipient_id for event in events})
    declared = {row.recipient_id: row.time_zone for row in connection.execute(ZONES, {"recipient_id": recipients})}
    rows = [_row(event, _zone(event, declared.get(event.recipient_id), tenant)) for event in events]
    columns = dict(zip(EVENT_ARRAYS, map(list, zip(*rows, strict=True)), strict=True))
    connection.execute(STORE_EVENTS, {"tenant": tenant.tenant, "received_at": received_at} | columns)
    effects.apply(connection, tenant, events)


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
        bury(connection, tenant.tenant, dead, origin=origin, received_at=received_at)
    counts = Counts.of(verdicts).model_dump()
    connection.execute(COUNT_BATCH, {"tenant": tenant.tenant, "origin": origin} | counts)


def _zone(event: EngagementEvent, declared: str | None, tenant: Tenant) -> ZoneInfo:
    """Return where the recipient is: by their profile, else by the event, else where the tenant is."""
    told = event.context.time_zone if event.context is not None else None
    for name in (declared, told):
        if name is not None and (found := zone(name)) is not None:
            return found
    return tenant.zone


def _row(event: EngagementEvent, where: ZoneInfo) -> tuple[Any, ...]:
    """Return the event's columns, in the order of EVENT_ARRAYS."""
    hour_of_week, local_date = local_time(event.occurred_at, where)
    return (
        event.source,
        event.event_id,
        event.type.value,
        event.name,
        event.channel.value if event.channel is not None else None,
        event.occurred_at,
        event.recipient_id,
        event.session_id,
        event.campaign_id,
        event.message_type,
        event.variant_id,
        event.decision_id,
        event.value.minor if event.value is not None else None,
        event.value.currency if event.value is not None else None,
        event.category,
        hour_of_week,
        local_date,
        json.dumps(event.properties),
        event.context.model_dump_json(exclude_none=True) if event.context is not None else None,
        event.attribution.model_dump_json(exclude_none=True) if event.attribution is not None else None,
    )
