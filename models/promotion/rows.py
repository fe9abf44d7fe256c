"""Scored rows with what came of them; the intervals know that the rows of one recipient go together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from models.calibration import FLOOR, sigmoid

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

LEAST_ROWS = 200
"""Rows below which nothing is said about a group."""
LEAST_POSITIVES = 20
"""Rows of either class below which nothing is said about calibration."""
_NEWTON_STEPS = 50
_RIDGE = 1e-6
_FEWEST_UNITS = 2


@dataclass(frozen=True)
class Scored:
    """n rows: ``label`` 0 or 1, ``p`` in (0, 1), ``unit`` the recipient of each, each of shape (n,)."""

    label: Floats
    p: Floats
    unit: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.label)

    @classmethod
    def of(cls, label: npt.ArrayLike, p: npt.ArrayLike, unit: Sequence[str] | npt.NDArray[np.str_]) -> "Scored":
        """Return rows, their recipients numbered.

        Raises:
            ValueError: the lengths differ, or a prediction is no probability.
        """
        known, chance = np.asarray(label, dtype=np.float64), np.asarray(p, dtype=np.float64)
        place = np.unique(np.asarray(unit), return_inverse=True)[1].astype(np.int64)
        if not len(known) == len(chance) == len(place):
            raise ValueError("label, p and unit: expected as many values of each")
        if not ((chance > 0) & (chance < 1)).all():
            raise ValueError("p: expected probabilities strictly between 0 and 1")
        return cls(known, chance, place)

    def take(self, rows: Booleans) -> "Scored":
        """Return some of the rows."""
        return Scored(self.label[rows], self.p[rows], self.unit[rows])

    @property
    def loss(self) -> Floats:
        """Log-loss of each row, in nats."""
        kept = np.clip(self.p, FLOOR, 1 - FLOOR)
        return -(self.label * np.log(kept) + (1 - self.label) * np.log1p(-kept))

    @property
    def can_be_judged(self) -> bool:
        """True when the rows, and those of either class, are enough to speak of calibration."""
        positives = int(self.label.sum())
        return len(self) >= LEAST_ROWS and min(positives, len(self) - positives) >= LEAST_POSITIVES


@dataclass(frozen=True)
class Told:
    """A number with its interval."""

    value: float
    low: float
    high: float

    def misses(self, low: float, high: float) -> bool:
        """Tell whether the whole interval lies outside of a band."""
        return self.high < low or self.low > high


def mean(values: Floats, unit: npt.NDArray[np.int64], *, alpha: float = 0.05) -> Told:
    """Return a mean with its interval of chance 1 - alpha, robust to rows of one recipient going together."""
    value = float(values.mean())
    return _around(value, _error(values - value, unit, len(values)), unit, alpha)


def observed_expected(rows: Scored, *, alpha: float = 0.05) -> Told:
    """Return what happened over what was expected, with an interval by the delta method."""
    expected = float(rows.p.sum())
    value = float(rows.label.sum()) / expected
    influence = (rows.label - value * rows.p) * len(rows) / expected
    return _around(value, _error(influence, rows.unit, len(rows)), rows.unit, alpha)


def slope(rows: Scored, *, alpha: float = 0.05) -> Told:
    """Return the calibration slope with a sandwich interval: 1 is right, below 1 means scores too extreme."""
    margin = np.log(rows.p) - np.log1p(-rows.p)
    design = np.column_stack([np.ones_like(margin), margin])
    beta = np.array([0.0, 1.0])
    bread = np.eye(2)
    for _ in range(_NEWTON_STEPS):
        p = sigmoid(design @ beta)
        curvature = np.maximum(p * (1 - p), FLOOR)
        bread = np.linalg.inv((design.T * curvature) @ design + _RIDGE * np.eye(2))
        step = np.clip(bread @ (design.T @ (rows.label - p)), -2.0, 2.0)
        beta = beta + step
        if np.abs(step).max() < FLOOR:
            break
    scores = design * (rows.label - sigmoid(design @ beta))[:, None]
    influence = (scores @ bread)[:, 1] * len(rows)
    return _around(float(beta[1]), _error(influence, rows.unit, len(rows)), rows.unit, alpha)


def _error(influence: Floats, unit: npt.NDArray[np.int64], rows: int) -> float:
    place = np.unique(unit, return_inverse=True)[1]
    sums = np.bincount(place, weights=influence)
    units = len(sums)
    if units < _FEWEST_UNITS:
        return float("inf")
    return float(np.sqrt(((sums - sums.mean()) ** 2).sum() * units / (units - 1)) / rows)


def _around(value: float, error: float, unit: npt.NDArray[np.int64], alpha: float) -> Told:
    units = max(len(np.unique(unit)) - 1, 1)
    half = float(stats.t.ppf(1 - alpha / 2, units)) * error
    return Told(value, value - half, value + half)
