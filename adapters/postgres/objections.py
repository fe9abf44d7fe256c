"""Objections in PostgreSQL: effective when committed, like a withdrawal, and never taken back.

The application may add a row and neither change nor delete one, so no route, import or operator's tool can.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import allowances, audit, consent
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.rights_tables import objection as objections
from domain.changes import ChangeKind
from domain.consent import ConsentChange, ConsentStatus
from domain.objections import Objection, ObjectionKind
from domain.tenants import Tenant


class Objections:
    """Keeps who objects to what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @allowances.again_if_moved
    def record(
        self, tenant: Tenant, recipient_id: str, against: ObjectionKind, *, source: str, actor: str, now: datetime
    ) -> Objection:
        """Record an objection, and withdraw the consent it concerns on every channel; saying it twice is once."""
        withdrawn = ConsentChange(purpose=against.purpose, status=ConsentStatus.WITHDRAWN, source=source)
        with self._database.tenant(tenant.tenant) as connection:
            recipient_id = allowances.survivor(connection, recipient_id)
            row = {"tenant": tenant.tenant, "recipient_id": recipient_id, "against": against.value, "source": source}
            entry = AuditEntry(
                action="objection.recorded",
                actor=actor,
                object=f"objection:{against.value}",
                recipient_id=recipient_id,
                detail={"source": source},
                context={"law": "GDPR Art. 21"},
            )
            # A decision under way holds this head: it is recorded before, or sees the objection.
            allowances.touch(connection, tenant.tenant, [recipient_id], kind=ChangeKind.SUPPRESSION)
            added = insert(objections).values(row | {"since": now, "actor": actor}).on_conflict_do_nothing()
            if connection.execute(added.returning(objections.c.since)).one_or_none() is not None:
                consent.apply(connection, tenant, {recipient_id: [withdrawn]}, actor=actor, now=now)
                audit.write(connection, tenant, [entry])
            here = (objections.c.recipient_id == recipient_id) & (objections.c.against == against.value)
            stored = connection.execute(select(objections).where(here)).one()
        return Objection(against=ObjectionKind(stored.against), since=stored.since, source=stored.source)
