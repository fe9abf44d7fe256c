"""Trains a policy on a log: the simplest reward model that no more complex one beats beyond doubt.

Each kind of model is judged by the doubly robust value of the policy it makes, on rows it never saw. A line must beat
the means, and trees the best so far, by a difference whose interval leaves out zero; else the simpler one is kept.
"""

import math

import numpy as np

from models.off_policy import estimators, reward_model
from models.off_policy.estimators import Estimate
from models.off_policy.intervals import fixed
from models.off_policy.log import DecisionLog, Floats
from models.off_policy.policy import FLOOR, LearnedPolicy, softmax
from models.off_policy.reward_model import KINDS, Progress
from models.off_policy.support import faults, support, too_few_events

_FEWEST_ROWS = 100
_STEPS = len(KINDS) + 1


class CannotTrain(ValueError):
    """The log does not support training; the message says why."""


def train(log: DecisionLog, *, seed: int, floor: float = FLOOR, progress: Progress | None = None) -> LearnedPolicy:
    """Train a policy.

    Args:
        log: what was done, with which probability, and what came of it.
        seed: of folds and trees; the same log and seed give the same policy.
        floor: share of exploration, in (0, 1].
        progress: told of each finished step.

    Raises:
        CannotTrain: probabilities or rewards are none, or there are too few rows or actions.
    """
    _check(log)
    predicted = {}
    for step, kind in enumerate(KINDS):
        predicted[kind] = reward_model.out_of_fold(log, kind, seed=seed)
        if progress is not None:
            progress(step + 1, _STEPS)
    temperature = _temperature(log)
    judge = predicted["trees"]
    values = {kind: _value(log, guess, judge, temperature, floor) for kind, guess in predicted.items()}
    kind = _earned(log, values)
    model = reward_model.fit(log, kind, seed=seed)
    if progress is not None:
        progress(_STEPS, _STEPS)
    facts = {
        "digest": log.digest,
        "rows": len(log),
        "recipients": log.clusters,
        "seed": seed,
        "learner": kind,
        "logged_value": float(log.reward.mean()),
        "gain_over_log": fixed(_gain(log, values[kind]), log.cluster).as_json(),
        "warnings": _doubts(log),
        "out_of_fold": {name: fixed(value, log.cluster).as_json() for name, value in values.items()},
    }
    return LearnedPolicy(log.actions, model, temperature, floor, facts)


def _check(log: DecisionLog) -> None:
    broken = faults(log)
    if broken:
        raise CannotTrain("; ".join(broken))
    if len(log) < _FEWEST_ROWS:
        raise CannotTrain(f"there are {len(log)} rows; at least {_FEWEST_ROWS} are needed")
    if len(np.unique(log.action)) < 2:  # noqa: PLR2004 - one action leaves nothing to choose
        raise CannotTrain(f'every row took "{log.actions[log.action[0]]}": there is nothing to compare it with')
    alone = log.eligible.sum(axis=1) > 1
    if not alone.any() or bool((log.probability[alone] == 1).all()):
        raise CannotTrain("every logged action was certain (probability 1): nothing was tried, nothing can be learnt")


def _temperature(log: DecisionLog) -> float:
    """Return the standard error of a typical action's mean: differences smaller than it are shared out, not decided."""
    counts = np.bincount(log.action, minlength=len(log.actions))
    typical = float(np.median(counts[counts > 0]))
    return max(float(log.reward.std()) / math.sqrt(typical), 1e-9)


def _value(log: DecisionLog, guess: Floats, judge: Floats, temperature: float, floor: float) -> Estimate:
    policy = softmax(guess, log.eligible, temperature=temperature, floor=floor)
    weight = estimators.weights(policy, log.action, log.probability)
    return estimators.doubly_robust(policy, judge, log.action, weight, log.reward)


def _gain(log: DecisionLog, value: Estimate) -> Estimate:
    logged = float(log.reward.mean())
    return Estimate(value.value - logged, value.influence - (log.reward - logged))


def _doubts(log: DecisionLog) -> list[str]:
    """Return what speaks against learning from this log: the self-test by the uniform policy's weights, few events."""
    even = log.eligible / log.eligible.sum(axis=1, keepdims=True)
    found = support(log, even, estimators.weights(even, log.action, log.probability))
    few = too_few_events(log)
    return [*found.refusals, *([few] if few else [])]


def _earned(log: DecisionLog, values: dict[str, Estimate]) -> str:
    kept = KINDS[0]
    for kind in KINDS[1:]:
        one, other = values[kind], values[kept]
        low = fixed(Estimate(one.value - other.value, one.influence - other.influence), log.cluster).low
        if low is not None and low > 0:
            kept = kind
    return kept
