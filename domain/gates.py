"""The gates: which channels a message may take to a recipient now, by the row of its class.

Each gate has one shape, ``refusal(...) -> Reason | None``; the first that refuses names the reason. Nothing a
request says can open a gate, it can only close more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import Field

from domain import (
    consent,
    contact_budget,
    pauses,
    preference_gate,
    profiles,
    quiet_hours,
    suppression,
    switches,
    timing,
)
from domain.business_rules import Ruled
from domain.consent import ConsentState
from domain.contact_budget import Contact, ContactBudget, Spent
from domain.decision_request import DecisionRequest, Message
from domain.legal import gate as law
from domain.legal import tracking
from domain.legal.gate import Closing, LegalFacts
from domain.legal.tracking import OpenTracking
from domain.message_types import MessageType
from domain.preference_gate import Choices, Held
from domain.preference_resolution import Asked
from domain.preference_scopes import Context, ContextDimension, times
from domain.profiles import Profile
from domain.quiet_hours import QuietHours
from domain.suppression import Suppression
from domain.switches import ChannelSwitch
from domain.values import Channel, Frozen, MessageClass, Purpose, Reason
from domain.volume_prices import VolumePrices


@dataclass(frozen=True)
class Allowances:
    """What a recipient allows and the sender allows itself, as one reading; ``version`` counts the former's changes.

    ``paused`` is what operators stopped, for every recipient alike: channels, or ``*`` for all of them.
    """

    version: int = 0
    consents: tuple[ConsentState, ...] = ()
    switches: tuple[ChannelSwitch, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    is_deleted: bool = False
    paused: frozenset[str] = frozenset()
    choices: Choices = field(default_factory=Choices)
    budget: ContactBudget = field(default_factory=ContactBudget)
    spent: Spent = field(default_factory=Spent)
    is_known: bool = True
    """False while nobody can say what the recipient allows."""

    def with_choices(self, choices: Choices) -> "Allowances":
        """Return the same together with what was chosen."""
        return Allowances(
            version=self.version,
            consents=self.consents,
            switches=self.switches,
            suppressions=self.suppressions,
            is_deleted=self.is_deleted,
            paused=self.paused,
            choices=choices,
            budget=self.budget,
            spent=self.spent,
            is_known=self.is_known,
        )

    def personalization_refusal(self, channels: Iterable[Channel], now: datetime) -> Reason | None:
        """Return why features may not be read and scored for one of the channels, or None when they may for all."""
        if (objected := suppression.profiling_refusal(self.suppressions)) is not None:
            return objected
        purpose = Purpose.PERSONALIZATION
        reasons = (consent.refusal(self.consents, purpose=purpose, channel=each, now=now) for each in channels)
        return next((reason for reason in reasons if reason is not None), None)


@dataclass(frozen=True)
class Situation:
    """Everything the gates look at besides the request."""

    definition: MessageType
    allowances: Allowances
    profile: Profile | None
    law: LegalFacts
    quiet: QuietHours
    now: datetime
    unsubscribe_url: str = ""
    ruled: Ruled = field(default_factory=Ruled)
    tenant_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    prices: VolumePrices | None = None
    """What volume costs; None where nothing is paced, as for all that is owed. No gate looks at it."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone the recipient is most likely in."""
        return self.law.place.zone

    @property
    def minds_quiet_hours(self) -> bool:
        """True when the message waits for the end of quiet hours."""
        return self.definition.message_class is not MessageClass.TRANSACTIONAL and not self.definition.is_emergency


def open_tracking(situation: Situation, channel: Channel) -> OpenTracking:
    """Return whether it may be tracked that a message of the situation is opened on a channel."""
    law_of = situation.law
    message_class = situation.definition.message_class
    rule = tracking.demanding(law_of.rules, law_of.place.countries, message_class=message_class, channel=channel)
    return tracking.verdict(rule, situation.allowances.consents, channel=channel, now=situation.now)


def may_use_opens(situation: Situation) -> bool:
    """Return whether what is known of messages the recipient opened may be used: e-mail's rules hold for all of it."""
    return open_tracking(situation, Channel.EMAIL).is_allowed


class Refusal(Frozen):
    """Why one channel is out."""

    channel: Channel
    reason: Reason
    rule: str | None = Field(default=None, description="The preference or business rule that made it, where one did.")


@dataclass(frozen=True)
class Screened:
    """The channels left and the reason for each that is not, in the order of the type."""

    permitted: tuple[Channel, ...]
    refusals: tuple[Refusal, ...]


def screen(request: DecisionRequest, situation: Situation) -> Screened:
    """Return which of the type's channels the message may take now."""
    permitted, refusals = [], []
    for channel in situation.definition.channels:
        found = _held(request, situation, channel)
        if found is None:
            permitted.append(channel)
        else:
            refusals.append(Refusal(channel=channel, reason=found.reason, rule=found.rule or None))
    offered = set(situation.definition.channels)
    refusals += [
        Refusal(channel=channel, reason=Reason.CHANNEL_NOT_OFFERED)
        for channel in request.channels or ()
        if channel not in offered
    ]
    return Screened(tuple(permitted), tuple(refusals))


def next_opening(situation: Situation, channel: Channel) -> datetime | None:
    """Return when neither the law nor quiet hours close the channel, UTC, now included; None when that never comes."""
    message_class = situation.definition.message_class
    closed = law.closings(situation.law, message_class=message_class, channel=channel)
    return law.next_opening([*closed, *_quiet_closings(situation)], now=situation.now)


