"""Weariness of many recipients from their messages, and whether their opens show it.

    F <- F 2^(-dt / 2 d) + load_c (1.1 if ignored, 0.4 if opened)
    ratio of opens to those expected | history ~ Gamma(a0 + opens, a0 / r0 + expected),    r0 = odds ratio e^(-0.1 F)

Both are sums over messages, so they come from any history at once and can be updated one message at a time.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, gammainc, logit

from models.fatigue.spec import CONFIDENCE, IGNORED, ON_OPEN, OPENED, PRIOR, PRIOR_OPENS, RATIO, Dynamics

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Finding:
    """What the opens of n recipients say of their weariness.

    Attributes:
        is_weary: the detector says so, shape (n,).
        probability: that they open less than ``RATIO`` of what is expected of them, shape (n,).
        severity: 1 - mean ratio, at most 1, below 0 where more is opened than expected, shape (n,).
    """

    is_weary: Booleans
    probability: Floats
    severity: Floats


def level(
    recipient: Integers,
    age_days: Floats,
    load: Floats,
    opened: Booleans,
    *,
    recipients: int,
    dynamics: Dynamics = PRIOR,
) -> Floats:
    """Return how weary each recipient is now, at least 0, shape (recipients,).

    Args:
        recipient: of each of m messages, 0 to recipients - 1, shape (m,).
        age_days: since it was sent, shape (m,); a message from the future counts as sent now.
        load: of its channel, shape (m,).
        opened: whether it was, shape (m,).
        recipients: how many there are, also those without a message.
        dynamics: how fast it goes.
    """
    left = load * np.where(opened, OPENED, IGNORED) * np.exp2(-np.maximum(age_days, 0.0) / dynamics.half_life_days)
    return np.bincount(recipient, left, minlength=recipients).astype(np.float64)


def later(weariness: Floats, days: Floats | float, dynamics: Dynamics = PRIOR) -> Floats:
    """Return what is left of weariness after some days without a message."""
    return np.asarray(weariness * np.exp2(-np.asarray(days) / dynamics.half_life_days))


def open_chance(rested: Floats, weariness: Floats, dynamics: Dynamics = PRIOR) -> Floats:
    """Return the chance of an open of somebody weary, from that of the same person rested; both broadcast."""
    return np.asarray(expit(logit(rested) + dynamics.on_open * weariness))


def opt_out_chance(rested: Floats, weariness: Floats, dynamics: Dynamics = PRIOR) -> Floats:
    """Return the chance of an opt-out by one message, from that of the same person rested; both broadcast."""
    return np.asarray(expit(logit(rested) + dynamics.on_opt_out * weariness))


def believed_ratio(weariness: Floats) -> Floats:
    """Return the ratio that the dynamics alone lead to expect, in (0, 1]: the detector's prior mean."""
    return np.asarray(np.exp(ON_OPEN * weariness))


def detected(
    opens: Floats, expected: Floats, *, believed: Floats | float = 1.0, confidence: float = CONFIDENCE
) -> Finding:
    """Return who opens clearly less than is expected of them rested.

    Args:
        opens: of the last messages, shape (n,), at least 0.
        expected: sum of the chances of an open of the same messages as if the recipient were rested, shape (n,).
        believed: ratio before any open was looked at, above 0, shape (n,): 1 without a view, or ``believed_ratio``.
        confidence: least probability at which somebody is called weary.

    Raises:
        ValueError: a number is negative or none.
    """
    for name, given in (("opens", opens), ("expected", expected)):
        if not (np.isfinite(given).all() and (np.asarray(given) >= 0).all()):
            raise ValueError(f"{name}: expected finite values, at least 0")
    if not (np.asarray(believed) > 0).all():
        raise ValueError("believed: expected above 0")
    shape, rate = PRIOR_OPENS + opens, PRIOR_OPENS / np.asarray(believed) + expected
    probability = np.asarray(gammainc(shape, rate * RATIO))
    return Finding(probability > confidence, probability, np.asarray(1 - shape / rate))
