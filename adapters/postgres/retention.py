"""Retention in PostgreSQL: the periods, and forgetting what is older, a week of rows in a transaction.

Who is held on a ground, in a receipt of an erasure, keeps what is held: their rows stay whatever their age.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, exists, func, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.erasure_tables import erasure
from adapters.postgres.retention_tables import recipient_retention, retention_period
from adapters.postgres.schema import metadata
from domain.identity import subject_key
from domain.retention import NotShorter, Retained, effective
from domain.tenants import Tenant

SLICE = timedelta(days=7)
ACTOR = "retention"


@dataclass(frozen=True)
class Aged:
    """A table with the column that tells a row's age and the one that tells whose it is."""

    table: str
    moment: str
    person: str | None


TABLES: Mapping[Retained, tuple[Aged, ...]] = {
    Retained.EVENTS: (Aged("event", "occurred_at", "recipient_id"), Aged("event_key", "occurred_at", None)),
    Retained.DECISIONS: (
        Aged("decision", "recorded_at", "subject_key"),
        Aged("decision_contest", "reviewed_at", "subject_key"),
    ),
    Retained.DEAD_LETTERS: (Aged("dead_letter", "received_at", "sealed_for"),),
    # A plan goes with its items and before its job, which says whether it is still made.
    Retained.JOBS: (Aged("plan", "recorded_at", None), Aged("job", "updated_at", None)),
}


