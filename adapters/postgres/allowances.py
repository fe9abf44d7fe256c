"""What recipients allow, read as one: consents, channel switches, suppressions, deletion; and what is paused.

Every change of it goes through ``touch``, which locks the recipient's head row; a decision takes the same ``lock``
before it reads, and so waits for changes under way and holds back later ones until it has committed.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection, text

from adapters.postgres import changes
from adapters.postgres.engine import Unavailable
from domain.changes import ChangeKind
from domain.consent import ConsentState
from domain.gates import Allowances
from domain.suppression import Suppression
from domain.switches import ChannelSwitch

P = ParamSpec("P")
R = TypeVar("R")


class NoHead(RuntimeError):
    """A decision was to be recorded for a recipient whose head row does not exist."""


class Moved(Unavailable):
    """Recipients were merged into others since their ids were resolved; nothing was done. Ask again.

    Whoever resolved an id before the merge committed learns it here, under the lock, before anything is written.
    """

    def __init__(self, survivors: Mapping[str, str]) -> None:
        self.survivors = dict(survivors)
        super().__init__("a recipient was merged into another one meanwhile")


def again_if_moved(work: Callable[P, R]) -> Callable[P, R]:
    """Do work once more when a recipient was merged while it was under way; it resolves aliases itself."""

    @functools.wraps(work)
    def done(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(_TRIES - 1):
            try:
                return work(*args, **kwargs)
            except Moved:
                continue
        return work(*args, **kwargs)

    return done


_TRIES = 3
"""Two merges in a row may overtake one request; more than that and its caller is asked to come again."""


def survivors(connection: Connection, recipient_ids: Iterable[str]) -> dict[str, str]:
    """Return who stands for each recipient: themselves, or whom they were merged into."""
    wanted = _in_order(recipient_ids)
    moved = {row.recipient_id: row.merged_into for row in connection.execute(_ALIASES, {"recipient_id": wanted})}
    return {each: moved.get(each, each) for each in wanted}


def survivor(connection: Connection, recipient_id: str) -> str:
    """Return who stands for a recipient."""
    return survivors(connection, [recipient_id])[recipient_id]


def aliases(connection: Connection, recipient_ids: Iterable[str]) -> dict[str, str]:
    """Return every alias of some recipients, with whom it stands for."""
    rows = connection.execute(_ALIASES_OF, {"recipient_id": _in_order(recipient_ids)})
    return {row.recipient_id: row.merged_into for row in rows}


def hold(connection: Connection, tenant: str, recipient_ids: Iterable[str]) -> dict[str, tuple[int, str | None]]:
    """Lock heads and count a change of each; return the new version, and whom it was merged into, of each.

    For whoever merges or erases. Everybody else calls ``touch``, which lets no alias be changed.
    """
    rows = connection.execute(_TOUCH, {"tenant": tenant, "recipient_id": _in_order(recipient_ids)})
    return {row.recipient_id: (row.version, row.merged_into) for row in rows}


def hold_aliases(connection: Connection, tenant: str, recipient_ids: Iterable[str]) -> dict[str, str]:
    """Lock the aliases of recipients whose heads are held, and return them with whom each stands for.

    Nobody can add one meanwhile: a merge needs the heads that are held.
    """
    found = aliases(connection, recipient_ids)
    if found:
        hold(connection, tenant, found)
    return found


def merge_heads(connection: Connection, alias: str, survivor: str) -> None:
    """Make one recipient whose head is held an alias of another, and its aliases with it: no chain ever stands."""
    connection.execute(_MERGE_HEADS, {"alias": alias, "survivor": survivor})


def part(connection: Connection, recipient_ids: Iterable[str]) -> None:
    """Let recipients be nobody's alias: of those who are erased nothing says that they were one person."""
    connection.execute(_PART, {"recipient_id": _in_order(recipient_ids)})


