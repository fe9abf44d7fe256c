"""Dead letters: what was received but is no event, kept with its bytes and the reason.

They commit in the transaction that counts them, so nothing received is ever neither stored nor accounted for.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, text

from adapters.postgres.engine import Database
from adapters.postgres.tables import dead_letter
from domain.ingest import Item, Rejection
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

    def newest(self, tenant: str, *, since: datetime | None = None, limit: int = 100) -> list[DeadLetter]:
        """Return up to ``limit`` dead letters received at or after ``since``, newest first."""
        wanted = select(*(dead_letter.c[name] for name in DeadLetter.model_fields))
        if since is not None:
            wanted = wanted.where(dead_letter.c.received_at >= since)
        newest = wanted.order_by(dead_letter.c.received_at.desc(), dead_letter.c.dead_letter_id.desc()).limit(limit)
        with self._database.tenant(tenant) as connection:
            return [DeadLetter.model_validate(row) for row in connection.execute(newest).mappings()]


def bury(
    connection: Connection,
    tenant: str,
    dead: Sequence[tuple[Item, Rejection]],
    *,
    origin: str,
    received_at: datetime,
) -> None:
    """Keep refused items, in the transaction of the batch they came with."""
    rows = {
        "position": [item.position for item, _ in dead],
        "reason": [rejection.code.value for _, rejection in dead],
        "field": [rejection.field for _, rejection in dead],
        "expected": [rejection.expected for _, rejection in dead],
        "raw": [item.raw for item, _ in dead],
    }
    connection.execute(_BURY, {"tenant": tenant, "origin": origin, "received_at": received_at} | rows)


_BURY = text("""
INSERT INTO dead_letter (tenant, origin, received_at, position, reason, field, expected, raw)
SELECT :tenant, :origin, CAST(:received_at AS timestamptz), given.* FROM unnest(
    CAST(:position AS bigint[]), CAST(:reason AS text[]), CAST(:field AS text[]), CAST(:expected AS text[]),
    CAST(:raw AS bytea[])) AS given
""")
