"""Profiles in PostgreSQL: one row per recipient with a version that counts its changes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import allowances, audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tables import profile as profiles
from domain.profiles import Profile, ProfilePatch, ZoneClaim, ZoneSource
from domain.tenants import Tenant
from domain.values import Frozen


class VersionConflict(RuntimeError):
    """The profile is not in the version the caller saw."""


class UnknownRecipient(LookupError):
    """There is no profile of this recipient, or it was deleted."""


class StoredProfile(Frozen):
    """A profile in one of its versions."""

    version: int
    profile: Profile


class Profiles:
    """Keeps what is known about recipients."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self, tenant: Tenant, recipient_id: str, profile: Profile, *, actor: str, if_version: int | None = None
    ) -> StoredProfile:
        """Replace a profile, or create it; a deleted recipient stays deleted.

        Args:
            tenant: whose recipient it is.
            recipient_id: the recipient.
            profile: what is known now.
            actor: who says so.
            if_version: the version the caller saw; None replaces whatever is there.

        Raises:
            VersionConflict: another version is stored.
            UnknownRecipient: the recipient was deleted.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return _put(connection, tenant, recipient_id, profile, actor, if_version)

    def patch(
        self, tenant: Tenant, recipient_id: str, patch: ProfilePatch, *, actor: str, if_version: int | None = None
    ) -> StoredProfile:
        """Change parts of a profile; what the patch does not name stays.

        Raises:
            UnknownRecipient: there is no profile to change.
            VersionConflict: another version is stored.
            ValueError: the result would not be a profile.
        """
        with self._database.tenant(tenant.tenant) as connection:
            stored = _locked(connection, recipient_id)
            if stored is None:
                raise UnknownRecipient("there is no profile of this recipient")
            changed = patch.applied_to(stored.profile)
            return _put(connection, tenant, recipient_id, changed, actor, if_version)

    def put_many(self, tenant: Tenant, given: Mapping[str, Profile], *, actor: str) -> None:
        """Create the profiles that do not exist yet; those that do are left alone."""
        rows = [_row(tenant.tenant, recipient, profile, 1) for recipient, profile in given.items()]
        entry = AuditEntry(action="profile.imported", actor=actor, object="profile:*", detail={"count": len(rows)})
        with self._database.tenant(tenant.tenant) as connection:
            connection.execute(insert(profiles).on_conflict_do_nothing(), rows)
            audit.write(connection, tenant, [entry])

    def get(self, tenant: Tenant, recipient_id: str, *, actor: str) -> StoredProfile:
        """Return a profile; reading it is audited.

        Raises:
            UnknownRecipient: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            stored = read(connection, [recipient_id]).get(recipient_id)
            if stored is None:
                raise UnknownRecipient("there is no profile of this recipient")
            audit.write(connection, tenant, [_entry("profile.read", actor, recipient_id, stored.version)])
            return stored

    def delete(self, tenant: Tenant, recipient_id: str, *, actor: str, now: datetime) -> None:
        """Delete a profile and refuse every later message to the recipient, whether there was a profile or not.

        Raises:
            UnknownRecipient: the recipient was deleted before.
        """
        with self._database.tenant(tenant.tenant) as connection:
            # A deletion takes away what was allowed, so it waits for decisions under way like a withdrawal does.
            allowances.touch(connection, tenant.tenant, [recipient_id])
            blank = _row(tenant.tenant, recipient_id, Profile(), 0)
            connection.execute(insert(profiles).values(blank).on_conflict_do_nothing())
            stored = _locked(connection, recipient_id)
            if stored is None:
                raise UnknownRecipient("this recipient was deleted before")
            emptied = _row(tenant.tenant, recipient_id, Profile(), stored.version + 1) | {"deleted_at": now}
            here = profiles.c.recipient_id == recipient_id
            connection.execute(profiles.update().where(here).values(emptied))
            audit.write(connection, tenant, [_entry("profile.deleted", actor, recipient_id, stored.version + 1)])


def read(connection: Connection, recipient_ids: Sequence[str]) -> dict[str, StoredProfile]:
    """Return the profiles there are, without those deleted."""
    query = select(profiles).where(profiles.c.recipient_id.in_(list(recipient_ids)), profiles.c.deleted_at.is_(None))
    return {row.recipient_id: _stored(row) for row in connection.execute(query)}


def _locked(connection: Connection, recipient_id: str) -> StoredProfile | None:
    query = select(profiles).where(profiles.c.recipient_id == recipient_id).with_for_update()
    row = connection.execute(query).one_or_none()
    return _stored(row) if row is not None and row.deleted_at is None else None


def _put(
    connection: Connection, tenant: Tenant, recipient_id: str, profile: Profile, actor: str, if_version: int | None
) -> StoredProfile:
    new = insert(profiles).values(_row(tenant.tenant, recipient_id, profile, 0)).on_conflict_do_nothing()
    connection.execute(new)
    query = select(profiles).where(profiles.c.recipient_id == recipient_id).with_for_update()
    row = connection.execute(query).one()
    if row.deleted_at is not None:
        raise UnknownRecipient("this recipient was deleted")
    if if_version is not None and if_version != row.version:
        raise VersionConflict(f"the profile is in version {row.version}")
    values = _row(tenant.tenant, recipient_id, profile, row.version + 1)
    connection.execute(profiles.update().where(profiles.c.recipient_id == recipient_id).values(values))
    audit.write(connection, tenant, [_entry("profile.written", actor, recipient_id, row.version + 1)])
    return StoredProfile(version=row.version + 1, profile=profile)


def _row(tenant: str, recipient_id: str, profile: Profile, version: int) -> dict[str, Any]:
    zone = profile.time_zone
    return {
        "tenant": tenant,
        "recipient_id": recipient_id,
        "version": version,
        "locale": profile.locale,
        "country": profile.country,
        "time_zone": zone.name if zone else None,
        "time_zone_source": zone.source.value if zone else None,
        "time_zone_confidence": zone.confidence if zone else None,
        "reachability": {channel.value: each.model_dump() for channel, each in profile.channels.items()},
        "attributes": dict(profile.attributes),
    }


def _stored(row: Any) -> StoredProfile:
    zone = None
    if row.time_zone is not None:
        source = ZoneSource(row.time_zone_source)
        zone = ZoneClaim(name=row.time_zone, source=source, confidence=row.time_zone_confidence)
    known = {
        "locale": row.locale,
        "country": row.country,
        "time_zone": zone,
        "channels": row.reachability,
        "attributes": row.attributes,
    }
    return StoredProfile(version=row.version, profile=Profile.model_validate(known))


def _entry(action: str, actor: str, recipient_id: str, version: int) -> AuditEntry:
    return AuditEntry(
        action=action, actor=actor, object="profile", recipient_id=recipient_id, detail={"version": version}
    )
