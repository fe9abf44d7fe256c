"""What came of decisions that a model's probabilities stood behind: predicted beside observed, window by window.

The window of a decision is that of its message type in the version it names, else its channel's. Nobody is named: a
decision carries the recipient's pseudonym.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import Connection, text

from adapters.postgres.engine import Database
from domain.attribution import DEFAULT_WINDOWS
from domain.tenants import Tenant

MOST_ROWS = 200_000
"""The newest so many decisions of a tenant are looked at."""
DEFAULTS = json.dumps({channel.value: window.total_seconds() for channel, window in DEFAULT_WINDOWS.items()})

COLUMNS = (
    "tenant",
    "decision_id",
    "subject_key",
    "decided_at",
    "ends_at",
    "channel",
    "message_type",
    "is_holdout",
    "version",
    "p",
    "converted",
)


@dataclass(frozen=True)
class Choice:
    """One drawn choice of a channel: the parts of its record that another model's numbers can be put into.

    ``converted`` is whether a conversion named the decision within its window.
    """

    decision_id: str
    subject_key: str
    message_type: str
    stage: Mapping[str, Any]
    expected: Mapping[str, Any]
    features: Mapping[str, Mapping[str, float | None]]
    settings: Mapping[str, Any]
    converted: bool


class ModelOutcomes:
    """Reads decisions of every tenant through a role that may see all of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sent(self, model: str, nows: Mapping[str, datetime], *, back: timedelta) -> pd.DataFrame:
        """Return messages sent on a model's word whose window has closed, ``COLUMNS``, the oldest first.

        Args:
            model: registered name.
            nows: each tenant's moment; later ones have not happened.
            back: how far to look back from there.
        """
        found: list[Any] = []
        with self._database.begin() as connection:
            for tenant, now in sorted(nows.items()):
                found += sent_rows(connection, tenant, model, now=now, since=now - back)
        rows = pd.DataFrame(found, columns=list(COLUMNS))
        return rows.sort_values(["decided_at", "decision_id"], ignore_index=True)

    def choices(self, model: str, nows: Mapping[str, datetime], *, back: timedelta) -> list[Choice]:
        """Return choices of a channel that were drawn from a model's values, carried out, and whose window has closed.

        Choices that were overridden or put off are left out: what came of them belongs to a later decision.
        """
        found: list[Choice] = []
        with self._database.begin() as connection:
            for tenant, now in sorted(nows.items()):
                named = {"tenant": tenant, "model": model, "now": now, "since": now - back}
                rows = connection.execute(_CHOICES, named | {"defaults": DEFAULTS, "most": MOST_ROWS}).mappings()
                found += [Choice(**row) for row in rows]
        return found


class ModelPerformance:
    """Reads how the versions of a model do for one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, tenant: Tenant, model: str, version: str, *, now: datetime, since: datetime) -> list[dict[str, Any]]:
        """Return counts and sums by day, channel and message type, in that order.

        Each row has ``day``, ``channel``, ``message_type``, ``decisions``, ``expected`` and ``observed`` conversions,
        and ``log_loss`` per decision, over windows that have closed.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        named = {"tenant": tenant.tenant, "model": model, "version": version, "now": now, "since": since}
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(_BY_SLICE, named | {"defaults": DEFAULTS, "most": MOST_ROWS}).mappings()
            return [dict(row) for row in rows]

    def versions(self, tenant: Tenant) -> list[dict[str, Any]]:
        """Return each model version that decided for the tenant, with how often and until when.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return [dict(row) for row in connection.execute(_VERSIONS, {"tenant": tenant.tenant}).mappings()]


def sent_rows(connection: Connection, tenant: str, model: str, *, now: datetime, since: datetime) -> list[Any]:
    """Return rows of ``COLUMNS`` of one tenant, the newest first."""
    named = {"tenant": tenant, "model": model, "now": now, "since": since, "defaults": DEFAULTS, "most": MOST_ROWS}
    return [tuple(row) for row in connection.execute(_SENT, named)]


_WINDOW = """
    make_interval(secs => COALESCE(
        3600 * CAST(t.document->>'attribution_window_hours' AS double precision),
        CAST(CAST(:defaults AS jsonb)->>{channel} AS double precision), 86400))
