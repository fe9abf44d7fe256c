"""What recipients allow, read as one: consents, channel switches, suppressions, deletion.

Every change of it goes through ``touch``, which locks the recipient's head row; a decision reads with ``lock=True``
and so waits for changes under way and holds back later ones until it has committed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, collate, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.tables import channel_switch, consent_head, consent_state, profile, suppression
from domain.consent import ConsentState, ConsentStatus
from domain.gates import Allowances
from domain.suppression import Suppression, SuppressionCause
from domain.switches import ChannelSwitch
from domain.values import Purpose


class NoHead(RuntimeError):
    """A decision was to be recorded for a recipient whose head row does not exist."""


def touch(connection: Connection, tenant: str, recipient_ids: Iterable[str]) -> dict[str, int]:
    """Lock the heads of recipients whose allowances are about to change and count the change.

    Returns:
        The new version of each.
    """
    # One after the other in key order: two writers of overlapping sets wait for each other, never in a circle.
    rows = [{"tenant": tenant, "recipient_id": each, "version": 1} for each in sorted(set(recipient_ids))]
    if not rows:
        return {}
    statement = insert(consent_head).values(rows)
    changed = statement.on_conflict_do_update(
        index_elements=["tenant", "recipient_id"], set_={"version": consent_head.c.version + 1}
    ).returning(consent_head.c.recipient_id, consent_head.c.version)
    return {row.recipient_id: row.version for row in connection.execute(changed)}


def read(connection: Connection, recipient_ids: Sequence[str], *, lock: bool = False) -> dict[str, Allowances]:
    """Return what each recipient allows now.

    Args:
        connection: a transaction of the tenant.
        recipient_ids: whom to read.
        lock: hold every one of them as they are until the transaction ends.

    Raises:
        NoHead: ``lock`` is asked for and ``make_heads`` was not called before.
    """
    wanted = sorted(set(recipient_ids))
    heads = select(consent_head).where(consent_head.c.recipient_id.in_(wanted)).order_by(_IN_ORDER)
    # The heads come first: what is read after the lock was waited for is what the other side committed.
    versions = {
        row.recipient_id: row.version for row in connection.execute(heads.with_for_update(read=True) if lock else heads)
    }
    if lock and len(versions) < len(wanted):
        raise NoHead("a recipient has no head to lock; make_heads must have committed before")
    consents = _consents(connection, wanted, lock=lock)
    switches = _switches(connection, wanted)
    suppressions = _suppressions(connection, wanted)
    deleted = _deleted(connection, wanted)
    return {
        each: Allowances(
            version=versions.get(each, 0),
            consents=tuple(consents[each]),
            switches=tuple(switches[each]),
            suppressions=tuple(suppressions[each]),
            is_deleted=each in deleted,
        )
        for each in wanted
    }


def make_heads(connection: Connection, tenant: str, recipient_ids: Iterable[str]) -> None:
    """Give every recipient a head that can be locked, in a transaction of its own.

    Made in the transaction that locks, a new head would be held while waiting for an older one, out of order.
    """
    rows = [{"tenant": tenant, "recipient_id": each, "version": 0} for each in sorted(set(recipient_ids))]
    if rows:
        connection.execute(insert(consent_head).values(rows).on_conflict_do_nothing())


_IN_ORDER = collate(consent_head.c.recipient_id, "C")
"""By code point, as Python sorts: writers and deciders must take locks in one order."""


def _consents(connection: Connection, wanted: Sequence[str], *, lock: bool) -> Mapping[str, list[ConsentState]]:
    c = consent_state.c
    query = select(consent_state).where(c.recipient_id.in_(wanted)).order_by(c.recipient_id, c.purpose, c.channel)
    found: dict[str, list[ConsentState]] = defaultdict(list)
    for row in connection.execute(query.with_for_update(read=True) if lock else query):
        found[row.recipient_id].append(state_of(row))
    return found


def state_of(row: Any) -> ConsentState:
    """Return a row of ``consent_state`` or ``consent_record`` as the domain knows it."""
    return ConsentState(
        purpose=Purpose(row.purpose),
        channel=row.channel,
        status=ConsentStatus(row.status),
        effective_at=row.effective_at,
        expires_at=row.expires_at,
    )


def _switches(connection: Connection, wanted: Sequence[str]) -> Mapping[str, list[ChannelSwitch]]:
    found: dict[str, list[ChannelSwitch]] = defaultdict(list)
    for row in connection.execute(select(channel_switch).where(channel_switch.c.recipient_id.in_(wanted))):
        found[row.recipient_id].append(ChannelSwitch(channel=row.channel, is_on=row.is_on))
    return found


def _suppressions(connection: Connection, wanted: Sequence[str]) -> Mapping[str, list[Suppression]]:
    found: dict[str, list[Suppression]] = defaultdict(list)
    for row in connection.execute(select(suppression).where(suppression.c.recipient_id.in_(wanted))):
        entry = Suppression(channel=row.channel, cause=SuppressionCause(row.reason), since=row.since)
        found[row.recipient_id].append(entry)
    return found


def _deleted(connection: Connection, wanted: Sequence[str]) -> set[str]:
    is_deleted = profile.c.deleted_at.is_not(None)
    query = select(profile.c.recipient_id).where(profile.c.recipient_id.in_(wanted), is_deleted)
    return set(connection.execute(query).scalars())
