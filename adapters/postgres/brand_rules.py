"""Tenants' brand rules in PostgreSQL: one document in versions, the newest in force."""

from adapters.postgres.brand_rule_tables import brand_rules
from adapters.postgres.engine import Database
from adapters.postgres.versioned_documents import Kind, VersionedDocuments
from domain.content_lint import BrandRules

KIND = Kind(brand_rules, BrandRules, "brand_rules.published", BrandRules())


class BrandBook(VersionedDocuments[BrandRules]):
    """Keeps tenants' words; version 0 has none."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, KIND)
