"""Dead letters: what was received but is no event, kept with its bytes, sealed, and the reason.

They commit in the transaction that counts them, so nothing received is ever neither stored nor accounted for.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, tuple_

from adapters.postgres import audit, subject_keys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.subject_keys import NO_RECIPIENT, Place
from adapters.postgres.tables import dead_letter
from domain.identity import subject_key
from domain.ingest import Item, Rejection
from domain.tenants import Tenant
from domain.values import Frozen


class DeadLetter(Frozen):
    """One refused item."""

    dead_letter_id: int
    origin: str
    position: int
    reason: str
    field: str | None
    expected: str
    raw: bytes
    received_at: datetime


class DeadLetters:
    """The dead letters of a tenant, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(
        self,
        tenant: Tenant,
        *,
        actor: str,
        since: datetime | None = None,
        before: tuple[datetime, int] | None = None,
        limit: int = 100,
    ) -> list[DeadLetter]:
        """Return up to ``limit`` dead letters received at or after ``since``, newest first; reading them is audited.

        What was received from a person who was erased since is empty. ``before`` is when the letter came
        that a page ended with, and its id.
        """
        wanted = select(dead_letter)
        if since is not None:
            wanted = wanted.where(dead_letter.c.received_at >= since)
        if before is not None:
            wanted = wanted.where(tuple_(dead_letter.c.received_at, dead_letter.c.dead_letter_id) < before)
        newest = wanted.order_by(dead_letter.c.received_at.desc(), dead_letter.c.dead_letter_id.desc()).limit(limit)
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(newest).all()
            letters = [_letter(row, raw) for row, raw in zip(rows, opened(connection, tenant, rows), strict=True)]
            audit.write(connection, tenant, [_read(actor, rows)])
        return letters

    def for_replay(self, tenant: Tenant, dead_letter_id: int, *, actor: str) -> DeadLetter | None:
        """Return one letter that will be tried again, or None; that is audited."""
        here = select(dead_letter).where(dead_letter.c.dead_letter_id == dead_letter_id)
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(here).one_or_none()
            if row is None:
                return None
            (raw,) = opened(connection, tenant, [row])
            entry = AuditEntry(action="dead_letter.replayed", actor=actor, object=f"dead_letter:{dead_letter_id}")
            audit.write(connection, tenant, [entry])
        return _letter(row, raw)


def bury(
    connection: Connection,
    tenant: Tenant,
    dead: Sequence[tuple[Item, Rejection]],
    *,
    origin: str,
    received_at: datetime,
) -> None:
    """Keep refused items, in the transaction of the batch they came with, sealed for whom they name."""
    letters = [
        {
            "origin": origin,
            "position": item.position,
            "reason": rejection.code.value,
            "field": rejection.field,
            "expected": rejection.expected,
            "raw": item.raw,
            "received_at": received_at,
        }
        for item, rejection in dead
    ]
    keep(connection, tenant, letters, [_whom(item) for item, _ in dead])


def keep(
    connection: Connection, tenant: Tenant, letters: Sequence[dict[str, Any]], recipients: Sequence[str | None]
) -> None:
    """Keep letters, each sealed for the recipient it is about; of an erased one only that there was a letter."""
    places = [place_of(recipient, letter) for recipient, letter in zip(recipients, letters, strict=True)]
    raws = [letter["raw"] for letter in letters]
    sealed = subject_keys.of(connection).seal_many(connection, tenant, list(zip(places, raws, strict=True)))
    rows = [
        letter | {"tenant": tenant.tenant, "raw": raw or b"", "sealed_for": _subject(tenant, recipient)}
        for letter, recipient, raw in zip(letters, recipients, sealed, strict=True)
    ]
    if rows:
        connection.execute(insert(dead_letter), rows)


def unclaimed(connection: Connection, tenant: Tenant) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of the letters that are sealed for no recipient, a few at a time."""
    nobody = dead_letter.c.sealed_for.is_(None) | (dead_letter.c.sealed_for == NO_RECIPIENT)
    after = 0
    while True:
        query = select(dead_letter).where(nobody, dead_letter.c.dead_letter_id > after)
        rows = connection.execute(query.order_by(dead_letter.c.dead_letter_id).limit(_AT_A_TIME)).all()
        yield from zip((row.dead_letter_id for row in rows), opened(connection, tenant, rows), strict=True)
        if len(rows) < _AT_A_TIME:
            return
        after = rows[-1].dead_letter_id


_AT_A_TIME = 500


def opened(connection: Connection, tenant: Tenant, rows: Sequence[Row[Any]]) -> list[bytes]:
    """Return the bytes of letters from their rows; empty for those of a person who was erased."""
    sealed = {
        row.dead_letter_id: (place_of(None, row._mapping, row.sealed_for), row.raw)  # noqa: SLF001
        for row in rows
        if row.sealed_for is not None and row.raw
    }
    opened = subject_keys.of(connection).open_many(connection, tenant, list(sealed.values())) if sealed else []
    plain = dict(zip(sealed, opened, strict=True))
    return [plain.get(row.dead_letter_id, bytes(row.raw)) or b"" for row in rows]


def _letter(row: Row[Any], raw: bytes) -> DeadLetter:
    known = {name: value for name, value in row._mapping.items() if name in DeadLetter.model_fields}  # noqa: SLF001
    return DeadLetter.model_validate(known | {"raw": raw})


def _read(actor: str, rows: Sequence[Row[Any]]) -> AuditEntry:
    ids = [row.dead_letter_id for row in rows]
    detail = {"count": len(ids)} | ({"first": min(ids), "last": max(ids)} if ids else {})
    return AuditEntry(action="dead_letters.read", actor=actor, object="dead_letter", detail=detail)


def place_of(recipient_id: str | None, letter: Any, subject: str | None = None) -> Place:
    """Return where the bytes of a letter are sealed for."""
    version = f"{letter['origin']}|{letter['position']}"
    return Place(recipient_id, dead_letter.name, dead_letter.c.raw.name, version, subject)


def _subject(tenant: Tenant, recipient_id: str | None) -> str:
    return subject_key(tenant.subject_secret, recipient_id) if recipient_id is not None else NO_RECIPIENT


def _whom(item: Item) -> str | None:
    """Return the recipient a refused item names, if it does: erasing them must take it along."""
    if item.event is not None:
        return item.event.recipient_id
    return whom_bytes_name(item.raw)


def whom_bytes_name(raw: bytes) -> str | None:
    """Return the recipient that what was received names, None where it names nobody that can be made out."""
    try:
        named = json.loads(raw)["recipient_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return named if isinstance(named, str) and named else None
