"""What decisions left to do: kept, moved on and settled in the transactions that decide about it or hear of it.

A row is settled once, whoever asks and however many at once: the statement that settles it finds it waiting, under the
attempt that was decided about, or everything is undone. Rows are taken here, then contacts, then a channel's units.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection, select, text, update

from adapters.postgres import reservations
from adapters.postgres.follow_up_tables import follow_up
from adapters.postgres.reservations import Reservation
from domain.events import EngagementEvent, EventType
from domain.handover import Follows, FollowUp, Kind, State
from domain.must_reach import Reached
from domain.tenants import Tenant
from domain.values import Outcome


class Settled(RuntimeError):
    """Somebody else was faster with what a decision left to do; nothing was recorded."""


class Decided(Protocol):
    """One decision just recorded, as far as it concerns what is left to do."""

    @property
    def decision_id(self) -> str:
        """Its id."""

    @property
    def recipient_id(self) -> str:
        """Whom it is about, as it named them."""

    @property
    def subject_key(self) -> str:
        """Their pseudonym."""

    @property
    def decided_at(self) -> datetime:
        """The tenant's clock."""

    @property
    def outcome(self) -> str:
        """What came out."""

    @property
    def message_type(self) -> str:
        """Of which message."""

    @property
    def campaign_id(self) -> str | None:
        """Of which campaign."""

    @property
    def follow_up(self) -> FollowUp | None:
        """What it leaves to do."""

    @property
    def follows(self) -> Follows | None:
        """What it goes on with."""


def keep(connection: Connection, tenant: Tenant, rows: Sequence[Decided]) -> None:
    """Keep what decisions leave to do, and settle or move on what they follow, in their own transaction.

    Raises:
        Settled: what one of them follows does not wait any more.
    """
    made = [_Made(row, row.decision_id, row.follow_up) for row in rows if row.follows is None and row.follow_up]
    for row in rows:
        left = row.follow_up
        if row.follows is None:
            continue
        if row.outcome == Outcome.DEFER and left is not None:
            _move(connection, tenant, row, row.follows, left)
            continue
        root_id = _settle(connection, row, row.follows)
        reservations.release(connection, row.follows.decision_ids)
        if row.outcome == Outcome.SEND_NOW and left is not None:
            made.append(_Made(row, root_id, left))
    if made:
        connection.execute(follow_up.insert(), [_values(tenant, each) for each in made])
        reserved = [_reserved(each.row, each.left, each.row.decision_id) for each in made]
        reservations.reserve(connection, tenant, [each for each in reserved if each is not None])


@dataclass(frozen=True)
class _Made:
    row: Decided
    root_id: str
    left: FollowUp


def _values(tenant: Tenant, made: _Made) -> dict[str, Any]:
    row, left, settled = made.row, made.left, made.left.settled
    return {
        "tenant": tenant.tenant,
        "decision_id": row.decision_id,
        "root_id": made.root_id,
        "recipient_id": row.recipient_id,
        "kind": left.kind.value,
        "message_type": row.message_type,
        "campaign_id": row.campaign_id,
        "due_at": left.due_at,
        "expires_at": left.expires_at,
        "channel": settled.channel.value if settled is not None and settled.channel is not None else None,
        "variant_id": settled.variant_id if settled is not None else None,
        "remaining": [each.value for each in left.remaining],
        "until": left.until.value if left.until is not None else None,
        "sends": left.sends,
    }


def _move(connection: Connection, tenant: Tenant, row: Decided, follows: Follows, left: FollowUp) -> None:
    settled = left.settled
    values: dict[str, Any] = {"due_at": left.due_at, "released_at": None}
    if follows.kind is not Kind.DIGEST:
        # Each message of a digest expires by itself.
        values["expires_at"] = left.expires_at
    values["attempts"] = follow_up.c.attempts + 1
    if settled is not None and settled.channel is not None:
        values |= {"channel": settled.channel.value, "variant_id": settled.variant_id}
    _changed(connection, follows, values)
    reservations.release(connection, follows.decision_ids)
    reserved = _reserved(row, left, follows.decision_id)
    reservations.reserve(connection, tenant, [reserved] if reserved is not None else [])


