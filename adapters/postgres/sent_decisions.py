"""What became of a decision, for whoever reports how its message fared: what was sent, where, and about whom."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from adapters.postgres import allowances
from adapters.postgres.engine import Database
from adapters.postgres.follow_up_tables import follow_up
from adapters.postgres.tables import decision
from domain.handover import Kind, State
from domain.identity import subject_key
from domain.tenants import Tenant
from domain.values import Channel, Outcome


class NotSent(LookupError):
    """The decision sent nothing, or its message still waits."""


@dataclass(frozen=True)
class Sent:
    """A message that was sent; ``decision_id`` is the hand-over's where one sent it."""

    decision_id: str
    subject_key: str
    channel: Channel
    variant_id: str | None
    message_type: str
    campaign_id: str | None
    decided_at: datetime


class SentDecisions:
    """Finds what was sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, tenant: Tenant, decision_id: str) -> Sent | None:
        """Return what a decision, or its hand-over, sent; None when there is no such decision.

        Raises:
            NotSent: it sent nothing, or not yet.
        """
        handed_over = (
            select(follow_up.c.settled_as)
            .where(
                follow_up.c.decision_id == decision_id,
                follow_up.c.kind.in_([Kind.DEFERRAL.value, Kind.DIGEST.value]),
                follow_up.c.state == State.HANDED_OVER.value,
            )
            .scalar_subquery()
        )
        query = select(decision).where(decision.c.decision_id.in_([decision_id, handed_over]))
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query).all()
        if not rows:
            return None
        row = next((each for each in rows if each.outcome == Outcome.SEND_NOW.value), None)
        if row is None or row.channel is None:
            raise NotSent("the decision sent nothing")
        return Sent(
            decision_id=row.decision_id,
            subject_key=row.subject_key,
            channel=Channel(row.channel),
            variant_id=row.variant_id,
            message_type=row.message_type,
            campaign_id=row.campaign_id,
            decided_at=row.decided_at,
        )

    def is_about(self, tenant: Tenant, sent: Sent, recipient_id: str) -> bool:
        """Tell whether a message went to a recipient, under any id of theirs that was merged."""
        with self._database.tenant(tenant.tenant) as connection:
            stays = allowances.survivor(connection, recipient_id)
            names = {recipient_id, stays, *allowances.aliases(connection, [stays])}
        return sent.subject_key in {subject_key(tenant.subject_secret, each) for each in names}
