"""The effect of a treatment on each row: a cross-fitted doubly robust learner, and whether it finds anything.

Rewards of both arms are modelled out of fold, the doubly robust pseudo-effect of each row is

    psi = m1 - m0 + t (y - m1) / e - (1 - t)(y - m0) / (1 - e)

and a heavily regularised regression of psi on the features, again out of fold, is the row's effect. Every reported
number comes from scores of rows the learner did not see.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb

from models.off_policy.encoding import encoding_of
from models.off_policy.estimators import Estimate
from models.off_policy.intervals import Interval, fixed
from models.off_policy.log import Booleans, DecisionLog, Floats, folds
from models.off_policy.reward_model import Progress
from models.off_policy.support import faults
from models.uplift.qini import bootstrap, by_chance

FOLDS = 5
FEWEST_ROWS = 100
"""Rows each arm needs."""

RELIABLE, NOT_RELIABLE = "reliable", "not reliable"

OUTCOME = {"max_depth": 3, "eta": 0.1, "min_child_weight": 20, "reg_lambda": 10.0}
EFFECT = {"max_depth": 2, "eta": 0.05, "min_child_weight": 200, "reg_lambda": 100.0}
ROUNDS = 60
_LEAST_CHANCE = 0.01


class CannotTell(ValueError):
    """The log does not support an answer; the message says why."""


@dataclass(frozen=True)
class Uplift:
    """What the treatment does.

    Attributes:
        used: which rows of the log took one of both arms, shape (n,).
        effect: of every row of the log, in units of reward, predicted by a learner that did not see it, shape (n,).
        ate: mean effect over those rows.
        qini: of the effects' order.
        chance: the Qini coefficient that 99 % of random orders stay below.
        heterogeneity: ``reliable`` only where the interval leaves out zero and the value exceeds ``chance``.
        warnings: what whoever reads this must know.
    """

    used: Booleans
    effect: Floats
    ate: Interval
    qini: Interval
    chance: float
    heterogeneity: str
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the document ``kairos policy uplift --json`` prints."""
        return {
            "n": int(self.used.sum()),
            "ate": self.ate.as_json(),
            "qini": self.qini.as_json(),
            "heterogeneity": self.heterogeneity,
            "warnings": list(self.warnings),
        }


def uplift(log: DecisionLog, treatment: str, control: str, *, seed: int, progress: Progress | None = None) -> Uplift:
    """Learn the effect of ``treatment`` instead of ``control`` on each row that took one of them.

    Raises:
        CannotTell: an action is unknown, an arm has too few rows, or a probability is none.
    """
    broken = faults(log)
    if broken:
        raise CannotTell("; ".join(broken))
    if log.context.columns.empty:
        raise CannotTell("the log has no context.* columns: nothing tells one row from another")
    used = _used(log, treatment, control)
    rows = log.rows(used)
    treated = rows.action == rows.actions.index(treatment)
    encoding = encoding_of(rows.context)
    matrix = encoding.matrix(rows.context)
    chance_of_own = _chance_of_own(rows, treated, matrix, seed)
    effect, pseudo = _cross_fitted(rows, treated, matrix, chance_of_own, seed=seed, progress=progress)
    mean = float(pseudo.mean())
    ate = fixed(Estimate(mean, pseudo - mean), rows.cluster)
    weight = _balancing(treated, chance_of_own)
    found = bootstrap(effect, rows.reward, treated, rows.cluster, weight, seed=seed)
    limit = by_chance(effect, rows.reward, treated, weight, seed=seed)
    told = found.low is not None and found.low > 0 and found.value > limit
    warnings = _warnings(rows, treated, chance_of_own, ate, told=told)
    everywhere = np.empty(len(log))
    everywhere[used] = effect
    if not used.all():
        others = encoding.matrix(log.context.loc[~used])
        everywhere[~used] = _boosted(matrix, pseudo, EFFECT, seed).predict(xgb.DMatrix(others, nthread=1))
    return Uplift(used, everywhere, ate, found, limit, RELIABLE if told else NOT_RELIABLE, warnings)


def _used(log: DecisionLog, treatment: str, control: str) -> Booleans:
    if treatment == control:
        raise CannotTell("treatment and control must be two actions")
    for name in (treatment, control):
        if name not in log.actions:
            raise CannotTell(f'the log has no action "{name}"; it has: {", ".join(log.actions)}')
    pair = [log.actions.index(treatment), log.actions.index(control)]
    used: Booleans = np.isin(log.action, pair) & log.eligible[:, pair].all(axis=1)
    for name, place in zip((treatment, control), pair, strict=True):
        count = int((used & (log.action == place)).sum())
        if count < FEWEST_ROWS:
            raise CannotTell(f'only {count} rows took "{name}" where both could be; at least {FEWEST_ROWS} are needed')
    if bool((log.probability[used] == 1).any()):
        raise CannotTell("some rows took their action with certainty (probability 1): those tell nothing of the other")
    return used


