"""Which events stood behind a decision, and which decisions stood on a day of events or on one event.

A decision holds the moment of each feature view it read; what happened within the features' reach before that moment
may have moved it. Reading any of it is audited.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tables import consent_head, decision, event
from domain.identity import subject_key
from domain.tenants import Tenant


@dataclass(frozen=True)
class Events:
    """How many events there are, and the newest of them as ``source/event_id``."""

    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Touched:
    """Decisions, the newest first; ``by`` is ``features``, ``model`` or ``outcome``."""

    by: str
    count: int
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Happened:
    """An event, as far as lineage needs it."""

    recipient_id: str
    type: str
    occurred_at: datetime
    decision_id: str | None


class DecisionLineage:
    """Reads both ways."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, tenant: Tenant, what: str, *, actor: str) -> None:
        """Put into the audit trail that somebody asked."""
        with self._database.tenant(tenant.tenant) as connection:
            audit.write(connection, tenant, [AuditEntry(action="lineage.read", actor=actor, object=what)])

    def record(self, tenant: Tenant, decision_id: str) -> dict[str, Any] | None:
        """Return the record of a decision, or None."""
        query = select(decision.c.record).where(decision.c.decision_id == decision_id)
        with self._database.tenant(tenant.tenant) as connection:
            found: dict[str, Any] | None = connection.execute(query).scalar_one_or_none()
        return found

    def recipient(self, tenant: Tenant, pseudonym: str) -> str | None:
        """Return whose pseudonym it is, by making everybody's; None when they were erased."""
        everybody = select(consent_head.c.recipient_id).execution_options(yield_per=10_000)
        with self._database.tenant(tenant.tenant) as connection, connection.execute(everybody) as rows:
            return next((who for (who,) in rows if subject_key(tenant.subject_secret, who) == pseudonym), None)

    def events(self, tenant: Tenant, recipient_id: str, *, since: datetime, until: datetime, limit: int) -> Events:
        """Return the events of a recipient from ``since`` to just before ``until``."""
        named = {"tenant": tenant.tenant, "who": recipient_id, "since": since, "until": until, "limit": limit}
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(_EVENTS, named).all()
        return Events(rows[0].total if rows else 0, tuple(row.id for row in rows))

    def event(self, tenant: Tenant, event_id: str) -> Happened | None:
        """Return an event by its id, the newest where sources share one; None where there is none."""
        query = (
            select(event.c.recipient_id, event.c.type, event.c.occurred_at, event.c.decision_id)
            .where(event.c.tenant == tenant.tenant, event.c.event_id == event_id)
            .order_by(event.c.occurred_at.desc())
            .limit(1)
        )
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(query).one_or_none()
        return Happened(*row) if row is not None else None

    def by_features(
        self, tenant: Tenant, *, after: datetime, until: datetime, pseudonym: str | None = None, limit: int
    ) -> Touched:
        """Return decisions that read a feature view of a moment in ``(after, until]``."""
        named = {"tenant": tenant.tenant, "after": after, "until": until, "who": pseudonym, "limit": limit}
        return self._touched("features", tenant, _BY_FEATURES, named)

    def by_models(self, tenant: Tenant, versions: Sequence[tuple[str, str]], *, limit: int) -> Touched:
        """Return decisions of model versions, each a name and a number."""
        named = {"tenant": tenant.tenant, "limit": limit, "versions": [f"{name} {number}" for name, number in versions]}
        return self._touched("model", tenant, _BY_MODELS, named)

    def _touched(self, by: str, tenant: Tenant, query: Any, named: dict[str, Any]) -> Touched:
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query, named).all()
        return Touched(by, rows[0].total if rows else 0, tuple(row.decision_id for row in rows))


_EVENTS = text("""
SELECT source || '/' || event_id AS id, count(*) OVER () AS total FROM event
WHERE tenant = :tenant AND recipient_id = :who AND occurred_at >= :since AND occurred_at < :until
ORDER BY occurred_at DESC, source, event_id LIMIT :limit
""")

_BY_FEATURES = text("""
SELECT decision_id, count(*) OVER () AS total FROM decision
WHERE tenant = :tenant AND (CAST(:who AS text) IS NULL OR subject_key = :who)
    AND jsonb_typeof(record->'features_as_of') = 'object'
    AND EXISTS (
        SELECT FROM jsonb_each_text(record->'features_as_of') AS view
        WHERE CAST(view.value AS timestamptz) > :after AND CAST(view.value AS timestamptz) <= :until)
ORDER BY decided_at DESC, decision_id LIMIT :limit
""")

_BY_MODELS = text("""
SELECT decision_id, count(*) OVER () AS total FROM decision
WHERE tenant = :tenant
    AND (record->'model'->>'name') || ' ' || (record->'model'->>'version') = ANY(CAST(:versions AS text[]))
ORDER BY decided_at DESC, decision_id LIMIT :limit
""")
