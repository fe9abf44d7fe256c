"""What came of decisions that a shadow scored too: its chances beside the champion's, over windows that have closed.

The champion chose what was sent. So both are asked about the same messages, and nobody about those that were not sent.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from adapters.postgres.engine import Database
from adapters.postgres.model_outcomes import CLOSED, DEFAULTS, MOST_ROWS
from domain.tenants import Tenant

COLUMNS = ("tenant", "subject_key", "decided_at", "channel", "message_type", "champion_p", "p", "converted")


class ShadowOutcomes:
    """Reads decisions of every tenant through a role that may see all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(
        self, model: str, version: str, champion: str, nows: Mapping[str, datetime], *, back: timedelta
    ) -> pd.DataFrame:
        """Return messages that a version scored as the shadow of a champion, ``COLUMNS``, the oldest first.

        Args:
            model: registered name.
            version: the shadow.
            champion: the version that decided.
            nows: each tenant's moment; later ones have not happened.
            back: how far to look back from there.
        """
        found: list[Any] = []
        with self._database.begin() as connection:
            for tenant, now in sorted(nows.items()):
                named = _named(tenant, model, version, now=now, since=now - back) | {"champion": champion}
                found += [tuple(row) for row in connection.execute(_ROWS, named)]
        rows = pd.DataFrame(found, columns=list(COLUMNS))
        return rows.sort_values("decided_at", kind="stable", ignore_index=True)


class ShadowPerformance:
    """Reads how a version does as a shadow for one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, tenant: Tenant, model: str, version: str, *, now: datetime, since: datetime) -> list[dict[str, Any]]:
        """Return counts and sums by day, champion, channel and message type, in that order.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        named = _named(tenant.tenant, model, version, now=now, since=since)
        with self._database.tenant(tenant.tenant) as connection:
            return _by_slice(connection, named)


def _by_slice(connection: Connection, named: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(_BY_SLICE, named).mappings()]


def _named(tenant: str, model: str, version: str, *, now: datetime, since: datetime) -> dict[str, Any]:
    told = {"tenant": tenant, "model": model, "version": version, "now": now, "since": since}
    return told | {"defaults": DEFAULTS, "most": MOST_ROWS}


_BOTH = f"""{CLOSED}, both_said AS (
    SELECT closed.*, CAST(s.p->>closed.channel AS double precision) AS shadow_p
    FROM closed JOIN shadow_score s ON s.tenant = closed.tenant AND s.decision_id = closed.decision_id
    WHERE s.model = :model AND s.version = :version AND s.champion = closed.version
)
"""
_ROWS = text(f"""{_BOTH}
SELECT tenant, subject_key, decided_at, channel, message_type, p AS champion_p, shadow_p AS p, converted
FROM both_said WHERE shadow_p IS NOT NULL AND version = :champion
ORDER BY tenant, decided_at, decision_id
""")


def _loss(p: str) -> str:
    return f"-avg(ln(GREATEST(CASE WHEN converted THEN {p} ELSE 1 - {p} END, 1e-6)))"


_BY_SLICE = text(f"""{_BOTH}
SELECT CAST(decided_at AT TIME ZONE 'UTC' AS date) AS day, version AS champion, channel, message_type,
    count(*) AS decisions, sum(shadow_p) AS expected, sum(p) AS champion_expected,
    count(*) FILTER (WHERE converted) AS observed, {_loss("shadow_p")} AS log_loss, {_loss("p")} AS champion_log_loss
FROM both_said WHERE shadow_p IS NOT NULL
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
""")
