"""What came of decisions: the events that name them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from adapters.postgres.engine import Database
from domain.events import EventType
from domain.tenants import Tenant


@dataclass(frozen=True)
class Happened:
    """One thing that came of a decision."""

    type: EventType
    at: datetime


class DecisionOutcomes:
    """Reads what came of decisions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, tenant: Tenant, decision_ids: Sequence[str]) -> dict[str, list[Happened]]:
        """Return the events of each decision that has any, the earliest first.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        found: dict[str, list[Happened]] = defaultdict(list)
        with self._database.tenant(tenant.tenant) as connection:
            for row in connection.execute(_EVENTS, {"tenant": tenant.tenant, "decision_id": list(decision_ids)}):
                found[row.decision_id].append(Happened(EventType(row.type), row.occurred_at))
        return dict(found)


_EVENTS = text("""
SELECT decision_id, type, occurred_at FROM event
WHERE tenant = :tenant AND decision_id = ANY(CAST(:decision_id AS text[]))
ORDER BY occurred_at, event_id COLLATE "C"
""")
