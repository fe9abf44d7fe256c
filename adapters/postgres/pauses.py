"""Pauses in PostgreSQL: whoever sets or lifts one waits for the decisions under way, and every later one sees it.

Decisions share a lock of the tenant until they have committed (``allowances.read``); here it is taken alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Connection, Row, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.pause_tables import pause
from domain.pauses import Pause
from domain.tenants import Tenant

_log = structlog.get_logger(__name__)


class Pauses:
    """Keeps the pauses of tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, tenant: Tenant) -> list[Pause]:
        """Return the pauses in force, the whole tenant's first."""
        with self._database.tenant(tenant.tenant) as connection:
            return [_pause(row) for row in connection.execute(select(pause).order_by(pause.c.channel))]

    def set(self, tenant: Tenant, channel: str, *, reason: str, actor: str) -> Pause:
        """Pause a channel, or with ``*`` the tenant; no decision that commits after this returns sends against it.

        One that is in force keeps its beginning and takes the new reason.
        """
        statement = insert(pause).values(tenant=tenant.tenant, channel=channel, reason=reason, actor=actor)
        changed = {"reason": reason, "actor": actor}
        kept = statement.on_conflict_do_update(index_elements=["tenant", "channel"], set_=changed).returning(pause)
        with self._alone(tenant) as connection:
            made = _pause(connection.execute(kept).one())
            audit.write(connection, tenant, [_entry("pause.set", channel, actor, reason)])
        _log.warning("pause.set", tenant=tenant.tenant, channel=channel, actor=actor)
        return made

    def lift(self, tenant: Tenant, channel: str, *, actor: str) -> bool:
        """End a pause; return whether there was one."""
        with self._alone(tenant) as connection:
            if not connection.execute(delete(pause).where(pause.c.channel == channel)).rowcount:
                return False
            audit.write(connection, tenant, [_entry("pause.lifted", channel, actor, None)])
        _log.warning("pause.lifted", tenant=tenant.tenant, channel=channel, actor=actor)
        return True

    @contextmanager
    def _alone(self, tenant: Tenant) -> Iterator[Connection]:
        with self._database.tenant(tenant.tenant) as connection:
            connection.execute(_ALONE)
            yield connection


def _pause(row: Row[tuple[object, ...]]) -> Pause:
    return Pause.model_validate({name: row._mapping[name] for name in Pause.model_fields})  # noqa: SLF001


def _entry(action: str, channel: str, actor: str, reason: str | None) -> AuditEntry:
    return AuditEntry(action=action, actor=actor, object=f"pause:{channel}", reason=reason)


_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('kairos.pause/' || current_setting('kairos.tenant'), 0))")
