"""What a message changes, from how it could: somebody opens who would not have come anyway; corrected by what it did.

    tau(x) = p_open(x) (1 - p0(x)),    p0 = P(active in the window without a message)
    effect = tau(x) + s g(x),          g: a heavily regularised regression of the doubly robust residual on x

    residual = t (y - m1) / e - (1 - t) (y - m0) / (1 - e),    m0 = p0, m1 = p0 + tau, all out of fold

The first line takes an open for the only way a message works, never to harm; the second is the guard for where that is
wrong. s is chosen by the Qini coefficient of rows the learners did not see, and is 0 unless it surely helps.
"""

from dataclasses import dataclass

import numpy as np
import xgboost as xgb

from models.off_policy.log import Booleans, Floats, Integers, folds
from models.uplift.qini import bootstrap, qini

FOLDS = 2
FEWEST_ROWS = 1000
"""With a message, and without."""
FEWEST_ANSWERS = 50
"""Opens, and visits without a message."""
SHARES = (0.0, 0.25, 0.5, 1.0)
"""Candidates for s."""
CHANCE = {"max_depth": 2, "eta": 0.05, "min_child_weight": 20, "reg_lambda": 20.0, "subsample": 0.8}
CHANCE_ROUNDS = 150
RESIDUAL = {"max_depth": 2, "eta": 0.05, "min_child_weight": 500, "reg_lambda": 200.0, "subsample": 0.8}
RESIDUAL_ROUNDS = 60


class NotEnoughData(ValueError):
    """Too few rows or too few answers to tell an effect; says how many are needed."""


