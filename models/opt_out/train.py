"""Fit the hazard of leaving on messages that were sent."""

from dataclasses import dataclass

import numpy as np

from models import ridge
from models.opt_out.spec import CHANNELS, FEWEST_LEFT, PRIOR_MEAN, PRIOR_SD
from models.ridge import Floats
from models.send_time.dataset import Integers


@dataclass(frozen=True)
class Hazard:
    """Log-odds of leaving by one message: an intercept for each channel, then a slope over weariness.

    Attributes:
        coefficients: shape (C + 1,), in the order of ``spec.CHANNELS``.
        left: opt-outs it was fitted on.
        is_learnt: whether these were enough to speak of more than the prior.
    """

    coefficients: Floats
    left: int
    is_learnt: bool


PRIOR = Hazard(PRIOR_MEAN, 0, is_learnt=False)
"""The hazard before any message."""


def fit(channel: Integers, weariness: Floats, left: Floats) -> Hazard:
    """Return the hazard; without opt-outs it stays near its prior, and falls as messages without any go out.

    Weariness never keeps anybody: where it seems to, those who bear many messages are sent them, and it counts nothing.

    Args:
        channel: of each of m messages, index into ``spec.CHANNELS``, shape (m,).
        weariness: of the recipient when it was sent, at least 0, shape (m,).
        left: 1 where the message made the recipient leave, shape (m,).

    Raises:
        ValueError: names what is out of range and what was expected.
    """
    rules = {
        f"channel: expected 0 to {len(CHANNELS) - 1}": (channel >= 0) & (channel < len(CHANNELS)),
        "weariness: expected finite values, at least 0": np.isfinite(weariness) & (weariness >= 0),
        "left: expected 0 or 1": (left == 0) | (left == 1),
    }
    for rule, holds in rules.items():
        if not holds.all():
            raise ValueError(rule)
    found = ridge.logistic(design(channel, weariness), left, mean=PRIOR_MEAN, sd=PRIOR_SD)
    if found[-1] < 0:
        unmoved = np.array([*PRIOR_MEAN[:-1], 0.0])
        found = ridge.logistic(design(channel, np.zeros(len(left))), left, mean=unmoved, sd=PRIOR_SD)
    count = int(left.sum())
    return Hazard(found, count, is_learnt=count >= FEWEST_LEFT)


def design(channel: Integers, weariness: Floats) -> Floats:
    """Return one column a channel and one of weariness, shape (m, C + 1)."""
    return np.column_stack([np.eye(len(CHANNELS))[channel], weariness])
