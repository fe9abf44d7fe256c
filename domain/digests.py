"""Digests: messages of one type that wait for each other, so that a recipient gets one instead of many.

Which messages wait and until when is decided with each of them; what waits is put together when its time has come.
The digest is then a decision of its own, by the same gates, about everything in it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from pydantic import JsonValue

from domain import content, gates, preference_gate, timing
from domain.decision_request import DecisionRequest, Message
from domain.digest_types import COUNT, ITEMS, as_type
from domain.events import MAX_BODY_BYTES
from domain.gates import Screened, Situation
from domain.message_types import DIGEST_VARIANT, Collects, Digest, MessageType
from domain.naive_times import Choice, moment
from domain.stages import Asked
from domain.templates import CannotRender
from domain.values import Channel
from domain.weekly_windows import Weekday

_WEEK = tuple(Weekday)
_SEARCH_DAYS = 9
"""A week, and a day more on each side: a zone may skip a whole day (Samoa, 2011)."""
_Item = TypeVar("_Item")


def next_time(digest: Digest, *, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first time of a digest after a moment, UTC, by the clock in the zone.

    A time that the clock skips is taken at the offset before the change, one that comes twice at the first.
    """
    first = after.astimezone(zone).date() - timedelta(days=1)
    days = [first + timedelta(days=number) for number in range(_SEARCH_DAYS + 1)]
    found = [
        moment(datetime.combine(day, at), zone, ambiguous=Choice.EARLIER, skipped=Choice.LATER)
        for day in days
        if _WEEK[day.weekday()] in digest.weekdays
        for at in digest.times
    ]
    return min(each for each in found if each > after.astimezone(UTC))


def collected_until(asked: Asked, screened: Screened) -> datetime | None:
    """Return until when a message waits for its recipient's digest, UTC, or None when it goes its own way.

    It waits until the digest's next time, or for the first moment after it at which no gate holds the message back; a
    message that has other hours to choose from, is tested, cannot wait so long or may go nowhere does not.
    """
    request, digest = asked.request, asked.situation.definition.digest
    if digest is None or asked.follows is not None or request.policy is not None or not asked.settings.fits_digest:
        return None
    channels = _usable(digest, screened)
    if not channels or not _collects(digest, asked, screened, channels):
        return None
    situation = asked.situation
    due_at = next_time(digest, after=_earliest(request, situation.now), zone=situation.zone)
    then = gates.situation_at(situation, due_at)
    openings = [opens for each in channels if (opens := gates.opening(request, then, each)) is not None]
    due_at = min(openings, default=due_at)
    is_late = timing.deferral_refusal(request, opens_at=due_at) is not None
    return due_at if not is_late and timing.has_patience(request, now=situation.now, until=due_at) else None


def fits(request: DecisionRequest, situation: Situation) -> bool:
    """Tell whether a message could be said in its type's digest; true where the type has none.

    The variables of all messages come in one body when the digest is handed over, so each has its share of it. The
    templates are filled with the smallest digest of messages like this one, on every channel that it may go by.

    Args:
        request: with its variables, checked against the type.
        situation: what is known, its type above all.
    """
    definition, profile = situation.definition, situation.profile
    digest = definition.digest
    if digest is None:
        return True
    # As senders write it that escape everything; half is left to what they write around it.
    if len(json.dumps(dict(request.message.variables))) > MAX_BODY_BYTES // digest.at_most // 2:
        return False
    variables = together([request] * digest.at_least, definition).message.variables
    wanted = list(content.languages(request.context.locale, profile.locale if profile is not None else None))
    said = as_type(definition)
    try:
        for channel in said.channels:
            if request.channels is None or channel in request.channels:
                content.render(said, channel=channel, variant_id=DIGEST_VARIANT, wanted=wanted, variables=variables)
    except CannotRender:
        return False
    return True


def _earliest(request: DecisionRequest, now: datetime) -> datetime:
    window = request.delivery_window
    return max(now, window.starts) if window is not None and window.starts is not None else now


def _usable(digest: Digest, screened: Screened) -> list[Channel]:
    """Return the digest's channels on which the message may go, now or later."""
    waiting = {each.channel for each in screened.refusals if each.reason.is_temporary}
    return [each for each in digest.content if each in screened.permitted or each in waiting]


def _collects(digest: Digest, asked: Asked, screened: Screened, channels: Sequence[Channel]) -> bool:
    situation, message = asked.situation, asked.request.message
    questions = [gates.asked(message, situation, each) for each in channels]
    if any(preference_gate.wants_digest(situation.allowances.choices, each) for each in questions):
        return True
    return digest.collects is Collects.ALL or (digest.collects is Collects.HELD and not screened.permitted)


@dataclass(frozen=True)
class Groups(Generic[_Item]):
    """What has come due, put together: each digest's messages, and those that go by themselves."""

    digests: tuple[tuple[_Item, ...], ...]
    singles: tuple[_Item, ...]


def grouped(items: Sequence[_Item], digest: Digest | None) -> Groups[_Item]:
    """Return messages of one recipient and type put together, the first ones first.

    A digest has at most ``at_most`` of them; what is left over and fewer than ``at_least`` goes by itself, and so does
    everything where the type has no digest any more.
    """
    if digest is None:
        return Groups((), tuple(items))
    parts = [tuple(items[start : start + digest.at_most]) for start in range(0, len(items), digest.at_most)]
    full = tuple(part for part in parts if len(part) >= digest.at_least)
    return Groups(full, tuple(each for part in parts if len(part) < digest.at_least for each in part))


def together(asked: Sequence[DecisionRequest], definition: MessageType) -> DecisionRequest:
    """Return the request about a digest of messages.

    Args:
        asked: the requests of its messages, the oldest first, all about one recipient and the same channels.
        definition: their type; variables that a request left out have the values they would have had.

    Returns:
        A request with the context of the newest one, that is worthless as soon as one of them is. It belongs to a
        campaign where all of them do.
    """
    newest = asked[-1]
    items: list[JsonValue] = [definition.defaults() | dict(each.message.variables) for each in asked]
    ends = [end for each in asked if (end := timing.deadline(each)) is not None]
    message = Message(
        type=newest.message.type, variables={ITEMS: items, COUNT: len(items)}, expires_at=min(ends, default=None)
    )
    shared = {name: _shared(asked, name) for name in ("campaign_id", "journey_id", "step_id")}
    own = {"message": message, "delivery_window": None, "policy": None, "explain": False}
    return newest.model_copy(update=own | shared)


def _shared(asked: Sequence[DecisionRequest], name: str) -> Any:
    values = {getattr(each, name) for each in asked}
    return values.pop() if len(values) == 1 else None
