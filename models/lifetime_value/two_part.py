"""What people will spend where few spend at all: whether they do, and how much, each with a prior.

    E[spend] = p exp(mu + s^2 / 2),    p logistic and mu linear in the features (Wang et al. 2019)

For data too sparse for purchase histories: one look at the features, one at what was spent in the window after.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from models import ridge
from models.lifetime_value.summary import LEAST_CUSTOMERS, LEAST_REPEATERS, Floats, NotEnoughData

SLOPE_SD = 0.5
"""Of every slope's prior, for features of variance 1."""
_INTERCEPT_SD = 10.0
_PRIOR_SPENDERS, _PRIOR_VARIANCE = 10.0, 1.0
"""Spenders that a variance of 1 on the log scale counts for."""


@dataclass(frozen=True)
class TwoPart:
    """A fitted expectation.

    Attributes:
        mean: of the features, shape (d,).
        sd: of the features, above 0, shape (d,).
        chance: log-odds of spending, intercept first, shape (d + 1,).
        amount: log of the amount, intercept first, shape (d + 1,).
        variance: of the log amount around its expectation, above 0.
    """

    mean: Floats
    sd: Floats
    chance: Floats
    amount: Floats
    variance: float

    def spends(self, features: Floats) -> Floats:
        """Return the chance of spending anything, shape (n,)."""
        return np.asarray(expit(self._design(features) @ self.chance))

    def expected(self, features: Floats) -> Floats:
        """Return the expected spend, those who spend nothing included, in the unit it was fitted in, shape (n,)."""
        each = np.exp(self._design(features) @ self.amount + self.variance / 2)
        return np.asarray(self.spends(features) * each)

    def _design(self, features: Floats) -> Floats:
        return np.column_stack([np.ones(len(features)), (features - self.mean) / self.sd])


def fit(features: Floats, spend: Floats) -> TwoPart:
    """Return the expectation.

    Args:
        features: known before the window, finite, shape (n, d).
        spend: in the window, at least 0, shape (n,).

    Raises:
        NotEnoughData: fewer than 100 people, or fewer than 30 who spent.
        ValueError: a number is impossible; names it.
    """
    if not np.isfinite(features).all():
        raise ValueError("features: expected finite values")
    if len(spend) != len(features) or not (np.isfinite(spend) & (spend >= 0)).all():
        raise ValueError("spend: expected finite values, at least 0, one for each row of features")
    spent = spend > 0
    if len(spend) < LEAST_CUSTOMERS or spent.sum() < LEAST_REPEATERS:
        raise NotEnoughData(
            f"not enough data: {len(spend)} people, {int(spent.sum())} of them spent;"
            f" at least {LEAST_CUSTOMERS} and {LEAST_REPEATERS} are needed"
        )
    sd = features.std(axis=0)
    start = TwoPart(features.mean(axis=0), np.where(sd > 0, sd, 1.0), np.zeros(1), np.zeros(1), 1.0)
    design, logs = start._design(features), np.log(spend[spent])  # noqa: SLF001 - its own
    spread = np.array([_INTERCEPT_SD, *(SLOPE_SD for _ in sd)])
    # A share of 1 has no log-odds; one more on either side has.
    share = (spent.sum() + 1) / (len(spent) + 2)
    chance = ridge.logistic(design, spent.astype(np.float64), mean=_believed(logit(share), sd), sd=spread)
    noise = max(float(logs.std()), 1e-6)
    amount = ridge.linear(design[spent], logs, mean=_believed(logs.mean(), sd), sd=spread, noise=noise)
    left = float(((logs - design[spent] @ amount) ** 2).sum())
    variance = (left + _PRIOR_SPENDERS * _PRIOR_VARIANCE) / (len(logs) + _PRIOR_SPENDERS)
    return TwoPart(start.mean, start.sd, chance, amount, variance)


def _believed(intercept: float, slopes: Floats) -> Floats:
    return np.array([float(intercept), *(0.0 for _ in slopes)])
