"""The gates: which channels a message may take to a recipient now, by the row of its class.

Each gate has one shape, ``refusal(...) -> Reason | None``; the first that refuses names the reason. Nothing a
request says can open a gate, it can only close more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from domain import consent, profiles, quiet_hours, suppression, switches, timing
from domain.consent import ConsentState
from domain.decision_request import DecisionRequest
from domain.legal import gate as law
from domain.legal.gate import Closing, LegalFacts
from domain.message_types import MessageType
from domain.profiles import Profile
from domain.quiet_hours import QuietHours
from domain.suppression import Suppression
from domain.switches import ChannelSwitch
from domain.values import Channel, Frozen, MessageClass, Purpose, Reason


@dataclass(frozen=True)
class Allowances:
    """What a recipient allows, as one consistent reading; ``version`` counts its changes."""

    version: int = 0
    consents: tuple[ConsentState, ...] = ()
    switches: tuple[ChannelSwitch, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    is_deleted: bool = False

    def personalization_refusal(self, channels: Iterable[Channel], now: datetime) -> Reason | None:
        """Return why features may not be read and scored for one of the channels, or None when they may for all."""
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

    @property
    def zone(self) -> ZoneInfo:
        """The time zone the recipient is most likely in."""
        return self.law.place.zone

    @property
    def minds_quiet_hours(self) -> bool:
        """True when the message waits for the end of quiet hours."""
        return self.definition.message_class is not MessageClass.TRANSACTIONAL and not self.definition.is_emergency


class Refusal(Frozen):
    """Why one channel is out."""

    channel: Channel
    reason: Reason


@dataclass(frozen=True)
class Screened:
    """The channels left and the reason for each that is not, in the order of the type."""

    permitted: tuple[Channel, ...]
    refusals: tuple[Refusal, ...]


def screen(request: DecisionRequest, situation: Situation) -> Screened:
    """Return which of the type's channels the message may take now."""
    permitted, refusals = [], []
    for channel in situation.definition.channels:
        reason = _refusal(request, situation, channel)
        if reason is None:
            permitted.append(channel)
        else:
            refusals.append(Refusal(channel=channel, reason=reason))
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


def _refusal(request: DecisionRequest, situation: Situation, channel: Channel) -> Reason | None:
    if request.channels is not None and channel not in request.channels:
        return Reason.CHANNEL_NOT_ASKED
    return next((reason for reason in _verdicts(request, situation, channel) if reason is not None), None)


def _verdicts(request: DecisionRequest, at: Situation, channel: Channel) -> Iterator[Reason | None]:
    """Yield each gate's answer in order of precedence, for the gates that the message's class must pass."""
    definition, allowances = at.definition, at.allowances
    message_class = definition.message_class
    yield timing.refusal(request.message.expires_at, now=at.now)
    yield law.refusal(at.law, message_class=message_class, channel=channel, now=at.now)
    yield Reason.RECIPIENT_DELETED if allowances.is_deleted else None
    yield suppression.refusal(allowances.suppressions, channel=channel, message_class=message_class)
    if message_class is MessageClass.MARKETING:
        yield consent.refusal(allowances.consents, purpose=Purpose.MARKETING, channel=channel, now=at.now)
    if at.minds_quiet_hours:
        yield switches.refusal(allowances.switches, channel=channel)
    yield profiles.refusal(at.profile, channel=channel)
    for hours, zone in _quiet_closings(at):
        yield quiet_hours.refusal(hours, now=at.now, zone=zone)