def _quiet_closings(situation: Situation) -> list[Closing]:
    """Return quiet hours on every clock that may be the recipient's."""
    zones = situation.law.place.zones if situation.minds_quiet_hours else ()
    return [(situation.quiet, zone) for zone in zones]


def opening(request: DecisionRequest, situation: Situation, channel: Channel) -> datetime | None:
    """Return the first moment, UTC, at which no gate holds the message back on a channel, or None when none is known.

    The request's expiry is left out: whether that moment comes too late is another question.
    """
    timeless = timing.without_deadline(request)
    at = situation.now
    for _ in range(_MOST_STEPS):
        found = _held(timeless, replace(situation, now=at), channel)
        if found is None:
            return at
        if found.opens_at is None or found.opens_at <= at:
            return None
        at = found.opens_at
    return None


def situation_at(situation: Situation, moment: datetime) -> Situation:
    """Return the situation as far as it is known now, at another moment."""
    return replace(situation, now=moment)


def is_permitted(request: DecisionRequest, situation: Situation, channel: Channel, *, at: datetime) -> bool:
    """Tell whether no gate would hold the message back on a channel at a moment, as far as is known now."""
    return _held(request, replace(situation, now=at), channel) is None


def late_refusal(request: DecisionRequest, situation: Situation, channel: Channel, *, at: datetime) -> Reason | None:
    """Return what holds the message back on a channel at a moment, or None when nothing does."""
    held = _held(request, replace(situation, now=at), channel)
    return held.reason if held is not None else None


_MOST_STEPS = 100
"""Gates that open in turn: windows of a week and quiet hours meet sooner than that, or never."""


def _held(request: DecisionRequest, situation: Situation, channel: Channel) -> Held | None:
    if request.channels is not None and channel not in request.channels:
        return Held(Reason.CHANNEL_NOT_ASKED, "")
    return next((each for each in _verdicts(request, situation, channel) if each is not None), None)


def _verdicts(request: DecisionRequest, at: Situation, channel: Channel) -> Iterator[Held | None]:
    """Yield each gate's answer in order of precedence, for the gates that the message's class must pass."""
    message_class = at.definition.message_class
    yield _for_good(timing.refusal(request.message.expires_at, now=at.now))
    yield _in_window(request, at)
    yield _for_good(pauses.refusal(at.allowances.paused, channel=channel))
    yield _until_open(at, channel, law.refusal(at.law, message_class=message_class, channel=channel, now=at.now))
    yield from map(_for_good, _denials(at, channel))
    question = asked(request.message, at, channel)
    for zone in at.law.place.zones:
        yield preference_gate.held(at.allowances.choices, question, zone=zone)
    yield _for_good(profiles.refusal(at.profile, channel=channel))
    if (ruled := at.ruled.refusal(channel)) is not None:
        yield Held(ruled, at.ruled.refused_by[channel])
    for hours, zone in _quiet_closings(at):
        yield _until_open(at, channel, quiet_hours.refusal(hours, now=at.now, zone=zone))
    contact = contact_of(request, at, channel)
    budget, spent, zones = at.allowances.budget, at.allowances.spent, at.law.place.zones
    yield contact_budget.held(budget, spent, contact, zones=zones, tenant_zone=at.tenant_zone)


def _denials(at: Situation, channel: Channel) -> Iterator[Reason | None]:
    allowances, message_class = at.allowances, at.definition.message_class
    if not allowances.is_known and message_class is not MessageClass.TRANSACTIONAL:
        yield Reason.CONSENT_UNAVAILABLE
    yield Reason.RECIPIENT_DELETED if allowances.is_deleted else None
    yield suppression.refusal(allowances.suppressions, channel=channel, message_class=message_class)
    if message_class is MessageClass.MARKETING:
        yield consent.refusal(allowances.consents, purpose=Purpose.MARKETING, channel=channel, now=at.now)
    if at.minds_quiet_hours:
        yield switches.refusal(allowances.switches, channel=channel)


def _until_open(at: Situation, channel: Channel, reason: Reason | None) -> Held | None:
    if reason is None:
        return None
    return Held(reason, "", next_opening(at, channel) if reason.is_temporary else None)


def _in_window(request: DecisionRequest, at: Situation) -> Held | None:
    reason = timing.window_refusal(request, now=at.now)
    if reason is not Reason.WINDOW_NOT_OPEN or request.delivery_window is None:
        return _for_good(reason)
    return Held(reason, "", request.delivery_window.starts)


def _for_good(reason: Reason | None) -> Held | None:
    return Held(reason, "") if reason is not None else None


def asked(message: Message, at: Situation, channel: Channel) -> Asked:
    """Return the message on one channel, as preferences are asked about it."""
    definition = at.definition
    return Asked(
        channel=channel,
        category=definition.category,
        content_type=definition.type,
        message_class=definition.message_class,
        now=at.now,
        context=_context(message, at),
        is_emergency=definition.is_emergency,
    )


def contact_of(request: DecisionRequest, at: Situation, channel: Channel) -> Contact:
    """Return the contact that the message on one channel would be."""
    definition = at.definition
    return Contact(
        channel=channel,
        at=at.now,
        message_class=definition.message_class,
        category=definition.category,
        campaign_id=request.campaign_id,
    )


def _context(message: Message, at: Situation) -> Context:
    known = {ContextDimension.TIME: times(at.now, at.zone)}
    if message.urgency is not None:
        known[ContextDimension.URGENCY] = frozenset({message.urgency})
    if at.profile is not None and at.profile.country is not None:
        known[ContextDimension.LOCATION] = frozenset({at.profile.country})
    return known
