"""What waits for hooks, in PostgreSQL: handed out for a while, then delivered, tried again later, or dead.

Who takes a message has it until its lease ends; whoever is killed meanwhile leaves it to the next, so each message is
delivered at least once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.hook_tables import hook, hook_attempt, hook_delivery
from adapters.postgres.hooks import Destination, unseal
from adapters.secrets import SecretBox
from domain import webhooks
from domain.tenants import Tenant
from domain.values import Frozen, Moment
from domain.webhooks import Attempt, DeliveryState

LEASE = timedelta(seconds=60)
AT_ONCE = 4
"""Messages of one hook that are under way together."""
ACTOR = "deliverer"


class UnknownDelivery(LookupError):
    """The hook has no such message."""


class Delivery(Frozen):
    """A message to a hook and how it fared, without what it says."""

    delivery_id: str
    event: str
    state: DeliveryState
    recorded_at: Moment
    due_at: Moment
    ended_at: Moment | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class Taken:
    """A message to deliver now."""

    tenant: str
    delivery_id: str
    hook_id: str
    attempt: int
    body: bytes
    destination: Destination


class HookDeliveries:
    """Hands out what waits, and keeps what became of it."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def take(self, tenant: str, *, now: datetime, limit: int) -> list[Taken]:
        """Take up to ``limit`` messages that are due; a hook that rests gives none, one that failed often one."""
        given = {"now": now, "limit": limit, "at_once": AT_ONCE, "trip": webhooks.TRIP}
        with self._database.tenant(tenant) as connection:
            rows = connection.execute(_DUE, given).all()
            ids = [row.delivery_id for row in rows]
            if ids:
                taken = update(hook_delivery).where(hook_delivery.c.delivery_id.in_(ids))
                values = {"due_at": now + LEASE, "attempts": hook_delivery.c.attempts + 1}
                connection.execute(taken.values(**values))
        return [self._taken(row) for row in rows]

    def ended(self, taken: Taken, attempt: Attempt, *, draw: float, retry_after: str | None = None) -> DeliveryState:
        """Keep how an attempt went and return how the message stands.

        Args:
            taken: the message.
            attempt: how it went; its moment is the real time.
            draw: 0 to 1, evenly, for the jitter.
            retry_after: what the receiver asked for.
        """
        with self._database.tenant(taken.tenant) as connection:
            row = attempt.model_dump() | {"tenant": taken.tenant, "delivery_id": taken.delivery_id}
            connection.execute(upsert(hook_attempt).values(row).on_conflict_do_nothing())
            if attempt.is_success:
                connection.execute(_RECOVERED, {"hook_id": taken.hook_id})
                return _stands(connection, taken, DeliveryState.DELIVERED, attempt.at)
            _count_failure(connection, taken, attempt, draw)
            again = webhooks.next_attempt(taken.attempt, attempt.at, draw, retry_after)
            if again is None:
                return _stands(connection, taken, DeliveryState.DEAD, attempt.at)
            waiting = update(hook_delivery).where(_is_open(taken.delivery_id))
            connection.execute(waiting.values(due_at=again))
        return DeliveryState.WAITING

    def listed(
        self,
        tenant: Tenant,
        hook_id: str,
        *,
        state: DeliveryState | None,
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Delivery]:
        """Return messages of a hook with every attempt, newest first; ``before`` is a page's last, by moment and id."""
        query = select(hook_delivery).where(hook_delivery.c.hook_id == hook_id)
        if state is not None:
            query = query.where(hook_delivery.c.state == state.value)
        place = tuple_(hook_delivery.c.recorded_at, hook_delivery.c.delivery_id)
        if before is not None:
            query = query.where(place < before)
        newest = query.order_by(hook_delivery.c.recorded_at.desc(), hook_delivery.c.delivery_id.desc()).limit(limit)
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(newest).all()
            named = hook_attempt.c.delivery_id.in_([row.delivery_id for row in rows])
            log = connection.execute(select(hook_attempt).where(named).order_by(hook_attempt.c.attempt)).all()
        return [_delivery(row, [each for each in log if each.delivery_id == row.delivery_id]) for row in rows]

    def retry(self, tenant: Tenant, hook_id: str, delivery_id: str, *, actor: str, now: datetime) -> None:
        """Try a message again now, a dead or delivered one too; one that had every attempt has one more.

        Raises:
            UnknownDelivery: the hook has no such message.
        """
        here = and_(hook_delivery.c.delivery_id == delivery_id, hook_delivery.c.hook_id == hook_id)
        values = {"state": DeliveryState.WAITING.value, "due_at": now, "ended_at": None}
        with self._database.tenant(tenant.tenant) as connection:
            if not connection.execute(update(hook_delivery).where(here).values(**values)).rowcount:
                raise UnknownDelivery("the hook has no such message")
            entry = AuditEntry(action="hook.retried", actor=actor, object=f"hook:{hook_id}")
            audit.write(connection, tenant, [entry.model_copy(update={"detail": {"delivery_id": delivery_id}})])

    def waiting(self, tenant: str) -> tuple[int, datetime | None]:
        """Return how many messages wait for hooks that are on, and since when the oldest does."""
        with self._database.tenant(tenant) as connection:
            row = connection.execute(_WAITING).one()
        return int(row.waiting), row.oldest_at

    def prune(self, tenant: str, *, delivered_before: datetime, dead_before: datetime) -> int:
        """Forget what ended before these moments of real time, with its log; returns how many messages."""
        columns = hook_delivery.c
        old = or_(
            and_(columns.state == DeliveryState.DELIVERED.value, columns.ended_at < delivered_before),
            and_(columns.state == DeliveryState.DEAD.value, columns.ended_at < dead_before),
        )
        with self._database.tenant(tenant) as connection:
            gone = connection.execute(delete(hook_delivery).where(old).returning(columns.delivery_id)).scalars().all()
            # The log of what was erased with its recipient goes by its own age.
            aged = or_(hook_attempt.c.delivery_id.in_(gone), hook_attempt.c.at < dead_before)
            connection.execute(delete(hook_attempt).where(aged))
        return len(gone)

    def _taken(self, row: Row[Any]) -> Taken:
        message = webhooks.body(row.event, row.recorded_at, row.data)
        return Taken(row.tenant, row.delivery_id, row.hook_id, row.attempts + 1, message, unseal(self._box, row))


