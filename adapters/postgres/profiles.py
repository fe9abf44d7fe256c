"""Profiles in PostgreSQL: one row per recipient with a version that counts its changes, sealed under their key.

Only the name of the time zone stands in clear, because every event is told the recipient's local time as it is stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import computed_field
from sqlalchemy import ARRAY, Connection, Text, any_, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import allowances, attribute_schemas, audit, changes, profile_history, subject_keys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.subject_keys import Place
from adapters.postgres.tables import profile as profiles
from domain.attribute_schemas import check
from domain.changes import ChangeKind
from domain.profiles import Profile, ProfilePatch
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

    @computed_field  # type: ignore[prop-decorator]
    @property
    def quality(self) -> float:
        """How good the data is, 0 to 1."""
        return self.profile.quality


class PastProfile(StoredProfile):
    """A version of a profile with who wrote it, when, and why."""

    actor: str
    reason: str | None
    recorded_at: datetime


class Profiles:
    """Keeps what is known about recipients."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self,
        tenant: Tenant,
        recipient_id: str,
        profile: Profile,
        *,
        actor: str,
        if_version: int | None = None,
        reason: str | None = None,
    ) -> StoredProfile:
        """Replace a profile, or create it; a deleted recipient stays deleted.

        Args:
            tenant: whose recipient it is.
            recipient_id: the recipient.
            profile: what is known now.
            actor: who says so.
            if_version: the version the caller saw; None replaces whatever is there.
            reason: why, for the audit trail.

        Raises:
            VersionConflict: another version is stored.
            UnknownRecipient: the recipient was deleted.
            AttributesRefused: the attributes are not as the tenant's schema says.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return put(connection, tenant, recipient_id, profile, actor=actor, reason=reason, if_version=if_version)

    def patch(
        self,
        tenant: Tenant,
        recipient_id: str,
        patch: ProfilePatch,
        *,
        actor: str,
        if_version: int | None = None,
        reason: str | None = None,
    ) -> StoredProfile:
        """Change parts of a profile; what the patch does not name stays.

        Raises:
            UnknownRecipient: there is no profile to change.
            VersionConflict: another version is stored.
            ValueError: the result would not be a profile.
            AttributesRefused: the attributes are not as the tenant's schema says.
        """
        with self._database.tenant(tenant.tenant) as connection:
            stored = _locked(connection, tenant, recipient_id)
            changed = patch.applied_to(stored.profile)
            return _put(connection, tenant, recipient_id, (stored, changed), _Change(actor, if_version, reason))

    def put_many(self, tenant: Tenant, given: Mapping[str, Profile], *, actor: str) -> None:
        """Create the profiles that do not exist yet; those that do are left alone.

        Raises:
            AttributesRefused: the attributes of one are not as the tenant's schema says; none is created.
        """
        with self._database.tenant(tenant.tenant) as connection:
            schema = attribute_schemas.KIND.read_shared(connection, tenant.tenant).document
            for profile in given.values():
                check(schema, profile.attributes)
            places = [(_place(recipient, 1), _plain(profile)) for recipient, profile in given.items()]
            sealed = subject_keys.of(connection).seal_many(connection, tenant, places)
            rows = [
                {"tenant": tenant.tenant, "recipient_id": recipient, "version": 1}
                | {"time_zone": _zone(profile), "document": document}
                for (recipient, profile), document in zip(given.items(), sealed, strict=True)
                if document is not None
            ]
            if not rows:
                return
            statement = insert(profiles).on_conflict_do_nothing().returning(profiles.c.recipient_id)
            new = connection.execute(statement, rows).scalars().all()
            created = set(new)
            kept = [row | {"actor": actor} for row in rows if row["recipient_id"] in created]
            profile_history.keep(connection, kept)
            changes.announce(connection, tenant.tenant, ChangeKind.PROFILE, dict.fromkeys(new, 1))
            audit.write(connection, tenant, [_created(recipient, given[recipient], actor) for recipient in new])

    def get(self, tenant: Tenant, recipient_id: str, *, actor: str) -> StoredProfile:
        """Return a profile; reading it is audited.

        Raises:
            UnknownRecipient: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            stored = read(connection, tenant, [recipient_id]).get(recipient_id)
            if stored is None:
                raise UnknownRecipient("there is no profile of this recipient")
            audit.write(connection, tenant, [_entry("profile.read", actor, recipient_id, stored.version)])
            return stored

    def history(
        self, tenant: Tenant, recipient_id: str, *, actor: str, before: int | None = None, limit: int = 50
    ) -> list[PastProfile]:
        """Return versions of a profile, newest first; reading them is audited.

        Args:
            tenant: whose recipient it is.
            recipient_id: the recipient.
            actor: who asks.
            before: only versions older than that one.
            limit: how many at most.

        Raises:
            UnknownRecipient: there is no profile of this recipient, or it was deleted.
        """
        with self._database.tenant(tenant.tenant) as connection:
            stored = read(connection, tenant, [recipient_id]).get(recipient_id)
            if stored is None:
                raise UnknownRecipient("there is no profile of this recipient")
            audit.write(connection, tenant, [_entry("profile.history_read", actor, recipient_id, stored.version)])
            rows = profile_history.read(connection, recipient_id, before=before, limit=limit)
            told = {row.version: row for row in rows}
            opened = [_opened(connection, tenant, [row]).get(recipient_id) for row in rows]
        return [
            PastProfile(
                **dict(each),
                actor=told[each.version].actor,
                reason=told[each.version].reason,
                recorded_at=told[each.version].recorded_at,
            )
            for each in opened
            if each is not None
        ]

    def delete(self, tenant: Tenant, recipient_id: str, *, actor: str, now: datetime) -> None:
        """Delete a profile and refuse every later message to the recipient, whether there was a profile or not.

        Raises:
            UnknownRecipient: the recipient was deleted before.
        """
        with self._database.tenant(tenant.tenant) as connection:
            # A deletion takes away what was allowed, so it waits for decisions under way like a withdrawal does.
            allowances.touch(connection, tenant.tenant, [recipient_id], kind=ChangeKind.PROFILE)
            connection.execute(insert(profiles).values(_blank(tenant.tenant, recipient_id)).on_conflict_do_nothing())
            here = profiles.c.recipient_id == recipient_id
            alive = profiles.update().where(here, profiles.c.deleted_at.is_(None)).returning(profiles.c.version)
            emptied = {"time_zone": None, "document": None, "unsealed": None, "deleted_at": now}
            version = connection.execute(alive.values(**emptied, version=profiles.c.version + 1)).scalar_one_or_none()
            if version is None:
                raise UnknownRecipient("this recipient was deleted before")
            profile_history.forget(connection, [recipient_id])
            audit.write(connection, tenant, [_entry("profile.deleted", actor, recipient_id, version)])


