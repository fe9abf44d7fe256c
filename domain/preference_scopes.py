"""Scopes of preferences: which messages a choice is about, and how specific that is.

A scope is also a preference's identity: one recipient has at most one preference for it, whatever device said it.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints

from domain.consent import ChannelScope
from domain.events import Name
from domain.values import ANY_CHANNEL, Channel, Frozen

ContextValue = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_ID_DIGITS = 16


class PreferenceKind(StrEnum):
    """What a preference is about, most specific first."""

    CONTEXTUAL = "contextual"
    CONTENT_TYPE = "content_type"
    CATEGORY = "category"
    CHANNEL = "channel"
    GLOBAL = "global"


class ContextDimension(StrEnum):
    """A circumstance a contextual preference may name."""

    LOCATION = "location"
    DEVICE = "device"
    ACTIVITY = "activity"
    URGENCY = "urgency"
    RELATIONSHIP = "relationship"
    TIME = "time"


Context = Mapping[ContextDimension, frozenset[str]]
"""What is known of a moment: the values that hold in each dimension; one that is absent is unknown."""


class Scope(Frozen):
    """Which messages: what is not named is any."""

    channel: ChannelScope = ANY_CHANNEL
    category: Name | None = None
    content_type: Name | None = Field(default=None, description="A message type by name.")
    context: dict[ContextDimension, ContextValue] = Field(
        default_factory=dict, description="All of these circumstances must hold."
    )

    @property
    def compiled(self) -> "CompiledScope":
        """What follows from the scope alone; worked out once for all recipients who chose it."""
        circumstances = tuple(sorted(self.context.items())) if self.context else ()
        return _compiled(self.channel, self.category, self.content_type, circumstances)

    @property
    def kind(self) -> PreferenceKind:
        """What it is about, by the most specific thing it names."""
        return self.compiled.kind

    @property
    def id(self) -> str:
        """The name of the scope, 16 hexadecimal digits: equal scopes have equal names on every device."""
        return self.compiled.id

    @property
    def specificity(self) -> tuple[int, ...]:
        """How specific it is; of two scopes that fit a message the one that sorts first is more binding."""
        return self.compiled.specificity

    def fits(self, *, channel: Channel, category: str, content_type: str, context: Context) -> bool:
        """Tell whether it is about a message; a circumstance that is unknown does not hold."""
        return (
            self.channel in (channel, ANY_CHANNEL)
            and (self.category is None or self.category == category)
            and (self.content_type is None or self.content_type == content_type)
            and (not self.context or self._holds(context))
        )

    def _holds(self, context: Context) -> bool:
        return all(value in context.get(name, frozenset()) for name, value in self.context.items())


class CompiledScope(NamedTuple):
    """A scope's kind, name and place in the order of specificity."""

    kind: PreferenceKind
    id: str
    specificity: tuple[int, ...]


_KEPT_SCOPES = 4_096
"""Scopes are made of a tenant's categories and types, so recipients share few of them."""


@lru_cache(maxsize=_KEPT_SCOPES)
def _compiled(
    channel: ChannelScope,
    category: str | None,
    content_type: str | None,
    context: tuple[tuple[ContextDimension, str], ...],
) -> CompiledScope:
    named = (content_type is not None, category is not None, channel != ANY_CHANNEL)
    if context:
        kind = PreferenceKind.CONTEXTUAL
    elif content_type is not None:
        kind = PreferenceKind.CONTENT_TYPE
    elif category is not None:
        kind = PreferenceKind.CATEGORY
    else:
        kind = PreferenceKind.GLOBAL if channel == ANY_CHANNEL else PreferenceKind.CHANNEL
    circumstances = ",".join(f"{name.value}={value}" for name, value in context)
    text = "|".join((channel, category or "", content_type or "", circumstances))
    return CompiledScope(
        kind=kind,
        id=hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS],
        specificity=(list(PreferenceKind).index(kind), *(-int(each) for each in named), -len(context)),
    )


_PARTS_OF_DAY = ((6, "night"), (12, "morning"), (18, "afternoon"), (22, "evening"), (24, "night"))
_FRIDAY = 4


@lru_cache(maxsize=1_024)
def times(now: datetime, zone: ZoneInfo) -> frozenset[str]:
    """Return the values of the dimension ``time`` that hold at a moment in a zone: part of day, and of the week."""
    local = now.astimezone(zone)
    part = next(name for until, name in _PARTS_OF_DAY if local.hour < until)
    return frozenset({part, "weekday" if local.weekday() <= _FRIDAY else "weekend"})
