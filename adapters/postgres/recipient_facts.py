"""The facts rules ask about, read for several recipients at once, and nothing that no rule asks about.

What a profile says is read for everybody. Event counts and segments are behaviour: they are missing for whoever did
not consent to personalization on every channel. Features are missing here; they are read by models.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, text

from adapters.postgres import profiles
from domain.gates import Allowances
from domain.recipient_facts import of_profile, of_segment
from domain.segments import EventCount, Fact
from domain.tenants import Tenant
from domain.values import Channel


class Segments(Protocol):
    """Where the newest segment of recipients is kept."""

    def read(self, tenant: str, recipient_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the row of each recipient that has one."""


@dataclass(frozen=True)
class RecipientFacts:
    """Reads facts; without ``segments`` those of the segmentation are missing."""

    segments: Segments | None = None

    def read(
        self,
        connection: Connection,
        tenant: Tenant,
        allowed: Mapping[str, Allowances],
        subjects: Iterable[str | EventCount],
        now: datetime,
    ) -> dict[str, dict[str, Fact]]:
        """Return the facts that are asked about, by recipient and name.

        Args:
            connection: a transaction of the tenant.
            tenant: whose recipients.
            allowed: what each recipient allows.
            subjects: what rules ask about.
            now: the tenant's clock.
        """
        asked = frozenset(subjects)
        found: dict[str, dict[str, Fact]] = {recipient: {} for recipient in allowed}
        names = {each for each in asked if isinstance(each, str)}
        if any(name.startswith("profile.") for name in names):
            for recipient, stored in profiles.read(connection, tenant, list(allowed)).items():
                found[recipient] |= of_profile(stored.profile)
        open_to_it = [who for who, each in allowed.items() if each.personalization_refusal(Channel, now) is None]
        if self.segments is not None and open_to_it and any(name.startswith("segment.") for name in names):
            for recipient, row in self.segments.read(tenant.tenant, open_to_it).items():
                found[recipient] |= of_segment(row)
        for count in sorted((each for each in asked if isinstance(each, EventCount)), key=lambda each: each.name):
            for recipient, number in _counted(connection, open_to_it, count, now).items():
                found[recipient][count.name] = number
        return found


def _counted(connection: Connection, recipient_ids: Sequence[str], count: EventCount, now: datetime) -> dict[str, int]:
    if not recipient_ids:
        return {}
    given = {"recipient_id": list(recipient_ids), "type": count.event.value, "channel": count.channel, "now": now}
    rows = connection.execute(_COUNT, given | {"since": now - timedelta(days=count.days)})
    return {row.recipient_id: row.number for row in rows}


_COUNT = text("""
SELECT asked.recipient_id, (
    SELECT count(*) FROM event e WHERE e.recipient_id = asked.recipient_id AND e.type = :type
        AND e.occurred_at >= :since AND e.occurred_at <= :now
        AND (CAST(:channel AS text) IS NULL OR e.channel = CAST(:channel AS text))) AS number
FROM unnest(CAST(:recipient_id AS text[])) AS asked (recipient_id)
""")
