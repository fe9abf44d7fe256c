"""The stages of a choice: the channel or nothing, then the variant, then the moment; each from explicit probabilities.

What models expect comes in as numbers; without any, rules answer, and the hold-out draws evenly whatever models say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from domain import generation, policy, timing
from domain.decision_request import DecisionRequest
from domain.expected import Expected, Weights
from domain.gates import Situation, is_permitted
from domain.handover import Follows
from domain.ingest import local_time
from domain.policy import NO_SEND, Action, PolicyName, Stage, StageName
from domain.values import Channel, Frozen, MessageClass


class Settings(Frozen):
    """The policies' constants; recorded with each decision, so that a replay needs nothing else."""

    epsilon: float = Field(gt=0, lt=1)
    temperature: float = Field(gt=0)
    send_cost: float = Field(ge=0)
    weights: Weights = Weights()
    slot_epsilon: float = Field(default=0.1, gt=0, lt=1)
    slot_temperature: float = Field(default=0.25, gt=0)
    activity_weight: float = Field(default=0.45, ge=0, description="Of log activity in the log-odds of an open.")
    may_wait: bool = Field(default=True, description="False where the service level chooses no hour.")
    fits_digest: bool = Field(
        default=True,
        # Left out of records where it says nothing, as it was before digests were tried at the decision.
        exclude_if=lambda fits: fits,
        description="False where no digest can be made of the message.",
    )

    def where(self, *, may_wait: bool, fits_digest: bool = True) -> "Settings":
        """Return the same for a decision that may choose its hour, or may not, and wait for a digest, or may not."""
        if (self.may_wait, self.fits_digest) == (may_wait, fits_digest):
            return self
        return self.model_copy(update={"may_wait": may_wait, "fits_digest": fits_digest})


@dataclass(frozen=True)
class Asked:
    """One decision on its way through the stages."""

    decision_id: str
    request: DecisionRequest
    situation: Situation
    expected: Expected
    is_holdout: bool
    settings: Settings
    follows: Follows | None = None


def channel_stage(asked: Asked, permitted: Sequence[Channel]) -> Stage:
    """Draw a channel, or sending nothing where the class allows that.

    Args:
        asked: the decision.
        permitted: the channels that may be used, at least one.
    """
    # A receipt or a warning is owed: only marketing may be left unsent by choice.
    may_be_left = asked.situation.definition.message_class is MessageClass.MARKETING
    options = [NO_SEND] * may_be_left + [Action(channel=channel) for channel in permitted]
    name, probabilities = _channel_distribution(asked, options)
    return policy.settle(StageName.CHANNEL, name, options, probabilities, decision_id=asked.decision_id)


def _channel_distribution(asked: Asked, options: Sequence[Action]) -> tuple[PolicyName, tuple[float, ...]]:
    if asked.is_holdout:
        # Even over what may be said, not over where: each variant of each channel counts as much as nothing does.
        counts = [len(_variants(asked, option.channel)) if option.is_send else 1 for option in options]
        return PolicyName.UNIFORM, policy.weighted(counts)
    if not asked.expected.can_value:
        return PolicyName.RULES, policy.first_send(options)
    values = [_net(asked, option) for option in options]
    settings = asked.settings
    spread = policy.epsilon_softmax(values, epsilon=settings.epsilon, temperature=settings.temperature)
    return PolicyName.EPSILON_SOFTMAX, spread


def _net(asked: Asked, option: Action) -> float:
    """Return the expected gain of an option over sending nothing, which is worth 0."""
    return asked.expected.channels[option.channel].net(asked.settings.weights) if option.channel is not None else 0.0