@dataclass(frozen=True)
class Trial:
    """n decisions in which chance decided whether a message went out.

    Attributes:
        features: known before, shape (n, d); NaN where missing.
        treated: whether a message went out, shape (n,).
        opened: 1 where it was opened, 0 elsewhere, shape (n,).
        active: 1 where the recipient was there in the window, shape (n,).
        propensity: logged chance of a message, in (0, 1), shape (n,).
        recipient: whose decision, shape (n,).
    """

    features: Floats
    treated: Booleans
    opened: Floats
    active: Floats
    propensity: Floats
    recipient: Integers

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: names what is wrong and what was expected.
        """
        size = len(self.features)
        for name in ("treated", "opened", "active", "propensity", "recipient"):
            if len(getattr(self, name)) != size:
                raise ValueError(f"{name}: expected {size} values, one for each decision")
        if not ((self.propensity > 0) & (self.propensity < 1)).all():
            raise ValueError("propensity: expected between 0 and 1: what is certain tells nothing of the other")
        if (self.opened[~self.treated] != 0).any():
            raise ValueError("opened: expected 0 where no message went out")

    def some(self, rows: Booleans) -> "Trial":
        """Return some of the decisions."""
        names = ("features", "treated", "opened", "active", "propensity", "recipient")
        return Trial(*(getattr(self, name)[rows] for name in names))


@dataclass(frozen=True)
class Structural:
    """A fitted effect.

    Attributes:
        opens: of the chance of an open, given a message.
        visits: of the chance of being active without one.
        residual: of what the two leave over.
        share: s, 0 where the residual is not trusted.
    """

    opens: xgb.Booster
    visits: xgb.Booster
    residual: xgb.Booster
    share: float

    def chances(self, features: Floats) -> tuple[Floats, Floats]:
        """Return the chance of an open given a message, and of a visit without one, both of shape (n,)."""
        rows = xgb.DMatrix(features, nthread=1)
        return _doubles(self.opens.predict(rows)), _doubles(self.visits.predict(rows))

    def effect(self, features: Floats) -> Floats:
        """Return by how much a message raises the chance of being active, in [-1, 1], shape (n,)."""
        p_open, p_active = self.chances(features)
        left = _doubles(self.residual.predict(xgb.DMatrix(features, nthread=1))) if self.share else 0.0
        return np.clip(p_open * (1 - p_active) + self.share * left, -1.0, 1.0)


def fit(trial: Trial, *, seed: int) -> Structural:
    """Learn the effect of a message.

    Raises:
        NotEnoughData: too few rows with or without a message, too few opens or visits.
    """
    _check(trial)
    part = folds(trial.recipient, FOLDS, seed)
    tau, residual = np.empty(len(part)), np.empty(len(part))
    for fold in range(FOLDS):
        held = part == fold
        fitted = _chances(trial.some(~held), seed)
        tau[held], residual[held] = _left_over(fitted, trial.some(held))
    correction = np.empty(len(part))
    for fold in range(FOLDS):
        held = part == fold
        booster = _residual(trial.features[~held], residual[~held], seed)
        correction[held] = booster.predict(xgb.DMatrix(trial.features[held], nthread=1))
    opens, visits = _chances(trial, seed)
    return Structural(opens, visits, _residual(trial.features, residual, seed), _share(trial, tau, correction, seed))


def _check(trial: Trial) -> None:
    treated = trial.treated
    needs = {
        "decisions with a message": (int(treated.sum()), FEWEST_ROWS),
        "decisions without one": (int((~treated).sum()), FEWEST_ROWS),
        "opens": (int(trial.opened.sum()), FEWEST_ANSWERS),
        "visits without a message": (int(trial.active[~treated].sum()), FEWEST_ANSWERS),
    }
    for name, (count, least) in needs.items():
        if count < least:
            raise NotEnoughData(f"not enough data: {count} {name}; at least {least} are needed")


def _chances(trial: Trial, seed: int) -> tuple[xgb.Booster, xgb.Booster]:
    sent = trial.treated
    return (
        _boosted(trial.features[sent], trial.opened[sent], "binary:logistic", CHANCE, CHANCE_ROUNDS, seed),
        _boosted(trial.features[~sent], trial.active[~sent], "binary:logistic", CHANCE, CHANCE_ROUNDS, seed),
    )


def _left_over(fitted: tuple[xgb.Booster, xgb.Booster], held: Trial) -> tuple[Floats, Floats]:
    """Return tau and the doubly robust residual of rows the boosters did not see."""
    rows = xgb.DMatrix(held.features, nthread=1)
    p_open, without = (_doubles(each.predict(rows)) for each in fitted)
    tau = p_open * (1 - without)
    with_one = held.treated * (held.active - without - tau) / held.propensity
    return tau, with_one - ~held.treated * (held.active - without) / (1 - held.propensity)


def _share(trial: Trial, tau: Floats, correction: Floats, seed: int) -> float:
    """Return the s of the best Qini out of fold; 0 unless it is better than the interval of 0 reaches."""
    weight = 1 / np.where(trial.treated, trial.propensity, 1 - trial.propensity)
    plain = bootstrap(tau, trial.active, trial.treated, trial.recipient, weight, seed=seed)
    found = {share: qini(tau + share * correction, trial.active, trial.treated, weight) for share in SHARES[1:]}
    best = max(found, key=lambda share: found[share])
    surely = plain.high is not None and found[best] > plain.high
    return best if surely else 0.0


def _residual(features: Floats, residual: Floats, seed: int) -> xgb.Booster:
    return _boosted(features, residual, "reg:squarederror", RESIDUAL, RESIDUAL_ROUNDS, seed)


def _boosted(
    features: Floats, target: Floats, objective: str, settings: dict[str, float], rounds: int, seed: int
) -> xgb.Booster:
    given = {
        "objective": objective,
        "tree_method": "hist",
        "base_score": float(target.mean()),
        "nthread": 1,
        "seed": seed,
    }
    return xgb.train({**given, **settings}, xgb.DMatrix(features, target, nthread=1), rounds)


def _doubles(values: Floats) -> Floats:
    return np.asarray(values, dtype=np.float64)
