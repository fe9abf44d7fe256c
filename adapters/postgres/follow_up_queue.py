"""What waits for its moment, in PostgreSQL: shown, released to senders, put off and given up.

Each of these is one transaction that finds the row waiting, so it happens once, whoever is killed in the middle.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, or_, select, text

from adapters.postgres import audit, reservations
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.follow_up_tables import follow_up
from adapters.postgres.tables import decision
from domain.handover import Follows, Kind, State
from domain.identity import subject_key
from domain.policy import Action
from domain.tenants import Tenant
from domain.values import Channel, Reason
from domain.webhooks import HookEvent


@dataclass(frozen=True)
class Waiting:
    """What a decision left to do, with the request it answered."""

    decision_id: str
    recipient_id: str
    kind: Kind
    state: State
    message_type: str
    campaign_id: str | None
    due_at: datetime
    expires_at: datetime
    remaining: tuple[Channel, ...]
    settled_as: str | None
    reason: Reason | None
    released_at: datetime | None
    follows: Follows
    request: dict[str, Any]
    fingerprint: bytes
    digest_id: str | None = None


class FollowUps:
    """Shows what is left to do, and tells that it is due."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: Tenant, decision_id: str) -> Waiting | None:
        """Return what a decision left to do, or None when it left nothing or is not there."""
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(FOLLOW_UPS.where(follow_up.c.decision_id == decision_id)).one_or_none()
        return waiting_of(row) if row is not None else None

    def due(self, tenant: Tenant, *, now: datetime, limit: int, leaving_out: Sequence[str] = ()) -> list[Waiting]:
        """Return what senders are to be told of, or what has expired, the longest due first; no digests."""
        is_due = (follow_up.c.due_at <= now) & follow_up.c.released_at.is_(None)
        query = FOLLOW_UPS.where(follow_up.c.state == State.WAITING.value, or_(is_due, follow_up.c.expires_at <= now))
        query = query.where(follow_up.c.kind != Kind.DIGEST.value)
        query = query.where(follow_up.c.decision_id.not_in(list(leaving_out)))
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query.order_by(follow_up.c.due_at, follow_up.c.decision_id).limit(limit)).all()
        return [waiting_of(row) for row in rows]

    def released(
        self, tenant: Tenant, *, now: datetime, after: tuple[datetime, str] | None = None, limit: int
    ) -> list[Waiting]:
        """Return what may be handed over now and was not yet, the longest due first; ``after`` a moment and an id."""
        query = FOLLOW_UPS.where(
            follow_up.c.state == State.WAITING.value,
            follow_up.c.kind != Kind.DIGEST.value,
            follow_up.c.due_at <= now,
            follow_up.c.expires_at > now,
            follow_up.c.released_at.is_not(None),
        )
        if after is not None:
            query = query.where(func.row(follow_up.c.due_at, follow_up.c.decision_id) > func.row(*after))
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query.order_by(follow_up.c.due_at, follow_up.c.decision_id).limit(limit)).all()
        return [waiting_of(row) for row in rows]

    def release(self, tenant: Tenant, waiting: Waiting, *, now: datetime) -> bool:
        """Tell senders that it is due, once: the note that they were told commits with what tells them.

        Returns:
            Whether it was done now.
        """
        return self._told(tenant, waiting, _RELEASE, {"now": now}, HookEvent.DECISION_RELEASED)

    def postpone(self, tenant: Tenant, waiting: Waiting, *, due_at: datetime) -> bool:
        """Let it wait until a later moment, and what it reserves with it; returns whether it still waited."""
        given = {"decision_id": waiting.decision_id, "attempt": waiting.follows.attempt, "due_at": due_at}
        with self._database.tenant(tenant.tenant) as connection:
            moved = connection.execute(_POSTPONE, given).rowcount > 0
            if moved:
                reservations.move(connection, waiting.decision_id, at=due_at)
        return moved

    def stop(self, tenant: Tenant, waiting: Waiting, reason: Reason, *, actor: str, now: datetime) -> bool:
        """Give it up for good and release what it reserves; returns whether it still waited."""
        given = {"now": now, "reason": reason.value}
        return self._told(tenant, waiting, _STOP, given, HookEvent.DECISION_STOPPED, reason=reason, actor=actor)

    def forget(self, tenant: Tenant, *, settled_before: datetime) -> int:
        """Delete what was settled long ago; returns how many rows."""
        statement = delete(follow_up).where(
            follow_up.c.state != State.WAITING.value, follow_up.c.settled_at < settled_before
        )
        with self._database.tenant(tenant.tenant) as connection:
            return connection.execute(statement).rowcount

    def waiting(self, tenant: Tenant, *, now: datetime) -> tuple[int, datetime | None]:
        """Return how much waits, and since when the oldest is due that senders were not told of."""
        query = select(
            func.count(),
            func.min(follow_up.c.due_at).filter(follow_up.c.due_at <= now, follow_up.c.released_at.is_(None)),
        ).where(follow_up.c.state == State.WAITING.value)
        with self._database.tenant(tenant.tenant) as connection:
            count, oldest = connection.execute(query).one()
        return count, oldest

    def _told(
        self,
        tenant: Tenant,
        waiting: Waiting,
        statement: Any,
        given: dict[str, Any],
        event: HookEvent,
        *,
        reason: Reason | None = None,
        actor: str = "",
    ) -> bool:
        given |= {"decision_id": waiting.decision_id, "attempt": waiting.follows.attempt}
        with self._database.tenant(tenant.tenant) as connection:
            if connection.execute(statement, given).rowcount == 0:
                return False
            if reason is not None:
                reservations.release(connection, [waiting.decision_id])
                name = subject_key(tenant.subject_secret, waiting.recipient_id)
                entry = AuditEntry(
                    action="decision.stopped",
                    actor=actor,
                    object=f"decision:{waiting.decision_id}",
                    subject_key=name,
                    detail={"reason": reason.value},
                )
                audit.write(connection, tenant, [entry])
            connection.execute(TOLD, {"event": event.value, "told": json.dumps([_data(waiting, reason)])})
        return True