class Retention:
    """Keeps periods, and forgets what is older."""

    def __init__(self, database: Database, installation: Mapping[Retained, int]) -> None:
        self._database = database
        self._installation = installation

    def periods(self, tenant: Tenant) -> dict[Retained, int]:
        """Return the periods of a tenant, in days."""
        with self._database.tenant(tenant.tenant) as connection:
            return self._periods(connection)

    def shorten(self, tenant: Tenant, what: Retained, days: int, *, actor: str) -> dict[Retained, int]:
        """Set a tenant's own period and return all of them.

        Raises:
            NotShorter: it would be longer than what stands.
        """
        with self._database.tenant(tenant.tenant) as connection:
            connection.execute(_ONE_AT_A_TIME, {"name": f"kairos.retention.{tenant.tenant}"})
            before = self._periods(connection)[what]
            if days > before:
                raise NotShorter(before)
            _set(connection, retention_period, {"tenant": tenant.tenant, "place": what.value}, days, actor)
            detail = {"what": what.value, "days": days, "before": before}
            entry = AuditEntry(action="retention.shortened", actor=actor, object="retention", detail=detail)
            audit.write(connection, tenant, [entry])
            return self._periods(connection)

    def shorten_for(self, tenant: Tenant, recipient_id: str, days: int, *, actor: str) -> int:
        """Set a recipient's own period for what is kept of them, and return it.

        Raises:
            NotShorter: it would be longer than what stands.
        """
        mine = select(recipient_retention.c.days).where(recipient_retention.c.recipient_id == recipient_id)
        with self._database.tenant(tenant.tenant) as connection:
            connection.execute(_ONE_AT_A_TIME, {"name": f"kairos.retention.{tenant.tenant}"})
            own = connection.execute(mine).scalar_one_or_none()
            before = own if own is not None else max(self._periods(connection).values())
            if days > before:
                raise NotShorter(before)
            _set(connection, recipient_retention, {"tenant": tenant.tenant, "recipient_id": recipient_id}, days, actor)
            entry = AuditEntry(
                action="retention.shortened",
                actor=actor,
                object="retention",
                recipient_id=recipient_id,
                detail={"days": days, "before": own},
            )
            audit.write(connection, tenant, [entry])
        return days

    def recipients(self, tenant: Tenant) -> dict[str, int]:
        """Return the recipients with a period of their own, in days."""
        with self._database.tenant(tenant.tenant) as connection:
            return {row.recipient_id: row.days for row in connection.execute(select(recipient_retention))}

    def held(self, tenant: Tenant, place: str) -> frozenset[str]:
        """Return the pseudonyms of those whose rows in a place stay on a stated ground."""
        query = select(erasure.c.subject_key).where(erasure.c.keep.has_key(place))
        with self._database.tenant(tenant.tenant) as connection:
            return frozenset(connection.execute(query).scalars())

    def old(self, tenant: Tenant, aged: Aged, *, before: datetime, whose: str | None = None) -> int:
        """Return how many rows are older than a moment and of nobody who is held."""
        held = self._held(tenant, aged, before)
        with self._database.tenant(tenant.tenant) as connection:
            query = select(func.count()).select_from(metadata.tables[aged.table])
            return int(connection.execute(query.where(*_older(aged, before, held, whose))).scalar_one())

    def forget(self, tenant: Tenant, aged: Aged, *, before: datetime, whose: str | None = None) -> int:
        """Delete them and return how many those were; killed in between, what is done stays done."""
        held = self._held(tenant, aged, before)
        forgotten = 0
        for until in self._slices(tenant, aged, before, whose):
            given = {"place": aged.table, "before": until, "held": held, "whose": whose}
            with self._database.tenant(tenant.tenant) as connection:
                forgotten += int(connection.execute(_FORGET, given).scalar_one())
        if forgotten:
            detail = {"table": aged.table, "rows": forgotten, "before": before.isoformat()}
            entry = AuditEntry(action="retention.forgotten", actor=ACTOR, object=f"table:{aged.table}", detail=detail)
            with self._database.tenant(tenant.tenant) as connection:
                audit.write(connection, tenant, [entry])
        return forgotten

    def _slices(self, tenant: Tenant, aged: Aged, before: datetime, whose: str | None) -> Iterator[datetime]:
        """Yield moments up to which rows are deleted, one after another, from the oldest on."""
        oldest = select(func.min(metadata.tables[aged.table].c[aged.moment])).where(*_older(aged, before, [], whose))
        with self._database.tenant(tenant.tenant) as connection:
            until = connection.execute(oldest).scalar_one()
        while until is not None and until < before:
            until = min(until + SLICE, before)
            yield until

    def _held(self, tenant: Tenant, aged: Aged, before: datetime) -> list[str]:
        """Return whose rows stay, as the table names people."""
        held = self.held(tenant, aged.table)
        if not held or aged.person != "recipient_id":
            return sorted(held)
        table = metadata.tables[aged.table]
        query = select(table.c.recipient_id).where(table.c[aged.moment] < before).distinct()
        with self._database.tenant(tenant.tenant) as connection:
            names = connection.execute(query).scalars().all()
        return sorted(each for each in names if subject_key(tenant.subject_secret, each) in held)

    def _periods(self, connection: Connection) -> dict[Retained, int]:
        known = {each.value for each in Retained}
        rows = connection.execute(select(retention_period)).all()
        return effective(self._installation, {Retained(row.place): row.days for row in rows if row.place in known})


def _older(aged: Aged, before: datetime, held: Sequence[str], whose: str | None) -> list[ColumnElement[bool]]:
    columns = metadata.tables[aged.table].c
    found: list[ColumnElement[bool]] = [columns[aged.moment] < before]
    if aged.table == "job":
        found.append(columns.state.in_(_ENDED))
    if aged.table == "plan":
        job = metadata.tables["job"].c
        found.append(~exists().where(job.job_id == columns.job_id, job.state.not_in(_ENDED)))
    if aged.person is not None:
        found.append(func.coalesce(columns[aged.person], "").not_in(held))
        if whose is not None:
            found.append(columns[aged.person] == whose)
    return found


def _set(connection: Connection, table: Table, key: dict[str, Any], days: int, actor: str) -> None:
    values = {"days": days, "actor": actor}
    statement = insert(table).values(key | values)
    changed = statement.on_conflict_do_update(index_elements=list(key), set_=values | {"recorded_at": func.now()})
    connection.execute(changed)


_ENDED = ("done", "failed")
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_FORGET = text("SELECT kairos_forget(:place, :before, CAST(:held AS text[]), :whose)")
