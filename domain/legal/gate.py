"""The law's gate: may a message of this class go on this channel to somebody who may be there, now?

It stands right after expiry. It looks at legal hours and at the complaints that mailbox providers act on; what needs a
consent is held by the consent gate, what a type must contain by its publication.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from domain import quiet_hours
from domain.legal.places import Place, zones_of
from domain.legal.rules import Measure, Rule, RuleSet
from domain.quiet_hours import QuietHours
from domain.values import Channel, MessageClass, Reason

_LOOK_AHEAD = timedelta(days=3)
"""Every day has the same hours but around a change of the clock: an opening not found by then does not come."""

Closing = tuple[QuietHours, ZoneInfo]
"""Hours that are closed on one zone's clock."""


@dataclass(frozen=True)
class LegalFacts:
    """What the law's gate looks at.

    ``complaint_share`` is the tenant's complaints per e-mail sent over the window of the rule, None where nothing was
    sent.
    """

    rules: RuleSet
    place: Place
    complaint_share: float | None = None


def refusal(facts: LegalFacts, *, message_class: MessageClass, channel: Channel, now: datetime) -> Reason | None:
    """Return why the law forbids it now, or None when it does not."""
    found = [rule for rule in facts.rules.applying(facts.place.countries) if rule.concerns(message_class, channel)]
    if any(_is_reached(rule, facts.complaint_share) for rule in found):
        return Reason.LAW_COMPLAINT_STOP
    closings = _closings(found, facts)
    return Reason.LAW_HOURS_CLOSED if any(_is_closed(each, now) for each in closings) else None


def breaches(facts: LegalFacts, *, message_class: MessageClass, channel: Channel, now: datetime) -> tuple[Rule, ...]:
    """Return every rule that forbids it now; empty exactly when ``refusal`` finds nothing."""
    found = (rule for rule in facts.rules.applying(facts.place.countries) if rule.concerns(message_class, channel))
    return tuple(
        rule
        for rule in found
        if _is_reached(rule, facts.complaint_share) or any(_is_closed(each, now) for each in _closings([rule], facts))
    )


def closings(facts: LegalFacts, *, message_class: MessageClass, channel: Channel) -> list[Closing]:
    """Return the hours the law keeps closed for such a message, on every clock that may be the recipient's."""
    found = (rule for rule in facts.rules.applying(facts.place.countries) if rule.concerns(message_class, channel))
    return list(_closings(found, facts))


def next_opening(closed: Sequence[Closing], *, now: datetime) -> datetime | None:
    """Return the first moment from now on, UTC, that no closing covers, or None when they leave no common hour."""
    moment = now
    while moment <= now + _LOOK_AHEAD:
        openings = [quiet_hours.next_opening(hours, now=moment, zone=zone) for hours, zone in closed]
        latest = max(openings, default=moment)
        if latest == moment:
            return moment
        moment = latest
    return None


def _is_reached(rule: Rule, complaint_share: float | None) -> bool:
    cap = rule.cap
    is_about_complaints = cap is not None and cap.measure is Measure.COMPLAINT_SHARE
    return cap is not None and is_about_complaints and complaint_share is not None and complaint_share >= cap.limit


def _is_closed(closing: Closing, now: datetime) -> bool:
    hours, zone = closing
    return quiet_hours.refusal(hours, now=now, zone=zone) is not None


def _closings(rules: Iterable[Rule], facts: LegalFacts) -> Iterator[Closing]:
    for rule in rules:
        if rule.window is not None:
            for zone in _zones(rule, facts):
                yield rule.window.closed_hours, zone


def _zones(rule: Rule, facts: LegalFacts) -> tuple[ZoneInfo, ...]:
    """Return the clocks a rule is read off: the plausible ones; the whole jurisdiction's where nothing is known."""
    if facts.place.countries is not None:
        return facts.place.zones
    countries = sorted(facts.rules.countries_of(rule))
    anywhere = tuple(ZoneInfo(zone) for country in countries for zone in zones_of(country))
    return anywhere or facts.place.zones
