"""Situations: everything the gates look at besides the request, from one reading of the stores."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from adapters import legal_rule_files
from adapters.postgres.decisions import DecisionLog, Known
from adapters.postgres.versioned_documents import Published
from adapters.settings import Settings
from adapters.unsubscribe_links import UnsubscribeLinks
from domain import digest_types
from domain.business_rules import BusinessRules, Ruled, evaluate
from domain.decision_request import DecisionRequest
from domain.gates import Allowances, Situation
from domain.handover import Follows, Kind
from domain.legal.gate import LegalFacts
from domain.legal.places import place_of
from domain.message_types import MessageType, PublishedType
from domain.one_click import UnsubscribeGrant
from domain.profiles import Profile
from domain.quiet_hours import QuietHours
from domain.recipient_facts import of_profile
from domain.service_levels import LevelName
from domain.tenants import Tenant
from domain.values import Channel, MessageClass, Purpose
from domain.volume_prices import VolumePrices
from serving.local_hooks import PRE_DECISION, LocalHooks

Prices = Callable[[str], VolumePrices | None]
"""A tenant's prices of volume in memory, or None where nothing is paced; never waits."""


class UnknownType(LookupError):
    """The tenant has published no message type of this name."""


class Situations:
    """Makes situations for one installation."""

    def __init__(self, log_of: DecisionLog, settings: Settings, links: UnsubscribeLinks | None = None) -> None:
        self._links = links
        self._log = log_of
        self._last_seen: dict[tuple[str, str], PublishedType] = {}
        self.hooks: LocalHooks | None = None
        self.prices: Prices = lambda _tenant: None
        self._last_rules: dict[str, Published[BusinessRules]] = {}
        self._quiet = QuietHours(start=settings.quiet_hours_start, end=settings.quiet_hours_end)
        self._rules = legal_rule_files.load(settings.legal_rules)

    def known(
        self,
        tenant: Tenant,
        requests: Sequence[DecisionRequest],
        *,
        now: datetime,
        with_heads: bool = True,
        leaving_out: Sequence[str] = (),
    ) -> Known:
        """Return what PostgreSQL knows about some requests, as one reading; without heads it writes nothing.

        Reservations of the decisions named in ``leaving_out`` do not count.
        """
        recipients = [request.recipient_id for request in requests]
        types = [request.message.type for request in requests]
        levels = {LevelName(request.service_level) for request in requests if request.service_level is not None}
        known = self._log.known(
            tenant,
            recipients,
            types,
            now=now,
            complaint_days=self._rules.complaint_days,
            with_heads=with_heads,
            levels=levels,
            leaving_out=leaving_out,
        )
        self._last_seen |= {(tenant.tenant, name): published for name, published in known.types.items()}
        if known.types:
            self._last_rules[tenant.tenant] = known.rules
        return known

    def last_seen(self, tenant: Tenant, message_type: str) -> PublishedType | None:
        """Return a type as this process last read it, None when it never did; for when nobody can be asked."""
        return self._last_seen.get((tenant.tenant, message_type))

    def without_store(
        self, tenant: Tenant, request: DecisionRequest, definition: MessageType, now: datetime
    ) -> Situation:
        """Return what the gates look at while PostgreSQL is away: nothing is known of the recipient."""
        place = place_of(None, request.context.time_zone, tenant.zone)
        return Situation(
            definition=definition,
            allowances=Allowances(is_known=False),
            ruled=self._ruled_before(tenant, request, definition, now),
            profile=None,
            law=LegalFacts(rules=self._rules, place=place, complaint_share=None),
            quiet=self._quiet,
            now=now,
            unsubscribe_url=self.unsubscribe_url(tenant, request, definition, now),
            tenant_zone=tenant.zone,
        )

    def _ruled_before(self, tenant: Tenant, request: DecisionRequest, definition: MessageType, now: datetime) -> Ruled:
        """Return what the tenant's rules, as they were last read, leave of the options of somebody unknown."""
        rules = self._last_rules.get(tenant.tenant)
        if rules is None:
            return Ruled()
        facts = dict(request.context.facts(definition.external_features)) | {"campaign_id": request.campaign_id}
        return evaluate(rules.document, rules.version, definition, facts, now, may_personalize=False)

    def by_recipient(
        self, tenant: Tenant, recipient_ids: Sequence[str], message_type: str, *, now: datetime
    ) -> dict[str, Situation]:
        """Return what the gates would look at for a message with nothing but its type, at a moment, by recipient.

        They carry no way out, for nothing is rendered from them, and nothing of the contact budget.

        Raises:
            UnknownType: the tenant has published no message type of this name.
        """
        days = self._rules.complaint_days
        standing_for = self._log.survivors(tenant, recipient_ids)
        known = self._log.known(
            tenant, list(standing_for.values()), [message_type], now=now, complaint_days=days, with_spending=False
        )
        # Who has no profile is where the tenant is: one place for all of them.
        laws = self._law(tenant, None, None, known)
        definition = _published(known, message_type).definition
        return {
            recipient: Situation(
                definition=definition,
                allowances=known.allowances[standing_for[recipient]],
                profile=profile,
                law=laws if profile is None else self._law(tenant, profile, None, known),
                quiet=self._quiet,
                now=now,
            )
            for recipient in recipient_ids
            for profile in [_profile(known, standing_for[recipient])]
        }

    def of_request(self, tenant: Tenant, request: DecisionRequest, known: Known, now: datetime) -> Situation:
        """Return what the gates look at for a request.

        Raises:
            UnknownType: the tenant has published no message type of this name.
        """
        definition = _published(known, request.message.type).definition
        profile = _profile(known, request.recipient_id)
        allowed = known.allowances[request.recipient_id]
        return Situation(
            definition=definition,
            allowances=allowed,
            ruled=self._tightened(tenant, request, definition, _ruled(request, definition, known, allowed, now)),
            profile=profile,
            law=self._law(tenant, profile, request.context.time_zone, known),
            quiet=self._quiet,
            now=now,
            unsubscribe_url=self.unsubscribe_url(tenant, request, definition, now),
            tenant_zone=tenant.zone,
            prices=self.prices(tenant.tenant) if definition.message_class is MessageClass.MARKETING else None,
        )

    def _tightened(self, tenant: Tenant, request: DecisionRequest, definition: MessageType, ruled: Ruled) -> Ruled:
        """Return what hooks of this process leave of what the rules left."""
        if self.hooks is None or not self.hooks.has(PRE_DECISION):
            return ruled
        facts = {
            "tenant": tenant.tenant,
            "recipient_id": request.recipient_id,
            "message_type": definition.type,
            "message_class": definition.message_class.value,
            "campaign_id": request.campaign_id,
            "channels": [channel.value for channel in definition.channels],
        }
        return self.hooks.tightened(ruled, definition.channels, facts)

    def _law(self, tenant: Tenant, profile: Profile | None, told_zone: str | None, known: Known) -> LegalFacts:
        place = place_of(profile, told_zone, tenant.zone)
        return LegalFacts(rules=self._rules, place=place, complaint_share=known.complaint_share)

    def unsubscribe_url(
        self, tenant: Tenant, request: DecisionRequest, definition: MessageType, decided_at: datetime
    ) -> str:
        """Return the recipient's way out of marketing e-mail, the same for every repeat of a decision."""
        if self._links is None or definition.message_class is not MessageClass.MARKETING:
            return ""
        grant = UnsubscribeGrant(
            tenant=tenant.tenant,
            recipient_id=request.recipient_id,
            purpose=Purpose.MARKETING,
            channel=Channel.EMAIL,
            issued_at=decided_at,
        )
        return self._links.url(grant)


