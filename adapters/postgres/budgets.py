"""The rules of contact budgets in PostgreSQL: one document of a tenant in versions, the newest in force."""

from functools import lru_cache

from sqlalchemy import Connection, insert, text

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.contact_tables import contact_budget
from adapters.postgres.engine import Database
from domain.contact_budget import DEFAULT, ContactBudget
from domain.tenants import Tenant
from domain.values import Frozen


class PublishedBudget(Frozen):
    """A tenant's contact budget in one of its versions; version 0 is what Kairos ships with."""

    version: int = 0
    budget: ContactBudget = DEFAULT


class BudgetChanged(RuntimeError):
    """The budget is not in the version the caller saw."""


class ContactBudgets:
    """Keeps tenants' rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: Tenant) -> PublishedBudget:
        """Return the budget in force."""
        with self._database.tenant(tenant.tenant) as connection:
            return read(connection)

    def publish(
        self, tenant: Tenant, budget: ContactBudget, *, actor: str, if_version: int | None = None
    ) -> PublishedBudget:
        """Put a budget in force for every decision from now on; an equal one makes no new version.

        Raises:
            BudgetChanged: another version is in force than the caller saw.
        """
        with self._database.tenant(tenant.tenant) as connection:
            connection.execute(_ONE_AT_A_TIME, {"tenant": tenant.tenant})
            present = read(connection)
            if if_version is not None and if_version != present.version:
                raise BudgetChanged(f"the budget is in version {present.version}")
            if budget == present.budget and present.version:
                return present
            version, document = present.version + 1, budget.model_dump(mode="json", by_alias=True)
            row = {"tenant": tenant.tenant, "version": version, "document": document, "actor": actor}
            connection.execute(insert(contact_budget).values(row))
            old = present.budget.model_dump(mode="json", by_alias=True)
            entry = AuditEntry(action="contact_budget.published", actor=actor, object="contact_budget")
            changed = {"detail": {"version": version}, "old": old, "new": document}
            audit.write(connection, tenant, [entry.model_copy(update=changed)])
        return PublishedBudget(version=version, budget=budget)


def read(connection: Connection) -> PublishedBudget:
    """Return the budget in force, in a transaction of the tenant."""
    row = connection.execute(_NEWEST).one_or_none()
    return (
        _SHIPPED if row is None else PublishedBudget.model_construct(version=row.version, budget=_budget(row.document))
    )


@lru_cache(maxsize=256)
def _budget(document: str) -> ContactBudget:
    """Return the rules of a document; a version is never changed, so its text is parsed once."""
    return ContactBudget.model_validate_json(document)


_SHIPPED = PublishedBudget()
_NEWEST = text("SELECT version, document::text AS document FROM contact_budget ORDER BY version DESC LIMIT 1")


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('kairos.contact_budget/' || :tenant, 0))")
