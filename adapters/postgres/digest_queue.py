"""What waits for a digest, in PostgreSQL: found by recipient and type, put together, put off, and told when it is due.

A digest is the rows that name it. Each step is one transaction over all of them that finds every row as it was read, so
a digest is told of once and never in part, whoever is killed in the middle.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, text, tuple_

from adapters.postgres import allowances, reservations
from adapters.postgres.engine import Database
from adapters.postgres.follow_up_queue import FOLLOW_UPS, TOLD, Waiting, waiting_of
from adapters.postgres.follow_up_tables import follow_up
from adapters.postgres.tables import consent_head
from domain.handover import Kind, State
from domain.message_types import MAX_DIGEST
from domain.tenants import Tenant
from domain.webhooks import HookEvent

_IN_ORDER = (follow_up.c.recorded_at, follow_up.c.decision_id)
_WHO = func.coalesce(consent_head.c.merged_into, follow_up.c.recipient_id)
"""Who stands for the recipient now: what waits under two ids of one person goes in one digest."""
_IS_HEAD = (consent_head.c.tenant == follow_up.c.tenant) & (consent_head.c.recipient_id == follow_up.c.recipient_id)
_PAIR = (_WHO, follow_up.c.message_type)
_WHOLE_FIRST = (follow_up.c.digest_id.nulls_last(), *_IN_ORDER)
"""What was put together before, each of it at once, then the rest in order."""
_WAITS = (follow_up.c.state == State.WAITING.value) & (follow_up.c.kind == Kind.DIGEST.value)
MOST = 200
"""Messages that are looked at together, so that one flood holds up nobody else for long."""
MOST_OF_ONE = 2 * MAX_DIGEST
"""Of these for one recipient and type: a digest that was put together before is among them as a whole."""


@dataclass(frozen=True)
class Due:
    """What is due of one recipient and type: all of it, or the first ones, where ``is_all`` is false.

    What was put together before is there as a whole or not at all.
    """

    items: tuple[Waiting, ...]
    is_all: bool = True


@dataclass(frozen=True)
class Released:
    """A digest that may be handed over, with the decisions in it, the first ones first."""

    digest_id: str
    recipient_id: str
    message_type: str
    decision_ids: tuple[str, ...]
    due_at: datetime
    expires_at: datetime


class Digests:
    """Shows what waits for digests, puts it together, and tells that it is due."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: Tenant, digest_id: str) -> list[Waiting]:
        """Return everything that was put together in a digest, however it ended, the first ones first."""
        query = FOLLOW_UPS.where(follow_up.c.digest_id == digest_id).order_by(*_IN_ORDER)
        with self._database.tenant(tenant.tenant) as connection:
            return [waiting_of(row) for row in connection.execute(query)]

    def due(self, tenant: Tenant, *, now: datetime, limit: int, leaving_out: Sequence[str] = ()) -> list[Due]:
        """Return what is due or has expired, by recipient and type, the longest due first and ``MOST`` messages in all.

        Args:
            tenant: whose messages.
            now: the tenant's clock.
            limit: of pairs of a recipient and a type.
            leaving_out: decisions that rest; what waits with them rests too.
        """
        found = _WAITS & _is_due(now)
        resting = _of_pairs(*_PAIR).where(follow_up.c.decision_id.in_(list(leaving_out)))
        pairs = _of_pairs(*_PAIR, func.count()).where(found, tuple_(*_PAIR).not_in(resting)).group_by(*_PAIR)
        pairs = pairs.order_by(func.min(follow_up.c.due_at), *_PAIR).limit(limit)
        with self._database.tenant(tenant.tenant) as connection:
            wanted = _within([(row[0], row[1], row[2]) for row in connection.execute(pairs)])
            if not wanted:
                return []
            place = func.row_number().over(partition_by=_PAIR, order_by=_WHOLE_FIRST).label("place")
            placed = _of_pairs(follow_up.c.decision_id, place, _WHO.label("who"))
            ranked = placed.where(found, tuple_(*_PAIR).in_(wanted)).subquery()
            query = FOLLOW_UPS.join(ranked, ranked.c.decision_id == follow_up.c.decision_id)
            query = query.add_columns(ranked.c.who).where(ranked.c.place <= MOST_OF_ONE + 1)
            rows = connection.execute(query.order_by(*_WHOLE_FIRST)).all()
        by_pair: dict[tuple[str, str], list[Waiting]] = {pair: [] for pair in wanted}
        for row in rows:
            by_pair[row.who, row.message_type].append(waiting_of(row))
        return [_first(each) for each in by_pair.values() if each]

    def released(
        self, tenant: Tenant, *, now: datetime, after: tuple[datetime, str] | None = None, limit: int
    ) -> list[Released]:
        """Return the digests that may be handed over now and were not yet, the longest due first."""
        query = _released(now)
        if after is not None:
            query = query.having(func.row(func.max(follow_up.c.due_at), follow_up.c.digest_id) > func.row(*after))
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query.limit(limit)).all()
        return [_told(row) for row in rows]

    def release(self, tenant: Tenant, items: Sequence[Waiting], digest_id: str, *, now: datetime) -> bool:
        """Put messages together and tell senders that they are due, once; returns whether it was done now."""
        given = _given(items) | {"digest_id": digest_id, "now": now}
        told = {
            "digest_id": digest_id,
            "recipient_id": items[0].recipient_id,
            "message_type": items[0].message_type,
            "decision_ids": [each.decision_id for each in items],
            "due_at": max(each.due_at for each in items).isoformat(),
            "expires_at": min(each.expires_at for each in items).isoformat(),
        }
        return self._all(tenant, items, _RELEASE, given, told)

    def let_go(self, tenant: Tenant, items: Sequence[Waiting], *, now: datetime) -> bool:
        """Let messages that are too few for a digest wait by themselves; returns whether it was done now."""
        return self._all(tenant, items, _LET_GO, _given(items) | {"now": now}, None)

    def take_out(self, tenant: Tenant, items: Sequence[Waiting], *, now: datetime) -> bool:
        """Let messages of a digest that senders may know of wait by themselves; returns whether it was done now."""
        return self._all(tenant, items, _TAKE_OUT, _given(items) | {"now": now}, None)

    def postpone(self, tenant: Tenant, items: Sequence[Waiting], *, due_at: datetime) -> bool:
        """Let messages wait until a later moment, all of them; returns whether they still waited."""
        given = _given(items) | {"due_at": due_at}
        return self._all(tenant, items, _POSTPONE, given, None, moves_to=due_at)

    def _all(
        self,
        tenant: Tenant,
        items: Sequence[Waiting],
        statement: Any,
        given: dict[str, Any],
        told: dict[str, Any] | None,
        *,
        moves_to: datetime | None = None,
    ) -> bool:
        with suppress(_Changed), self._database.tenant(tenant.tenant) as connection:
            _change(connection, statement, given)
            if told is not None:
                told = told | {"recipient_id": allowances.survivor(connection, told["recipient_id"])}
                event = HookEvent.DIGEST_RELEASED.value
                connection.execute(TOLD, {"event": event, "told": json.dumps([told])})
            if moves_to is not None:
                for each in items:
                    reservations.move(connection, each.decision_id, at=moves_to)
            return True
        return False


