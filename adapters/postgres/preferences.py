"""Preferences in PostgreSQL: one row per recipient and scope, every version kept, effective when committed.

A change goes through the recipient's head like a consent does, so a decision under way is recorded before or sees it.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Text, cast, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres import allowances, audit, preference_policies, subject_keys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.preference_tables import preference as preferences
from adapters.postgres.preference_tables import preference_version
from adapters.postgres.subject_keys import Place
from domain import preferences as rules
from domain.changes import ChangeKind
from domain.preference_scopes import Scope
from domain.preferences import MAX_PREFERENCES, Finding, Preference, PreferenceValue
from domain.tenants import Tenant
from domain.values import Frozen, Moment


class UnknownPreference(LookupError):
    """The recipient has no such preference."""


class RecipientGone(LookupError):
    """The recipient was deleted or erased: nothing new is kept about them."""


class VersionConflict(RuntimeError):
    """The preference is not in the version the caller saw; version 0 stands for none."""


class NotAllowed(ValueError):
    """A preference cannot be stored; ``findings`` say what and what was expected."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{each.field} must be {each.expected}" for each in findings))


class StoredPreference(Frozen):
    """A preference in one of its versions."""

    preference_id: str
    version: int
    preference: Preference
    updated_at: Moment


class PreferenceVersion(Frozen):
    """One version a preference had; null once the recipient was erased."""

    version: int
    preference: Preference | None
    is_deleted: bool
    actor: str
    recorded_at: Moment


