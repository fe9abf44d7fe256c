"""The rules of contact budgets in PostgreSQL: one document of a tenant in versions, the newest in force."""

from adapters.postgres.contact_tables import contact_budget
from adapters.postgres.engine import Database
from adapters.postgres.versioned_documents import Kind, VersionedDocuments
from domain.contact_budget import DEFAULT, ContactBudget

KIND = Kind(contact_budget, ContactBudget, "contact_budget.published", DEFAULT, pins_shipped=True)


class ContactBudgets(VersionedDocuments[ContactBudget]):
    """Keeps tenants' rules; version 0 is what Kairos ships with."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, KIND)
