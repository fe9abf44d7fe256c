"""What tenants say about preferences, in PostgreSQL: one document in versions, the newest in force."""

from sqlalchemy import Connection, func, insert, select, text

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.preference_tables import preference_policy
from domain.preferences import PreferencePolicy
from domain.tenants import Tenant
from domain.values import Frozen


class PublishedPolicy(Frozen):
    """A tenant's policy in one of its versions; version 0 is the empty one before any."""

    version: int = 0
    policy: PreferencePolicy = PreferencePolicy()


class PolicyChanged(RuntimeError):
    """The policy is not in the version the caller saw."""


class PreferencePolicies:
    """Keeps tenants' defaults and the schema of their custom settings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: Tenant) -> PublishedPolicy:
        """Return the policy in force."""
        with self._database.tenant(tenant.tenant) as connection:
            return read(connection)

    def publish(
        self, tenant: Tenant, policy: PreferencePolicy, *, actor: str, if_version: int | None = None
    ) -> PublishedPolicy:
        """Put a policy in force; what is equal to the one in force makes no new version.

        Raises:
            PolicyChanged: another version is in force than the caller saw.
        """
        with self._database.tenant(tenant.tenant) as connection:
            connection.execute(_ONE_AT_A_TIME, {"tenant": tenant.tenant})
            present = read(connection)
            if if_version is not None and if_version != present.version:
                raise PolicyChanged(f"the policy is in version {present.version}")
            if policy == present.policy:
                return present
            version = present.version + 1
            document = policy.model_dump(mode="json")
            row = {"tenant": tenant.tenant, "version": version, "document": document, "actor": actor}
            connection.execute(insert(preference_policy).values(row))
            old = present.policy.model_dump(mode="json") if present.version else None
            entry = AuditEntry(action="preference_policy.published", actor=actor, object="preference_policy")
            changed = {"detail": {"version": version}, "old": old, "new": document}
            audit.write(connection, tenant, [entry.model_copy(update=changed)])
        return PublishedPolicy(version=version, policy=policy)


def read(connection: Connection) -> PublishedPolicy:
    """Return the policy in force, in a transaction of the tenant."""
    newest = select(func.max(preference_policy.c.version)).scalar_subquery()
    query = select(preference_policy.c.version, preference_policy.c.document)
    row = connection.execute(query.where(preference_policy.c.version == newest)).one_or_none()
    if row is None:
        return PublishedPolicy()
    return PublishedPolicy(version=row.version, policy=PreferencePolicy.model_validate(row.document))


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('kairos.preference_policy/' || :tenant, 0))")
