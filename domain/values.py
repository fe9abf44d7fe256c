"""The words every rule shares: channels, purposes, message classes and the closed list of reasons.

A list that is closed is an enum here; nothing else in the project compares bare status strings.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value that refuses unknown fields and never echoes what it refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Channel(StrEnum):
    """A way to reach a recipient."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    IN_APP = "in_app"
    WEB = "web"
    VOICE = "voice"


ANY_CHANNEL = "*"
"""Stands for every channel in consent and switches; a row for one channel is more specific."""


class Purpose(StrEnum):
    """What personal data may be used for; consent is given per purpose (ISO/IEC TS 27560)."""

    MARKETING = "marketing"
    PERSONALIZATION = "personalization"
    ANALYTICS = "analytics"
    OPEN_TRACKING = "open_tracking"
    LOCATION = "location"


class MessageClass(StrEnum):
    """Which gates a message may pass; set on the published type, never in a request."""

    TRANSACTIONAL = "transactional"
    SERVICE = "service"
    MARKETING = "marketing"


class Outcome(StrEnum):
    """What a decision says to do."""

    SEND_NOW = "send_now"
    DEFER = "defer"
    SUPPRESS = "suppress"


class Reason(StrEnum):
    """Why a decision came out as it did: ``<gate>.<finding>``, so a prefix selects a gate."""

    EXPIRY_PASSED = "expiry.passed"
    EXPIRY_BEFORE_OPENING = "expiry.before_opening"
    SUPPRESSION_BOUNCED = "suppression.bounced"
    SUPPRESSION_COMPLAINED = "suppression.complained"
    CONSENT_MISSING = "consent.missing"
    CONSENT_REFUSED = "consent.refused"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_UNAVAILABLE = "consent.unavailable"
    CHANNEL_SWITCHED_OFF = "channel.switched_off"
    CHANNEL_UNREACHABLE = "channel.unreachable"
    CHANNEL_NOT_OFFERED = "channel.not_offered"
    QUIET_HOURS_NOW = "quiet_hours.now"
    RECIPIENT_DELETED = "recipient.deleted"
    POLICY_SAMPLED = "policy.sampled"
    POLICY_NO_SEND = "policy.no_send"
    POLICY_RULES = "policy.rules"
    POLICY_SINGLE = "policy.single"

    @property
    def is_refusal(self) -> bool:
        """True when the reason says why something was *not* allowed, false when the policy chose."""
        return not self.value.startswith("policy.")

    @property
    def is_temporary(self) -> bool:
        """True when waiting can lift the refusal, so that deferring makes sense."""
        return self is Reason.QUIET_HOURS_NOW
