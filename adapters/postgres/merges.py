"""Merging two ids of one person in PostgreSQL: of everything the stricter, in one transaction that holds both heads.

The other id then is an alias, in the very row that every change and every decision locks, so whoever resolved it before
learns of the merge before anything is written (``allowances.Moved``).
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from adapters.postgres import (
    allowances,
    audit,
    changes,
    consent,
    consent_proofs,
    contacts,
    merged_rows,
    preferences,
    profiles,
)
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tables import consent_record, consent_state
from domain import merged_consents, merged_preferences, merged_profiles
from domain.changes import ChangeKind
from domain.consent import ConsentChange, ConsentState
from domain.gates import Allowances
from domain.identity import subject_key
from domain.preferences import Preference
from domain.tenants import Tenant
from domain.values import Frozen

SOURCE = "merge"


class SameRecipient(ValueError):
    """Both ids are the same, or stand for the same recipient already."""


class IsAlias(RuntimeError):
    """One of the ids was merged into another recipient before."""


class CannotMerge(RuntimeError):
    """One of the recipients was deleted or erased: nothing new is kept about them, and nothing of them is moved."""


class Merged(Frozen):
    """What a merge changed for the recipient who stays."""

    recipient_id: str
    alias: str
    consents: int
    preferences: int
    moved: dict[str, int]


class Merges:
    """Merges recipients, and tells who stands for whom."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def survivor(self, tenant: str, recipient_id: str) -> str:
        """Return who stands for a recipient: themselves, or whom they were merged into."""
        with self._database.tenant(tenant) as connection:
            return allowances.survivor(connection, recipient_id)

    def merge(self, tenant: Tenant, recipient_id: str, other: str, *, reason: str, actor: str, now: datetime) -> Merged:
        """Make ``other`` an alias of ``recipient_id``, who gets the stricter of everything both said.

        Args:
            tenant: whose recipients.
            recipient_id: who stays.
            other: who is the same person; whoever was merged into them before is an alias of who stays, too.
            reason: why they are one person; audited under both.
            actor: who says so.
            now: the tenant's clock.

        Raises:
            SameRecipient: there is nothing to merge.
            IsAlias: one of them is an alias.
            CannotMerge: one of them was deleted or erased.
            NotAllowed: together they have more preferences than one recipient may.
            Unavailable: PostgreSQL could not commit; nothing was merged.
        """
        if recipient_id == other:
            raise SameRecipient("both ids are the same")
        with self._database.tenant(tenant.tenant) as connection:
            # In this order everywhere: who decides about somebody comes first, then the heads.
            contacts.one_after_the_other(connection, tenant, [recipient_id, other])
            held = allowances.hold(connection, tenant.tenant, [recipient_id, other])
            _require_own(recipient_id, other, {who: merged_into for who, (_, merged_into) in held.items()})
            known = allowances.read(connection, [recipient_id, other])
            if any(each.is_deleted for each in known.values()):
                raise CannotMerge("one of the recipients was deleted")
            done = _Merge(connection, tenant, recipient_id, other, actor, now).all(known)
            versions = {who: version for who, (version, _) in held.items()}
            changes.announce(connection, tenant.tenant, ChangeKind.ALLOWANCES, versions)
            audit.write(connection, tenant, _entries(tenant, done, actor, reason))
        return done


def _require_own(recipient_id: str, other: str, merged_into: Mapping[str, str | None]) -> None:
    if merged_into[other] == recipient_id or merged_into[recipient_id] == other:
        raise SameRecipient("they were merged before")
    if any(merged_into.values()):
        raise IsAlias("one of them was merged into another recipient")


