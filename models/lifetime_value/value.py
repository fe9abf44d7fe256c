"""What customers are worth over a time to come: purchases they will make, times what they spend, discounted."""

from dataclasses import dataclass

import numpy as np

from models.lifetime_value import bg_nbd, gamma_gamma
from models.lifetime_value.bg_nbd import BgNbd
from models.lifetime_value.gamma_gamma import GammaGamma
from models.lifetime_value.summary import Customers, Floats, NotEnoughData

MOST_CORRELATION = 0.3
"""Of frequency and spend; beyond it a product of both is doubtful, and told to be."""


@dataclass(frozen=True)
class LifetimeValue:
    """Both models, or as much as the data could carry.

    Attributes:
        purchases: how often.
        spend: how much; None where too few amounts are known.
        warnings: what a reader must know.
    """

    purchases: BgNbd
    spend: GammaGamma | None
    warnings: tuple[str, ...] = ()

    def worth(self, customers: Customers, *, periods: int, length: float, discount: float = 0.0) -> Floats:
        """Return what each is expected to spend, shape (n,).

        Args:
            customers: those asked about, in the unit of time the model was fitted in.
            periods: how many periods ahead, at least 1.
            length: of one period, above 0.
            discount: by which a period's money is worth less than that of the one before, at least 0.

        Raises:
            NotEnoughData: no amounts are known well enough.
            ValueError: a number is impossible.
        """
        if self.spend is None:
            raise NotEnoughData("not enough data: too few amounts are known; only purchases can be told")
        if periods < 1 or discount < 0:
            raise ValueError("periods: expected at least 1; discount: expected at least 0")
        until = [self.purchases.expected_purchases(customers, length * (turn + 1)) for turn in range(periods)]
        each = np.diff(np.array([np.zeros(len(customers)), *until]), axis=0)
        present = (1 + discount) ** -np.arange(1.0, periods + 1)
        return np.asarray(present @ each * self.spend.expected_spend(customers))


def fit(customers: Customers) -> LifetimeValue:
    """Fit both models.

    Raises:
        NotEnoughData: too few customers, or too few who came back.
    """
    purchases = bg_nbd.fit(customers)
    try:
        spend = gamma_gamma.fit(customers)
    except NotEnoughData as error:
        return LifetimeValue(purchases, None, (str(error),))
    if abs(spend.correlation) <= MOST_CORRELATION:
        return LifetimeValue(purchases, spend)
    doubt = f"frequency and spend go together (correlation {spend.correlation:.2f}): their product misleads"
    return LifetimeValue(purchases, spend, (doubt,))
