"""How well churn is told on later time, beside the base rate and any other chance, such as BG/NBD's P(alive)."""

import numpy as np
from scipy.stats import rankdata

from models.ridge import Floats

_LEAST = 1e-6


def skill(chance: Floats, gone: Floats, base_rate: float) -> float:
    """Return 1 - log-loss / log-loss of the base rate, which is in (0, 1); above 0 is better than it."""
    return 1 - _loss(chance, gone) / _loss(np.full(len(gone), base_rate), gone)


def auc(chance: Floats, gone: Floats) -> float:
    """Return the chance that who stayed away had a higher one than who came; 0.5 is chance, nan without both kinds."""
    ones = float(gone.sum())
    zeros = len(gone) - ones
    if not ones or not zeros:
        return float("nan")
    return float((rankdata(chance)[gone > 0].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def observed_over_expected(chance: Floats, gone: Floats) -> float:
    """Return how many stayed away of those expected to; 1 is calibrated in the large."""
    return float(gone.sum() / chance.sum())


def _loss(chance: Floats, gone: Floats) -> float:
    told = np.clip(chance, _LEAST, 1 - _LEAST)
    return -float((gone * np.log(told) + (1 - gone) * np.log1p(-told)).mean())