def _data(waiting: Waiting, reason: Reason | None) -> dict[str, Any]:
    return {
        "decision_id": waiting.decision_id,
        "kind": waiting.kind.value,
        "recipient_id": waiting.recipient_id,
        "message_type": waiting.message_type,
        "campaign_id": waiting.campaign_id,
        "due_at": waiting.due_at.isoformat(),
        "expires_at": waiting.expires_at.isoformat(),
        "reason": reason.value if reason is not None else None,
    }


def waiting_of(row: Row[Any]) -> Waiting:
    """Return a row of ``FOLLOW_UPS``."""
    settled = Action(channel=row.channel, variant_id=row.variant_id) if row.channel is not None else None
    return Waiting(
        decision_id=row.decision_id,
        recipient_id=row.recipient_id,
        kind=Kind(row.kind),
        state=State(row.state),
        message_type=row.message_type,
        campaign_id=row.campaign_id,
        due_at=row.due_at,
        expires_at=row.expires_at,
        remaining=tuple(Channel(each) for each in row.remaining),
        settled_as=row.settled_as,
        reason=Reason(row.reason or row.settled_reason) if row.reason or row.settled_reason else None,
        released_at=row.released_at,
        follows=Follows(
            decision_id=row.decision_id, kind=Kind(row.kind), attempt=row.attempts, sends=row.sends, settled=settled
        ),
        request=row.request,
        fingerprint=bytes(row.request_fingerprint),
        digest_id=row.digest_id,
    )


_LAST = decision.alias("last")
FOLLOW_UPS = (
    select(
        follow_up,
        decision.c.record["request"].label("request"),
        decision.c.request_fingerprint,
        _LAST.c.reason.label("settled_reason"),
    )
    .select_from(follow_up)
    .join(decision, (decision.c.tenant == follow_up.c.tenant) & (decision.c.decision_id == follow_up.c.decision_id))
    .outerjoin(_LAST, (_LAST.c.tenant == follow_up.c.tenant) & (_LAST.c.decision_id == follow_up.c.settled_as))
)

_RELEASE = text("""
UPDATE follow_up SET released_at = :now WHERE decision_id = :decision_id AND attempts = :attempt
    AND state = 'waiting' AND released_at IS NULL AND due_at <= :now
""")

_POSTPONE = text("""
UPDATE follow_up SET due_at = :due_at, attempts = attempts + 1, released_at = NULL
WHERE decision_id = :decision_id AND attempts = :attempt AND state = 'waiting'
""")

_STOP = text("""
UPDATE follow_up SET state = 'stopped', settled_at = :now, reason = :reason
WHERE decision_id = :decision_id AND attempts = :attempt AND state = 'waiting'
""")

TOLD = text("""
INSERT INTO hook_delivery (tenant, delivery_id, hook_id, event, recipient_id, data)
SELECT h.tenant, 'msg_' || replace(CAST(gen_random_uuid() AS text), '-', ''), h.hook_id, :event,
    t->>'recipient_id', t
FROM jsonb_array_elements(CAST(:told AS jsonb)) AS t
JOIN hook h ON h.is_enabled AND jsonb_exists(h.events, :event)
""")
