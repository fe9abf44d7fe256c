"""Changes of recipients: a message in the outbox, committed with the change, and then a place in the tenant's list.

The list is numbered under a lock of the tenant, so a number that can be seen is never followed by a smaller one that
appears later: a listener that remembers the last number it saw misses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, text

from adapters.postgres import hook_messages
from adapters.postgres.change_tables import recipient_change
from adapters.postgres.engine import Database
from adapters.postgres.tables import outbox
from domain.changes import Change, ChangeKind

CHANGES = "changes"
"""Topic of the outbox; the key is the recipient."""


def announce(connection: Connection, tenant: str, kind: ChangeKind, versions: Mapping[str, int]) -> None:
    """Leave the message that something changed, in the transaction of the change.

    Args:
        connection: the transaction.
        tenant: whose recipients.
        kind: what changed.
        versions: the version after the change, by recipient.
    """
    rows = [
        {"tenant": tenant, "topic": CHANGES, "key": recipient, "payload": {"kind": kind.value, "version": version}}
        for recipient, version in versions.items()
    ]
    if rows:
        connection.execute(insert(outbox), rows)


class Wanted(NamedTuple):
    """What one listener has not been told yet: changes of a recipient after a number, None for those from now on."""

    recipient_id: str
    after: int | None


@dataclass(frozen=True)
class News:
    """What there is for one listener, and where they stand afterwards; ``is_reset`` when something is kept no more."""

    changes: tuple[Change, ...]
    after: int
    is_reset: bool = False


class ChangeFeed:
    """The list of each tenant's changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def publish(self, tenant: str, *, limit: int) -> int:
        """Move messages from the outbox into the list and leave them for hooks, all in one commit; returns how many."""
        waiting = select(outbox).where(outbox.c.topic == CHANGES).order_by(outbox.c.outbox_id).limit(limit)
        with self._database.tenant(tenant) as connection:
            rows = connection.execute(waiting.with_for_update(skip_locked=True)).all()
            if not rows:
                return 0
            last = connection.execute(_NUMBER, {"tenant": tenant, "count": len(rows)}).scalar_one()
            listed = [
                {"tenant": tenant, "change_id": number, "recipient_id": row.key, "recorded_at": row.recorded_at}
                | {"kind": row.payload["kind"], "version": row.payload["version"]}
                for number, row in enumerate(rows, last - len(rows) + 1)
            ]
            connection.execute(insert(recipient_change), listed)
            hook_messages.of_changes(connection, listed)
            connection.execute(delete(outbox).where(outbox.c.outbox_id.in_([row.outbox_id for row in rows])))
            return len(rows)

    def news(self, tenant: str, wanted: Sequence[Wanted], *, limit: int) -> list[News]:
        """Return what there is for each listener, in one question for all of them.

        Args:
            tenant: whose recipients.
            wanted: one for each listener.
            limit: most changes for one listener at a time.
        """
        with self._database.tenant(tenant) as connection:
            feed = connection.execute(_FEED).one_or_none()
            last, pruned = (feed.last_id, feed.pruned_through) if feed else (0, 0)
            starts = [_start(each.after, last, pruned) for each in wanted]
            given = {"recipient_id": [each.recipient_id for each in wanted], "after": starts, "limit": limit}
            found: list[list[Change]] = [[] for _ in wanted]
            for row in connection.execute(_NEWS, given).mappings():
                found[row["position"] - 1].append(Change.model_validate({name: row[name] for name in _SHOWN}))
        return [
            News(tuple(changes), after=changes[-1].change_id if changes else start, is_reset=start != each.after)
            if each.after is not None
            else News((), after=start)
            for each, start, changes in zip(wanted, starts, found, strict=True)
        ]

    def waiting(self, tenant: str) -> tuple[int, datetime | None]:
        """Return how many messages wait to be listed, and since when the oldest does."""
        with self._database.tenant(tenant) as connection:
            row = connection.execute(_WAITING, {"topic": CHANGES}).one()
        return int(row.waiting), row.oldest_at

    def prune(self, tenant: str, *, before: datetime) -> int:
        """Forget what was listed before a moment of real time; returns how many."""
        with self._database.tenant(tenant) as connection:
            forgotten = connection.execute(_PRUNE, {"before": before}).scalars().all()
            if forgotten:
                connection.execute(_PRUNED, {"through": max(forgotten)})
            return len(forgotten)


def _start(after: int | None, last: int, pruned: int) -> int:
    """Return where a listener goes on; a number that is not of this list, or too old, starts at its end."""
    if after is None or after > last or after < pruned:
        return last
    return after


_SHOWN = ("change_id", "recipient_id", "kind", "version", "recorded_at")

_NUMBER = text("""
INSERT INTO change_feed (tenant, last_id) VALUES (:tenant, :count)
ON CONFLICT (tenant) DO UPDATE SET last_id = change_feed.last_id + excluded.last_id
RETURNING last_id
""")

_FEED = text("SELECT last_id, pruned_through FROM change_feed")

_NEWS = text("""
SELECT w.position, c.* FROM unnest(CAST(:recipient_id AS text[]), CAST(:after AS bigint[]))
    WITH ORDINALITY AS w (recipient_id, after, position)
CROSS JOIN LATERAL (
    SELECT change_id, recipient_id, kind, version, recorded_at FROM recipient_change r
    WHERE r.recipient_id = w.recipient_id AND r.change_id > w.after ORDER BY change_id LIMIT :limit) c
ORDER BY w.position, c.change_id
""")

_WAITING = text("SELECT count(*) AS waiting, min(recorded_at) AS oldest_at FROM outbox WHERE topic = :topic")

_PRUNE = text("DELETE FROM recipient_change WHERE announced_at < :before RETURNING change_id")

_PRUNED = text("UPDATE change_feed SET pruned_through = greatest(pruned_through, :through)")
