"""Learned defaults in PostgreSQL: reads what a choice of template stands on, and gives a new recipient what was chosen.

The recipient's profile and the members' behaviour are compared only where each of them consented to personalization.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection

from adapters.clock import Clock
from adapters.postgres import (
    allowances,
    audit,
    preference_templates,
    profiles,
    template_members,
    template_outcomes,
)
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.preference_templates import PublishedTemplate
from adapters.postgres.profiles import UnknownRecipient
from adapters.postgres.recipient_facts import RecipientFacts
from adapters.postgres.template_applications import TemplateApplications
from adapters.postgres.template_applying import Application
from domain.gates import Allowances
from domain.learned_defaults import Basis, Evidence, Member, choose
from domain.preference_templates import Membership
from domain.segments import holds, subjects
from domain.tenants import Tenant
from domain.values import Channel, Purpose


class LearnedDefaults:
    """Chooses templates for recipients."""

    def __init__(
        self, database: Database, facts: RecipientFacts, applications: TemplateApplications, clock: Clock
    ) -> None:
        self._database = database
        self._facts = facts
        self._applications = applications
        self._clock = clock

    def evidence(self, tenant: Tenant, recipient_id: str, *, actor: str) -> Evidence:
        """Return which template is chosen for a recipient and on what evidence; reading it is audited.

        Raises:
            UnknownRecipient: there is no profile of this recipient.
        """
        with self._database.tenant(tenant.tenant) as connection:
            found, _ = self._chosen(connection, tenant, recipient_id)
            entry = AuditEntry(action="preference_defaults.read", actor=actor, object="preference_defaults")
            audit.write(connection, tenant, [entry.model_copy(update={"recipient_id": recipient_id})])
        return found

    @contextmanager
    def beginning(self, tenant: Tenant, recipient_id: str) -> Iterator[None]:
        """Make what is done inside one transaction, that may end in ``give`` for a recipient who is new.

        A new recipient's head is locked first: whoever deletes them takes it before the profile, too.
        """
        with self._database.joined(tenant.tenant) as connection:
            if not profiles.read(connection, tenant, [recipient_id]):
                allowances.touch(connection, tenant.tenant, [recipient_id], kind=None)
            yield

    def give(self, tenant: Tenant, recipient_id: str, *, actor: str) -> Membership | None:
        """Apply the chosen template to a recipient without one; None when nothing is chosen or they have one already.

        Raises:
            UnknownRecipient: there is no profile of this recipient.
        """
        with self._database.tenant(tenant.tenant) as connection:
            found, published = self._chosen(connection, tenant, recipient_id)
            if published is None or template_members.read(connection, [recipient_id]):
                return None
            asked = Application(str(uuid.uuid4()), published, actor, self._clock.now(tenant))
            entry = AuditEntry(action="preference_defaults.applied", actor=actor, object="preference_defaults")
            named = {"recipient_id": recipient_id, "new": found.model_dump(mode="json")}
            audit.write(connection, tenant, [entry.model_copy(update=named)])
            return self._applications.apply_one(connection, tenant, recipient_id, asked)

    def _chosen(
        self, connection: Connection, tenant: Tenant, recipient_id: str
    ) -> tuple[Evidence, PublishedTemplate | None]:
        stored = profiles.read(connection, tenant, [recipient_id]).get(recipient_id)
        if stored is None:
            raise UnknownRecipient("there is no profile of this recipient")
        now = self._clock.now(tenant)
        allowed = allowances.read(connection, [recipient_id])[recipient_id]
        if allowed.personalization_refusal(Channel, now) is not None:
            return Evidence(basis=Basis.NO_CONSENT), None
        eligible = self._eligible(connection, tenant, {recipient_id: allowed}, now)
        versions = {name: each.version for name, each in eligible.items()}
        found = choose(stored.profile, self._members(connection, tenant, recipient_id, versions), versions)
        return found, eligible[found.chosen] if found.chosen is not None else None

    def _eligible(
        self, connection: Connection, tenant: Tenant, allowed: Mapping[str, Allowances], now: datetime
    ) -> dict[str, PublishedTemplate]:
        """Return the templates in force whose conditions are true of a recipient."""
        newest = preference_templates.newest_of(connection)
        asked = subjects(each.template.conditions for each in newest.values())
        [facts] = self._facts.read(connection, tenant, allowed, asked, now).values()
        return {name: each for name, each in newest.items() if holds(each.template.conditions, facts, now)}

    def _members(
        self, connection: Connection, tenant: Tenant, recipient_id: str, versions: dict[str, int]
    ) -> list[Member]:
        now = self._clock.now(tenant)
        outcomes = template_outcomes.read(connection, versions.items(), purpose=Purpose.PERSONALIZATION, now=now)
        sent = [each for each in outcomes if each.was_sent and each.recipient_id != recipient_id]
        known = profiles.read(connection, tenant, [each.recipient_id for each in sent]) if sent else {}
        return [
            Member(
                template_id=each.template_id,
                version=each.version,
                profile=known[each.recipient_id].profile,
                has_engaged=each.has_engaged,
                has_opted_out=each.has_opted_out,
            )
            for each in sent
            if each.recipient_id in known
        ]
