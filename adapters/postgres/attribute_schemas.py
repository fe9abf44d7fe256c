"""What a tenant's custom attributes look like, in PostgreSQL: in versions, the newest in force."""

from sqlalchemy import Connection, insert, select, text

from adapters.postgres import audit
from adapters.postgres.attribute_schema_tables import attribute_schema
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from domain.attribute_schemas import AttributeSchema
from domain.tenants import Tenant
from domain.values import Frozen

EVERYTHING = AttributeSchema()


class SetAttributeSchema(Frozen):
    """The schema in one of its versions; version 0 takes every attribute."""

    version: int = 0
    attribute_schema: AttributeSchema = EVERYTHING


class SchemaChanged(RuntimeError):
    """The schema is not in the version the caller saw."""


class AttributeSchemas:
    """Keeps the schemas."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: Tenant) -> SetAttributeSchema:
        """Return the schema in force."""
        with self._database.tenant(tenant.tenant) as connection:
            return read(connection)

    def put(
        self, tenant: Tenant, schema: AttributeSchema, *, actor: str, if_version: int | None = None
    ) -> SetAttributeSchema:
        """Put a schema in force from this answer on; an equal one makes no new version, stored profiles stay.

        Raises:
            SchemaChanged: another version is in force than the caller saw.
        """
        with self._database.tenant(tenant.tenant) as connection:
            connection.execute(_ALONE, {"tenant": tenant.tenant})
            present = read(connection)
            if if_version is not None and if_version != present.version:
                raise SchemaChanged(f"the schema is in version {present.version}")
            if schema == present.attribute_schema:
                return present
            version = present.version + 1
            row = {"tenant": tenant.tenant, "version": version, "document": schema.document, "actor": actor}
            connection.execute(insert(attribute_schema).values(row))
            entry = AuditEntry(
                action="attribute_schema.set",
                actor=actor,
                object="attribute_schema",
                detail={"version": version},
                old=present.attribute_schema.document,
                new=schema.document,
            )
            audit.write(connection, tenant, [entry])
        return SetAttributeSchema(version=version, attribute_schema=schema)


def read(connection: Connection) -> SetAttributeSchema:
    """Return the schema in force."""
    newest = select(attribute_schema).order_by(attribute_schema.c.version.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    if row is None:
        return SetAttributeSchema()
    return SetAttributeSchema(version=row.version, attribute_schema=AttributeSchema.model_validate(row.document))


def read_shared(connection: Connection, tenant: str) -> AttributeSchema:
    """Return the schema in force, which then stays so until the transaction ends: what is written meets it."""
    connection.execute(_WITH_OTHERS, {"tenant": tenant})
    return read(connection).attribute_schema


_LOCK = "(hashtextextended('kairos.attribute_schema/' || :tenant, 0))"
_ALONE = text(f"SELECT pg_advisory_xact_lock{_LOCK}")
_WITH_OTHERS = text(f"SELECT pg_advisory_xact_lock_shared{_LOCK}")
