"""The estimators: each is a mean of per-row scores, or a ratio of two means.

w = pi(a|x) / b(a|x) of the action taken, q the reward model, DM = sum_a pi(a|x) q(x, a):

    IPS mean(w r)            SNIPS sum(w r) / sum(w)
    DM  mean(DM)             DR    mean(DM + w (r - q))      SNDR mean(DM) + sum(w (r - q)) / sum(w)
    SWITCH-DR mean(DM + w 1[w <= tau] (r - q))
"""

from dataclasses import dataclass

import numpy as np

from models.off_policy.log import Floats, Integers

SWITCH_GRID = (1.0, 5.0, 10.0, 50.0, np.inf)
"""Thresholds of SWITCH-DR among which the estimated error chooses."""


@dataclass(frozen=True)
class Estimate:
    """One estimator's value and how each row moves it.

    Attributes:
        value: expected reward per decision.
        influence: shape (n,); mean 0 over the log, and the variance of its mean is the estimate's.
    """

    value: float
    influence: Floats


def weights(policy: Floats, action: Integers, probability: Floats) -> Floats:
    """Return the importance weight of each row's action, shape (n,), >= 0.

    Args:
        policy: probability of each action under the policy to judge, shape (n, K).
        action: index of the action taken, shape (n,).
        probability: its probability when it was taken, shape (n,), > 0.
    """
    return policy[np.arange(len(action)), action] / probability


def ips(weight: Floats, reward: Floats) -> Estimate:
    """Inverse propensity scoring: unbiased where the log supports the policy."""
    return _mean(weight * reward)


def snips(weight: Floats, reward: Floats) -> Estimate:
    """Self-normalised: a little biased, of far less variance, never outside the rewards seen."""
    value = _ratio(weight * reward, weight)
    return Estimate(value, weight * (reward - value) / weight.mean())


def direct(policy: Floats, model: Floats) -> Estimate:
    """The reward model alone; ``model`` is q(x, a), shape (n, K). As biased as the model."""
    return _mean((policy * model).sum(axis=1))


def doubly_robust(policy: Floats, model: Floats, action: Integers, weight: Floats, reward: Floats) -> Estimate:
    """Right if either the probabilities or the model are."""
    return _mean(_direct_part(policy, model) + weight * _residual(model, action, reward))


def self_normalised_doubly_robust(
    policy: Floats, model: Floats, action: Integers, weight: Floats, reward: Floats
) -> Estimate:
    """DR with weights that sum to n."""
    base, residual = _direct_part(policy, model), _residual(model, action, reward)
    correction = _ratio(weight * residual, weight)
    influence = base - base.mean() + weight * (residual - correction) / weight.mean()
    return Estimate(float(base.mean() + correction), influence)


def switch_doubly_robust(
    policy: Floats, model: Floats, action: Integers, weight: Floats, reward: Floats, threshold: float
) -> Estimate:
    """DR that trusts the model alone where the weight exceeds ``threshold``."""
    kept = weight * (weight <= threshold)
    return _mean(_direct_part(policy, model) + kept * _residual(model, action, reward))


def switch_threshold(policy: Floats, model: Floats, action: Integers, weight: Floats, reward: Floats) -> float:
    """Return the threshold of SWITCH_GRID with the least estimated squared error: variance and a bound of the bias."""
    residual = _residual(model, action, reward)
    errors = []
    for threshold in SWITCH_GRID:
        estimate = switch_doubly_robust(policy, model, action, weight, reward, threshold)
        bias = float(np.mean(weight * (weight > threshold) * np.abs(residual)))
        errors.append(float(estimate.influence.var()) / len(weight) + bias**2)
    return SWITCH_GRID[int(np.argmin(errors))]


def effective_size(weight: Floats) -> float:
    """Return (sum w)^2 / sum w^2: how many decisions of the policy itself the log is worth."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares else 0.0


def _mean(scores: Floats) -> Estimate:
    value = float(scores.mean())
    return Estimate(value, scores - value)


def _ratio(above: Floats, below: Floats) -> float:
    total = float(below.sum())
    return float(above.sum()) / total if total else float("nan")


def _direct_part(policy: Floats, model: Floats) -> Floats:
    part: Floats = (policy * model).sum(axis=1)
    return part


def _residual(model: Floats, action: Integers, reward: Floats) -> Floats:
    residual: Floats = reward - model[np.arange(len(action)), action]
    return residual
