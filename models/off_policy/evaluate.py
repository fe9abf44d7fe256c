"""What a policy would have earned: every estimator with its interval, the gain over the log, and a verdict.

A gain is told only where its interval leaves out zero and rewards are many enough to have one. A refused log gives
values without intervals: they show what the arithmetic says, and that nobody knows how near it is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from models.off_policy import estimators, reward_model
from models.off_policy.estimators import Estimate
from models.off_policy.intervals import Interval, anytime, finite, fixed
from models.off_policy.log import DecisionLog, Floats
from models.off_policy.support import Support, faults, support, too_few_events

LEAST_ROWS_OF_AN_ACTION = 200
"""Rows an action needs before "always do this" is something to compare with."""


@dataclass(frozen=True)
class Evaluation:
    """The answer, or why there is none.

    Attributes:
        n: decisions in the log.
        support: what the weights say; None where the log's numbers are no probabilities or rewards.
        verdict: ``usable`` or ``refused``.
        warnings: refusals first.
        estimates: by estimator.
        gains: ``over_log``, and ``over_best_single_action`` where one is known well enough.
        best_single_action: its name, or None.
    """

    n: int
    support: Support | None
    verdict: str
    warnings: tuple[str, ...]
    estimates: dict[str, Interval]
    gains: dict[str, Interval]
    best_single_action: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the document ``kairos policy evaluate --json`` prints."""
        found = self.support
        return {
            "n": self.n,
            "ess": None if found is None else found.ess,
            "mean_weight": None if found is None else found.mean_weight.value,
            "max_weight": None if found is None else found.max_weight,
            "verdict": self.verdict,
            "warnings": list(self.warnings),
            "estimates": {name: interval.as_json() for name, interval in self.estimates.items()},
            "gains": {name: interval.as_json() for name, interval in self.gains.items()},
            "best_single_action": self.best_single_action,
            "support": None if found is None else found.as_json(),
        }


def evaluate(
    log: DecisionLog,
    policy: Floats,
    *,
    seed: int,
    known: tuple[str, ...] = (),
    model: Floats | None = None,
    progress: reward_model.Progress | None = None,
) -> Evaluation:
    """Judge a policy on a log.

    Args:
        log: what was done.
        policy: probability of each action in each row (at the row's position), shape (n, K), rows sum to 1.
        seed: of the folds and of the reward model.
        known: warnings known before.
        model: reward model to use, shape (n, K); fitted out of fold where None.
        progress: told of the steps of the fit.
    """
    broken = faults(log)
    if broken:
        return Evaluation(len(log), None, "refused", (*broken, *known), {}, {})
    weight = estimators.weights(policy, log.action, log.probability)
    found = support(log, policy, weight)
    if model is None:
        model = reward_model.out_of_fold(log, "trees", seed=seed, progress=progress)
    made = _estimates(log, policy, model, weight)
    logged = float(log.reward.mean())
    gains = {"over_log": _difference(made["dr"], Estimate(logged, log.reward - logged))}
    best = best_single_action(log, model)
    if best is not None:
        gains["over_best_single_action"] = _difference(made["dr"], always(log, model, best))
    intervals = {name: fixed(estimate, log.cluster) for name, estimate in made.items()}
    intervals["dr_anytime"] = anytime(made["dr"], log.cluster)
    told = {name: fixed(gain, log.cluster) for name, gain in gains.items()}
    name = None if best is None else log.actions[best]
    if found.refusals:
        intervals = _without_bounds(intervals)
    if found.refusals or too_few_events(log):
        told = _without_bounds(told)
    warnings = (*found.refusals, *known, *found.warnings, *_no_gain(told, name))
    return Evaluation(len(log), found, "refused" if found.refusals else "usable", warnings, intervals, told, name)


def best_single_action(log: DecisionLog, model: Floats) -> int | None:
    """Return the action that, always taken, has the highest lower bound; None where none was taken often enough."""
    bounds = {}
    for action, count in enumerate(np.bincount(log.action, minlength=len(log.actions))):
        if count >= LEAST_ROWS_OF_AN_ACTION and log.eligible[:, action].all():
            low = finite(fixed(always(log, model, action), log.cluster).low)
            if low is not None:
                bounds[action] = low
    return max(bounds, key=lambda action: bounds[action]) if bounds else None


def always(log: DecisionLog, model: Floats, action: int) -> Estimate:
    """Return the doubly robust value of one action taken in every row."""
    policy = np.zeros(model.shape)
    policy[:, action] = 1.0
    weight = estimators.weights(policy, log.action, log.probability)
    return estimators.doubly_robust(policy, model, log.action, weight, log.reward)


def _estimates(log: DecisionLog, policy: Floats, model: Floats, weight: Floats) -> dict[str, Estimate]:
    parts = (policy, model, log.action, weight, log.reward)
    return {
        "ips": estimators.ips(weight, log.reward),
        "snips": estimators.snips(weight, log.reward),
        "dm": estimators.direct(policy, model),
        "dr": estimators.doubly_robust(*parts),
        "sndr": estimators.self_normalised_doubly_robust(*parts),
        "switch_dr": estimators.switch_doubly_robust(*parts, estimators.switch_threshold(*parts)),
    }


def _difference(one: Estimate, other: Estimate) -> Estimate:
    """Return the difference of two estimates on the same rows: what they share cancels."""
    return Estimate(one.value - other.value, one.influence - other.influence)


def _without_bounds(intervals: dict[str, Interval]) -> dict[str, Interval]:
    return {name: Interval(interval.value, None, None) for name, interval in intervals.items()}


def _no_gain(gains: dict[str, Interval], best: str | None) -> list[str]:
    than = {"over_log": "the logged policy", "over_best_single_action": f'always taking "{best}"'}
    return [
        f"no gain over {than[name]} can be told: the interval of the difference is [{gain.low:.6g}, {gain.high:.6g}]"
        for name, gain in gains.items()
        if gain.low is not None and gain.high is not None and gain.low <= 0
    ]