def variant_stage(asked: Asked, settled: Action) -> Stage:
    """Draw a variant for a channel that was settled on, among those that business rules leave."""
    variants = _variants(asked, settled.channel)
    scores = asked.expected.variants.get(settled.channel) if settled.channel is not None else None
    if scores is not None:
        kept = [(arm, chance) for arm, chance in zip(scores.arms, scores.probabilities, strict=True) if arm in variants]
    if asked.is_holdout:
        named, probabilities = PolicyName.UNIFORM, policy.uniform(len(variants))
    elif scores is None or not kept:
        named, probabilities = PolicyName.RULES, policy.uniform(len(variants))
    else:
        named, variants = scores.policy, tuple(arm for arm, _ in kept)
        chances = tuple(chance for _, chance in kept)
        probabilities = chances if len(kept) == len(scores.arms) else policy.weighted(chances)
    if not asked.is_holdout:
        probabilities = _boosted(asked, settled.channel, variants, probabilities)
    # What no person wrote stays below its share, in the hold-out too.
    probabilities = generation.capped(variants, probabilities, generation.caps(asked.situation.definition.variants))
    options = [settled.model_copy(update={"variant_id": variant}) for variant in variants]
    return policy.settle(StageName.VARIANT, named, options, probabilities, decision_id=asked.decision_id)


def _variants(asked: Asked, channel: Channel | None) -> tuple[str, ...]:
    every = tuple(variant.id for variant in asked.situation.definition.variants)
    return asked.situation.ruled.left(channel, every) if channel is not None else every


def _boosted(
    asked: Asked, channel: Channel | None, variants: Sequence[str], probabilities: tuple[float, ...]
) -> tuple[float, ...]:
    """Return the chances moved by what business rules make of the variants; the policy's floor is kept."""
    moved = asked.situation.ruled.boosts.get(channel, {}) if channel is not None else {}
    if len({moved.get(variant, 0.0) for variant in variants}) < _LEAST_CHOICE:
        return probabilities
    factors = [1 + moved.get(variant, 0.0) for variant in variants]
    shares = policy.weighted([chance * factor for chance, factor in zip(probabilities, factors, strict=True)])
    epsilon = asked.settings.epsilon
    return tuple((1 - epsilon) * share + epsilon / len(shares) for share in shares)


_LEAST_CHOICE = 2


def slot_stage(asked: Asked, settled: Action, channels: Sequence[Channel], *, first: datetime) -> Stage | None:
    """Draw the moment of a message that may wait for a better hour; None when there is nothing to choose.

    Args:
        asked: the decision.
        settled: the action so far; its channel may still be open.
        channels: at least one of them must be permitted at a slot.
        first: the first moment that is permitted, now or later.
    """
    if asked.follows is not None or not asked.settings.may_wait or not timing.chooses_its_hour(asked.request):
        # What is followed had its hour drawn before, and it has come.
        return None
    slots = list(_slots(asked, channels, first))
    if len(slots) < _LEAST_SLOTS:
        return None
    now = asked.situation.now
    options = [settled.model_copy(update={"slot": at if at > now else None}) for at in slots]
    name, probabilities = _slot_distribution(asked, slots)
    return policy.settle(StageName.SLOT, name, options, probabilities, decision_id=asked.decision_id)


_LEAST_SLOTS = 2


def _slots(asked: Asked, channels: Sequence[Channel], first: datetime) -> Iterable[datetime]:
    """Yield the first moment and every later start of an hour within the message's patience that is permitted."""
    situation, request = asked.situation, asked.request
    until = timing.horizon(request, now=situation.now)
    yield first
    for at in timing.hour_starts(first, until, zone=situation.zone):
        if any(is_permitted(request, situation, channel, at=at) for channel in channels):
            yield at


def _slot_distribution(asked: Asked, slots: Sequence[datetime]) -> tuple[PolicyName, tuple[float, ...]]:
    activity, settings = asked.expected.activity, asked.settings
    if asked.is_holdout or activity is None:
        return PolicyName.UNIFORM, policy.uniform(len(slots))
    zone = asked.situation.zone
    odds = [settings.activity_weight * activity.log_rates[local_time(at, zone)[0]] for at in slots]
    spread = policy.epsilon_softmax(odds, epsilon=settings.slot_epsilon, temperature=settings.slot_temperature)
    return PolicyName.SEND_TIME, spread


def by_value(channels: Sequence[Channel], expected: Expected, weights: Weights) -> tuple[Channel, ...]:
    """Return channels in the order in which they should be tried, the best first; the given order without values."""
    if not expected.can_value or any(channel not in expected.channels for channel in channels):
        return tuple(channels)
    return tuple(sorted(channels, key=lambda channel: -expected.channels[channel].net(weights)))