@dataclass(frozen=True)
class _Change:
    """Who changes a profile, which version they saw, and why."""

    actor: str
    if_version: int | None
    reason: str | None


def put(
    connection: Connection,
    tenant: Tenant,
    recipient_id: str,
    profile: Profile,
    *,
    actor: str,
    reason: str | None,
    if_version: int | None = None,
) -> StoredProfile:
    """Replace or create a profile in a transaction that is under way; see ``Profiles.put``."""
    connection.execute(insert(profiles).values(_blank(tenant.tenant, recipient_id)).on_conflict_do_nothing())
    stored = _locked(connection, tenant, recipient_id)
    return _put(connection, tenant, recipient_id, (stored, profile), _Change(actor, if_version, reason))


def read(connection: Connection, tenant: Tenant, recipient_ids: Sequence[str]) -> dict[str, StoredProfile]:
    """Return the profiles there are, without those deleted or erased, with one reading of the keys."""
    # One parameter for all of them: a list of ten thousand would be ten thousand to write and to parse.
    asked = profiles.c.recipient_id == any_(literal(list(recipient_ids), ARRAY(Text)))
    query = select(profiles).where(asked, profiles.c.deleted_at.is_(None))
    return _opened(connection, tenant, connection.execute(query).all())


def _locked(connection: Connection, tenant: Tenant, recipient_id: str) -> StoredProfile:
    query = select(profiles).where(profiles.c.recipient_id == recipient_id, profiles.c.deleted_at.is_(None))
    stored = _opened(connection, tenant, connection.execute(query.with_for_update()).all()).get(recipient_id)
    if stored is None:
        raise UnknownRecipient("there is no profile of this recipient, or it was deleted")
    return stored


