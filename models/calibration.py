"""Calibration: from a booster's margin to a probability that means what it says.

A map is piecewise linear in log-odds and never falls, so it cannot change a ranking. Platt scaling is the map of
one piece; isotonic regression gives one of many. Both are kept as the same few knots and read by the same line.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FLOOR = 1e-6
"""No calibrated probability is nearer to 0 or 1 than this."""

_NEWTON_STEPS = 50
_SLOPE_PRIOR = 1e-6
_BLOCK_PRIOR = 1.0
"""Rows at the overall rate added to every isotonic block, so that a block of one class is not certain."""


class Method(StrEnum):
    """How a map was fitted."""

    PLATT = "platt"
    ISOTONIC = "isotonic"


@dataclass(frozen=True)
class Calibration:
    """Knots in log-odds, ``x`` rising strictly; beyond the ends the map goes on with the given slopes."""

    method: Method
    x: tuple[float, ...]
    y: tuple[float, ...]
    slope_below: float
    slope_above: float

    def apply(self, margin: Floats) -> Floats:
        """Return the probabilities of margins (log-odds), in [FLOOR, 1 - FLOOR]."""
        x, y = np.array(self.x), np.array(self.y)
        inner = np.interp(margin, x, y)
        below = self.slope_below * np.minimum(margin - x[0], 0.0)
        above = self.slope_above * np.maximum(margin - x[-1], 0.0)
        return np.clip(sigmoid(inner + below + above), FLOOR, 1.0 - FLOOR)

    def to_json(self) -> bytes:
        """Return the map as JSON; floats survive unchanged."""
        return json.dumps(asdict(self), allow_nan=False, sort_keys=True).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Calibration":
        """Read a map.

        Raises:
            ValueError: it is not a rising map of finite numbers.
        """
        raw = json.loads(text)
        try:
            read = cls(
                method=Method(raw["method"]),
                x=tuple(map(float, raw["x"])),
                y=tuple(map(float, raw["y"])),
                slope_below=float(raw["slope_below"]),
                slope_above=float(raw["slope_above"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("calibration: method, x, y, slope_below and slope_above are needed") from error
        read.check()
        return read

    def check(self) -> None:
        """Refuse a map that is not finite, or that falls anywhere.

        Raises:
            ValueError: says which of the two.
        """
        numbers = np.array([*self.x, *self.y, self.slope_below, self.slope_above])
        if not self.x or len(self.x) != len(self.y) or not np.isfinite(numbers).all():
            raise ValueError("calibration: expected as many finite x as y, at least one")
        rises = (np.diff(self.x) > 0).all() and (np.diff(self.y) >= 0).all()
        if not rises or min(self.slope_below, self.slope_above) < 0:
            raise ValueError("calibration: the map must never fall")


def sigmoid(margin: Floats) -> Floats:
    """Return the probability of log-odds, without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * margin))


def logit(p: Floats) -> Floats:
    """Return the log-odds of probabilities, kept FLOOR away from certainty."""
    kept = np.clip(p, FLOOR, 1.0 - FLOOR)
    return np.log(kept) - np.log1p(-kept)


def line(margin: Floats, label: npt.NDArray[Any], weight: Floats | None = None) -> tuple[float, float]:
    """Fit intercept and slope of ``logit P(label) = intercept + slope * margin`` by maximum likelihood.

    The slope is what calibration calls the calibration slope: 1 is right, below 1 means scores too extreme. A row
    counts ``weight`` times, once when no weights are given.
    """
    times = np.ones_like(margin) if weight is None else weight
    design = np.column_stack([np.ones_like(margin), margin])
    beta = np.array([0.0, 1.0])
    for _ in range(_NEWTON_STEPS):
        p = sigmoid(design @ beta)
        gradient = design.T @ (times * (label - p)) - _SLOPE_PRIOR * beta
        curvature = times * np.maximum(p * (1.0 - p), FLOOR)
        step = np.linalg.solve((design.T * curvature) @ design + _SLOPE_PRIOR * np.eye(2), gradient)
        beta = beta + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < FLOOR:
            break
    return float(beta[0]), float(beta[1])


def platt(margin: Floats, label: npt.NDArray[np.int8]) -> Calibration:
    """Fit the map of one piece. A slope below 0 becomes 0: such scores say nothing, and a map never falls."""
    intercept, slope = line(margin, label)
    if slope < 0:
        intercept, slope = float(logit(np.array([label.mean()]))[0]), 0.0
    return Calibration(Method.PLATT, x=(0.0,), y=(intercept,), slope_below=slope, slope_above=slope)


def isotonic(margin: Floats, label: npt.NDArray[np.int8]) -> Calibration:
    """Fit isotonic regression, each block pulled together into one knot at its mean margin.

    Between knots the map rises in a straight line, so that ties do not appear where the booster saw differences
    (centred isotonic regression). Beyond the ends it keeps the booster's own differences.
    """
    order = np.argsort(margin, kind="stable")
    blocks = _pool(label[order].astype(np.float64))
    starts = np.concatenate([[0], np.cumsum(blocks)[:-1]]).astype(np.int64)
    sizes = np.array(blocks, dtype=np.float64)
    x = np.add.reduceat(margin[order], starts) / sizes
    hits = np.add.reduceat(label[order].astype(np.float64), starts)
    y = logit((hits + _BLOCK_PRIOR * label.mean()) / (sizes + _BLOCK_PRIOR))
    keep = np.concatenate([[True], np.diff(x) > 0])
    rising = np.maximum.accumulate(y[keep])
    return Calibration(Method.ISOTONIC, tuple(map(float, x[keep])), tuple(map(float, rising)), 1.0, 1.0)


def _pool(values: Sequence[float] | Floats) -> list[int]:
    """Return the sizes of the blocks that pool adjacent violators gives."""
    sums: list[float] = []
    sizes: list[int] = []
    for value in values:
        sums.append(float(value))
        sizes.append(1)
        while len(sums) > 1 and sums[-2] * sizes[-1] >= sums[-1] * sizes[-2]:
            last_sum, last_size = sums.pop(), sizes.pop()
            sums[-1] += last_sum
            sizes[-1] += last_size
    return sizes
