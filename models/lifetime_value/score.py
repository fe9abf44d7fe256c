"""Scores customers from the files of a registered version: spending to come, or the chance to be gone."""

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.lifetime_value import spec
from models.lifetime_value.bg_nbd import BgNbd
from models.lifetime_value.gamma_gamma import GammaGamma
from models.lifetime_value.summary import Customers, Floats
from models.lifetime_value.value import LifetimeValue

FILE = "parameters.json"


def to_files(name: str, fitted: LifetimeValue) -> dict[str, bytes]:
    """Return a fitted model as the files of one of its registered models: plain JSON."""
    bought, spent = fitted.purchases, fitted.spend
    told = {
        "model": name,
        "purchases": {"r": bought.r, "alpha": bought.alpha, "a": bought.a, "b": bought.b},
        "spend": None if spent is None else {"p": spent.p, "q": spent.q, "gamma": spent.gamma},
    }
    return {FILE: json.dumps(told, sort_keys=True).encode()}


class Scorer:
    """One of the two registered models; ``features`` is the order of a row's columns."""

    features = spec.FEATURES

    def __init__(self, name: str, fitted: LifetimeValue) -> None:
        self._name = name
        self._fitted = fitted

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Scorer":
        """Read a registered version.

        Raises:
            ValueError: the file is missing or has another shape.
        """
        try:
            told = json.loads(files[FILE])
            spend = None if told["spend"] is None else GammaGamma(**told["spend"])
            return cls(str(told["model"]), LifetimeValue(BgNbd(**told["purchases"]), spend))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{FILE}: expected model, purchases and spend") from error

    def score(self, matrix: npt.NDArray[np.floating]) -> Floats:
        """Return one number per customer: minor units in the next 30 days, or the chance of having left, 0 to 1.

        Args:
            matrix: shape (n, 4) in the order of ``features``; ``mean_spend`` is NaN where there was none.

        Raises:
            ValueError: a row is no customer; names the rule.
            NotEnoughData: spending is asked of a model that could not learn it.
        """
        columns = np.asarray(matrix, dtype=np.float64)
        customers = Customers.of(columns[:, 0], columns[:, 1], columns[:, 2], columns[:, 3])
        if self._name == spec.CHURN:
            return 1.0 - self._fitted.purchases.alive(customers)
        return self._fitted.worth(customers, periods=1, length=float(spec.HORIZON_DAYS))

    def testable(self, customers: Customers) -> Floats:
        """Return what the next 30 days will show, shape (n,): minor units spent, or the chance that nothing is bought.

        Nobody ever sees that a customer has left; that nothing is bought is seen.

        Raises:
            NotEnoughData: spending is asked of a model that could not learn it.
        """
        if self._name == spec.CHURN:
            return self._fitted.purchases.silent(customers, float(spec.HORIZON_DAYS))
        return self._fitted.worth(customers, periods=1, length=float(spec.HORIZON_DAYS))


def rows(customers: Customers) -> Floats:
    """Return customers as rows of ``FEATURES``, shape (n, 4)."""
    return np.column_stack([customers.frequency, customers.recency, customers.age, customers.spend])