class Preferences:
    """Keeps what recipients chose."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self, tenant: Tenant, recipient_id: str, *, actor: str) -> list[StoredPreference]:
        """Return every preference of a recipient by id; reading them is audited."""
        with self._database.tenant(tenant.tenant) as connection:
            found = _stored(connection, tenant, recipient_id)
            audit.write(connection, tenant, [_entry("read", "*", actor, recipient_id)])
        return [found[name] for name in sorted(found)]

    def note_reading(self, tenant: Tenant, recipient_id: str, *, actor: str) -> None:
        """Audit that what a recipient prefers was told to somebody who did not read it here."""
        with self._database.tenant(tenant.tenant) as connection:
            audit.write(connection, tenant, [_entry("read", "resolved", actor, recipient_id)])

    def get(self, tenant: Tenant, recipient_id: str, preference_id: str, *, actor: str) -> StoredPreference:
        """Return one preference; reading it is audited.

        Raises:
            UnknownPreference: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            found = _stored(connection, tenant, recipient_id).get(preference_id)
            if found is None:
                raise UnknownPreference("there is no such preference")
            audit.write(connection, tenant, [_entry("read", preference_id, actor, recipient_id)])
        return found

    def put(
        self, tenant: Tenant, recipient_id: str, preference: Preference, *, actor: str, if_version: int | None = None
    ) -> StoredPreference:
        """Store a preference for its scope, in place of the one there is.

        Args:
            tenant: whose recipient.
            recipient_id: whose preference.
            preference: the whole of it.
            actor: who says so.
            if_version: the version the caller saw, 0 for none; None replaces whatever is there.

        Raises:
            VersionConflict: another version is stored.
            NotAllowed: the settings do not fit the tenant's schema, or there are too many preferences.
            RecipientGone: the recipient was deleted.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return put(connection, tenant, recipient_id, preference, actor=actor, if_version=if_version)

    def delete(
        self,
        tenant: Tenant,
        recipient_id: str,
        preference_id: str,
        *,
        actor: str,
        now: datetime,
        if_version: int | None = None,
    ) -> None:
        """Delete a preference; its versions stay.

        Raises:
            UnknownPreference: there is none.
            VersionConflict: another version is stored.
        """
        with self._database.tenant(tenant.tenant) as connection:
            delete(connection, tenant, recipient_id, preference_id, made=(now, actor), if_version=if_version)

    def history(self, tenant: Tenant, recipient_id: str, preference_id: str, *, actor: str) -> list[PreferenceVersion]:
        """Return every version a preference had, oldest first; reading them is audited.

        Raises:
            UnknownPreference: there never was one.
        """
        mine = (preference_version.c.recipient_id == recipient_id) & (
            preference_version.c.preference_id == preference_id
        )
        query = select(preference_version).where(mine).order_by(preference_version.c.version)
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query).all()
            if not rows:
                raise UnknownPreference("there never was such a preference")
            places = [(_kept_place(recipient_id, preference_id, row.version), bytes(row.sealed)) for row in rows]
            opened = subject_keys.of(connection).open_many(connection, tenant, places)
            audit.write(connection, tenant, [_entry("read", preference_id, actor, recipient_id)])
        return [
            PreferenceVersion(
                version=row.version,
                preference=Preference.model_validate_json(plain) if plain is not None else None,
                is_deleted=row.is_deleted,
                actor=row.actor,
                recorded_at=row.recorded_at,
            )
            for row, plain in zip(rows, opened, strict=True)
        ]


def put(
    connection: Connection,
    tenant: Tenant,
    recipient_id: str,
    preference: Preference,
    *,
    actor: str,
    if_version: int | None = None,
) -> StoredPreference:
    """Store a preference in a transaction that is under way; see ``Preferences.put``."""
    allowances.touch(connection, tenant.tenant, [recipient_id], kind=ChangeKind.PREFERENCE)
    if allowances.read(connection, [recipient_id])[recipient_id].is_deleted:
        raise RecipientGone("this recipient was deleted")
    _require_allowed(connection, preference)
    preference_id = preference.preference_id
    present = _stored(connection, tenant, recipient_id)
    before = present.get(preference_id)
    _require(if_version, before.version if before else 0)
    if before is None and len(present) >= MAX_PREFERENCES:
        raise NotAllowed([Finding(field="scope", expected=f"one of at most {MAX_PREFERENCES} preferences")])
    version = _last_version(connection, recipient_id, preference_id) + 1
    row = _row(connection, tenant, recipient_id, preference, version)
    statement = upsert(preferences).values(row)
    changed = {name: statement.excluded[name] for name in ("version", "document", "sealed", "deleted_at")}
    keys = ["tenant", "recipient_id", "preference_id"]
    set_ = changed | {"updated_at": func.clock_timestamp()}
    returned = statement.on_conflict_do_update(index_elements=keys, set_=set_).returning(preferences.c.updated_at)
    updated_at = connection.execute(returned).scalar_one()
    _keep(connection, tenant, recipient_id, preference, (version, actor), is_deleted=False)
    old = _document(before.preference) if before else None
    entry = _entry("written", preference_id, actor, recipient_id)
    audit.write(connection, tenant, [entry.model_copy(update={"old": old, "new": _document(preference)})])
    return StoredPreference(preference_id=preference_id, version=version, preference=preference, updated_at=updated_at)


def delete(
    connection: Connection,
    tenant: Tenant,
    recipient_id: str,
    preference_id: str,
    *,
    made: tuple[datetime, str],
    if_version: int | None = None,
) -> int:
    """Delete a preference in a transaction that is under way, and return its new version; see ``Preferences.delete``.

    Args:
        connection: the transaction.
        tenant: whose recipient.
        recipient_id: whose preference.
        preference_id: which one.
        made: when by the tenant's clock, and by whom.
        if_version: the version the caller saw.
    """
    now, actor = made
    allowances.touch(connection, tenant.tenant, [recipient_id], kind=ChangeKind.PREFERENCE)
    present = _stored(connection, tenant, recipient_id).get(preference_id)
    if present is None:
        raise UnknownPreference("there is no such preference")
    _require(if_version, present.version)
    version = present.version + 1
    here = (preferences.c.recipient_id == recipient_id) & (preferences.c.preference_id == preference_id)
    gone = {"version": version, "document": {}, "sealed": None, "deleted_at": now}
    connection.execute(preferences.update().where(here).values(**gone, updated_at=func.clock_timestamp()))
    _keep(connection, tenant, recipient_id, present.preference, (version, actor), is_deleted=True)
    entry = _entry("deleted", preference_id, actor, recipient_id)
    audit.write(connection, tenant, [entry.model_copy(update={"old": _document(present.preference)})])
    return version


def stored(connection: Connection, tenant: Tenant, recipient_id: str) -> dict[str, StoredPreference]:
    """Return every preference of a recipient by id; whoever shows it to somebody has that audited."""
    return _stored(connection, tenant, recipient_id)


def deleted(connection: Connection, recipient_id: str) -> dict[str, tuple[int, datetime]]:
    """Return the version and moment of the deletion of each preference that was deleted."""
    here = (preferences.c.recipient_id == recipient_id) & preferences.c.deleted_at.is_not(None)
    query = select(preferences.c.preference_id, preferences.c.version, preferences.c.updated_at).where(here)
    return {row.preference_id: (row.version, row.updated_at) for row in connection.execute(query)}


Row = tuple[str, str, int, str, bytes | None]
"""A stored preference: recipient id, preference id, version, document as JSON text, sealed part."""


def opened(connection: Connection, tenant: Tenant, rows: Sequence[Row]) -> list[Preference | None]:
    """Return preferences from their rows, with one reading of the keys.

    Args:
        connection: a transaction of the tenant.
        tenant: whose.
        rows: as they are stored.

    Returns:
        In the same order; None where the recipient was erased.
    """
    sealed = [(_place(who, name, version), part) for who, name, version, _, part in rows if part is not None]
    plain = iter(subject_keys.of(connection).open_many(connection, tenant, sealed) if sealed else [])
    return [_whole(document, part, next(plain) if part is not None else None) for *_, document, part in rows]


def _whole(document: str, sealed: bytes | None, plain: bytes | None) -> Preference | None:
    if sealed is None:
        return Preference.model_validate_json(document)
    if plain is None:
        return None
    hidden, whole = json.loads(plain), json.loads(document)
    whole["scope"] |= {"context": hidden["context"]}
    whole["value"] |= {"settings": hidden["settings"]}
    return Preference.model_validate(whole)


@lru_cache(maxsize=16_384)
def put_together(scope: str, value: str, rest: str) -> Preference:
    """Return a preference nothing of which is sealed, from the JSON text of its parts; each part is checked once.

    What many recipients say alike they share: a preference and its parts are immutable and name nobody.
    """
    return Preference(scope=_scope(scope), value=_value(value), **json.loads(rest))


_scope = lru_cache(maxsize=4_096)(Scope.model_validate_json)
_value = lru_cache(maxsize=4_096)(PreferenceValue.model_validate_json)


def _stored(connection: Connection, tenant: Tenant, recipient_id: str) -> dict[str, StoredPreference]:
    here = (preferences.c.recipient_id == recipient_id) & preferences.c.deleted_at.is_(None)
    text = cast(preferences.c.document, Text).label("text")
    rows = connection.execute(select(preferences, text).where(here)).all()
    given = [(r.recipient_id, r.preference_id, r.version, r.text, r.sealed and bytes(r.sealed)) for r in rows]
    return {
        row.preference_id: StoredPreference(
            preference_id=row.preference_id, version=row.version, preference=preference, updated_at=row.updated_at
        )
        for row, preference in zip(rows, opened(connection, tenant, given), strict=True)
        if preference is not None
    }


def _last_version(connection: Connection, recipient_id: str, preference_id: str) -> int:
    here = (preferences.c.recipient_id == recipient_id) & (preferences.c.preference_id == preference_id)
    return connection.execute(select(preferences.c.version).where(here)).scalar_one_or_none() or 0


def refusals(connection: Connection, preference: Preference) -> list[Finding]:
    """Return what keeps a preference from being stored under the tenant's policy."""
    policy = preference_policies.KIND.read(connection).document
    return rules.problems([preference], policy.settings_schema)