def _reserved(row: Decided, left: FollowUp, contact_id: str) -> Reservation | None:
    if left.reserved is None:
        return None
    return Reservation(contact_id, row.subject_key, left.reserved, left.expires_at)


def _settle(connection: Connection, row: Decided, follows: Follows) -> str:
    sent = row.outcome == Outcome.SEND_NOW
    state = State.HANDED_OVER if sent else State.STOPPED
    return _changed(
        connection, follows, {"state": state.value, "settled_as": row.decision_id, "settled_at": row.decided_at}
    )


def _changed(connection: Connection, follows: Follows, values: dict[str, Any]) -> str:
    """Change the rows of everything that is followed, or none; returns the root of the one it is named after."""
    roots = {}
    for each in follows.every:
        statement = update(follow_up).where(
            follow_up.c.decision_id == each.decision_id,
            follow_up.c.kind == follows.kind.value,
            follow_up.c.state == State.WAITING.value,
            follow_up.c.attempts == each.attempt,
        )
        root_id = connection.execute(statement.values(values).returning(follow_up.c.root_id)).scalar_one_or_none()
        if root_id is None:
            raise Settled("what the decision left to do does not wait any more")
        roots[each.decision_id] = str(root_id)
    return roots[follows.decision_id]


def renamed(connection: Connection, events: Sequence[EngagementEvent]) -> list[EngagementEvent]:
    """Return the events under the decision that was sent: what is told of what waited is told of its hand-over."""
    named = sorted({each.decision_id for each in events if each.decision_id is not None})
    if not named:
        return list(events)
    query = select(follow_up.c.decision_id, follow_up.c.settled_as).where(
        follow_up.c.decision_id.in_(named),
        follow_up.c.kind.in_([Kind.DEFERRAL.value, Kind.DIGEST.value]),
        follow_up.c.state == State.HANDED_OVER.value,
    )
    sent_as = {row.decision_id: row.settled_as for row in connection.execute(query)}
    return [
        each.model_copy(update={"decision_id": sent_as[each.decision_id]}) if each.decision_id in sent_as else each
        for each in events
    ]


def hear(connection: Connection, events: Iterable[EngagementEvent], *, now: datetime) -> None:
    """End what reached its recipient, and let what failed go on to the next channel at once."""
    told = [each for each in events if each.decision_id is not None]
    for until in Reached:
        ids = sorted({each.decision_id for each in told if each.type in until.told_by and each.decision_id})
        if ids:
            connection.execute(_REACHED, {"ids": ids, "until": until.value, "now": now})
    failed = sorted({each.decision_id for each in told if each.type in _FAILURES and each.decision_id})
    if failed:
        connection.execute(_FAILED, {"ids": failed, "now": now})


_FAILURES = frozenset({EventType.FAILED, EventType.BOUNCED})


_REACHED = text("""
UPDATE follow_up SET state = 'reached', settled_at = :now WHERE state = 'waiting' AND decision_id = ANY(ARRAY(
    SELECT decision_id FROM follow_up WHERE state = 'waiting' AND kind = 'escalation' AND until = :until
        AND root_id IN (SELECT root_id FROM follow_up WHERE decision_id = ANY(CAST(:ids AS text[])))
    ORDER BY decision_id COLLATE "C" FOR UPDATE))
""")
"""Whichever message of a chain reached: an open of the first ends what the second left to do."""

_FAILED = text("""
UPDATE follow_up SET due_at = least(due_at, :now) WHERE state = 'waiting' AND decision_id = ANY(ARRAY(
    SELECT decision_id FROM follow_up WHERE state = 'waiting' AND kind = 'escalation' AND attempts = 0
        AND decision_id = ANY(CAST(:ids AS text[])) ORDER BY decision_id COLLATE "C" FOR UPDATE))
""")
