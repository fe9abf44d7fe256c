"""Tenants' volume targets in PostgreSQL: one document in versions, the newest in force."""

from adapters.postgres.engine import Database
from adapters.postgres.versioned_documents import Kind, VersionedDocuments
from adapters.postgres.volume_tables import volume_targets
from domain.volume_targets import NO_TARGETS, VolumeTargets

KIND = Kind(volume_targets, VolumeTargets, "volume_targets.published", NO_TARGETS)


class TargetBook(VersionedDocuments[VolumeTargets]):
    """Keeps tenants' targets; version 0 has none."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, KIND)