def _delivery(row: Row[Any], log: Sequence[Row[Any]]) -> Delivery:
    attempts = [{name: each._mapping[name] for name in Attempt.model_fields} for each in log]  # noqa: SLF001
    known = {name: row._mapping[name] for name in Delivery.model_fields if name != "attempts"}  # noqa: SLF001
    return Delivery.model_validate(known | {"attempts": attempts})


def _is_open(delivery_id: str) -> Any:
    # A message that somebody else delivered after our lease stays delivered.
    return and_(hook_delivery.c.delivery_id == delivery_id, hook_delivery.c.state == DeliveryState.WAITING.value)


def _stands(connection: Connection, taken: Taken, state: DeliveryState, at: datetime) -> DeliveryState:
    connection.execute(update(hook_delivery).where(_is_open(taken.delivery_id)).values(state=state.value, ended_at=at))
    return state


def _count_failure(connection: Connection, taken: Taken, attempt: Attempt, draw: float) -> None:
    """Count a failure of the hook: it rests after some in a row, and after days of nothing else it is switched off."""
    counted = update(hook).where(hook.c.hook_id == taken.hook_id)
    since = func.coalesce(hook.c.failing_since, attempt.at)
    values = {"failures": hook.c.failures + 1, "failing_since": since}
    row = connection.execute(counted.values(**values).returning(hook)).one_or_none()
    if row is None:
        return
    rest = webhooks.rest_until(row.failures, attempt.at, draw)
    because = None
    if attempt.is_gone:
        because = "it answered 410 Gone"
    elif row.failing_since <= attempt.at - webhooks.DISABLE_AFTER:
        because = f"every delivery failed for {webhooks.DISABLE_AFTER.days} days"
    changed: dict[str, Any] = {"rest_until": rest}
    if because is not None and row.is_enabled:
        changed |= {"is_enabled": False, "disabled_because": because}
        entry = AuditEntry(action="hook.disabled", actor=ACTOR, object=f"hook:{taken.hook_id}", reason=because)
        audit.note(connection, taken.tenant, entry)
    connection.execute(counted.values(**changed))


_DUE = text("""
SELECT d.tenant, d.delivery_id, d.hook_id, d.event, d.data, d.attempts, d.recorded_at, h.sealed FROM hook h
CROSS JOIN LATERAL (
    SELECT * FROM hook_delivery w WHERE w.hook_id = h.hook_id AND w.state = 'waiting' AND w.due_at <= :now
    ORDER BY w.due_at LIMIT CASE WHEN h.failures >= :trip THEN 1 ELSE :at_once END FOR UPDATE SKIP LOCKED) d
WHERE h.is_enabled AND (h.rest_until IS NULL OR h.rest_until <= :now)
ORDER BY d.due_at LIMIT :limit
""")

_RECOVERED = text("""
UPDATE hook SET failures = 0, failing_since = NULL, rest_until = NULL WHERE hook_id = :hook_id AND failures > 0
""")

_WAITING = text("""
SELECT count(*) AS waiting, min(d.recorded_at) AS oldest_at FROM hook_delivery d JOIN hook h USING (tenant, hook_id)
WHERE d.state = 'waiting' AND h.is_enabled
""")
