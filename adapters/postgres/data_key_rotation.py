"""Rotation of data keys: what an old one sealed is sealed again under a new one, row by row, while everything runs.

A row that is never changed, such as a proof or an audit row, keeps the key it was sealed with: that key then opens
and seals nothing new. What is left to do is what an old key still seals, so a rotation may be killed at any point.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from adapters.postgres import subject_keys
from adapters.postgres.engine import Database
from adapters.postgres.subject_keys import Place
from domain.identity import subject_key
from domain.tenants import Tenant

BATCH = 200


@dataclass(frozen=True)
class SealedColumn:
    """A column of sealed values that may be written again, in a table with ``recipient_id`` and ``version``."""

    table: str
    column: str


RESEALED = (SealedColumn("profile", "document"),)


class DataKeyRotation:
    """Seals again what old data keys sealed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def renew(self, tenant: Tenant, *, made_before: datetime, batch: int = BATCH) -> Iterator[int]:
        """Seal again what keys made before a moment sealed, a batch a transaction; yields the rows of each.

        Raises:
            CannotOpen: a value does not open; those before it are done.
        """
        for column in RESEALED:
            while count := self._renew(tenant, column, made_before, batch):
                yield count

    def left(self, tenant: Tenant, *, made_before: datetime) -> int:
        """Return how many rows keys made before a moment still seal."""
        with self._database.tenant(tenant.tenant) as connection:
            counts = [connection.execute(_left(column), {"before": made_before}).scalar_one() for column in RESEALED]
        return int(sum(counts))

    def _renew(self, tenant: Tenant, column: SealedColumn, before: datetime, batch: int) -> int:
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(_old(column), {"before": before, "limit": batch}).all()
            if rows:
                _reseal(connection, tenant, column, rows, before)
        return len(rows)


def _reseal(
    connection: Connection, tenant: Tenant, column: SealedColumn, rows: list[Row[Any]] | Any, before: datetime
) -> None:
    keys = subject_keys.of(connection)
    places = [Place(row.recipient_id, column.table, column.column, row.version) for row in rows]
    plain = keys.open_many(connection, tenant, [(each, row.sealed) for each, row in zip(places, rows, strict=True)])
    names = [subject_key(tenant.subject_secret, row.recipient_id) for row in rows]
    connection.execute(_RETIRE, {"subject_key": sorted(names), "before": before})
    # Someone erased meanwhile has nothing to seal again; their value opens no more.
    given = [(place, value) for place, value in zip(places, plain, strict=True) if value is not None]
    sealed = keys.seal_many(connection, tenant, given)
    done = [
        {"recipient_id": place.recipient_id, "sealed": value}
        for (place, _), value in zip(given, sealed, strict=True)
        if value is not None
    ]
    if done:
        connection.execute(_write(column), done)


_RETIRE = text("""
UPDATE subject_data_key SET retired_at = clock_timestamp()
WHERE subject_key = ANY(CAST(:subject_key AS text[])) AND wrapped IS NOT NULL AND retired_at IS NULL
    AND created_at < :before
""")


def _sealed_by_old(column: SealedColumn) -> str:
    return f"""
        FROM {column.table} t JOIN subject_data_key k
        ON k.tenant = t.tenant AND k.key_id = encode(substring(t.{column.column} FROM 2 FOR 8), 'hex')
        WHERE k.created_at < :before
    """


def _old(column: SealedColumn) -> Any:
    wanted = f"SELECT t.recipient_id, t.version, t.{column.column} AS sealed"
    return text(f"{wanted} {_sealed_by_old(column)} ORDER BY t.recipient_id LIMIT :limit FOR UPDATE OF t SKIP LOCKED")


def _left(column: SealedColumn) -> Any:
    return text(f"SELECT count(*) {_sealed_by_old(column)}")


def _write(column: SealedColumn) -> Any:
    return text(f"UPDATE {column.table} SET {column.column} = :sealed WHERE recipient_id = :recipient_id")
