"""Prices of volume in PostgreSQL, in versions, and what decisions say about how much was sent."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from adapters.postgres import volume_targets
from adapters.postgres.engine import Database
from domain.tenants import Tenant
from domain.values import Channel
from domain.volume_prices import VolumePrice
from domain.volume_targets import TENANT, VolumeTargets

KEPT = 1_500
"""Versions of a price that are kept: a day of minutes."""


@dataclass(frozen=True)
class Standing:
    """A price and all that its next step needs; the fields are the columns of ``channel_price``."""

    price: float
    scale: float
    error: float
    at: datetime
    counted_until: datetime
    sent: int
    planned: float
    sent_day: int
    sent_week: int
    hours: tuple[float, ...]


@dataclass(frozen=True)
class Counted:
    """What was recorded since a price's last step: sends of its scope, and decisions of the tenant."""

    day: int = 0
    week: int = 0
    decisions: int = 0


@dataclass(frozen=True)
class Drawn:
    """Decisions of a day that came to a draw: by local hour, since when, and what the newest expected by channel.

    ``settings`` are the constants of the policy; None when there was no decision.
    """

    hours: tuple[float, ...]
    since: datetime
    expected: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Any] | None


class Book:
    """One tenant's prices, in a transaction in which nobody else moves them."""

    def __init__(self, connection: Connection, tenant: Tenant, until: datetime) -> None:
        """Read nothing yet; decisions count that were recorded up to ``until``."""
        self._connection = connection
        self._tenant = tenant
        self.until = until

    def targets(self) -> VolumeTargets:
        """Return the targets in force."""
        return volume_targets.KIND.read(self._connection).document

    def newest(self) -> dict[str, tuple[int, Standing]]:
        """Return the price in force of each scope, with its version."""
        rows = self._connection.execute(_NEWEST, {"tenant": self._tenant.tenant, "scopes": _SCOPES})
        return {row.scope: (row.version, _standing(row)) for row in rows}

    def counted(
        self, scope: str, types: Sequence[str], *, since: datetime | None, day: datetime, week: datetime
    ) -> Counted:
        """Return what was recorded after a moment, or whatever was decided in the week, when nothing was counted yet.

        Args:
            scope: whose sends.
            types: the message types that are paced.
            since: recorded after it; None for all of the week.
            day: when the tenant's day began.
            week: when its week began.
        """
        given = {
            **self._of(types),
            "channel": None if scope == TENANT else scope,
            "day": day,
            "week": week,
            "since": since,
        }
        row = self._connection.execute(_COUNTED if since is not None else _COUNTED_FIRST, given).one()
        return Counted(row.day, row.week, row.decisions)

    def drawn(self, types: Sequence[str], *, most: int) -> Drawn:
        """Return the newest decisions of the last 24 hours that came to a draw, and how many there were each hour."""
        rows = self._connection.execute(_DRAWN, self._of(types) | {"most": most}).all()
        hours, since = [0.0] * 24, self.until
        for row in self._connection.execute(_DRAWN_HOURS, self._of(types) | {"zone": self._tenant.zone.key}):
            hours[int(row.hour)], since = float(row.decisions), min(since, row.since)
        settings = rows[0].settings if rows else None
        return Drawn(tuple(hours), since, tuple(row.channels for row in rows), settings)

    def keep(self, scope: str, version: int, standing: Standing) -> None:
        """Put a price in force; the oldest are forgotten."""
        given = {"tenant": self._tenant.tenant, "scope": scope, "version": version}
        self._connection.execute(_INSERT, given | vars(standing) | {"hours": list(standing.hours)})
        self._connection.execute(_FORGET, given | {"before": version - KEPT})

    def _of(self, types: Sequence[str]) -> dict[str, Any]:
        return {"tenant": self._tenant.tenant, "types": list(types), "until": self.until}


class ChannelPrices:
    """Keeps prices; of two processes only one moves a tenant's at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def in_force(self, tenant: str) -> dict[str, VolumePrice]:
        """Return the newest price of each scope.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        with self._database.tenant(tenant) as connection:
            rows = connection.execute(_NEWEST, {"tenant": tenant, "scopes": _SCOPES})
            return {row.scope: VolumePrice(price=row.price, version=row.version) for row in rows}

    @contextmanager
    def alone(self, tenant: Tenant, *, grace_seconds: float) -> Iterator[Book | None]:
        """Open a transaction in which nobody else moves the tenant's prices; None when somebody does.

        Args:
            tenant: whose.
            grace_seconds: decisions recorded in the last so many seconds are left for later: others recorded before
                them may not be committed yet.

        Raises:
            Unavailable: PostgreSQL is away; nothing was moved.
        """
        with self._database.tenant(tenant.tenant) as connection:
            if not connection.execute(_ALONE, {"tenant": tenant.tenant}).scalar():
                yield None
                return
            until = connection.execute(_UNTIL, {"grace": grace_seconds}).scalar_one()
            yield Book(connection, tenant, until)


def _standing(row: Any) -> Standing:
    names = Standing.__dataclass_fields__
    return Standing(**{name: getattr(row, name) for name in names} | {"hours": tuple(row.hours)})


_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('kairos.price/' || :tenant, 0))")

_UNTIL = text("SELECT clock_timestamp() - make_interval(secs => :grace)")

_NEWEST = text("""
SELECT p.* FROM unnest(CAST(:scopes AS text[])) AS known (scope), LATERAL (
    SELECT * FROM channel_price WHERE tenant = :tenant AND scope = known.scope ORDER BY version DESC LIMIT 1
) p
""")
_SCOPES = [TENANT, *(channel.value for channel in Channel)]

_COUNTS = """
SELECT count(*) FILTER (WHERE reason LIKE 'policy.%' AND outcome <> 'defer') AS decisions,
    count(*) FILTER (WHERE outcome = 'send_now' AND decided_at >= :day
        AND channel = coalesce(CAST(:channel AS text), channel)) AS day,
    count(*) FILTER (WHERE outcome = 'send_now' AND decided_at >= :week
        AND channel = coalesce(CAST(:channel AS text), channel)) AS week
FROM decision WHERE tenant = :tenant AND message_type = ANY(CAST(:types AS text[])) AND recorded_at <= :until
"""

_COUNTED = text(f"{_COUNTS} AND recorded_at > :since")

_COUNTED_FIRST = text(f"{_COUNTS} AND outcome = 'send_now' AND decided_at >= :week")

_OF_DRAWN = """FROM decision WHERE tenant = :tenant AND message_type = ANY(CAST(:types AS text[]))
AND recorded_at <= :until AND recorded_at > CAST(:until AS timestamptz) - interval '1 day'
AND reason LIKE 'policy.%' AND outcome <> 'defer'"""

_DRAWN = text(f"""
SELECT record->'expected'->'channels' AS channels, record->'policy_settings' AS settings {_OF_DRAWN}
ORDER BY recorded_at DESC, decision_id LIMIT :most
""")

_DRAWN_HOURS = text(f"""
SELECT extract(hour FROM decided_at AT TIME ZONE :zone) AS hour, count(*) AS decisions, min(decided_at) AS since
{_OF_DRAWN} GROUP BY 1
""")

_INSERT = text("""
INSERT INTO channel_price (tenant, scope, version, price, scale, error, at, counted_until, sent, planned, sent_day,
    sent_week, hours)
VALUES (:tenant, :scope, :version, :price, :scale, :error, :at, :counted_until, :sent, :planned, :sent_day,
    :sent_week, :hours)
""")

_FORGET = text("DELETE FROM channel_price WHERE tenant = :tenant AND scope = :scope AND version <= :before")
