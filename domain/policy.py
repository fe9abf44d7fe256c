"""Policies: with which probability each allowed action is taken, and which one a decision's own draw picks.

A decision is drawn in stages: the channel (or nothing), then the variant, then the moment. Each stage's probabilities
are computed and kept before its draw, and each draw has a random stream of its own. "Send nothing" is an action like
the others wherever it is allowed. A floor keeps every allowed action possible, so that one can learn from the log.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from domain.identity import draw
from domain.values import Channel, Frozen

_SUM_TOLERANCE = 1e-9


class Action(Frozen):
    """What a decision may do, as far as its stages have settled it; sending nothing has no channel."""

    channel: Channel | None = None
    variant_id: str | None = None
    slot: datetime | None = Field(default=None, description="From when on, UTC; null for now.")

    @property
    def is_send(self) -> bool:
        """True for every action but sending nothing."""
        return self.channel is not None


NO_SEND = Action()


class PolicyName(StrEnum):
    """Which policy gave the probabilities of a stage."""

    EPSILON_SOFTMAX = "epsilon_softmax_v1"
    UNIFORM = "uniform_v1"
    RULES = "rules_v1"
    SEND_TIME = "send_time_v1"
    INVERSE_GAP = "inverse_gap_v1"
    THOMPSON = "thompson_v1"
    RECOVERING_SOFTMAX = "recovering_softmax_v1"
    SETTLED = "settled_v1"


class VariantPolicy(StrEnum):
    """Which policy draws a message type's variant; ``rules`` draws evenly and asks no belief."""

    RULES = "rules"
    UNIFORM = "uniform"
    EPSILON_SOFTMAX = "epsilon_softmax"
    INVERSE_GAP = "inverse_gap"
    THOMPSON = "thompson"
    RECOVERING_SOFTMAX = "recovering_softmax"

    @property
    def in_its_version(self) -> PolicyName:
        """The policy as it is recorded."""
        return PolicyName(f"{self.value}_v1")


class StageName(StrEnum):
    """What a stage settles, in the order in which stages are drawn."""

    CHANNEL = "channel"
    VARIANT = "variant"
    SLOT = "slot"


class Stage(Frozen):
    """A policy's distribution over the actions that one stage may settle on, and the one that was drawn."""

    name: StageName
    policy: PolicyName
    options: tuple[Action, ...]
    probabilities: tuple[float, ...]
    chosen: int
    stream: str

    @property
    def action(self) -> Action:
        """The action that was drawn."""
        return self.options[self.chosen]

    @property
    def probability(self) -> float:
        """The chance with which it was drawn."""
        return self.probabilities[self.chosen]


class Choice(Frozen):
    """The stages of one decision; each one's options are what the one before settled on, in more detail."""

    stages: tuple[Stage, ...] = Field(min_length=1)

    @property
    def action(self) -> Action:
        """What the last stage settled on."""
        return self.stages[-1].action

    @property
    def probability(self) -> float:
        """The joint chance: the product over the stages."""
        return math.prod(stage.probability for stage in self.stages)

    @property
    def policy(self) -> PolicyName:
        """The policy of the first stage, which says whether anything is sent."""
        return self.stages[0].policy

    def stage(self, name: StageName) -> Stage | None:
        """Return a stage by its name, or None when it was not drawn."""
        return next((stage for stage in self.stages if stage.name is name), None)


def epsilon_softmax(values: Sequence[float], *, epsilon: float, temperature: float) -> tuple[float, ...]:
    """Return probabilities that follow the values, each at least ``epsilon / n``.

    Args:
        values: expected value of each action, finite, shape (n,), n >= 1.
        epsilon: share spread evenly over all actions, in (0, 1).
        temperature: in units of value, > 0; the smaller, the closer to the best action.
    """
    best = max(values)
    weights = [math.exp((value - best) / temperature) for value in values]
    total = math.fsum(weights)
    return tuple((1 - epsilon) * weight / total + epsilon / len(values) for weight in weights)


def uniform(n: int) -> tuple[float, ...]:
    """Return the same probability for each of n >= 1 actions."""
    return (1 / n,) * n


def weighted(weights: Sequence[float]) -> tuple[float, ...]:
    """Return probabilities in proportion to weights of at least 0, one of them more."""
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def first_send(options: Sequence[Action]) -> tuple[float, ...]:
    """Return the policy that needs no model: the first channel offered; never nothing.

    Options without a chance get 0.0: a decision by rules cannot be used to evaluate what it never does.
    """
    first = next(place for place, option in enumerate(options) if option.is_send)
    return tuple(1.0 if place == first else 0.0 for place in range(len(options)))


def stream_of(name: StageName) -> str:
    """Return the name of the random stream a stage's draw comes from."""
    return f"policy.{name.value}"


def settle(
    name: StageName, policy: PolicyName, options: Sequence[Action], probabilities: Sequence[float], *, decision_id: str
) -> Stage:
    """Draw one option with the decision's own random number; the same decision always draws the same.

    Raises:
        ValueError: the probabilities are not a distribution over the options.
    """
    if len(options) != len(probabilities) or not abs(math.fsum(probabilities) - 1) <= _SUM_TOLERANCE:
        raise ValueError("the probabilities must be one per option and sum to 1")
    if any(probability < 0 for probability in probabilities):
        raise ValueError("a probability is below 0")
    stream = stream_of(name)
    return Stage(
        name=name,
        policy=policy,
        options=tuple(options),
        probabilities=tuple(probabilities),
        chosen=_drawn(probabilities, draw(decision_id, stream)),
        stream=stream,
    )


def _drawn(probabilities: Sequence[float], point: float) -> int:
    """Return the action in whose stretch of [0, 1) the point lies; one without a chance is never drawn."""
    reached = 0.0
    last = 0
    for place, probability in enumerate(probabilities):
        if probability > 0:
            last = place
            reached += probability
            if point < reached:
                return place
    return last
