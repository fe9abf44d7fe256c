"""Message types in PostgreSQL: published in versions, the newest is in force; an unchanged one is not published."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert

from adapters.postgres import audit, brand_rules
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tables import message_type
from domain import type_lint
from domain.content_lint import BrandRules
from domain.message_types import MessageType, PublishedType
from domain.tenants import Tenant


class OffBrand(ValueError):
    """A type breaks the brand rules of its tenant; the message names the place and the word."""


class MessageTypes:
    """Publishes message types and tells which version is in force."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def publish(self, tenant: Tenant, definitions: Iterable[MessageType], *, actor: str) -> list[PublishedType]:
        """Publish a new version of each type whose content changed, all or nothing; return those published.

        Raises:
            OffBrand: a type that changed breaks the tenant's brand rules.
        """
        with self._database.tenant(tenant.tenant) as connection:
            alone(connection, tenant)
            brand = brand_rules.KIND.read_shared(connection, tenant.tenant).document
            published = [each for definition in definitions if (each := _publish(connection, tenant, definition))]
            for each in published:
                _refuse_off_brand(each.definition, brand)
            audit.write(connection, tenant, [_entry(each, actor) for each in published])
        return published

    def all(self, tenant: Tenant) -> list[PublishedType]:
        """Return every type in the version in force, by name."""
        with self._database.tenant(tenant.tenant) as connection:
            names = list(connection.execute(select(message_type.c.type).distinct()).scalars())
            found = read(connection, names)
        return [found[name] for name in sorted(found)]


def alone(connection: Connection, tenant: Tenant) -> None:
    """Let no other publisher in before this transaction ends: two would give the same number to different content."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('kairos.types.' || :tenant))"), _of(tenant))


def publish(connection: Connection, tenant: Tenant, definition: MessageType, *, actor: str) -> PublishedType | None:
    """Publish a new version of a type with its audit row, None when it did not change; call ``alone`` before."""
    published = _publish(connection, tenant, definition)
    if published is not None:
        audit.write(connection, tenant, [_entry(published, actor)])
    return published


def read(connection: Connection, types: Sequence[str]) -> dict[str, PublishedType]:
    """Return the versions in force of the types that exist."""
    query = (
        select(message_type.c.type, message_type.c.version, message_type.c.digest, message_type.c.document)
        .where(message_type.c.type.in_(list(types)))
        .order_by(message_type.c.type, message_type.c.version.desc())
        .ext(distinct_on(message_type.c.type))
    )
    return {
        row.type: PublishedType.model_construct(version=row.version, definition=_parsed(row.digest, row.document))
        for row in connection.execute(query)
    }


def read_version(connection: Connection, message_type_name: str, version: int) -> MessageType:
    """Return a type in one of its versions, which are never changed."""
    its = (message_type.c.type == message_type_name) & (message_type.c.version == version)
    row = connection.execute(select(message_type.c.digest, message_type.c.document).where(its)).one()
    return _parsed(row.digest, row.document)


_PARSED: OrderedDict[bytes, MessageType] = OrderedDict()
_MOST_PARSED = 1_000


def _parsed(digest: bytes, document: dict[str, Any]) -> MessageType:
    """Return the type a document holds; checking one takes milliseconds, and equal digests are equal documents."""
    found = _PARSED.get(bytes(digest))
    if found is None:
        found = _PARSED[bytes(digest)] = MessageType.model_validate(document)
        if len(_PARSED) > _MOST_PARSED:
            _PARSED.popitem(last=False)
    return found


def _publish(connection: Connection, tenant: Tenant, definition: MessageType) -> PublishedType | None:
    newest = select(message_type.c.version, message_type.c.digest).where(message_type.c.type == definition.type)
    row = connection.execute(newest.order_by(message_type.c.version.desc()).limit(1)).one_or_none()
    if row is not None and bytes(row.digest) == definition.sha256():
        return None
    version = row.version + 1 if row is not None else 1
    values = {"type": definition.type, "version": version, "document": definition.document()}
    connection.execute(insert(message_type).values(**values, tenant=tenant.tenant, digest=definition.sha256()))
    return PublishedType(version=version, definition=definition)


def _refuse_off_brand(definition: MessageType, brand: BrandRules) -> None:
    if wrong := type_lint.off_brand(definition, brand):
        raise OffBrand(f"{definition.type}: {wrong[0]}")


def _of(tenant: Tenant) -> dict[str, str]:
    return {"tenant": tenant.tenant}


def _entry(published: PublishedType, actor: str) -> AuditEntry:
    name = published.definition.type
    return AuditEntry(
        action="type.published", actor=actor, object=f"type:{name}", detail={"version": published.version}
    )