def touch(
    connection: Connection,
    tenant: str,
    recipient_ids: Iterable[str],
    *,
    kind: ChangeKind | None = ChangeKind.ALLOWANCES,
) -> dict[str, int]:
    """Lock the heads of recipients whose allowances are about to change, count the change and announce it.

    Args:
        connection: the transaction of the change.
        tenant: whose recipients.
        recipient_ids: those whose allowances change.
        kind: what listeners are told has changed; None when the caller announces it more exactly.

    Returns:
        The new version of each.

    Raises:
        Moved: one of them was merged into another recipient.
    """
    held = hold(connection, tenant, recipient_ids)
    _require_own({each: merged_into for each, (_, merged_into) in held.items()})
    versions = {each: version for each, (version, _) in held.items()}
    if kind is not None:
        changes.announce(connection, tenant, kind, versions)
    return versions


def make_heads(connection: Connection, tenant: str, recipient_ids: Iterable[str]) -> None:
    """Give every recipient a head that can be locked, in a transaction that takes no other lock.

    Made in the transaction that locks, a new head would be held while waiting for an older one, out of order.
    """
    connection.execute(_MAKE_HEADS, {"tenant": tenant, "recipient_id": _in_order(recipient_ids)})


def read(connection: Connection, recipient_ids: Iterable[str]) -> dict[str, Allowances]:
    """Return what each recipient allows now, without their choices; the version of one without a head is 0."""
    rows = connection.execute(_READ, {"recipient_id": _in_order(recipient_ids)})
    return {row[0]: from_row(row) for row in rows}


def lock(connection: Connection, recipient_ids: Iterable[str]) -> None:
    """Wait for changes of what recipients allow and of what is paused, and hold back later ones until the end.

    What is read by the next statement sees what the others committed while we waited for them.

    Raises:
        NoHead: ``make_heads`` was not called before.
        Moved: one of them was merged into another recipient.
    """
    wanted = _in_order(recipient_ids)
    connection.execute(_LOCK_PAUSES)
    locked = connection.execute(_LOCK, {"recipient_id": wanted}).all()
    if len(locked) < len(wanted):
        raise NoHead("a recipient has no head to lock; make_heads must have committed before")
    _require_own({row.recipient_id: row.merged_into for row in locked})


def _require_own(merged_into: Mapping[str, str | None]) -> None:
    if moved := {each: survivor for each, survivor in merged_into.items() if survivor is not None}:
        raise Moved(moved)


def from_row(row: Sequence[Any]) -> Allowances:
    """Return what the seven ``COLUMNS`` of a row say."""
    _, version, is_deleted, paused, consents, switches, suppressions = row[:7]
    return Allowances(
        version=version,
        consents=_CONSENTS.validate_json(consents) if consents is not None else (),
        switches=_SWITCHES.validate_json(switches) if switches is not None else (),
        suppressions=_SUPPRESSIONS.validate_json(suppressions) if suppressions is not None else (),
        is_deleted=is_deleted,
        paused=frozenset(paused),
    )


_CONSENTS = TypeAdapter(tuple[ConsentState, ...])
_SWITCHES = TypeAdapter(tuple[ChannelSwitch, ...])
_SUPPRESSIONS = TypeAdapter(tuple[Suppression, ...])


def _in_order(recipient_ids: Iterable[str]) -> list[str]:
    """Return the ids by code point: whoever locks several does so in this order, or two wait in a circle."""
    return sorted(set(recipient_ids))


_TOUCH = text("""
INSERT INTO consent_head (tenant, recipient_id, version)
SELECT :tenant, recipient_id, 1 FROM unnest(CAST(:recipient_id AS text[])) AS asked (recipient_id)
ON CONFLICT (tenant, recipient_id) DO UPDATE SET version = consent_head.version + 1
RETURNING recipient_id, version, merged_into
""")

_ALIASES = text("""
SELECT recipient_id, merged_into FROM consent_head
WHERE recipient_id = ANY(CAST(:recipient_id AS text[])) AND merged_into IS NOT NULL
""")

_ALIASES_OF = text("""
SELECT recipient_id, merged_into FROM consent_head WHERE merged_into = ANY(CAST(:recipient_id AS text[]))
""")

