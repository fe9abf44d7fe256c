"""The audit trail as its readers see it: newest first in pages, or all of it in the order of the chain."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from adapters.postgres import audit as writer
from adapters.postgres import subject_keys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.audit_chain import AuditChain
from adapters.postgres.engine import Database
from adapters.postgres.subject_keys import Place
from adapters.postgres.tables import audit
from domain.identity import subject_key
from domain.tenants import Tenant
from domain.values import Frozen


class AuditRow(Frozen):
    """One row; ``old`` and ``new`` are None where there are none, and when ``values_erased`` with the subject."""

    audit_id: int
    recorded_at: datetime
    action: str
    actor: str
    object: str
    subject_key: str | None
    reason: str | None
    detail: dict[str, Any]
    context: dict[str, Any]
    old: Any = None
    new: Any = None
    values_erased: bool = False


@dataclass(frozen=True)
class Wanted:
    """Which rows: about one recipient, of one action, before a number; None is any."""

    recipient_id: str | None = None
    action: str | None = None
    before: int | None = None


class AuditTrail:
    """Reads the trail of a tenant; every reading is written to it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._chain = AuditChain(database)

    def page(self, tenant: Tenant, wanted: Wanted, *, limit: int, actor: str) -> list[AuditRow]:
        """Return up to ``limit`` rows, newest first, with their values opened."""
        query = select(audit).order_by(audit.c.audit_id.desc()).limit(limit)
        if wanted.recipient_id is not None:
            query = query.where(audit.c.subject_key == subject_key(tenant.subject_secret, wanted.recipient_id))
        if wanted.action is not None:
            query = query.where(audit.c.action == wanted.action)
        if wanted.before is not None:
            query = query.where(audit.c.audit_id < wanted.before)
        read = AuditEntry(action="audit.read", actor=actor, object="audit", recipient_id=wanted.recipient_id)
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query).all()
            found = _opened(connection, tenant, rows)
            writer.write(connection, tenant, [read])
        return found

    def export(self, tenant: Tenant, *, actor: str) -> Iterator[dict[str, Any]]:
        """Yield every linked row with its place in the chain, values still sealed; a page is in memory at a time."""
        with self._database.tenant(tenant.tenant) as connection:
            writer.write(connection, tenant, [AuditEntry(action="audit.exported", actor=actor, object="audit")])
        for link in self._chain.links(tenant.tenant):
            yield {"sequence": link.sequence, "link": link.link, "digest": link.digest, "row": link.row}


def _opened(connection: Connection, tenant: Tenant, rows: list[Row[Any]] | Any) -> list[AuditRow]:
    sealed = {row.audit_id: (_place(row), row.values_sealed) for row in rows if row.values_sealed is not None}
    opened = subject_keys.of(connection).open_many(connection, tenant, list(sealed.values())) if sealed else []
    plain = dict(zip(sealed, opened, strict=True))
    return [_row(row, plain) for row in rows]


def _row(row: Row[Any], plain: dict[int, bytes | None]) -> AuditRow:
    fields = {name: value for name, value in row._mapping.items() if name in AuditRow.model_fields}  # noqa: SLF001
    values = plain.get(row.audit_id)
    if values is not None:
        fields |= json.loads(values)
    return AuditRow.model_validate(fields | {"values_erased": row.audit_id in plain and values is None})


def _place(row: Row[Any]) -> Place:
    version = writer.version_of(row.action, row.object)
    return Place(None, audit.name, audit.c.values_sealed.name, version, subject_key=row.subject_key)
