"""BG/NBD: how often somebody buys, and whether they have left (Fader, Hardie and Lee, 2005).

While alive a customer buys at a Poisson rate that differs by customer as a Gamma(r, alpha); after each purchase they
leave for good with a chance that differs as a Beta(a, b). All four parameters are above 0.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

from models.lifetime_value.summary import Customers, Floats

_TOLERANCE = 1e-10
_MOST_STEPS = 5000
_HAIR = 1e-7


@dataclass(frozen=True)
class BgNbd:
    """A fitted model.

    Attributes:
        r: shape of the purchase rates.
        alpha: their rate, in the customers' unit of time.
        a: of the chance to leave.
        b: of the chance to stay.
        log_likelihood: of the customers it was fitted to; NaN where the parameters were given.
    """

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float = float("nan")

    def alive(self, customers: Customers) -> Floats:
        """Return the chance that each is still a customer at the end of observation, shape (n,), 0 to 1.

        Who bought once only is alive by the model's definition: nobody leaves before a repeat purchase.
        """
        x, last, age = customers.frequency, customers.recency, customers.age
        again = np.maximum(x, 1.0)
        odds = (
            np.log(self.a)
            - np.log(self.b + again - 1)
            + (self.r + x) * np.log((self.alpha + age) / (self.alpha + last))
        )
        return np.where(x > 0, 1 / (1 + np.exp(odds)), 1.0)

    def silent(self, customers: Customers, time: float) -> Floats:
        """Return the chance that each makes no purchase in the next ``time``, shape (n,), 0 to 1.

        Gone, or alive and waiting: of who is alive the rate is Gamma(r + x, alpha + age).

        Raises:
            ValueError: ``time`` is not above 0.
        """
        if not time > 0:
            raise ValueError("time: expected a number above 0")
        reach = self.alpha + customers.age
        waits = (reach / (reach + time)) ** (self.r + customers.frequency)
        return np.asarray(1 - self.alive(customers) * (1 - waits))

    def expected_purchases(self, customers: Customers, time: float) -> Floats:
        """Return how many purchases each is expected to make in the next ``time``, shape (n,).

        Raises:
            ValueError: ``time`` is not above 0.
        """
        if not time > 0:
            raise ValueError("time: expected a number above 0")
        x, age = customers.frequency, customers.age
        reach = self.alpha + age
        # At a = 1 the quotient is 0 / 0; a hair beside it the limit is told exactly enough.
        chance = self.a if abs(self.a - 1) > _HAIR else 1 + _HAIR
        share = hyp2f1(self.r + x, self.b + x, chance + self.b + x - 1, time / (reach + time))
        factor = (chance + self.b + x - 1) / (chance - 1)
        unconditional = factor * (1 - (reach / (reach + time)) ** (self.r + x) * share)
        return np.asarray(unconditional * self.alive(customers))


def fit(customers: Customers) -> BgNbd:
    """Fit by maximum likelihood.

    Raises:
        NotEnoughData: too few customers, or too few who came back.
    """
    customers.require_enough()
    # Times in units of the mean age: the search then starts near the answer whatever the unit is.
    scale = float(customers.age.mean())
    scaled = Customers(customers.frequency, customers.recency / scale, customers.age / scale, customers.spend)
    found = minimize(
        lambda logs: -float(_log_likelihoods(np.exp(logs), scaled).mean()),
        x0=np.zeros(4),
        method="Nelder-Mead",
        options={"xatol": _TOLERANCE, "fatol": _TOLERANCE**1.2, "maxiter": _MOST_STEPS, "maxfev": _MOST_STEPS},
    )
    r, alpha, a, b = np.exp(found.x)
    made = BgNbd(float(r), float(alpha * scale), float(a), float(b))
    return BgNbd(made.r, made.alpha, made.a, made.b, log_likelihood(made, customers))


def log_likelihood(model: BgNbd, customers: Customers) -> float:
    """Return the log-likelihood of customers under a model."""
    return float(_log_likelihoods(np.array([model.r, model.alpha, model.a, model.b]), customers).sum())


def _log_likelihoods(parameters: Floats, customers: Customers) -> Floats:
    r, alpha, a, b = parameters
    x, last, age = customers.frequency, customers.recency, customers.age
    common = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stayed = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + age)
    again = np.maximum(x, 1.0)
    left = betaln(a + 1, b + again - 1) - betaln(a, b) - (r + x) * np.log(alpha + last)
    return np.asarray(common + np.where(x > 0, np.logaddexp(stayed, left), stayed))
