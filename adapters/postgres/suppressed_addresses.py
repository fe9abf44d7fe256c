"""The suppression list in PostgreSQL: keyed hashes of addresses, which stay when their recipients are erased.

An entry is effective when its transaction has committed: it locks the heads of every recipient who has the address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import allowances, audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.law_tables import recipient_address, suppressed_address
from adapters.postgres.suppressions import RecipientsOwn
from domain.addresses import KnownAddress, address_hash
from domain.suppression import Suppression, SuppressionCause, may_be_lifted
from domain.tenants import Tenant
from domain.values import Channel


@dataclass(frozen=True)
class Listing:
    """One address to put on the list."""

    channel: Channel
    address: str
    cause: SuppressionCause
    since: datetime


class SuppressedAddresses:
    """Keeps the list, and which recipient has which address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_many(self, tenant: Tenant, listings: Sequence[Listing], *, source: str, actor: str) -> int:
        """Put addresses on the list, all or nothing, and return how many were not on it before.

        Raises:
            BadAddress: one of them is no address of its channel; nothing was listed.
        """
        rows = {
            (each.channel.value, address_hash(tenant.subject_secret, each.channel, each.address)): each
            for each in listings
        }
        with self._database.tenant(tenant.tenant) as connection:
            _touch_owners(connection, tenant, [hashed for _, hashed in rows])
            given = [
                _row(tenant, channel, hashed, each.cause, each.since, source, actor)
                for (channel, hashed), each in sorted(rows.items())
            ]
            new = sum(_list(connection, row) for row in given)
            audit.write(connection, tenant, [_entry("suppression.listed", row, actor) for row in given])
        return new

    def lift(self, tenant: Tenant, channel: Channel, address: str, *, reason: str, actor: str) -> bool:
        """Take an address off the list and return whether it was on it.

        Raises:
            BadAddress: it is no address of the channel.
            RecipientsOwn: its owner said it, and no owner of it consented to marketing there since.
        """
        hashed = address_hash(tenant.subject_secret, channel, address)
        here = (suppressed_address.c.channel == channel) & (suppressed_address.c.address_hash == hashed)
        entry = AuditEntry(
            action="suppression.lifted", actor=actor, object=f"suppression:{channel}:{hashed.hex()[:16]}", reason=reason
        )
        with self._database.tenant(tenant.tenant) as connection:
            _touch_owners(connection, tenant, [hashed])
            row = connection.execute(select(suppressed_address).where(here)).one_or_none()
            if row is None:
                return False
            standing = allowances.read(connection, _owners(connection, [hashed]))
            given = [each for owner in standing.values() for each in owner.consents]
            if not may_be_lifted(_suppression(row), given):
                raise RecipientsOwn("the recipient said it and has not consented since")
            connection.execute(delete(suppressed_address).where(here))
            audit.write(connection, tenant, [entry])
        return True

    def find(self, tenant: Tenant, channel: Channel, address: str) -> Suppression | None:
        """Return the entry of an address, or None when it is not on the list.

        Raises:
            BadAddress: it is no address of the channel.
        """
        hashed = address_hash(tenant.subject_secret, channel, address)
        here = (suppressed_address.c.channel == channel) & (suppressed_address.c.address_hash == hashed)
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(select(suppressed_address).where(here)).one_or_none()
        return _suppression(row) if row is not None else None

    def set_address(self, tenant: Tenant, recipient_id: str, channel: Channel, address: str, *, actor: str) -> None:
        """Note the hash of a recipient's address on a channel, in place of the one before.

        Raises:
            BadAddress: it is no address of the channel.
        """
        hashed = address_hash(tenant.subject_secret, channel, address)
        key = {"tenant": tenant.tenant, "recipient_id": recipient_id, "channel": channel.value}
        statement = insert(recipient_address).values(**key, address_hash=hashed)
        keys = ["tenant", "recipient_id", "channel"]
        with self._database.tenant(tenant.tenant) as connection:
            allowances.touch(connection, tenant.tenant, [recipient_id])
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_={"address_hash": hashed}))
            audit.write(connection, tenant, [_address_entry("address.set", recipient_id, channel, actor)])

    def drop_address(self, tenant: Tenant, recipient_id: str, channel: Channel, *, actor: str) -> bool:
        """Forget a recipient's address on a channel; return whether there was one. The list stays as it is."""
        here = (recipient_address.c.recipient_id == recipient_id) & (recipient_address.c.channel == channel)
        with self._database.tenant(tenant.tenant) as connection:
            allowances.touch(connection, tenant.tenant, [recipient_id])
            if not connection.execute(delete(recipient_address).where(here)).rowcount:
                return False
            audit.write(connection, tenant, [_address_entry("address.dropped", recipient_id, channel, actor)])
        return True

    def addresses(self, tenant: Tenant, recipient_id: str, *, actor: str) -> list[KnownAddress]:
        """Return the hashes of a recipient's addresses; reading them is audited."""
        query = select(recipient_address).where(recipient_address.c.recipient_id == recipient_id)
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query.order_by(recipient_address.c.channel)).all()
            entry = AuditEntry(action="address.read", actor=actor, object="address", recipient_id=recipient_id)
            audit.write(connection, tenant, [entry])
        return [
            KnownAddress(channel=row.channel, address_hash=bytes(row.address_hash).hex(), recorded_at=row.recorded_at)
            for row in rows
        ]

    def owners(self, tenant: Tenant, channel: Channel, address: str) -> list[str]:
        """Return the recipients who have an address, in order.

        Raises:
            BadAddress: it is no address of the channel.
        """
        hashed = address_hash(tenant.subject_secret, channel, address)
        with self._database.tenant(tenant.tenant) as connection:
            return _owners(connection, [hashed])


