"""Timing: is a message still worth sending, may it wait, and between which moments can it choose?

Slots are the starts of hours on the recipient's own clock, found by stepping through real time: a day with 23 or 25
hours needs no rule of its own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from domain.decision_request import DecisionRequest
from domain.values import Reason

HOUR = timedelta(hours=1)
MOST_SLOTS = 168
"""A week of hours: whoever waits longer for the best hour waits for the same one again."""

_PATIENCE = {"within_hour": HOUR, "within_day": timedelta(days=1), "flexible": timedelta(days=7)}
_CHOOSES_ITS_HOUR = ("within_day", "flexible")


def refusal(expires_at: datetime | None, *, now: datetime) -> Reason | None:
    """Return ``expiry.passed`` when the message has expired; its last moment does not count any more."""
    return Reason.EXPIRY_PASSED if expires_at is not None and expires_at <= now else None


def window_refusal(request: DecisionRequest, *, now: datetime) -> Reason | None:
    """Return why the request's own delivery window does not hold the moment, or None when it does."""
    window = request.delivery_window
    if window is None:
        return None
    if window.until is not None and window.until <= now:
        return Reason.WINDOW_PASSED
    return Reason.WINDOW_NOT_OPEN if window.starts is not None and now < window.starts else None


def deferral_refusal(request: DecisionRequest, *, opens_at: datetime) -> Reason | None:
    """Return why the message cannot wait for the opening, or None when it can."""
    end = deadline(request)
    return Reason.EXPIRY_BEFORE_OPENING if end is not None and end <= opens_at else None


def deadline(request: DecisionRequest) -> datetime | None:
    """Return the first moment at which the message is worthless, or None when it always is worth something."""
    ends = [request.message.expires_at, request.delivery_window.until if request.delivery_window else None]
    return min((end for end in ends if end is not None), default=None)


def without_deadline(request: DecisionRequest) -> DecisionRequest:
    """Return the request as if its message were worth something for ever."""
    window = request.delivery_window
    if window is not None:
        window = window.model_copy(update={"until": None}) if window.starts is not None else None
    message = request.message.model_copy(update={"expires_at": None})
    return request.model_copy(update={"message": message, "delivery_window": window})


def has_patience(request: DecisionRequest, *, now: datetime, until: datetime) -> bool:
    """Tell whether the message may wait until a moment by its urgency; one that names none may."""
    urgency = request.message.urgency
    return urgency is None or until <= now + _PATIENCE.get(urgency, timedelta(0))


def chooses_its_hour(request: DecisionRequest) -> bool:
    """Tell whether the message may wait for a better hour than the first that is allowed."""
    return request.message.urgency in _CHOOSES_ITS_HOUR


def horizon(request: DecisionRequest, *, now: datetime) -> datetime:
    """Return until when the message may wait for a better hour: its urgency says so, and its deadline."""
    patience = _PATIENCE.get(request.message.urgency or "", timedelta(0))
    end = deadline(request)
    return min(now + patience, end) if end is not None else now + patience


def hour_starts(now: datetime, until: datetime, *, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the starts of the hours after now and before ``until``, UTC, at most a week of them."""
    local = now.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    at = now.astimezone(UTC) - past + HOUR
    for _ in range(MOST_SLOTS):
        if at >= until:
            return
        yield at
        at += HOUR
