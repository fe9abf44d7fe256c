"""Fit the chance of staying away: boosted trees, calibrated on rows they did not see."""

from dataclasses import dataclass

import numpy as np
import xgboost as xgb

from models import calibration
from models.calibration import Calibration
from models.churn.spec import BOOSTER, FEATURES, FEWEST_OF_EACH, FEWEST_PEOPLE, FOLDS, ROUNDS
from models.ridge import Floats


class NotEnoughData(ValueError):
    """Too few people, or too few of either kind; says how many are needed."""


@dataclass(frozen=True)
class Churn:
    """A fitted chance.

    Attributes:
        booster: margin from features.
        calibration: chance from margin.
        base_rate: share that stayed away.
    """

    booster: xgb.Booster
    calibration: Calibration
    base_rate: float


def fit(features: Floats, gone: Floats, *, seed: int) -> Churn:
    """Return the chance of staying away.

    Args:
        features: as of a moment, in the order of ``spec.FEATURES``, NaN where missing, shape (n, d).
        gone: 1 where somebody stayed away after it, else 0, shape (n,).
        seed: of the folds and the booster.

    Raises:
        NotEnoughData: fewer than 300 people, or fewer than 50 of either kind.
        ValueError: the columns are not those of ``spec.FEATURES``.
    """
    if features.shape != (len(gone), len(FEATURES)):
        raise ValueError(f"features: expected shape ({len(gone)}, {len(FEATURES)}), got {features.shape}")
    least = int(min(gone.sum(), (1 - gone).sum()))
    if len(gone) < FEWEST_PEOPLE or least < FEWEST_OF_EACH:
        raise NotEnoughData(
            f"not enough data: {len(gone)} people, {least} of the rarer kind;"
            f" at least {FEWEST_PEOPLE} and {FEWEST_OF_EACH} are needed"
        )
    part = np.random.default_rng(seed).permutation(len(gone)) % FOLDS
    margin = np.empty(len(gone))
    for fold in range(FOLDS):
        held = part == fold
        booster = _boosted(features[~held], gone[~held], seed)
        margin[held] = booster.predict(xgb.DMatrix(features[held], nthread=1), output_margin=True)
    found = calibration.platt(margin, gone.astype(np.int8))
    return Churn(_boosted(features, gone, seed), found, float(gone.mean()))


def _boosted(features: Floats, gone: Floats, seed: int) -> xgb.Booster:
    settings = {
        "objective": "binary:logistic",
        "base_score": float(gone.mean()),
        "tree_method": "hist",
        "nthread": 1,
        "seed": seed,
    }
    return xgb.train({**settings, **BOOSTER}, xgb.DMatrix(features, gone, nthread=1), ROUNDS)
