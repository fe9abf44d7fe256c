"""What is believed of message types' variants, in versions, in PostgreSQL; and the decisions that are learnt from.

An answer may be told after its decision was learnt from. Then the versions since that decision are made again, batch by
batch as before, so that the belief is what it would be had the answer come in time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from adapters.postgres.engine import Database
from domain.tenants import Tenant

KEPT = 20
"""Versions of a type's belief that are kept: to go back to, and to see how it moved."""
MOST = 5_000
"""Decisions that are learnt as one batch, besides those of the last one's very moment."""


OVERLAP = timedelta(minutes=2)
"""How far before the newest version answers count as new: one may have been stored while the version was made."""


@dataclass(frozen=True)
class Stored:
    """A belief in one of its versions, as bytes and their SHA-256; not checked yet."""

    message_type: str
    version: int
    learned_until: datetime
    body: bytes
    digest: bytes


Make = Callable[["Stored | None", list[dict[str, Any]], datetime], "Learned | None"]
"""Makes the next version of one (None: of the prior) from records, and the moment up to which they are all."""


@dataclass(frozen=True)
class Learned:
    """The next version: every decision up to a moment is in it."""

    learned_until: datetime
    learned_rows: int
    body: bytes
    digest: bytes


class VariantBeliefs:
    """Keeps beliefs; of two learners of one type only one learns at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newer(self, tenant: str, known: Mapping[str, int]) -> list[Stored]:
        """Return the newest belief of each type that is newer than the version known of it.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        given = {"tenant": tenant, "type": list(known), "version": list(known.values())}
        with self._database.tenant(tenant) as connection:
            return [_stored(row) for row in connection.execute(_NEWER, given)]

    def in_version(self, tenant: str, message_type: str, version: int) -> Stored | None:
        """Return a belief in one of its versions; None when it is kept no longer.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        given = {"tenant": tenant, "type": message_type, "version": version}
        with self._database.tenant(tenant) as connection:
            row = connection.execute(_IN_VERSION, given).one_or_none()
        return _stored(row) if row is not None else None

    def learn(
        self,
        tenant: Tenant,
        message_type: str,
        *,
        until: datetime,
        learned: Make,
    ) -> int | None:
        """Learn one batch of a type's sends, the oldest that were not learnt from.

        Args:
            tenant: whose.
            message_type: which.
            until: only what was decided up to this moment of the tenant's clock.
            learned: makes the next version of the newest one (None: of the prior), from records in the order in which
                they are learnt, and the moment up to which they are all; None when nothing is to be kept.

        Returns:
            How many decisions were read; None when somebody else is learning this type.

        Raises:
            Unavailable: PostgreSQL is away; nothing was learnt.
        """
        of = {"tenant": tenant.tenant, "type": message_type}
        with self._database.tenant(tenant.tenant) as connection:
            if not connection.execute(_ALONE, of).scalar():
                return None
            row = connection.execute(_NEWEST, of).one_or_none()
            newest = _stored(row) if row is not None else None
            if newest is not None and (late := connection.execute(_LATE, _since(of, newest)).scalar()) is not None:
                newest = _made_again(connection, of, newest, late, learned)
            records, end = _sends(connection, of, newest.learned_until if newest is not None else None, until)
            if not records:
                return 0
            following = learned(newest, records, end)
            if following is not None:
                version = newest.version + 1 if newest is not None else 1
                connection.execute(_INSERT, of | {"version": version} | vars(following))
                connection.execute(_FORGET, of | {"most": KEPT})
        return len(records)


def _since(of: Mapping[str, str], newest: Stored) -> dict[str, Any]:
    return {**of, "until": newest.learned_until, "version": newest.version, "overlap": OVERLAP}


def _made_again(connection: Connection, of: Mapping[str, str], newest: Stored, late: datetime, learned: Make) -> Stored:
    """Return the newest belief after every version since a decision was made again; the same one if nothing changes.

    What lies before the versions that are kept stays as it was learnt: nobody knows the belief before it any more.
    """
    kept = [_stored(row) for row in connection.execute(_KEPT, of)]
    before = [each for each in kept if each.learned_until < late]
    belief, made = before[-1] if before else None, []
    if belief is None and not connection.execute(_IS_FIRST, {**of, "until": kept[0].learned_until}).scalar():
        return newest
    for number, old in enumerate(kept[len(before) :], start=newest.version + 1):
        records, end = _sends(connection, of, belief.learned_until if belief else None, old.learned_until)
        following = learned(belief, records, end)
        if following is None:
            return newest
        belief = Stored(newest.message_type, number, old.learned_until, following.body, following.digest)
        made.append({**of, "version": number, **vars(following), "learned_until": old.learned_until})
    if belief is None or belief.body == newest.body:
        return newest
    connection.execute(_UNDO, {**of, "after": before[-1].version if before else 0})
    connection.execute(_INSERT, made)
    return belief


def _sends(
    connection: Connection, of: Mapping[str, str], after: datetime | None, until: datetime
) -> tuple[list[dict[str, Any]], datetime]:
    """Return the next batch, in order, and the moment up to which it is whole: no moment is cut in two."""
    given = {**of, "after": after, "until": until, "most": MOST}
    end = connection.execute(_END, given).scalar() or until
    rows = connection.execute(_SENDS, given | {"until": end})
    return [row.record for row in rows], end


def _stored(row: Any) -> Stored:
    return Stored(row.message_type, row.version, row.learned_until, bytes(row.body), bytes(row.digest))


_COLUMNS = "message_type, version, learned_until, body, digest"

_NEWER = text("""
SELECT b.message_type, b.version, b.learned_until, b.body, b.digest FROM (
    SELECT tenant, message_type, max(version) AS version FROM variant_belief WHERE tenant = :tenant
    GROUP BY tenant, message_type
) newest JOIN variant_belief b USING (tenant, message_type, version)
LEFT JOIN unnest(CAST(:type AS text[]), CAST(:version AS integer[])) AS known (message_type, version)
    ON known.message_type = b.message_type