def _require_allowed(connection: Connection, preference: Preference) -> None:
    if found := refusals(connection, preference):
        # One preference has no positions to name.
        raise NotAllowed([each.model_copy(update={"field": each.field.removeprefix("0.")}) for each in found])


def _require(if_version: int | None, present: int) -> None:
    if if_version is not None and if_version != present:
        raise VersionConflict(f"the preference is in version {present}")


def _row(
    connection: Connection, tenant: Tenant, recipient_id: str, preference: Preference, version: int
) -> dict[str, Any]:
    hidden = {"context": preference.scope.model_dump(mode="json")["context"], "settings": preference.value.settings}
    sealed = None
    if hidden["context"] or hidden["settings"] is not None:
        place = _place(recipient_id, preference.preference_id, version)
        plain = json.dumps(hidden, allow_nan=False).encode()
        sealed = subject_keys.of(connection).seal_many(connection, tenant, [(place, plain)])[0]
        if sealed is None:
            raise RecipientGone("this recipient was erased")
    document = preference.model_dump(mode="json", exclude={"scope": {"context"}, "value": {"settings"}})
    return {
        "tenant": tenant.tenant,
        "recipient_id": recipient_id,
        "preference_id": preference.preference_id,
        "version": version,
        "document": document,
        "sealed": sealed,
        "deleted_at": None,
    }


def _keep(
    connection: Connection,
    tenant: Tenant,
    recipient_id: str,
    preference: Preference,
    made: tuple[int, str],
    *,
    is_deleted: bool,
) -> None:
    version, actor = made
    place = _kept_place(recipient_id, preference.preference_id, version)
    plain = preference.model_dump_json().encode()
    sealed = subject_keys.of(connection).seal_many(connection, tenant, [(place, plain)])[0]
    if sealed is None:
        raise RecipientGone("this recipient was erased")
    row = {"tenant": tenant.tenant, "recipient_id": recipient_id, "preference_id": preference.preference_id}
    values = row | {"version": version, "sealed": sealed, "is_deleted": is_deleted, "actor": actor}
    connection.execute(insert(preference_version).values(values))


def _place(recipient_id: str, preference_id: str, version: int) -> Place:
    return Place(recipient_id, "preference", "sealed", f"{preference_id}|{version}")


def _kept_place(recipient_id: str, preference_id: str, version: int) -> Place:
    return Place(recipient_id, "preference_version", "sealed", f"{preference_id}|{version}")


def _document(preference: Preference) -> dict[str, Any]:
    return preference.model_dump(mode="json")


def _entry(done: str, preference_id: str, actor: str, recipient_id: str) -> AuditEntry:
    return AuditEntry(
        action=f"preference.{done}", actor=actor, object=f"preference:{preference_id}", recipient_id=recipient_id
    )
