"""Policies: with which probability each allowed action is taken, and which one a decision's own draw picks.

The probabilities are computed and kept before the draw. "Send nothing" is an action like the others wherever it is
allowed. A floor keeps every allowed action possible, so that what was logged can be learnt from.
"""

import math
from collections.abc import Sequence
from enum import StrEnum

from domain.identity import draw
from domain.values import Channel, Frozen

STREAM = "policy"
"""Name of the random stream a decision's draw comes from."""

_SUM_TOLERANCE = 1e-9


class Action(Frozen):
    """One thing a decision may do: send one variant on one channel, or (both None) send nothing."""

    channel: Channel | None = None
    variant_id: str | None = None

    @property
    def is_send(self) -> bool:
        """True for every action but sending nothing."""
        return self.channel is not None


NO_SEND = Action()


class PolicyName(StrEnum):
    """Which policy gave the probabilities."""

    EPSILON_SOFTMAX = "epsilon_softmax_v1"
    UNIFORM = "uniform_v1"
    RULES = "rules_v1"


class Choice(Frozen):
    """A policy's distribution over the allowed actions and the one that was drawn."""

    policy: PolicyName
    actions: tuple[Action, ...]
    probabilities: tuple[float, ...]
    chosen: int
    stream: str = STREAM

    @property
    def action(self) -> Action:
        """The action that was drawn."""
        return self.actions[self.chosen]

    @property
    def probability(self) -> float:
        """The chance with which it was drawn."""
        return self.probabilities[self.chosen]


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


def rules(actions: Sequence[Action]) -> tuple[float, ...]:
    """Return the policy that needs no model: the first channel, its variants evenly; never nothing.

    Actions without a chance get 0.0: a decision by rules cannot be used to evaluate what it never does.
    """
    first = next(action.channel for action in actions if action.is_send)
    taken = [action.is_send and action.channel is first for action in actions]
    return tuple(1 / sum(taken) if is_taken else 0.0 for is_taken in taken)


def choose(
    policy: PolicyName, actions: Sequence[Action], probabilities: Sequence[float], *, decision_id: str
) -> Choice:
    """Draw one action with the decision's own random number; the same decision always draws the same.

    Raises:
        ValueError: the probabilities are not a distribution over the actions.
    """
    if len(actions) != len(probabilities) or abs(math.fsum(probabilities) - 1) > _SUM_TOLERANCE:
        raise ValueError("the probabilities must be one per action and sum to 1")
    return Choice(
        policy=policy,
        actions=tuple(actions),
        probabilities=tuple(probabilities),
        chosen=_drawn(probabilities, draw(decision_id, STREAM)),
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
