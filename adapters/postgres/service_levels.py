"""What a tenant's service levels stand for, in PostgreSQL: each in versions, the newest in force."""

from adapters.postgres.engine import Database
from adapters.postgres.service_level_tables import service_level
from adapters.postgres.versioned_documents import Kind, Published
from domain.service_levels import DEFAULTS, LevelName, ServiceLevel
from domain.tenants import Tenant

KINDS = {
    name: Kind(service_level, ServiceLevel, "service_level.set", DEFAULTS[name], key={"level": name.value})
    for name in LevelName
}


class ServiceLevels:
    """Keeps what levels stand for; version 0 is what one does unless the tenant says otherwise."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, tenant: Tenant) -> dict[LevelName, Published[ServiceLevel]]:
        """Return every level as it is in force, from the least to the most."""
        with self._database.tenant(tenant.tenant) as connection:
            return {name: kind.read(connection) for name, kind in KINDS.items()}

    def get(self, tenant: Tenant, level: LevelName) -> Published[ServiceLevel]:
        """Return a level as it is in force."""
        with self._database.tenant(tenant.tenant) as connection:
            return KINDS[level].read(connection)

    def put(
        self, tenant: Tenant, level: LevelName, definition: ServiceLevel, *, actor: str, if_version: int | None = None
    ) -> Published[ServiceLevel]:
        """Put a level in force; what is equal to the one in force makes no new version.

        Raises:
            DocumentChanged: another version is in force than the caller saw.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return KINDS[level].publish(connection, tenant, definition, actor=actor, if_version=if_version)
