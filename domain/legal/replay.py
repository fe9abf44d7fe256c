"""Recorded decisions under other rules: what the law's gate would have said, and what a change of rules alters.

Nothing is asked again: the record holds what the gate looked at. Only the law is replayed; which message the policy
would have drawn is not guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from domain.consent import ConsentState
from domain.legal import gate, tracking
from domain.legal.gate import LegalFacts
from domain.legal.places import Place
from domain.legal.rules import RuleSet
from domain.suppression import Suppression
from domain.values import Channel, Frozen, MessageClass, Outcome


class Direction(StrEnum):
    """What a change of rules does to one channel of a decision."""

    CLOSED = "closed"
    OPENED = "opened"
    MOVED = "moved"
    TRACKING_CLOSED = "tracking_closed"
    TRACKING_OPENED = "tracking_opened"


class Effect(StrEnum):
    """What it does to the decision."""

    NOT_SENT = "would_not_have_been_sent"
    MIGHT_BE_SENT = "might_have_been_sent"
    OTHER_TIME = "other_time"
    OPENS = "other_use_of_opens"
    OTHER_CHANNEL = "same_outcome"


@dataclass(frozen=True)
class Past:
    """What a recorded decision looked at, as far as the law goes."""

    decision_id: str
    decided_at: datetime
    outcome: Outcome
    channel: Channel | None
    reason: str
    message_class: MessageClass
    channels: tuple[Channel, ...]
    place: Place
    complaint_share: float | None
    consents: tuple[ConsentState, ...]
    suppressions: tuple[Suppression, ...] = ()
    is_deleted: bool = False

    def facts(self, rules: RuleSet) -> LegalFacts:
        """Return what the gate looked at, under other rules."""
        return LegalFacts(rules=rules, place=self.place, complaint_share=self.complaint_share)


def past(record: Mapping[str, Any]) -> Past | None:
    """Return what a record holds, or None for one from before the law's facts were recorded."""
    law = record.get("law")
    if law is None:
        return None
    countries = law["countries"]
    return Past(
        decision_id=record["decision_id"],
        decided_at=datetime.fromisoformat(record["decided_at"]),
        outcome=Outcome(record["outcome"]),
        channel=Channel(record["channel"]) if record["channel"] else None,
        reason=record["reason"],
        message_class=MessageClass(law["class"]),
        channels=tuple(Channel(each) for each in law["channels"]),
        place=Place(
            zones=tuple(ZoneInfo(zone) for zone in law["zones"]),
            countries=frozenset(countries) if countries is not None else None,
            source=law["zone_source"],
            confidence=law["zone_confidence"],
        ),
        complaint_share=law["complaint_share"],
        consents=tuple(ConsentState.model_validate(each) for each in record["allowances"]["consents"]),
        suppressions=tuple(Suppression.model_validate(each) for each in record["allowances"]["suppressions"]),
        is_deleted=record["allowances"]["is_deleted"],
    )


class Difference(Frozen):
    """One channel on which two rule sets disagree about a decision."""

    channel: Channel
    direction: Direction
    rules: tuple[str, ...]


class Altered(Frozen):
    """A decision that a change of rules would have met."""

    decision_id: str
    decided_at: datetime
    outcome: Outcome
    effect: Effect
    differences: tuple[Difference, ...]


def altered(decision: Past, before: RuleSet, after: RuleSet) -> Altered | None:
    """Return how two rule sets differ about a decision, or None when they do not."""
    found = [each for channel in decision.channels for each in _differences(decision, channel, before, after)]
    if not found:
        return None
    return Altered(
        decision_id=decision.decision_id,
        decided_at=decision.decided_at,
        outcome=decision.outcome,
        effect=_effect(decision, found),
        differences=tuple(found),
    )


def _differences(decision: Past, channel: Channel, before: RuleSet, after: RuleSet) -> list[Difference]:
    was, would = (broken(decision, rules, channel) for rules in (before, after))
    found = []
    if bool(was) != bool(would):
        direction = Direction.CLOSED if would else Direction.OPENED
        found.append(Difference(channel=channel, direction=direction, rules=would or was))
    elif was and _opening(decision, before, channel) != _opening(decision, after, channel):
        # The same rule with other hours counts, and so does another one.
        found.append(Difference(channel=channel, direction=Direction.MOVED, rules=tuple(sorted({*was, *would}))))
    if channel is decision.channel:
        found += _tracking(decision, channel, before, after)
    return found


def broken(decision: Past, rules: RuleSet, channel: Channel) -> tuple[str, ...]:
    """Return the ids of the rules that forbade the message on the channel at its moment."""
    found = gate.breaches(
        decision.facts(rules), message_class=decision.message_class, channel=channel, now=decision.decided_at
    )
    return tuple(rule.id for rule in found)


def _opening(decision: Past, rules: RuleSet, channel: Channel) -> datetime | None:
    closed = gate.closings(decision.facts(rules), message_class=decision.message_class, channel=channel)
    return gate.next_opening(closed, now=decision.decided_at)


def _tracking(decision: Past, channel: Channel, before: RuleSet, after: RuleSet) -> list[Difference]:
    was, would = (_tracked(decision, rules, channel) for rules in (before, after))
    if was.is_allowed == would.is_allowed:
        return []
    direction = Direction.TRACKING_OPENED if would.is_allowed else Direction.TRACKING_CLOSED
    named = would.rule or was.rule
    return [Difference(channel=channel, direction=direction, rules=(named,) if named else ())]


def _tracked(decision: Past, rules: RuleSet, channel: Channel) -> tracking.OpenTracking:
    rule = tracking.demanding(rules, decision.place.countries, message_class=decision.message_class, channel=channel)
    return tracking.verdict(rule, decision.consents, channel=channel, now=decision.decided_at)


def _effect(decision: Past, found: list[Difference]) -> Effect:
    by_direction = {each.direction: each for each in found}
    sent_closed = any(each.direction is Direction.CLOSED and each.channel is decision.channel for each in found)
    was_held_by_law = decision.outcome is not Outcome.SEND_NOW and decision.reason.startswith("law.")
    if sent_closed:
        return Effect.NOT_SENT
    if was_held_by_law and Direction.OPENED in by_direction:
        return Effect.MIGHT_BE_SENT
    if was_held_by_law and Direction.MOVED in by_direction:
        return Effect.OTHER_TIME
    if by_direction.keys() & {Direction.TRACKING_CLOSED, Direction.TRACKING_OPENED}:
        return Effect.OPENS
    return Effect.OTHER_CHANNEL