def _put(
    connection: Connection, tenant: Tenant, recipient_id: str, change: tuple[StoredProfile, Profile], by: _Change
) -> StoredProfile:
    stored, profile = change
    if by.if_version is not None and by.if_version != stored.version:
        raise VersionConflict(f"the profile is in version {stored.version}")
    if not stored.version or profile.attributes != stored.profile.attributes:
        check(attribute_schemas.KIND.read_shared(connection, tenant.tenant).document, profile.attributes)
    version = stored.version + 1
    sealed = subject_keys.of(connection).seal_many(
        connection, tenant, [(_place(recipient_id, version), _plain(profile))]
    )[0]
    if sealed is None:
        raise UnknownRecipient("this recipient was erased")
    values = {"version": version, "time_zone": _zone(profile), "document": sealed, "unsealed": None}
    here = profiles.update().where(profiles.c.recipient_id == recipient_id)
    connection.execute(here.values(**values, updated_at=func.clock_timestamp()))
    old = _document(stored.profile) if stored.version else None
    kept = {"tenant": tenant.tenant, "recipient_id": recipient_id, "actor": by.actor, "reason": by.reason}
    profile_history.keep(connection, [kept | {"version": version, "document": sealed}])
    entry = _entry("profile.written", by.actor, recipient_id, version)
    entry = entry.model_copy(update={"old": old, "new": _document(profile), "reason": by.reason})
    audit.write(connection, tenant, [entry])
    changes.announce(connection, tenant.tenant, ChangeKind.PROFILE, {recipient_id: version})
    return StoredProfile(version=version, profile=profile)


def _opened(connection: Connection, tenant: Tenant, rows: Iterable[Any]) -> dict[str, StoredProfile]:
    found = list(rows)
    sealed = [(_place(row.recipient_id, row.version), row.document) for row in found if row.document is not None]
    opened = subject_keys.of(connection).open_many(connection, tenant, sealed) if sealed else []
    plain = {place.recipient_id: each for (place, _), each in zip(sealed, opened, strict=True)}
    return {
        row.recipient_id: StoredProfile(version=row.version, profile=_profile(row, plain.get(row.recipient_id)))
        for row in found
        if row.document is None or plain[row.recipient_id] is not None
    }


def _profile(row: Any, plain: bytes | None) -> Profile:
    return Profile.model_validate_json(plain) if plain is not None else Profile.model_validate(row.unsealed or {})


def _place(recipient_id: str, version: int) -> Place:
    return Place(recipient_id, profiles.name, profiles.c.document.name, version)


def _plain(profile: Profile) -> bytes:
    return profile.model_dump_json(exclude_defaults=True).encode()


def _document(profile: Profile) -> dict[str, Any]:
    return profile.model_dump(mode="json", exclude_defaults=True)


def _zone(profile: Profile) -> str | None:
    return profile.time_zone.name if profile.time_zone else None


def _blank(tenant: str, recipient_id: str) -> dict[str, Any]:
    return {"tenant": tenant, "recipient_id": recipient_id, "version": 0}


def _created(recipient_id: str, profile: Profile, actor: str) -> AuditEntry:
    return _entry("profile.imported", actor, recipient_id, 1).model_copy(update={"new": _document(profile)})


def _entry(action: str, actor: str, recipient_id: str, version: int) -> AuditEntry:
    return AuditEntry(
        action=action, actor=actor, object="profile", recipient_id=recipient_id, detail={"version": version}
    )
