"""Gamma-Gamma: the mean amount somebody spends, from the few amounts that were seen (Fader and Hardie, 2013).

Amounts of one customer are Gamma(p, v), and v differs by customer as a Gamma(q, gamma). It assumes that how much is
spent does not depend on how often; ``fit`` says how strongly they go together.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

from models.lifetime_value.summary import LEAST_REPEATERS, Customers, Floats, NotEnoughData

_TOLERANCE = 1e-10
_MOST_STEPS = 5000


@dataclass(frozen=True)
class GammaGamma:
    """A fitted model.

    Attributes:
        p: shape of one customer's amounts.
        q: shape of what differs by customer.
        gamma: its rate, in the unit of the amounts.
        correlation: of frequency and spend among those it was fitted to; far from 0 the model does not hold.
    """

    p: float
    q: float
    gamma: float
    correlation: float = float("nan")

    def expected_spend(self, customers: Customers) -> Floats:
        """Return the mean amount of each's next purchases, shape (n,); the population's where nothing was seen.

        Without a mean (``q`` at most 1) who was never seen has none: NaN.
        """
        seen = np.where(np.isnan(customers.spend), 0.0, customers.frequency)
        total = seen * np.nan_to_num(customers.spend)
        below = self.p * seen + self.q - 1
        return np.where(below > 0, self.p * (self.gamma + total) / np.where(below > 0, below, 1.0), np.nan)


def fit(customers: Customers) -> GammaGamma:
    """Fit by maximum likelihood to those whose repeat purchases have amounts.

    Raises:
        NotEnoughData: fewer than 30 such customers.
    """
    use = (customers.frequency > 0) & ~np.isnan(customers.spend)
    if int(use.sum()) < LEAST_REPEATERS:
        raise NotEnoughData(
            f"not enough data: {int(use.sum())} customers came back and spent a known amount;"
            f" at least {LEAST_REPEATERS} are needed"
        )
    often, spend = customers.frequency[use], customers.spend[use]
    scale = float(spend.mean())
    found = minimize(
        lambda logs: -_mean_log_likelihood(np.exp(logs), often, spend / scale),
        x0=np.array([1.0, 1.0, 1.0]),
        method="Nelder-Mead",
        options={"xatol": _TOLERANCE, "fatol": _TOLERANCE**1.2, "maxiter": _MOST_STEPS, "maxfev": _MOST_STEPS},
    )
    p, q, gamma = np.exp(found.x)
    varied = often.std() > 0 and spend.std() > 0
    together = float(np.corrcoef(often, spend)[0, 1]) if varied else 0.0
    return GammaGamma(float(p), float(q), float(gamma * scale), together)


def _mean_log_likelihood(parameters: Floats, often: Floats, spend: Floats) -> float:
    p, q, gamma = parameters
    shape = p * often
    each = (
        gammaln(shape + q)
        - gammaln(shape)
        - gammaln(q)
        + q * np.log(gamma)
        + (shape - 1) * np.log(spend)
        + shape * np.log(often)
        - (shape + q) * np.log(gamma + often * spend)
    )
    return float(each.mean())
