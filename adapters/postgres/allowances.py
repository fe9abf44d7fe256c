"""What recipients allow, read as one: consents, channel switches, suppressions, deletion; and what is paused.

Every change of it goes through ``touch``, which locks the recipient's head row; a decision takes the same ``lock``
before it reads, and so waits for changes under way and holds back later ones until it has committed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, text

from adapters.postgres import changes
from domain.changes import ChangeKind
from domain.consent import ConsentState
from domain.gates import Allowances
from domain.suppression import Suppression
from domain.switches import ChannelSwitch


class NoHead(RuntimeError):
    """A decision was to be recorded for a recipient whose head row does not exist."""


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
    """
    given = {"tenant": tenant, "recipient_id": _in_order(recipient_ids)}
    versions = {row.recipient_id: row.version for row in connection.execute(_TOUCH, given)}
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
    """
    wanted = _in_order(recipient_ids)
    connection.execute(_LOCK_PAUSES)
    if len(connection.execute(_LOCK, {"recipient_id": wanted}).all()) < len(wanted):
        raise NoHead("a recipient has no head to lock; make_heads must have committed before")


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
RETURNING recipient_id, version
""")

_MAKE_HEADS = text("""
INSERT INTO consent_head (tenant, recipient_id, version)
SELECT :tenant, recipient_id, 0 FROM unnest(CAST(:recipient_id AS text[])) AS asked (recipient_id)
ON CONFLICT DO NOTHING
""")

_LOCK = text("""
WITH heads AS MATERIALIZED (
    SELECT recipient_id FROM consent_head WHERE recipient_id = ANY(CAST(:recipient_id AS text[]))
    ORDER BY recipient_id COLLATE "C" FOR NO KEY UPDATE
), states AS MATERIALIZED (
    SELECT recipient_id FROM consent_state
    WHERE recipient_id = ANY(CAST((SELECT array_agg(recipient_id) FROM heads) AS text[]))
    ORDER BY recipient_id COLLATE "C", purpose, channel FOR SHARE
)
SELECT recipient_id FROM heads WHERE (SELECT count(*) FROM states) >= 0
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
           SELECT '*', CASE against WHEN 'marketing' THEN 'objected' ELSE 'objected_profiling' END, since
           FROM objection WHERE recipient_id = asked.recipient_id) u) AS suppressions"""
ASKED = """FROM unnest(CAST(:recipient_id AS text[])) WITH ORDINALITY AS asked (recipient_id, place)
LEFT JOIN consent_head h USING (recipient_id) LEFT JOIN profile p USING (recipient_id)"""
_READ = text(f"SELECT {COLUMNS} {ASKED}")
