"""Logistic and linear regression with a Gaussian prior on every coefficient: little data stays near the belief."""

import numpy as np
import numpy.typing as npt
from scipy.special import expit

Floats = npt.NDArray[np.float64]

_STEPS, _CLOSE = 50, 1e-9
_LARGEST_STEP = 4.0


def logistic(design: Floats, target: Floats, *, mean: Floats, sd: Floats, times: Floats | None = None) -> Floats:
    """Return the most likely coefficients, shape (d,).

    Args:
        design: shape (n, d), finite; a column of ones where an intercept is wanted. No row at all gives the prior.
        target: 0 or 1, shape (n,).
        mean: of the prior, shape (d,).
        sd: of the prior, above 0, shape (d,).
        times: how often each row counts, at least 0, shape (n,); once where None.
    """
    weight = np.ones(len(target)) if times is None else times
    precision, found = 1 / sd**2, mean.astype(np.float64).copy()
    for _ in range(_STEPS):
        chance = expit(design @ found)
        gradient = design.T @ (weight * (target - chance)) - precision * (found - mean)
        curvature = (design.T * (weight * chance * (1 - chance))) @ design + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        found += step * min(1.0, _LARGEST_STEP / max(float(np.abs(step).max()), _CLOSE))
        if float(np.abs(step).max()) < _CLOSE:
            break
    return found


def linear(design: Floats, target: Floats, *, mean: Floats, sd: Floats, noise: float) -> Floats:
    """Return the most likely coefficients, shape (d,); as ``logistic``, with errors of standard deviation ``noise``."""
    precision = np.diag(1 / sd**2)
    return np.asarray(
        np.linalg.solve(design.T @ design / noise**2 + precision, design.T @ target / noise**2 + precision @ mean)
    )
