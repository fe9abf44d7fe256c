"""What came of messages, counted in PostgreSQL from decisions and the events that name them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from adapters.postgres.engine import Database
from domain.performance import Group, Performance, Slicing, told
from domain.tenants import Tenant

_SLICES = {
    Slicing.CHANNELS: {"channel": "d.channel"},
    Slicing.CONTENT: {"message_type": "d.message_type", "variant_id": "d.variant_id", "channel": "d.channel"},
    Slicing.TIMING: {
        "channel": "d.channel",
        "local_hour": "extract(hour FROM coalesce(CAST(s.action->>'slot' AS timestamptz), d.decided_at)"
        " AT TIME ZONE (d.record->>'zone'))::int",
    },
}
_RANDOMISED = """
JOIN LATERAL (
    SELECT stage->'options'->CAST(stage->>'chosen' AS int) AS action,
        CAST(stage->'probabilities'->>CAST(stage->>'chosen' AS int) AS double precision) AS p
    FROM jsonb_array_elements(d.record->'stages') AS stage
    WHERE stage->>'name' = 'slot' AND jsonb_array_length(stage->'options') > 1
        AND CAST(stage->'probabilities'->>CAST(stage->>'chosen' AS int) AS double precision) < 1
) s ON true"""


class Performances:
    """Counts what came of messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(
        self, tenant: Tenant, by: Slicing, *, since: datetime, until: datetime, message_type: str | None = None
    ) -> Performance:
        """Return the groups of decisions made from one moment on and before another.

        A message counts when it was sent at once or an event says that it was. Timing counts only messages whose hour
        was drawn among several: of others, who gets them when is no accident.
        """
        given = {"since": since, "until": until, "message_type": message_type, "zone": tenant.zone.key}
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(text(_query(by)), given).all()
        return told(by, (_group(row, by) for row in rows))


def _query(by: Slicing) -> str:
    named = ", ".join(f"CAST({column} AS text) AS {name}" for name, column in _SLICES[by].items())
    names = ", ".join(_SLICES[by])
    is_timing = by is Slicing.TIMING
    return f"""
WITH made AS (
    SELECT d.decision_id, d.subject_key, d.outcome, CAST(d.decided_at AT TIME ZONE :zone AS date) AS day, {named},
        {"s.p" if is_timing else "1.0"} AS p
    FROM decision d {_RANDOMISED if is_timing else ""}
    WHERE d.decided_at >= :since AND d.decided_at < :until AND d.channel IS NOT NULL AND d.variant_id IS NOT NULL
        AND (CAST(:message_type AS text) IS NULL OR d.message_type = :message_type)
), came AS (
    SELECT m.decision_id, bool_or(e.type IN ('notification_sent', 'delivered', 'opened', 'clicked')) AS sent,
        bool_or(e.type = 'opened') AS opened, bool_or(e.type = 'clicked') AS clicked,
        bool_or(e.type = 'converted') AS converted, bool_or(e.type = 'unsubscribed') AS unsubscribed,
        bool_or(e.type = 'complained') AS complained
    FROM made m JOIN event e ON e.decision_id = m.decision_id GROUP BY m.decision_id
)
SELECT day, {names}, count(DISTINCT subject_key) AS people, count(*) AS sent,
    count(*) FILTER (WHERE opened) AS opened, count(*) FILTER (WHERE clicked) AS clicked,
    count(*) FILTER (WHERE converted) AS converted, count(*) FILTER (WHERE unsubscribed) AS unsubscribed,
    count(*) FILTER (WHERE complained) AS complained,
    coalesce(sum(1 / p) FILTER (WHERE opened), 0) / sum(1 / p) AS weighted
FROM made LEFT JOIN came USING (decision_id)
WHERE outcome = 'send_now' OR sent
GROUP BY day, {names} ORDER BY day, {names}
"""


def _group(row: Row[Any], by: Slicing) -> Group:
    return Group(
        day=row.day,
        slice={name: getattr(row, name) for name in _SLICES[by]},
        people=row.people,
        sent=row.sent,
        opened=row.opened,
        clicked=row.clicked,
        converted=row.converted,
        unsubscribed=row.unsubscribed,
        complained=row.complained,
        open_share=row.opened / row.sent,
        click_share=row.clicked / row.sent,
        conversion_share=row.converted / row.sent,
        weighted_open_share=row.weighted if by is Slicing.TIMING else None,
    )