"""
_CONVERTED = """EXISTS (
    SELECT FROM event e WHERE e.tenant = d.tenant AND e.decision_id = d.decision_id AND e.type = 'converted'
        AND e.occurred_at > d.decided_at AND e.occurred_at <= d.ends_at)"""
_TYPE = """
    LEFT JOIN message_type t ON t.tenant = d.tenant AND t.type = d.message_type
        AND t.version = CAST(d.record->'versions'->>'message_type' AS bigint)
"""

CLOSED = f"""
WITH d AS (
    SELECT d.tenant, d.decision_id, d.subject_key, d.decided_at, d.channel, d.message_type, d.is_holdout,
        d.record->'model'->>'version' AS version,
        d.decided_at + {_WINDOW.format(channel="d.channel")} AS ends_at,
        CAST(d.record#>>ARRAY['expected', 'channels', d.channel, 'p_convert'] AS double precision) AS p
    FROM decision d {_TYPE}
    WHERE d.tenant = :tenant AND d.outcome = 'send_now' AND d.record->'model'->>'name' = :model
        AND d.decided_at >= :since AND d.decided_at <= :now
), closed AS (
    SELECT d.*, {_CONVERTED} AS converted FROM d
    WHERE d.p IS NOT NULL AND d.ends_at <= :now
    ORDER BY d.decided_at DESC, d.decision_id DESC LIMIT :most
)
"""

_SENT = text(f"{CLOSED} SELECT {', '.join(COLUMNS)} FROM closed")

_BY_SLICE = text(f"""{CLOSED}
SELECT CAST(decided_at AT TIME ZONE 'UTC' AS date) AS day, channel, message_type, count(*) AS decisions,
    sum(p) AS expected, count(*) FILTER (WHERE converted) AS observed,
    -avg(ln(GREATEST(CASE WHEN converted THEN p ELSE 1 - p END, 1e-6))) AS log_loss
FROM closed WHERE version = :version
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")

_VERSIONS = text("""
SELECT record->'model'->>'name' AS name, record->'model'->>'version' AS version, record->'model'->>'run_id' AS run_id,
    count(*) AS decisions, min(decided_at) AS first_decided_at, max(decided_at) AS last_decided_at
FROM decision WHERE tenant = :tenant AND jsonb_typeof(record->'model') = 'object'
GROUP BY 1, 2, 3 ORDER BY 1, max(decided_at) DESC, 2
""")

_CHOICES = text(f"""
WITH d AS (
    SELECT d.tenant, d.decision_id, d.subject_key, d.message_type, d.decided_at, d.record,
        d.decided_at + {_WINDOW.format(channel="COALESCE(d.channel, 'email')")} AS ends_at
    FROM decision d {_TYPE}
    WHERE d.tenant = :tenant AND d.record->'model'->>'name' = :model
        AND d.record->'stages'->0->>'name' = 'channel' AND d.record->>'overridden' IS NULL
        AND d.record->>'send_at' IS NULL AND jsonb_typeof(d.record->'features') = 'object'
        AND d.decided_at >= :since AND d.decided_at <= :now
)
SELECT d.decision_id, d.tenant || ' ' || d.subject_key AS subject_key, d.message_type, d.record->'stages'->0 AS stage,
    d.record->'expected' AS expected, d.record->'features' AS features, d.record->'policy_settings' AS settings,
    {_CONVERTED} AS converted
FROM d WHERE d.ends_at <= :now
ORDER BY d.decided_at DESC, d.decision_id DESC LIMIT :most
""")