def _chance_of_own(rows: DecisionLog, treated: Booleans, matrix: Floats, seed: int) -> Floats:
    """Return the chance of each row's own arm among both arms.

    Only the taken action's probability is logged. Among rows of both arms the expectation of 1 / b given the features
    is 2 / (b1 + b0), so the chance of the own arm is b times half of it; where each arm has one probability throughout
    this is exact and needs no model.
    """
    own = rows.probability
    ends = [(float(own[arm].min()), float(own[arm].max())) for arm in (treated, ~treated)]
    if all(high - low <= 1e-9 for low, high in ends):  # noqa: PLR2004 - rounding of a constant
        return own / (ends[0][1] + ends[1][1])
    inverse = np.empty(len(rows))
    part = folds(rows.cluster, FOLDS, seed)
    for fold in range(FOLDS):
        held = part == fold
        inverse[held] = _boosted(matrix[~held], 1 / own[~held], OUTCOME, seed).predict(xgb.DMatrix(matrix[held]))
    return np.clip(own * inverse / 2, _LEAST_CHANCE, 1 - _LEAST_CHANCE)


def _cross_fitted(
    rows: DecisionLog,
    treated: Booleans,
    matrix: Floats,
    chance_of_own: Floats,
    *,
    seed: int,
    progress: Progress | None,
) -> tuple[Floats, Floats]:
    part = folds(rows.cluster, FOLDS, seed)
    treated_guess, control_guess = np.empty(len(rows)), np.empty(len(rows))
    for fold in range(FOLDS):
        held, seen = xgb.DMatrix(matrix[part == fold], nthread=1), part != fold
        for arm, guess in ((treated, treated_guess), (~treated, control_guess)):
            fitted = _boosted(matrix[seen & arm], rows.reward[seen & arm], OUTCOME, seed)
            guess[part == fold] = fitted.predict(held)
        _told(progress, fold + 1)
    own_guess = np.where(treated, treated_guess, control_guess)
    sign = np.where(treated, 1.0, -1.0)
    pseudo = treated_guess - control_guess + sign * (rows.reward - own_guess) / chance_of_own
    effect = np.empty(len(rows))
    for fold in range(FOLDS):
        fitted = _boosted(matrix[part != fold], pseudo[part != fold], EFFECT, seed)
        effect[part == fold] = fitted.predict(xgb.DMatrix(matrix[part == fold], nthread=1))
        _told(progress, FOLDS + fold + 1)
    return effect, pseudo


def _boosted(matrix: Floats, target: Floats, settings: dict[str, float], seed: int) -> xgb.Booster:
    fixed_settings = {
        "objective": "reg:squarederror",
        "tree_method": "hist",
        "base_score": float(target.mean()),
        "subsample": 0.8,
        "nthread": 1,
        "seed": seed,
    }
    return xgb.train({**fixed_settings, **settings}, xgb.DMatrix(matrix, target, nthread=1), ROUNDS)


def _balancing(treated: Booleans, chance_of_own: Floats) -> Floats:
    """Return weights that undo uneven chances; 1 everywhere where each arm has one chance throughout."""
    weight = 1 / chance_of_own
    for arm in (treated, ~treated):
        weight[arm] /= weight[arm].mean()
    return weight


def _told(progress: Progress | None, done: int) -> None:
    if progress is not None:
        progress(done, 2 * FOLDS)


def _warnings(
    rows: DecisionLog, treated: Booleans, chance_of_own: Floats, ate: Interval, *, told: bool
) -> tuple[str, ...]:
    warnings = []
    for name, arm in (("treatment", treated), ("control", ~treated)):
        mean = float((arm / chance_of_own).mean())
        test = fixed(Estimate(mean, arm / chance_of_own - mean), rows.cluster, 0.01)
        if test.low is None or test.high is None or not test.low <= 1 <= test.high:
            warnings.append(
                f"the mean weight of the {name} is {mean:.3f}, not 1: the logged probabilities are not the ones "
                "the arms were drawn with"
            )
    if ate.low is None or ate.high is None or ate.low <= 0 <= ate.high:
        warnings.append("no effect on average can be told: its interval includes zero")
    if not told:
        warnings.append("no reliable heterogeneity: the order of the effects is within noise")
    return tuple(warnings)