WHERE b.version > coalesce(known.version, 0) ORDER BY b.message_type COLLATE "C"
""")

_IN_VERSION = text(f"""
SELECT {_COLUMNS} FROM variant_belief WHERE tenant = :tenant AND message_type = :type AND version = :version
""")

_NEWEST = text(f"""
SELECT {_COLUMNS} FROM variant_belief WHERE tenant = :tenant AND message_type = :type ORDER BY version DESC LIMIT 1
""")

_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('kairos.belief/' || :tenant || '/' || :type, 0))")

_OF_SENDS = """FROM decision WHERE tenant = :tenant AND message_type = :type AND outcome = 'send_now'
AND decided_at > coalesce(CAST(:after AS timestamptz), '-infinity') AND decided_at <= :until"""

_END = text(f"SELECT decided_at {_OF_SENDS} ORDER BY decided_at OFFSET :most - 1 LIMIT 1")

_SENDS = text(f'SELECT record {_OF_SENDS} ORDER BY decided_at, decision_id COLLATE "C"')

_INSERT = text("""
INSERT INTO variant_belief (tenant, message_type, version, learned_until, learned_rows, body, digest)
VALUES (:tenant, :type, :version, :learned_until, :learned_rows, :body, :digest)
""")

_FORGET = text("""
DELETE FROM variant_belief WHERE tenant = :tenant AND message_type = :type AND version <= (
    SELECT version FROM variant_belief WHERE tenant = :tenant AND message_type = :type
    ORDER BY version DESC OFFSET :most LIMIT 1)
""")
"""Versions that were made again left gaps in the numbers; so many are kept all the same."""

_UNDO = text("DELETE FROM variant_belief WHERE tenant = :tenant AND message_type = :type AND version > :after")

_KEPT = text(f"""
SELECT {_COLUMNS} FROM variant_belief WHERE tenant = :tenant AND message_type = :type ORDER BY version
""")

_LATE = text("""
SELECT min(d.decided_at) FROM variant_belief b
JOIN event e ON e.tenant = b.tenant AND e.received_at >= b.recorded_at - CAST(:overlap AS interval)
    AND e.type IN ('opened', 'clicked', 'converted')
JOIN decision d ON d.tenant = e.tenant AND d.decision_id = e.decision_id
WHERE b.tenant = :tenant AND b.message_type = :type AND b.version = :version
    AND d.message_type = :type AND d.outcome = 'send_now' AND d.decided_at <= :until
""")

_IS_FIRST = text(f"""
SELECT count(*) <= {MOST} FROM (SELECT 1 FROM decision WHERE tenant = :tenant AND message_type = :type
    AND outcome = 'send_now' AND decided_at <= :until LIMIT {MOST + 1}) AS sends
""")
"""Whether everything up to a moment is one batch, so that it may be learnt again from the prior."""
