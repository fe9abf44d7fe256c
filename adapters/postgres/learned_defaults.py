"""Learned defaults in PostgreSQL: reads what a choice of template stands on, and gives a new recipient what was chosen.

The recipient's profile and the members' behaviour are compared only where each of them consented to personalization.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

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
from adapters.postgres.member_tables import MemberTables
from adapters.postgres.preference_templates import PublishedTemplate
from adapters.postgres.profiles import UnknownRecipient
from adapters.postgres.recipient_facts import RecipientFacts
from adapters.postgres.template_applications import TemplateApplications
from adapters.postgres.template_applying import Application
from domain.gates import Allowances
from domain.learned_defaults import MIN_MEMBERS, Basis, Evidence, Member, choose, comparable
from domain.preference_templates import Membership
from domain.segments import holds, subjects
from domain.tenants import Tenant
from domain.values import Channel, Purpose

MOST_MEMBERS = 1_000
"""Members of all templates together that one choice stands on, shared out among those in force."""
LEAST_SHARE = 2 * MIN_MEMBERS
"""Fewest members of a template that are read: of fewer, not enough would be similar."""
_Read = Callable[[str, int, int], Iterable[Member]]
"""Reads members of a template in a version, at most so many."""


class LearnedDefaults:
    """Chooses templates for recipients."""

    def __init__(
        self, database: Database, facts: RecipientFacts, applications: TemplateApplications, clock: Clock
    ) -> None:
        self._database = database
        self._facts = facts
        self._applications = applications
        self._clock = clock
        self._tables = MemberTables()

    def evidence(self, tenant: Tenant, recipient_id: str, *, actor: str) -> Evidence:
        """Return which template is chosen for a recipient and on what evidence; reading it is audited.

        Raises:
            UnknownRecipient: there is no profile of this recipient.
        """
        with self._database.tenant(tenant.tenant) as connection:
            found, _ = self._chosen(
                connection,
                tenant,
                recipient_id,
                lambda *version: self._members(connection, tenant, *version, besides=recipient_id),
            )
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

        Who has none is among nobody's members, so members that were read for another recipient serve here too.

        Raises:
            UnknownRecipient: there is no profile of this recipient.
            Busy: it took too long; nothing of it stands, and what it is a part of may go on.
        """
        with self._database.tenant(tenant.tenant) as connection:
            if template_members.read(connection, [recipient_id]):
                return None
            found, published = self._chosen(
                connection,
                tenant,
                recipient_id,
                lambda name, version, most: self._tables.of(
                    (tenant.tenant, name, version),
                    lambda: self._members(connection, tenant, name, version, most),
                ),
            )
            if published is None:
                return None
            asked = Application(str(uuid.uuid4()), published, actor, self._clock.now(tenant))
            entry = AuditEntry(action="preference_defaults.applied", actor=actor, object="preference_defaults")
            named = {"recipient_id": recipient_id, "new": found.model_dump(mode="json")}
            audit.write(connection, tenant, [entry.model_copy(update=named)])
            return self._applications.apply_one(connection, tenant, recipient_id, asked)

    def _chosen(
        self, connection: Connection, tenant: Tenant, recipient_id: str, read: _Read
    ) -> tuple[Evidence, PublishedTemplate | None]:
        stored = profiles.read(connection, tenant, [recipient_id]).get(recipient_id)
        if stored is None:
            raise UnknownRecipient("there is no profile of this recipient")
        now = self._clock.now(tenant)
        allowed = allowances.read(connection, [recipient_id])[recipient_id]
        if allowed.personalization_refusal(Channel, now) is not None:
            return Evidence(basis=Basis.NO_CONSENT), None
        newest = preference_templates.newest_of(connection)
        eligible = self._eligible(connection, tenant, {recipient_id: allowed}, newest)
        versions = {name: each.version for name, each in eligible.items()}
        most = max(LEAST_SHARE, MOST_MEMBERS // max(1, len(newest)))
        asked = sorted(versions.items())[: MOST_MEMBERS // most]
        members = [each for name, version in asked for each in read(name, version, most)]
        found = choose(stored.profile, members, versions)
        return found, eligible[found.chosen] if found.chosen is not None else None

    def _eligible(
        self,
        connection: Connection,
        tenant: Tenant,
        allowed: Mapping[str, Allowances],
        newest: Mapping[str, PublishedTemplate],
    ) -> dict[str, PublishedTemplate]:
        """Return the templates in force whose conditions are true of a recipient."""
        now = self._clock.now(tenant)
        asked = subjects(each.template.conditions for each in newest.values())
        [facts] = self._facts.read(connection, tenant, allowed, asked, now).values()
        return {name: each for name, each in newest.items() if holds(each.template.conditions, facts, now)}

    def _members(
        self,
        connection: Connection,
        tenant: Tenant,
        name: str,
        version: int,
        most: int,
        *,
        besides: str | None = None,
    ) -> list[Member]:
        """Return members of a template who were sent something, by what is compared of them; none is named."""
        now = self._clock.now(tenant)
        outcomes = template_outcomes.read(
            connection, [(name, version)], purpose=Purpose.PERSONALIZATION, now=now, most=most
        )
        sent = [each for each in outcomes if each.was_sent and each.recipient_id != besides]
        known = profiles.read(connection, tenant, [each.recipient_id for each in sent]) if sent else {}
        return [
            Member(
                template_id=each.template_id,
                version=each.version,
                profile=comparable(known[each.recipient_id].profile),
                has_engaged=each.has_engaged,
                has_opted_out=each.has_opted_out,
            )
            for each in sent
            if each.recipient_id in known
        ]
