"""Audit rows: who did what to whom, committed with what they tell of; pseudonyms only."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, insert

from adapters.postgres.tables import audit
from domain.identity import subject_key
from domain.tenants import Tenant
from domain.values import Frozen


class AuditEntry(Frozen):
    """One row of the audit trail; ``detail`` never names a person."""

    action: str
    actor: str
    object: str
    recipient_id: str | None = None
    detail: Mapping[str, Any] = {}


def write(connection: Connection, tenant: Tenant, entries: Iterable[AuditEntry]) -> None:
    """Add rows in the transaction of what they tell of."""
    rows = [
        {
            "tenant": tenant.tenant,
            "action": entry.action,
            "actor": entry.actor,
            "object": entry.object,
            "subject_key": subject_key(tenant.subject_secret, entry.recipient_id) if entry.recipient_id else None,
            "detail": dict(entry.detail),
        }
        for entry in entries
    ]
    if rows:
        connection.execute(insert(audit), rows)