def as_followed(known: Known, request: DecisionRequest, follows: Follows | None) -> Known:
    """Return what is known with the type's digest in its place, where the decision is about a digest."""
    published = known.types.get(request.message.type)
    if follows is None or follows.kind is not Kind.DIGEST or published is None:
        return known
    definition = digest_types.followed(published.definition, follows)
    return replace(
        known, types={**known.types, definition.type: published.model_copy(update={"definition": definition})}
    )


def _ruled(
    request: DecisionRequest, definition: MessageType, known: Known, allowed: Allowances, now: datetime
) -> Ruled:
    """Return what the tenant's business rules leave of the request's options."""
    rules = known.rules.document
    if not rules.rules:
        return Ruled(version=known.rules.version)
    facts = of_profile(_profile(known, request.recipient_id)) | dict(known.asked_of.get(request.recipient_id, {}))
    facts |= request.context.facts(definition.external_features) | {"campaign_id": request.campaign_id}
    may_personalize = allowed.personalization_refusal(definition.channels, now) is None
    return evaluate(rules, known.rules.version, definition, facts, now, may_personalize=may_personalize)


def _published(known: Known, message_type: str) -> PublishedType:
    published = known.types.get(message_type)
    if published is None:
        raise UnknownType("no message type of this name is published")
    return published


def _profile(known: Known, recipient_id: str) -> Profile | None:
    stored = known.profiles.get(recipient_id)
    return stored.profile if stored is not None else None
