"""Every recorded decision of a tenant, or of one recipient, in pages; reading them all is audited."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tables import decision
from domain.identity import subject_key
from domain.tenants import Tenant

PAGE = 1_000


class DecisionHistory:
    """Reads records of decisions one after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def records(
        self, tenant: Tenant, *, actor: str, since: datetime | None = None, recipient_id: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield records by their id; a page is in memory at a time.

        Args:
            tenant: whose decisions.
            actor: who reads them.
            since: only those decided at this moment of the tenant's clock or later.
            recipient_id: only those about this recipient.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        query = select(decision.c.decision_id, decision.c.record).order_by(decision.c.decision_id).limit(PAGE)
        if since is not None:
            query = query.where(decision.c.decided_at >= since)
        if recipient_id is not None:
            query = query.where(decision.c.subject_key == subject_key(tenant.subject_secret, recipient_id))
        entry = AuditEntry(
            action="decision.history_read",
            actor=actor,
            object="decisions",
            recipient_id=recipient_id,
            detail={"since": since.isoformat() if since is not None else None},
        )
        with self._database.tenant(tenant.tenant) as connection:
            audit.write(connection, tenant, [entry])
        last = ""
        while True:
            with self._database.tenant(tenant.tenant) as connection:
                rows = connection.execute(query.where(decision.c.decision_id > last)).all()
            yield from (row.record for row in rows)
            if len(rows) < PAGE:
                return
            last = rows[-1].decision_id
