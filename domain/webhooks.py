"""Webhooks: which events there are, how a message is signed (Standard Webhooks), when it is tried again.

A message tells that something happened and to whom, by the recipient's id; values are read with a key of one's own.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from domain.changes import ChangeKind
from domain.values import Frozen, Moment

PREFIX = "whsec_"
SECRET_BYTES = 32
JITTER = 0.2
"""Share by which a pause is longer or shorter, so that what failed together does not come back together."""
TRIP = 5
"""Failures in a row after which a hook rests: one message at a time asks whether it is back."""
DISABLE_AFTER = timedelta(days=5)
LONGEST_RETRY_AFTER = timedelta(hours=1)
LONGEST_REST = timedelta(hours=1)
_FIRST_REST = timedelta(seconds=30)
_PAUSES = tuple(
    timedelta(seconds=each) for each in (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 57_600, 86_400)
)
"""Before the second attempt, the third and so on: about two and a half days in all."""
MOST_ATTEMPTS = len(_PAUSES) + 1


class HookEvent(StrEnum):
    """What a hook may be told of."""

    PROFILE_UPDATED = "profile_updated"
    CONSENT_UPDATED = "consent_updated"
    CHANNEL_SWITCHED = "channel_switched"
    SUPPRESSION_UPDATED = "suppression_updated"
    PREFERENCE_UPDATED = "preference_updated"
    ALLOWANCES_UPDATED = "allowances_updated"
    POST_DECISION = "post_decision"
    QUALITY_THRESHOLD_FAILED = "quality_threshold_failed"
    DECISION_RELEASED = "decision_released"
    DECISION_STOPPED = "decision_stopped"
    DIGEST_RELEASED = "digest_released"


TEST = "test"
"""The event of a message that only asks whether the way is free; no hook subscribes to it."""
OF_CHANGE = {
    ChangeKind.PROFILE: HookEvent.PROFILE_UPDATED,
    ChangeKind.CONSENT: HookEvent.CONSENT_UPDATED,
    ChangeKind.SWITCH: HookEvent.CHANNEL_SWITCHED,
    ChangeKind.SUPPRESSION: HookEvent.SUPPRESSION_UPDATED,
    ChangeKind.PREFERENCE: HookEvent.PREFERENCE_UPDATED,
    ChangeKind.ALLOWANCES: HookEvent.ALLOWANCES_UPDATED,
}


class DeliveryState(StrEnum):
    """How a message to a hook stands; ``dead`` when it is not tried again unless somebody asks."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class Attempt(Frozen):
    """One attempt to deliver, as the log has it; nothing of what was answered but the status is kept."""

    attempt: int = Field(ge=1)
    at: Moment
    status: int | None = Field(description="Null when there was no answer.")
    problem: str | None = Field(description="Why there was none, or why the answer is a failure.")
    milliseconds: int = Field(ge=0)

    @property
    def is_success(self) -> bool:
        """True for a 2xx; a redirect is a failure, it is not followed."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004

    @property
    def is_gone(self) -> bool:
        """True when the receiver said that it wants no message any more."""
        return self.status == 410  # noqa: PLR2004


def body(event: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """Return a message as it is sent and signed, the same bytes for every attempt."""
    message = {"type": event, "timestamp": at.isoformat(), "data": dict(data)}
    return json.dumps(message, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def written(secret: bytes) -> str:
    """Return a secret as its owner is shown it."""
    return PREFIX + base64.b64encode(secret).decode()


def read(secret: str) -> bytes:
    """Return the bytes of a secret that is written as ``whsec_`` and base64.

    Raises:
        ValueError: it is not written so.
    """
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("expected whsec_ and base64") from None


def headers(secrets: Sequence[bytes], message_id: str, at: datetime, message: bytes) -> dict[str, str]:
    """Return the three headers of Standard Webhooks.

    Args:
        secrets: the hook's, the newest first; the message is signed under each, so that either verifies it.
        message_id: the same for every attempt: receivers drop what they had.
        at: when it is sent; receivers refuse what is minutes old.
        message: the body.
    """
    seconds = int(at.timestamp())
    content = b".".join((message_id.encode(), str(seconds).encode(), message))
    signed = [base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{each}" for each in signed),
    }


def next_attempt(attempts: int, now: datetime, draw: float, retry_after: str | None = None) -> datetime | None:
    """Return when a message is tried again, None when it is not.

    Args:
        attempts: how often it was tried, 1 or more.
        now: the moment of the failure.
        draw: 0 to 1, evenly: where within the jitter.
        retry_after: what the receiver asked for, in seconds; other forms are not heeded.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    pause = _PAUSES[attempts - 1] * (1 + JITTER * (2 * draw - 1))
    if retry_after is not None and retry_after.isascii() and retry_after.isdecimal():
        asked = timedelta(seconds=min(int(retry_after[:9]), LONGEST_RETRY_AFTER.total_seconds()))
        pause = max(pause, asked)
    return now + pause


def rest_until(failures: int, now: datetime, draw: float) -> datetime | None:
    """Return until when a hook rests after so many failures in a row, None when it does not."""
    if failures < TRIP:
        return None
    rest: timedelta = min(_FIRST_REST * (1 << min(failures - TRIP, 10)), LONGEST_REST)
    return now + rest * (1 + JITTER * (2 * draw - 1))
