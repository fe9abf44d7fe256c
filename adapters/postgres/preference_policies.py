"""What tenants say about preferences, in PostgreSQL: one document in versions, the newest in force."""

from adapters.postgres.engine import Database
from adapters.postgres.preference_tables import preference_policy
from adapters.postgres.versioned_documents import Kind, VersionedDocuments
from domain.preferences import PreferencePolicy

KIND = Kind(preference_policy, PreferencePolicy, "preference_policy.published", PreferencePolicy())


class PreferencePolicies(VersionedDocuments[PreferencePolicy]):
    """Keeps tenants' defaults and the schema of their custom settings; version 0 is empty."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, KIND)