def suppress_erased(
    connection: Connection, tenant: Tenant, recipient_id: str, *, actor: str, now: datetime
) -> Mapping[str, bytes]:
    """List every address of a recipient as erased and forget whose they were, in the transaction that erases them.

    Returns:
        The hashes by channel.
    """
    query = select(recipient_address.c.channel, recipient_address.c.address_hash)
    here = recipient_address.c.recipient_id == recipient_id
    found = {row.channel: bytes(row.address_hash) for row in connection.execute(query.where(here))}
    _touch_owners(connection, tenant, list(found.values()))
    for channel, hashed in sorted(found.items()):
        _list(connection, _row(tenant, channel, hashed, SuppressionCause.ERASED, now, "erasure", actor))
    connection.execute(delete(recipient_address).where(here))
    return found


def _owners(connection: Connection, hashes: Sequence[bytes]) -> list[str]:
    query = select(recipient_address.c.recipient_id).where(recipient_address.c.address_hash.in_(list(hashes)))
    return sorted(set(connection.execute(query).scalars()))


def _touch_owners(connection: Connection, tenant: Tenant, hashes: Sequence[bytes]) -> None:
    """Wait for decisions under way about whoever has the addresses."""
    if owners := _owners(connection, hashes):
        allowances.touch(connection, tenant.tenant, allowances.survivors(connection, owners).values())


def _row(
    tenant: Tenant, channel: str, hashed: bytes, cause: SuppressionCause, since: datetime, source: str, actor: str
) -> dict[str, Any]:
    return {
        "tenant": tenant.tenant,
        "channel": channel,
        "address_hash": hashed,
        "reason": cause.value,
        "since": since,
        "source": source,
        "actor": actor,
    }


def _list(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Add one entry and return whether it is new; one that stops more replaces one that stops only marketing."""
    statement = insert(suppressed_address).values(row).on_conflict_do_nothing()
    is_new = connection.execute(statement.returning(suppressed_address.c.since)).one_or_none() is not None
    if not is_new and SuppressionCause(row["reason"]).stops_every_class:
        connection.execute(_STRENGTHEN, dict(row))
    return is_new


_STRENGTHEN = text("""
UPDATE suppressed_address SET reason = :reason, since = :since, source = :source, actor = :actor
WHERE channel = :channel AND address_hash = :address_hash AND reason NOT IN ('bounced', 'manual')
""")


def _suppression(row: Row[Any]) -> Suppression:
    return Suppression(channel=row.channel, cause=row.reason, since=row.since)


def _entry(action: str, row: Mapping[str, Any], actor: str) -> AuditEntry:
    # Enough of the hash to find the entry again, too little to be the person's.
    place = f"suppression:{row['channel']}:{row['address_hash'].hex()[:16]}"
    return AuditEntry(
        action=action, actor=actor, object=place, detail={"cause": row["reason"], "source": row["source"]}
    )


def _address_entry(action: str, recipient_id: str, channel: Channel, actor: str) -> AuditEntry:
    return AuditEntry(action=action, actor=actor, object=f"address:{channel.value}", recipient_id=recipient_id)