class _Changed(Exception):
    """One of the messages was settled or moved in the meantime, so nothing is done."""


def _of_pairs(*columns: Any) -> Select[Any]:
    return select(*columns).select_from(follow_up).outerjoin(consent_head, _IS_HEAD)


def _is_due(now: datetime) -> ColumnElement[bool]:
    is_due = (follow_up.c.due_at <= now) & follow_up.c.released_at.is_(None)
    return or_(is_due, follow_up.c.expires_at <= now)


def _within(counted: Sequence[tuple[str, str, int]]) -> list[tuple[str, str]]:
    """Return as many of the pairs as are within the limit of messages; the first one is, whatever waits for it."""
    wanted: list[tuple[str, str]] = []
    total = 0
    for recipient_id, message_type, count in counted:
        total += min(count, MOST_OF_ONE)
        if total > MOST:
            break
        wanted.append((recipient_id, message_type))
    return wanted


def _first(rows: Sequence[Waiting]) -> Due:
    """Return what is looked at of one pair's rows, of which one more than that was read."""
    if len(rows) <= MOST_OF_ONE:
        return Due(tuple(rows))
    cut = rows[MOST_OF_ONE].digest_id
    kept = [each for each in rows[:MOST_OF_ONE] if cut is None or each.digest_id != cut]
    return Due(tuple(kept), is_all=False)


