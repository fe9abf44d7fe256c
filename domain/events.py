"""The event contract: what a recipient or a sender did, in one closed shape.

An event is parsed here or refused here; whatever holds an ``EngagementEvent`` may trust it. Two events with
the same ``(tenant, source, event_id)`` are the same event when their digests agree, a conflict otherwise.
"""

import hashlib
import json
import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator

from domain.values import Channel, Frozen, Moment

MAX_EVENT_BYTES = 32 * 1024
"""Largest event in bytes of JSON, the limit of Segment's HTTP API."""

MAX_EVENT_BATCH = 1_000
"""Most events in one request."""

MAX_BODY_BYTES = 500 * 1024
"""Largest request body in bytes."""

FUTURE_TOLERANCE = timedelta(minutes=5)
"""How far ``occurred_at`` may lie ahead of the tenant's clock: clocks of devices drift."""


class EventType(StrEnum):
    """Everything an event may report; ``custom`` carries a ``name``."""

    DELIVERY_ATTEMPTED = "delivery_attempted"
    NOTIFICATION_SENT = "notification_sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    OPENED = "opened"
    CLICKED = "clicked"
    DISMISSED = "dismissed"
    CONVERTED = "converted"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    APP_OPENED = "app_opened"
    APP_CLOSED = "app_closed"
    PAGE_VIEWED = "page_viewed"
    SEARCH_PERFORMED = "search_performed"
    LOGIN = "login"
    FORM_SUBMITTED = "form_submitted"
    FEEDBACK = "feedback"
    PROFILE_UPDATED = "profile_updated"
    PREFERENCE_CHANGED = "preference_changed"
    PURCHASE = "purchase"
    ACTION_COMPLETED = "action_completed"
    RECIPIENT_DELETED = "recipient_deleted"
    CUSTOM = "custom"

    @property
    def is_delivery(self) -> bool:
        """True for what happens to a message on its way, which only makes sense on a channel."""
        return self in _DELIVERY


_DELIVERY = frozenset(
    {
        EventType.DELIVERY_ATTEMPTED,
        EventType.NOTIFICATION_SENT,
        EventType.DELIVERED,
        EventType.FAILED,
        EventType.OPENED,
        EventType.CLICKED,
        EventType.DISMISSED,
        EventType.BOUNCED,
        EventType.COMPLAINED,
        EventType.UNSUBSCRIBED,
    }
)

# Controls; soft hyphen; what has no width; what changes the direction; separators; the byte order mark.
_UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_IS_UNSEEN = re.compile(f"[{_UNSEEN}\U000e0000-\U000e0fff]")


def _seen(value: str) -> str:
    if _IS_UNSEEN.search(value):
        raise ValueError("must be printable: no control, invisible or direction-changing characters")
    return value


Identifier = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_seen),
    Field(json_schema_extra={"pattern": f"^[^{_UNSEEN}]+$"}),
]
"""A name others gave to a thing: what looks alike is alike."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_.-]*$")]
"""A name our users chose for a kind of thing: lower case, so two spellings never mean one thing."""

ShortText = Annotated[str, StringConstraints(max_length=200)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
INT64_MAX = 2**63 - 1


class EventContext(Frozen):
    """Where and how it happened, as far as the sender said."""

    device: ShortText | None = None
    platform: ShortText | None = None
    app_version: ShortText | None = None
    locale: ShortText | None = None
    time_zone: ShortText | None = None
    user_agent: Annotated[str, StringConstraints(max_length=1_000)] | None = None
    page: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    global_privacy_control: bool | None = Field(
        default=None, description="The recipient's browser sent Sec-GPC: 1; false and absent say nothing."
    )


class EventAttribution(Frozen):
    """Which marketing source the event is credited to."""

    source: ShortText | None = None
    medium: ShortText | None = None
    campaign: ShortText | None = None
    term: ShortText | None = None
    content: ShortText | None = None


class Money(Frozen):
    """An amount in minor units (cents) of one currency; negative for refunds."""

    minor: Annotated[int, Field(strict=True, ge=-INT64_MAX - 1, le=INT64_MAX)]
    currency: Currency


class EngagementEvent(Frozen):
    """One thing that happened to or was done by one recipient. The tenant comes from the credential."""

    source: Identifier
    event_id: Identifier
    type: EventType
    name: Name | None = Field(default=None, description="Required for, and only for, type custom.")
    recipient_id: Identifier
    occurred_at: Moment
    channel: Channel | None = None
    session_id: Identifier | None = None
    campaign_id: Identifier | None = None
    message_type: Name | None = None
    variant_id: Identifier | None = None
    decision_id: Identifier | None = None
    value: Money | None = None
    context: EventContext | None = None
    attribution: EventAttribution | None = None
    properties: dict[Annotated[str, StringConstraints(min_length=1, max_length=100)], JsonValue] = Field(
        default_factory=dict, max_length=256
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.type is EventType.CUSTOM) != (self.name is not None):
            raise ValueError("name is required for type custom and not allowed for any other type")
        if self.type.is_delivery and self.channel is None:
            raise ValueError(f"channel is required for type {self.type.value}")
        category = self.properties.get("category")
        if category is not None and not (isinstance(category, str) and len(category) <= 200):  # noqa: PLR2004
            raise ValueError("properties.category must be a string of at most 200 characters")
        return self

    @property
    def category(self) -> str | None:
        """Content category the event is about, for affinity features."""
        value = self.properties.get("category")
        return value if isinstance(value, str) else None

    def canonical(self) -> dict[str, Any]:
        """Return the event as JSON-ready values, moments in UTC, absent fields left out."""
        body = self.model_dump(mode="json", exclude_none=True)
        body["occurred_at"] = self.occurred_at.isoformat()
        return body

    def canonical_json(self) -> str:
        """Return the canonical event as JSON text, keys sorted: equal texts mean the same content."""
        return json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def digest(self) -> bytes:
        """Return the SHA-256 of the canonical text, 32 bytes."""
        return digest_of(self.canonical_json())


def digest_of(text: str) -> bytes:
    """Return the digest of a canonical event's text."""
    return hashlib.sha256(text.encode()).digest()


def untimely(event: EngagementEvent, *, now: datetime, max_age: timedelta) -> str | None:
    """Say why the event's moment cannot be accepted, or None when it can.

    Args:
        event: the parsed event.
        now: the tenant's clock.
        max_age: how long the tenant keeps events; older ones would be deleted at once.
    """
    if event.occurred_at > now + FUTURE_TOLERANCE:
        return "a moment at most 5 minutes ahead of the tenant's clock"
    if event.occurred_at < now - max_age:
        return f"a moment at most {max_age.days} days ago, the retention of events"
    return None


EVENT_COLUMNS = (
    "tenant",
    "source",
    "event_id",
    "type",
    "name",
    "channel",
    "occurred_at",
    "received_at",
    "recipient_id",
    "session_id",
    "campaign_id",
    "message_type",
    "variant_id",
    "decision_id",
    "value_minor",
    "currency",
    "category",
    "local_hour_of_week",
    "local_date",
    "properties",
    "context",
    "attribution",
)
"""Columns of an event table, in order: the same in Postgres, the lake and a feature transform's input."""
