"""The words every rule shares: channels, purposes, message classes and the closed list of reasons.

A list that is closed is an enum here; nothing else in the project compares bare status strings.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict


class Frozen(BaseModel):
    """An immutable value that refuses unknown fields and never echoes what it refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _written(value: Any) -> datetime:
    """Read a moment ourselves: parsers take "1700000000" for seconds and larger numbers for milliseconds."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        with suppress(ValueError):
            return datetime.fromisoformat(value.upper())
    raise ValueError("must be a moment such as 2026-03-01T09:30:00+01:00")


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie between the years 1 and 9999 in UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_utc)]
"""A moment with its offset (RFC 3339), kept in UTC."""


class Channel(StrEnum):
    """A way to reach a recipient."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    IN_APP = "in_app"
    WEB = "web"
    VOICE = "voice"


ANY_CHANNEL: Final = "*"
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
    WINDOW_PASSED = "window.passed"
    WINDOW_NOT_OPEN = "window.not_open"
    PAUSE_TENANT = "pause.tenant"
    PAUSE_CHANNEL = "pause.channel"
    LAW_HOURS_CLOSED = "law.hours_closed"
    LAW_COMPLAINT_STOP = "law.complaint_stop"
    LAW_NO_OPENING = "law.no_opening"
    SUPPRESSION_BOUNCED = "suppression.bounced"
    SUPPRESSION_COMPLAINED = "suppression.complained"
    SUPPRESSION_LISTED = "suppression.listed"
    SUPPRESSION_OBJECTED = "suppression.objected"
    CONSENT_MISSING = "consent.missing"
    CONSENT_REFUSED = "consent.refused"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_UNAVAILABLE = "consent.unavailable"
    CHANNEL_SWITCHED_OFF = "channel.switched_off"
    CHANNEL_UNREACHABLE = "channel.unreachable"
    CHANNEL_NOT_OFFERED = "channel.not_offered"
    CHANNEL_NOT_ASKED = "channel.not_asked"
    HOOK_REFUSED = "hook.refused"
    RULE_EXCLUDED = "rule.excluded"
    RULE_REQUIRED = "rule.required"
    PREFERENCE_OFF = "preference.off"
    PREFERENCE_OUTSIDE_WINDOW = "preference.outside_window"
    PREFERENCE_FREQUENCY = "preference.frequency"
    QUIET_HOURS_NOW = "quiet_hours.now"
    BUDGET_RECIPIENT = "budget.recipient"
    BUDGET_CAPACITY = "budget.capacity"
    RECIPIENT_DELETED = "recipient.deleted"
    POLICY_SAMPLED = "policy.sampled"
    POLICY_NO_SEND = "policy.no_send"
    POLICY_RULES = "policy.rules"
    POLICY_SINGLE = "policy.single"
    POLICY_SLOT = "policy.slot"
    POLICY_DEFAULT_VARIANT = "policy.default_variant"
    POLICY_SETTLED = "policy.settled"
    POLICY_DIGEST = "policy.digest"
    HANDOVER_NOT_DUE = "handover.not_due"
    HANDOVER_DONE = "handover.done"
    HANDOVER_REACHED = "handover.reached"
    HANDOVER_WITHDRAWN = "handover.withdrawn"
    HANDOVER_IN_DIGEST = "handover.in_digest"
    HANDOVER_SINGLY = "handover.singly"

    @property
    def is_refusal(self) -> bool:
        """True when the reason says why something was *not* allowed, false when the policy chose."""
        return not self.value.startswith("policy.")

    @property
    def is_temporary(self) -> bool:
        """True when waiting can lift the refusal, so that deferring makes sense."""
        return self in _TEMPORARY


_TEMPORARY = frozenset(
    {
        Reason.WINDOW_NOT_OPEN,
        Reason.QUIET_HOURS_NOW,
        Reason.LAW_HOURS_CLOSED,
        Reason.PREFERENCE_OUTSIDE_WINDOW,
        Reason.PREFERENCE_FREQUENCY,
        Reason.BUDGET_RECIPIENT,
        Reason.BUDGET_CAPACITY,
    }
)