def _change(connection: Connection, statement: Any, given: Mapping[str, Any]) -> None:
    if connection.execute(statement, given).rowcount != len(given["ids"]):
        raise _Changed


def _given(items: Sequence[Waiting]) -> dict[str, Any]:
    ordered = sorted(items, key=lambda each: each.decision_id)
    return {
        "ids": [each.decision_id for each in ordered],
        "attempts": [each.follows.attempt for each in ordered],
    }


def _released(now: datetime) -> Select[Any]:
    query = _of_pairs(
        follow_up.c.digest_id,
        func.min(_WHO).label("recipient_id"),
        func.min(follow_up.c.message_type).label("message_type"),
        func.max(follow_up.c.due_at).label("due_at"),
        func.min(follow_up.c.expires_at).label("expires_at"),
        func.array_agg(text("decision_id ORDER BY recorded_at, decision_id")).label("decision_ids"),
    )
    is_open = (follow_up.c.due_at <= now) & (follow_up.c.expires_at > now) & follow_up.c.released_at.is_not(None)
    query = query.where(_WAITS, is_open, follow_up.c.digest_id.is_not(None)).group_by(follow_up.c.digest_id)
    return query.order_by(func.max(follow_up.c.due_at), follow_up.c.digest_id)


def _told(row: Row[Any]) -> Released:
    return Released(
        digest_id=row.digest_id,
        recipient_id=row.recipient_id,
        message_type=row.message_type,
        decision_ids=tuple(row.decision_ids),
        due_at=row.due_at,
        expires_at=row.expires_at,
    )


_FOUND = """
WHERE state = 'waiting' AND kind = 'digest' AND decision_id = ANY(ARRAY(
    SELECT f.decision_id FROM follow_up f
    JOIN unnest(CAST(:ids AS text[]), CAST(:attempts AS integer[])) AS given (decision_id, attempt)
        ON f.decision_id = given.decision_id AND f.attempts = given.attempt
    WHERE f.state = 'waiting' AND f.kind = 'digest'
    ORDER BY f.decision_id COLLATE "C" FOR UPDATE OF f))
"""
"""Rows are taken in the order in which a hand-over takes them."""
_NOT_TOLD = "AND released_at IS NULL AND due_at <= :now"
_RELEASE = text(f"UPDATE follow_up SET released_at = :now, digest_id = :digest_id {_FOUND} {_NOT_TOLD}")
_SINGLY = "UPDATE follow_up SET kind = 'deferral', released_at = NULL, channel = NULL, variant_id = NULL"
"""What a digest that had to wait had drawn is no variant of a single message, and senders are told of each anew."""
_LET_GO = text(f"{_SINGLY} {_FOUND} {_NOT_TOLD}")
_TAKE_OUT = text(f"{_SINGLY} {_FOUND} AND due_at <= :now")
_POSTPONE = text(f"UPDATE follow_up SET due_at = :due_at, attempts = attempts + 1, released_at = NULL {_FOUND}")
