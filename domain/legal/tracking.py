"""Open tracking: may it be measured, and used, whether this person opened a message?

Where a rule demands a consent of its own nothing less will do. Everywhere else a refusal or withdrawal ends it.
"""

from collections.abc import Iterable

from pydantic import Field

from domain import consent
from domain.consent import ConsentState
from domain.legal.rules import Rule, RuleSet
from domain.values import Channel, Frozen, MessageClass, Moment, Purpose, Reason

_DENIED = frozenset({Reason.CONSENT_REFUSED, Reason.CONSENT_WITHDRAWN, Reason.CONSENT_EXPIRED})


class OpenTracking(Frozen):
    """Whether opens may be tracked, and by which rule a consent to it is needed."""

    is_allowed: bool
    reason: Reason | None = Field(default=None, description="Why not; null where it is allowed.")
    rule: str | None = Field(default=None, description="The rule that demands a consent; null where none does.")


def demanding(
    rules: RuleSet, countries: frozenset[str] | None, *, message_class: MessageClass, channel: Channel
) -> Rule | None:
    """Return the first rule in force that demands a consent to open tracking, or None.

    Args:
        rules: the rule set.
        countries: where the recipient may be; None when nothing is known, which every rule then reaches.
        message_class: of the message.
        channel: of the message.
    """
    found = (each for each in rules.applying(countries) if each.consent is Purpose.OPEN_TRACKING)
    return next((each for each in found if each.concerns(message_class, channel)), None)


def verdict(rule: Rule | None, consents: Iterable[ConsentState], *, channel: Channel, now: Moment) -> OpenTracking:
    """Return whether opens on the channel may be tracked under the rule that was found demanding it, if any."""
    reason = consent.refusal(consents, purpose=Purpose.OPEN_TRACKING, channel=channel, now=now)
    binds = reason is not None and (rule is not None or reason in _DENIED)
    return OpenTracking(
        is_allowed=not binds, reason=reason if binds else None, rule=rule.id if rule is not None else None
    )
