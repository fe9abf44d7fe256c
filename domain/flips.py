"""What would have changed a decision: single facts made otherwise, and the same pure steps run again on the rest.

A flip tells only what it can show. A channel that was refused has no value in the record, so of an opened channel it is
said that it would have been permitted, not that it would have been drawn.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import partial

from domain.consent import ConsentState, ConsentStatus
from domain.decision_replay import Past
from domain.decisioning import decide
from domain.expected import ChannelTerms
from domain.gates import Refusal, Situation, is_permitted, opening, screen
from domain.stages import Asked
from domain.values import Channel, Frozen, Outcome, Purpose, Reason

_CONSENT = {Reason.CONSENT_MISSING, Reason.CONSENT_REFUSED, Reason.CONSENT_WITHDRAWN, Reason.CONSENT_EXPIRED}
_HALVINGS = 40

Tire = Callable[[ChannelTerms, float], ChannelTerms]
"""Returns what is expected of a channel at another weariness."""


class FlipKind(StrEnum):
    """Which fact is made otherwise."""

    CONSENT = "consent"
    SWITCHED_ON = "switched_on"
    LATER = "later"
    PRICE = "price"
    FATIGUE = "fatigue"


class Flip(Frozen):
    """One fact that would have changed the decision: the channel it opens, or the outcome under the same draw."""

    kind: FlipKind
    channel: Channel
    since: datetime | None = None
    at_most: float | None = None
    outcome: Outcome | None = None

    def told(self) -> str:
        """Return the flip as a sentence."""
        name = self.channel.value
        if self.kind is FlipKind.CONSENT:
            return f"With consent to {name}, {name} would have been permitted."
        if self.kind is FlipKind.SWITCHED_ON:
            return f"With {name} switched on, {name} would have been permitted."
        if self.kind is FlipKind.LATER and self.since is not None:
            return f"From {self.since.isoformat()} on, {name} would have been permitted."
        word = "a price" if self.kind is FlipKind.PRICE else "weariness"
        return f"With {word} of at most {self.at_most:.4g} on {name}, the same draw would have sent it there."


def flips(decision: Past, tire: Tire | None = None) -> tuple[Flip, ...]:
    """Return every single fact that would have changed a recorded decision.

    Args:
        decision: as it was recorded.
        tire: tells what is expected at another weariness; without it nothing is said of it.
    """
    screened = screen(decision.asked.request, decision.asked.situation)
    opened = [flip for refusal in screened.refusals for flip in _opened(decision.asked, refusal)]
    if not screened.permitted or decide(decision.asked, screened).outcome is not Outcome.SUPPRESS:
        return tuple(opened)
    return (*opened, *_valued(decision.asked, screened.permitted, tire))


def _opened(asked: Asked, refusal: Refusal) -> Iterator[Flip]:
    request, situation, channel = asked.request, asked.situation, refusal.channel
    if refusal.reason in _CONSENT and _permits(asked, _consenting(situation, channel), channel):
        yield Flip(kind=FlipKind.CONSENT, channel=channel)
    if refusal.reason is Reason.CHANNEL_SWITCHED_OFF and _permits(asked, _switched_on(situation, channel), channel):
        yield Flip(kind=FlipKind.SWITCHED_ON, channel=channel)
    if refusal.reason.is_temporary:
        since = opening(request, situation, channel)
        if since is not None and since > situation.now and is_permitted(request, situation, channel, at=since):
            yield Flip(kind=FlipKind.LATER, channel=channel, since=since)


def _permits(asked: Asked, situation: Situation, channel: Channel) -> bool:
    return channel in screen(asked.request, situation).permitted


def _consenting(situation: Situation, channel: Channel) -> Situation:
    """Return the situation with consent given this moment, in place of what was said about the channel before."""
    allowed = situation.allowances
    purpose = Purpose.MARKETING
    kept = [each for each in allowed.consents if (each.purpose, each.channel) != (purpose, channel.value)]
    given = ConsentState(purpose=purpose, channel=channel.value, status=ConsentStatus.GIVEN, effective_at=situation.now)
    return replace(situation, allowances=replace(allowed, consents=(*kept, given)))


def _switched_on(situation: Situation, channel: Channel) -> Situation:
    allowed = situation.allowances
    kept = tuple(each for each in allowed.switches if each.channel is not channel)
    return replace(situation, allowances=replace(allowed, switches=kept))


def _valued(asked: Asked, permitted: tuple[Channel, ...], tire: Tire | None) -> Iterator[Flip]:
    """Yield the largest price and weariness, below those that were, at which the same draw sends."""
    if not asked.expected.can_value or asked.is_holdout:
        return
    for channel in permitted:
        terms = asked.expected.channels.get(channel)
        if terms is None:
            continue
        for kind, was, otherwise in _ways(terms, tire):
            found = _largest(was, partial(_sends, asked, channel, otherwise))
            if found is not None:
                yield Flip(kind=kind, channel=channel, at_most=found, outcome=Outcome.SEND_NOW)


Otherwise = Callable[[float], ChannelTerms]


def _ways(terms: ChannelTerms, tire: Tire | None) -> Iterator[tuple[FlipKind, float, Otherwise]]:
    yield FlipKind.PRICE, terms.price, lambda price: terms.model_copy(update={"price": price})
    if tire is not None and terms.fatigue is not None:
        yield FlipKind.FATIGUE, terms.fatigue, partial(tire, terms)


def _sends(asked: Asked, channel: Channel, otherwise: Otherwise, value: float) -> bool:
    channels = {**asked.expected.channels, channel: otherwise(value)}
    other = replace(asked, expected=asked.expected.model_copy(update={"channels": channels}))
    draft = decide(other, screen(other.request, other.situation))
    return draft.outcome is Outcome.SEND_NOW and draft.action.channel is channel


def _largest(was: float, sends: Callable[[float], bool]) -> float | None:
    """Return the largest number from 0 to below what it was that sends, found by halving; None when not even 0 does."""
    if was <= 0 or not sends(0.0):
        return None
    low, high = 0.0, was
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if sends(middle) else (low, middle)
    return low
