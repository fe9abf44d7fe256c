"""What shadow models said, in PostgreSQL: beside the decisions, never in them, and only of recorded ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from adapters.postgres.engine import Database


@dataclass(frozen=True)
class ShadowScore:
    """What one version said about one decision that another one made: a chance for each channel, in (0, 1)."""

    tenant: str
    decision_id: str
    model: str
    version: str
    champion: str
    p: Mapping[str, float]


class ShadowScores:
    """Stores scores in batches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, tenant: str, scores: Sequence[ShadowScore]) -> int:
        """Store scores of a tenant whose decisions are recorded, and return how many those are; twice is once.

        A decision that is not there was never recorded, or its recipient was erased: nothing about it is kept.

        Raises:
            Unavailable: PostgreSQL is away; nothing was stored.
        """
        rows = [_row(each) for each in scores]
        with self._database.tenant(tenant) as connection:
            found = connection.execute(_STORE, {"tenant": tenant, "rows": json.dumps(rows)})
            return int(found.scalar_one())


def _row(each: ShadowScore) -> dict[str, Any]:
    return {
        "decision_id": each.decision_id,
        "model": each.model,
        "version": each.version,
        "champion": each.champion,
        "p": dict(each.p),
    }


_STORE = text("""
WITH given AS (
    SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS g (decision_id text, model text, version text, champion text, p jsonb)
), there AS (
    SELECT g.*, d.subject_key, d.decided_at FROM given g
    JOIN decision d ON d.tenant = :tenant AND d.decision_id = g.decision_id
), stored AS (
    INSERT INTO shadow_score (tenant, decision_id, model, version, champion, subject_key, decided_at, p)
    SELECT :tenant, decision_id, model, version, champion, subject_key, decided_at, p FROM there
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM there
""")
"""Whose decision it is and when it was made is taken from the decision, to which the row refers."""
