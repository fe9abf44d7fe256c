"""Content sources in PostgreSQL: the one content system of a tenant; its URL and key are sealed at rest."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import audit, brand_rules
from adapters.postgres.audit import AuditEntry
from adapters.postgres.content_source_tables import content_source
from adapters.postgres.engine import Database
from adapters.secrets import SecretBox
from domain.content_lint import NO_RULES, BrandRules
from domain.tenants import Tenant
from domain.values import Frozen, Moment


class NoSource(LookupError):
    """The tenant has no content source."""


class ContentSource(Frozen):
    """A content source as its owner sees it; the key is never shown."""

    url: str
    types: tuple[str, ...] = Field(description="Message types it may be asked about; empty for all.")
    version: int
    created_at: Moment
    updated_at: Moment


@dataclass(frozen=True)
class Destination:
    """Where texts are asked for and with which key; ``edition`` is another after each change.

    With it go the brand rules that the texts are held to.
    """

    edition: tuple[datetime, int]
    url: str
    key: str = field(repr=False)
    types: tuple[str, ...] = ()
    brand: BrandRules = NO_RULES

    def may_ask_about(self, message_type: str) -> bool:
        """Tell whether texts of a message type may be asked for and used."""
        return not self.types or message_type in self.types


class ContentSources:
    """Keeps the content sources of tenants."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def put(self, tenant: Tenant, *, url: str, key: str, types: Sequence[str], actor: str) -> ContentSource:
        """Set where a tenant's texts are; return it."""
        sealed = self._box.seal(_name(tenant.tenant), json.dumps({"url": url, "key": key}).encode())
        row = {"tenant": tenant.tenant, "version": 1, "types": list(types), "sealed": sealed}
        statement = insert(content_source).values(row)
        changed = {"version": content_source.c.version + 1, "types": list(types), "sealed": sealed}
        statement = statement.on_conflict_do_update(
            index_elements=["tenant"], set_=changed | {"updated_at": func.clock_timestamp()}
        )
        with self._database.tenant(tenant.tenant) as connection:
            made = connection.execute(statement.returning(content_source)).one()
            detail = {"version": made.version, "types": list(types)}
            audit.write(connection, tenant, [_entry("content_source.set", actor, detail)])
        return self._source(made)

    def get(self, tenant: Tenant) -> ContentSource:
        """Return where a tenant's texts are.

        Raises:
            NoSource: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(select(content_source)).one_or_none()
        if row is None:
            raise NoSource("this tenant has no content source")
        return self._source(row)

    def delete(self, tenant: Tenant, *, actor: str) -> None:
        """Forget where a tenant's texts are.

        Raises:
            NoSource: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            gone = connection.execute(delete(content_source).returning(content_source.c.version)).one_or_none()
            if gone is None:
                raise NoSource("this tenant has no content source")
            audit.write(connection, tenant, [_entry("content_source.deleted", actor, {"version": gone.version})])

    def destination(self, tenant: str) -> Destination | None:
        """Return where to ask, with which key, and what is held to; None where there is no source.

        Raises:
            CannotOpen: it was sealed with another master key.
        """
        with self._database.tenant(tenant) as connection:
            row = connection.execute(select(content_source)).one_or_none()
            brand = brand_rules.KIND.read(connection).document
        return _destination(self._box, row, brand) if row is not None else None

    def _source(self, row: Row[Any]) -> ContentSource:
        known = {name: row._mapping[name] for name in ContentSource.model_fields if name != "url"}  # noqa: SLF001
        return ContentSource.model_validate(known | {"url": _destination(self._box, row).url})


def _destination(box: SecretBox, row: Row[Any], brand: BrandRules = NO_RULES) -> Destination:
    kept = json.loads(box.unseal(_name(row.tenant), bytes(row.sealed)))
    return Destination((row.created_at, row.version), kept["url"], kept["key"], tuple(row.types), brand)


def _name(tenant: str) -> str:
    return f"content_source:{tenant}"


def _entry(action: str, actor: str, detail: dict[str, Any]) -> AuditEntry:
    return AuditEntry(action=action, actor=actor, object="content_source", detail=detail)
