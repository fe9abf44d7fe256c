"""Rectification (GDPR Art. 16): facts of a profile and addresses corrected together, with the reason, history kept."""

from collections.abc import Mapping
from datetime import datetime

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.profiles import Profiles, StoredProfile
from adapters.postgres.suppressed_addresses import SuppressedAddresses
from domain.profiles import Profile, ProfilePatch
from domain.tenants import Tenant
from domain.values import Channel, Frozen


class Rectified(Frozen):
    """What holds after a correction; no profile when only addresses were corrected and there is none."""

    profile: StoredProfile | None
    addresses: tuple[Channel, ...]
    rectified_at: datetime


class Rectifications:
    """Corrects what is known."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._profiles = Profiles(database)
        self._addresses = SuppressedAddresses(database)

    def correct(
        self,
        tenant: Tenant,
        recipient_id: str,
        facts: ProfilePatch | None,
        addresses: Mapping[Channel, str],
        *,
        reason: str,
        actor: str,
        now: datetime,
    ) -> Rectified:
        """Correct facts and addresses, all or nothing; a time zone the person corrects overrules a stronger source.

        Raises:
            UnknownRecipient: the recipient was deleted, or facts are to be corrected and there is no profile.
            BadAddress: one is no address of its channel.
            ValueError: the result would not be a profile.
            AttributesRefused: the attributes are not as the tenant's schema says.
        """
        entry = AuditEntry(
            action="recipient.rectified",
            actor=actor,
            object="recipient",
            recipient_id=recipient_id,
            reason=reason,
            detail={
                "facts": sorted(facts.model_fields_set) if facts is not None else [],
                "addresses": sorted(each.value for each in addresses),
            },
            context={"law": "GDPR Art. 16"},
        )
        with self._database.joined(tenant.tenant) as connection:
            stored = self._facts(tenant, recipient_id, facts, reason=reason, actor=actor)
            for channel, address in sorted(addresses.items()):
                self._addresses.set_address(tenant, recipient_id, channel, address, actor=actor)
            audit.write(connection, tenant, [entry])
        return Rectified(profile=stored, addresses=tuple(sorted(addresses)), rectified_at=now)

    def _facts(
        self, tenant: Tenant, recipient_id: str, facts: ProfilePatch | None, *, reason: str, actor: str
    ) -> StoredProfile | None:
        if facts is None:
            return None
        present = self._profiles.get(tenant, recipient_id, actor=actor)
        corrected = facts.applied_to(present.profile)
        if "time_zone" in facts.model_fields_set:
            corrected = Profile.model_validate(corrected.model_copy(update={"time_zone": facts.time_zone}).model_dump())
        return self._profiles.put(
            tenant, recipient_id, corrected, actor=actor, if_version=present.version, reason=reason
        )
