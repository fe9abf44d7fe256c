"""Timing: is a message still worth sending, and can one that is too early still be sent in time?"""

from datetime import datetime

from domain.values import Reason


def refusal(expires_at: datetime | None, *, now: datetime) -> Reason | None:
    """Return ``expiry.passed`` when the message has expired; its last moment does not count any more."""
    return Reason.EXPIRY_PASSED if expires_at is not None and expires_at <= now else None


def deferral_refusal(expires_at: datetime | None, *, opens_at: datetime) -> Reason | None:
    """Return why the message cannot wait for the opening, or None when it can."""
    too_late = refusal(expires_at, now=opens_at) is not None
    return Reason.EXPIRY_BEFORE_OPENING if too_late else None
