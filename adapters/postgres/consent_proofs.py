"""The proof of a consent, as the recipient gave it: sealed in its record, opened for whoever may read the history."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from adapters.postgres import subject_keys
from adapters.postgres.subject_keys import Place
from adapters.postgres.tables import consent_record
from domain.consent import ConsentChange, ConsentState
from domain.tenants import Tenant


def sealed(
    connection: Connection, tenant: Tenant, said: Sequence[tuple[str, ConsentChange, ConsentState]]
) -> list[bytes | None]:
    """Seal the proofs of records about to be written, for (recipient, change, state) each; None where there is none.

    An erased subject's are not kept.
    """
    given = [
        (_place(recipient, state.purpose, state.channel, state.effective_at), json.dumps(change.proof).encode())
        for recipient, change, state in said
        if change.proof
    ]
    done = iter(subject_keys.of(connection).seal_many(connection, tenant, given) if given else [])
    return [next(done) if change.proof else None for _, change, _ in said]


def opened(connection: Connection, tenant: Tenant, rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
    """Return the proof of each record; empty where there is none, and for a subject erased since."""
    given = [(place_of(row), row["proof_sealed"]) for row in rows if row["proof_sealed"] is not None]
    plain = iter(subject_keys.of(connection).open_many(connection, tenant, given) if given else [])
    return [json.loads(next(plain) or b"{}") if row["proof_sealed"] is not None else row["proof"] for row in rows]


def place_of(record: RowMapping) -> Place:
    """Return where the proof of a record is sealed for."""
    return _place(record["recipient_id"], record["purpose"], record["channel"], record["effective_at"])


def _place(recipient_id: str, purpose: str, channel: str, effective_at: datetime) -> Place:
    version = f"{purpose}|{channel}|{effective_at.astimezone(UTC).isoformat(timespec='microseconds')}"
    return Place(recipient_id, consent_record.name, consent_record.c.proof_sealed.name, version)
