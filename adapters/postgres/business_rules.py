"""Tenants' business rules in PostgreSQL: one document in versions, the newest in force."""

from adapters.postgres.business_rule_tables import business_rules
from adapters.postgres.engine import Database
from adapters.postgres.versioned_documents import Kind, VersionedDocuments
from domain.business_rules import NO_RULES, BusinessRules

KIND = Kind(business_rules, BusinessRules, "business_rules.published", NO_RULES)


class BusinessRuleBook(VersionedDocuments[BusinessRules]):
    """Keeps tenants' rules; version 0 has none."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, KIND)
