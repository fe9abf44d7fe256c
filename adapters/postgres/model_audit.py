"""What happened to models, in the audit trail of every tenant: a model decides for all of them."""

from collections.abc import Mapping
from typing import Any

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tenants import Tenants


class ModelAudit:
    """Writes one row per tenant."""

    def __init__(self, database: Database, tenants: Tenants) -> None:
        self._database = database
        self._tenants = tenants

    def note(self, action: str, model: str, *, actor: str, reason: str, detail: Mapping[str, Any]) -> int:
        """Tell every tenant; returns how many there are.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        entry = AuditEntry(action=action, actor=actor, object=f"model:{model}", reason=reason, detail=detail)
        tenants = list(self._tenants.all())
        for tenant in tenants:
            with self._database.tenant(tenant.tenant) as connection:
                audit.note(connection, tenant.tenant, entry)
        return len(tenants)