class _Merge:
    """One merge under way, under the lock of both heads."""

    def __init__(
        self, connection: Connection, tenant: Tenant, stays: str, other: str, actor: str, now: datetime
    ) -> None:
        self._connection, self._tenant = connection, tenant
        self._stays, self._other = stays, other
        self._actor, self._now = actor, now

    def all(self, known: Mapping[str, Allowances]) -> Merged:
        consents = self._consents(known[self._stays].consents, known[self._other].consents)
        chosen = self._preferences()
        self._profile()
        moved = merged_rows.move(self._connection, self._tenant, self._other, self._stays)
        # Last: until here both are recipients of their own, and what changes goes through their heads.
        allowances.merge_heads(self._connection, self._other, self._stays)
        return Merged(recipient_id=self._stays, alias=self._other, consents=consents, preferences=chosen, moved=moved)

    def _consents(self, ours: tuple[ConsentState, ...], theirs: tuple[ConsentState, ...]) -> int:
        """Record what changes for who stays, each with the record of the other it came from, and its proof."""
        wanted = [each for each in merged_consents.merged(ours, theirs, now=self._now) if each not in ours]
        records = self._records() if wanted else {}
        said = [self._said(each, records) for each in wanted]
        found = {self._stays: said}
        consent.apply(self._connection, self._tenant, found, actor=self._actor, now=self._now)
        return len(said)

    def _said(self, state: ConsentState, records: Mapping[tuple[str, str], dict[str, object]]) -> ConsentChange:
        record = records.get((state.purpose.value, state.channel)) or records.get((state.purpose.value, "*")) or {}
        fields = state.model_dump() | {"source": SOURCE}
        if state.status.is_denial and state.effective_at >= self._now:
            # Against everything that was said until now, by whatever clock.
            fields["effective_at"] = None
        return ConsentChange.model_validate(fields | record)

    def _records(self) -> dict[tuple[str, str], dict[str, object]]:
        """Return what proves each standing consent of the other, by purpose and channel."""
        standing = select(consent_state.c.record_id).where(consent_state.c.recipient_id == self._other)
        rows = self._connection.execute(
            select(consent_record).where(consent_record.c.record_id.in_(standing))
        ).mappings().all()  # fmt: skip
        proofs = consent_proofs.opened(self._connection, self._tenant, rows)
        return {
            (row["purpose"], row["channel"]): {
                "legal_basis": row["legal_basis"],
                "text_version": row["text_version"],
                "proof": {"record_id": row["record_id"], "source": row["source"], "proof": proof},
            }
            for row, proof in zip(rows, proofs, strict=True)
        }

    def _preferences(self) -> int:
        ours = {
            name: each.preference
            for name, each in preferences.stored(self._connection, self._tenant, self._stays).items()
        }
        theirs = preferences.stored(self._connection, self._tenant, self._other)
        wanted = merged_preferences.merged(
            list(ours.values()), [each.preference for each in theirs.values()], now=self._now
        )
        changed = {name: each for name, each in wanted.items() if each != ours.get(name)}
        # What denies first, and what goes before what comes: there may be room for so many only.
        for name in [name for name, each in changed.items() if each is None and name in ours]:
            preferences.delete(self._connection, self._tenant, self._stays, name, made=(self._now, self._actor))
        for each in changed.values():
            if each is not None:
                self._put(each)
        return len(changed)

    def _put(self, preference: Preference) -> None:
        found = preferences.refusals(self._connection, preference)
        if found and any(getattr(preference.value, name) is not None for name in ("enabled", "frequency", "windows")):
            # Settings from before the tenant's schema changed are not worth a denial.
            value = preference.value.model_copy(update={"settings": None})
            preference = preference.model_copy(update={"value": value})
        elif found:
            return
        preferences.put(self._connection, self._tenant, self._stays, preference, actor=self._actor)

    def _profile(self) -> None:
        known = profiles.read(self._connection, self._tenant, [self._stays, self._other])
        theirs = known.get(self._other)
        if theirs is None:
            return
        ours = known.get(self._stays)
        wanted = merged_profiles.merged(ours.profile, theirs.profile) if ours is not None else theirs.profile
        if ours is None or wanted != ours.profile:
            profiles.put(self._connection, self._tenant, self._stays, wanted, actor=self._actor, reason=SOURCE)


def _entries(tenant: Tenant, done: Merged, actor: str, reason: str) -> list[AuditEntry]:
    secret = tenant.subject_secret
    keys = {"recipient": subject_key(secret, done.recipient_id), "alias": subject_key(secret, done.alias)}
    detail = keys | done.model_dump(include={"consents", "preferences", "moved"})
    return [
        AuditEntry(action=action, actor=actor, object="recipient", recipient_id=who, detail=detail, reason=reason)
        for action, who in (("recipient.merged", done.recipient_id), ("recipient.became_alias", done.alias))
    ]