_MERGE_HEADS = text("""
UPDATE consent_head SET merged_into = :survivor WHERE recipient_id = :alias OR merged_into = :alias
""")

_PART = text("""
UPDATE consent_head SET merged_into = NULL
WHERE recipient_id = ANY(CAST(:recipient_id AS text[])) AND merged_into IS NOT NULL
""")

_MAKE_HEADS = text("""
INSERT INTO consent_head (tenant, recipient_id, version)
SELECT :tenant, recipient_id, 0 FROM unnest(CAST(:recipient_id AS text[])) AS asked (recipient_id)
ON CONFLICT DO NOTHING
""")

_LOCK = text("""
WITH heads AS MATERIALIZED (
    SELECT recipient_id, merged_into FROM consent_head WHERE recipient_id = ANY(CAST(:recipient_id AS text[]))
    ORDER BY recipient_id COLLATE "C" FOR NO KEY UPDATE
), states AS MATERIALIZED (
    SELECT recipient_id FROM consent_state
    WHERE recipient_id = ANY(CAST((SELECT array_agg(recipient_id) FROM heads) AS text[]))
    ORDER BY recipient_id COLLATE "C", purpose, channel FOR SHARE
)
SELECT recipient_id, merged_into FROM heads WHERE (SELECT count(*) FROM states) >= 0
""")
"""All heads, then all states: the states wait for the array. Every writer goes through the head; one that should ever
bypass it meets the second lock. One statement, because an opt-out waits for every round trip made under the lock; and
not a shared lock, because whoever asks for one goes past an opt-out that waits, and so could the next, and the next.
"""

_LOCK_PAUSES = text(
    "SELECT pg_advisory_xact_lock_shared(hashtextextended('kairos.pause/' || current_setting('kairos.tenant'), 0))"
)
"""Decisions share it; whoever pauses takes it alone, before any row, so nobody waits in a circle."""

COLUMNS = """asked.recipient_id, coalesce(h.version, 0) AS version, p.deleted_at IS NOT NULL AS is_deleted,
    ARRAY(SELECT channel FROM pause) AS paused,
    (SELECT json_agg(json_build_object('purpose', s.purpose, 'channel', s.channel, 'status', s.status,
        'effective_at', s.effective_at, 'expires_at', s.expires_at) ORDER BY s.purpose, s.channel)::text
     FROM consent_state s WHERE s.recipient_id = asked.recipient_id) AS consents,
    (SELECT json_agg(json_build_object('channel', c.channel, 'is_on', c.is_on) ORDER BY c.channel)::text
     FROM channel_switch c WHERE c.recipient_id = asked.recipient_id) AS switches,
    (SELECT json_agg(json_build_object('channel', u.channel, 'cause', u.reason, 'since', u.since)
        ORDER BY u.channel, u.reason)::text
     FROM (SELECT channel, reason, since FROM suppression WHERE recipient_id = asked.recipient_id
           UNION ALL
           SELECT l.channel, l.reason, l.since FROM recipient_address a JOIN suppressed_address l
               ON l.tenant = a.tenant AND l.channel = a.channel AND l.address_hash = a.address_hash
           WHERE a.recipient_id = asked.recipient_id
           UNION ALL
           SELECT l.channel, l.reason, l.since FROM consent_head m
           JOIN recipient_address a ON a.tenant = m.tenant AND a.recipient_id = m.recipient_id
           JOIN suppressed_address l
               ON l.tenant = a.tenant AND l.channel = a.channel AND l.address_hash = a.address_hash
           WHERE m.merged_into = asked.recipient_id
           UNION ALL
           SELECT '*', CASE against WHEN 'marketing' THEN 'objected' ELSE 'objected_profiling' END, since
           FROM objection WHERE recipient_id = asked.recipient_id) u) AS suppressions"""
ASKED = """FROM unnest(CAST(:recipient_id AS text[])) WITH ORDINALITY AS asked (recipient_id, place)
LEFT JOIN consent_head h USING (recipient_id) LEFT JOIN profile p USING (recipient_id)"""
_READ = text(f"SELECT {COLUMNS} {ASKED}")
