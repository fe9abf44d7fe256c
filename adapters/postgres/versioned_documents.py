"""A tenant's document in versions, in PostgreSQL: the newest is in force, none is ever changed.

The one piece of code behind the contact budget, the preference policy, the schema of attributes, service levels and
business rules. Each says what its document is and which words the audit has for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection, Table, Text, cast, insert, select, text

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from domain.tenants import Tenant


class DocumentChanged(RuntimeError):
    """The document is not in the version the caller saw."""


Document = TypeVar("Document", bound=BaseModel)


@dataclass(frozen=True)
class Published(Generic[Document]):
    """A document in one of its versions; version 0 is what holds before any was published."""

    version: int
    document: Document


def by_alias(document: BaseModel) -> dict[str, Any]:
    """Return a document as JSON-ready values under the names it has outside."""
    return document.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True)
class Kind(Generic[Document]):
    """One kind of document.

    Attributes:
        table: where versions are kept: tenant, version, document, actor, and what ``key`` names.
        model: what a document is.
        action: what publishing one is called in the audit.
        shipped: what holds before any was published.
        key: further columns of the table's key, with the value that names this document; empty when there is one.
        pins_shipped: what was shipped may be published too, as version 1, and holds whatever is shipped later.
        write: how a document is stored; it is read back by its model.
    """

    table: Table
    model: type[Document]
    action: str
    shipped: Document
    key: Mapping[str, str] = field(default_factory=dict)
    pins_shipped: bool = False
    write: Callable[[Document], dict[str, Any]] = by_alias

    def read(self, connection: Connection) -> Published[Document]:
        """Return the document in force, in a transaction of the tenant."""
        columns = self.table.c
        query = select(columns.version, cast(columns.document, Text).label("document"))
        query = query.where(*(columns[name] == value for name, value in self.key.items()))
        row = connection.execute(query.order_by(columns.version.desc()).limit(1)).one_or_none()
        if row is None:
            return Published(0, self.shipped)
        return Published(row.version, _parsed(self.model, row.document))

    def read_shared(self, connection: Connection, tenant: str) -> Published[Document]:
        """Return the document in force, which then stays so until the transaction ends: what is written meets it."""
        connection.execute(_WITH_OTHERS, {"lock": f"kairos.{self.table.name}/{tenant}"})
        return self.read(connection)

    def publish(
        self, connection: Connection, tenant: Tenant, document: Document, *, actor: str, if_version: int | None = None
    ) -> Published[Document]:
        """Put a document in force with its audit row; what is equal to the one in force makes no new version.

        Raises:
            DocumentChanged: another version is in force than the caller saw.
        """
        connection.execute(_ALONE, {"lock": f"kairos.{self.table.name}/{tenant.tenant}"})
        present = self.read(connection)
        if if_version is not None and if_version != present.version:
            raise DocumentChanged(f"the {self.table.name} is in version {present.version}")
        if document == present.document and (present.version or not self.pins_shipped):
            return present
        version, written = present.version + 1, self.write(document)
        row = {"tenant": tenant.tenant, "version": version, "document": written, "actor": actor} | dict(self.key)
        connection.execute(insert(self.table).values(row))
        entry = AuditEntry(
            action=self.action,
            actor=actor,
            object=":".join([self.table.name, *self.key.values()]),
            detail={"version": version},
            old=self.write(present.document),
            new=written,
        )
        audit.write(connection, tenant, [entry])
        return Published(version, document)


@lru_cache(maxsize=512)
def _parsed(model: type[Document], document: str) -> Document:
    """Return what a stored document says; a version is never changed, so its text is parsed once."""
    return model.model_validate_json(document)


_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended(:lock, 0))")
_WITH_OTHERS = text("SELECT pg_advisory_xact_lock_shared(hashtextextended(:lock, 0))")


class VersionedDocuments(Generic[Document]):
    """Keeps one document of each tenant."""

    def __init__(self, database: Database, kind: Kind[Document]) -> None:
        self._database = database
        self._kind = kind

    def get(self, tenant: Tenant) -> Published[Document]:
        """Return the document in force."""
        with self._database.tenant(tenant.tenant) as connection:
            return self._kind.read(connection)

    def publish(
        self, tenant: Tenant, document: Document, *, actor: str, if_version: int | None = None
    ) -> Published[Document]:
        """Put a document in force from this answer on; an equal one makes no new version.

        Raises:
            DocumentChanged: another version is in force than the caller saw.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return self._kind.publish(connection, tenant, document, actor=actor, if_version=if_version)
