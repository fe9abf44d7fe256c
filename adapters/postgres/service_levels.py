"""What a tenant's service levels stand for, in PostgreSQL: each in versions, the newest in force."""

from typing import Any

from sqlalchemy import Connection, Row, insert, select, text

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.service_level_tables import service_level
from domain.service_levels import DEFAULTS, LevelName, ServiceLevel
from domain.tenants import Tenant
from domain.values import Frozen


class SetLevel(Frozen):
    """A level in one of its versions; version 0 is what it stands for unless the tenant says otherwise."""

    level: LevelName
    version: int = 0
    definition: ServiceLevel


class LevelChanged(RuntimeError):
    """The level is not in the version the caller saw."""


class ServiceLevels:
    """Keeps what levels stand for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, tenant: Tenant) -> list[SetLevel]:
        """Return every level as it is in force, from the least to the most."""
        with self._database.tenant(tenant.tenant) as connection:
            return list(_read(connection).values())

    def get(self, tenant: Tenant, level: LevelName) -> SetLevel:
        """Return a level as it is in force."""
        with self._database.tenant(tenant.tenant) as connection:
            return _read(connection)[level]

    def put(
        self, tenant: Tenant, level: LevelName, definition: ServiceLevel, *, actor: str, if_version: int | None = None
    ) -> SetLevel:
        """Put a level in force; what is equal to the one in force makes no new version.

        Raises:
            LevelChanged: another version is in force than the caller saw.
        """
        with self._database.tenant(tenant.tenant) as connection:
            connection.execute(_ONE_AT_A_TIME, {"tenant": tenant.tenant})
            present = _read(connection)[level]
            if if_version is not None and if_version != present.version:
                raise LevelChanged(f"the level is in version {present.version}")
            if definition == present.definition:
                return present
            version, document = present.version + 1, definition.model_dump(mode="json")
            row = {"tenant": tenant.tenant, "level": level.value, "version": version}
            connection.execute(insert(service_level).values(row | {"document": document, "actor": actor}))
            entry = AuditEntry(
                action="service_level.set",
                actor=actor,
                object=f"service_level:{level.value}",
                detail={"version": version},
                old=present.definition.model_dump(mode="json"),
                new=document,
            )
            audit.write(connection, tenant, [entry])
        return SetLevel(level=level, version=version, definition=definition)


def _read(connection: Connection) -> dict[LevelName, SetLevel]:
    # In order of their versions: the newest of each level is what is left.
    rows = connection.execute(select(service_level).order_by(service_level.c.version)).all()
    given = {row.level: row for row in rows}
    return {name: _set(name, given.get(name.value)) for name in LevelName}


def _set(name: LevelName, row: Row[Any] | None) -> SetLevel:
    if row is None:
        return SetLevel(level=name, definition=DEFAULTS[name])
    known = {"level": name, "version": row.version, "definition": row.document}
    return SetLevel.model_validate(known)


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('kairos.service_level/' || :tenant, 0))")
