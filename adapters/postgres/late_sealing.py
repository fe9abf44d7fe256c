"""What was stored before it was sealed, sealed now: profiles, proofs of consents, dead letters; a batch a transaction.

What is left to do is what still lies in clear, so it may be killed at any point, and doing it again does no harm. What
an erased person left in clear is emptied instead.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, text

from adapters.postgres import consent_proofs, dead_letters, subject_keys
from adapters.postgres.engine import Database
from adapters.postgres.subject_keys import NO_RECIPIENT, Place
from domain.identity import subject_key
from domain.tenants import Tenant

BATCH = 200
_Work = Callable[[Connection, Tenant, int], int]


class LateSealing:
    """Seals what lies in clear."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seal(self, tenant: Tenant, *, batch: int = BATCH) -> Iterator[int]:
        """Seal what of a tenant lies in clear, a batch a transaction; yields the rows of each."""
        for work in (_profiles, _proofs, _letters):
            while count := self._once(work, tenant, batch):
                yield count

    def left(self, tenant: Tenant) -> int:
        """Return how many rows still lie in clear."""
        with self._database.tenant(tenant.tenant) as connection:
            return int(connection.execute(_LEFT).scalar_one())

    def _once(self, work: _Work, tenant: Tenant, batch: int) -> int:
        with self._database.tenant(tenant.tenant) as connection:
            return work(connection, tenant, batch)


def _sealed(connection: Connection, tenant: Tenant, given: list[tuple[Place, bytes]]) -> list[bytes | None]:
    return subject_keys.of(connection).seal_many(connection, tenant, given) if given else []


def _profiles(connection: Connection, tenant: Tenant, batch: int) -> int:
    rows = connection.execute(_CLEAR_PROFILES, {"limit": batch}).all()
    given = [
        (Place(row.recipient_id, "profile", "document", row.version), json.dumps(row.unsealed).encode()) for row in rows
    ]
    for row, value in zip(rows, _sealed(connection, tenant, given), strict=True):
        connection.execute(_SEAL_PROFILE, {"recipient_id": row.recipient_id, "sealed": value})
    return len(rows)


def _proofs(connection: Connection, tenant: Tenant, batch: int) -> int:
    rows = connection.execute(_CLEAR_PROOFS, {"limit": batch}).all()
    given = [(consent_proofs.place_of(row._mapping), json.dumps(row.proof).encode()) for row in rows]  # noqa: SLF001
    for row, value in zip(rows, _sealed(connection, tenant, given), strict=True):
        connection.execute(_SEAL_PROOF, {"wanted": row.record_id, "sealed": value or b""})
    return len(rows)


def _letters(connection: Connection, tenant: Tenant, batch: int) -> int:
    rows = connection.execute(_CLEAR_LETTERS, {"limit": batch}).all()
    whose = [dead_letters.whom_bytes_name(bytes(row.raw)) for row in rows]
    given: list[tuple[Place, bytes]] = [
        (dead_letters.place_of(who, row._mapping), bytes(row.raw))  # noqa: SLF001
        for who, row in zip(whose, rows, strict=True)
    ]
    for row, who, value in zip(rows, whose, _sealed(connection, tenant, given), strict=True):
        name = subject_key(tenant.subject_secret, who) if who is not None else NO_RECIPIENT
        asked = {"wanted": row.dead_letter_id, "sealed": value or b"", "whose": name}
        connection.execute(_SEAL_LETTER, asked)
    return len(rows)


def _query(statement: str) -> Any:
    return text(f"{statement} LIMIT :limit")


_CLEAR_PROFILES = text("""
SELECT recipient_id, version, unsealed FROM profile WHERE unsealed IS NOT NULL
ORDER BY recipient_id LIMIT :limit FOR UPDATE SKIP LOCKED
""")
_SEAL_PROFILE = text("UPDATE profile SET document = :sealed, unsealed = NULL WHERE recipient_id = :recipient_id")
_CLEAR_PROOFS = _query("""
SELECT record_id, recipient_id, purpose, channel, effective_at, proof FROM consent_record
WHERE proof_sealed IS NULL AND proof <> '{}' ORDER BY record_id
""")
_SEAL_PROOF = text("SELECT kairos_seal_proof(:wanted, :sealed)")
_CLEAR_LETTERS = _query("SELECT * FROM dead_letter WHERE sealed_for IS NULL ORDER BY dead_letter_id")
_SEAL_LETTER = text("SELECT kairos_seal_letter(:wanted, :sealed, :whose)")
_LEFT = text("""
SELECT (SELECT count(*) FROM profile WHERE unsealed IS NOT NULL)
    + (SELECT count(*) FROM consent_record WHERE proof_sealed IS NULL AND proof <> '{}')
    + (SELECT count(*) FROM dead_letter WHERE sealed_for IS NULL)
""")
