"""What a tenant's custom attributes look like, in PostgreSQL: in versions, the newest in force."""

from adapters.postgres.attribute_schema_tables import attribute_schema
from adapters.postgres.engine import Database
from adapters.postgres.versioned_documents import Kind, VersionedDocuments
from domain.attribute_schemas import AttributeSchema

EVERYTHING = AttributeSchema()
KIND = Kind(attribute_schema, AttributeSchema, "attribute_schema.set", EVERYTHING, write=lambda schema: schema.document)


class AttributeSchemas(VersionedDocuments[AttributeSchema]):
    """Keeps the schemas; version 0 takes every attribute. Stored profiles stay as they are."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, KIND)
