"""Fit how fast weariness goes and how much it weighs on opens, from messages in their order.

    logit P(open) = a + logit p_rest + b F,    p_rest from the recipient's other messages, b in [-1, 0]

What one message adds is the prior's; its scale and the slope could not be told apart.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit

from models.fatigue.spec import (
    FEWEST_ANSWERS,
    FEWEST_MESSAGES,
    HALF_LIVES,
    IGNORED,
    ON_OPT_OUT,
    OPENED,
    PRIOR,
    STRONGEST,
    WEARY,
    Dynamics,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class NotEnoughData(ValueError):
    """Too few messages came to somebody weary; says how many are needed."""


def before_each(recipient: Integers, at_days: Floats, load: Floats, opened: Floats, half_life_days: float) -> Floats:
    """Return how weary the recipient of each message was just before it, at least 0, shape (m,).

    Args:
        recipient: of each of m messages, shape (m,); messages of one lie together, the earliest first.
        at_days: when, rising within a recipient, shape (m,).
        load: of its channel, shape (m,).
        opened: 1 where it was, else 0, shape (m,).
        half_life_days: of weariness, above 0.
    """
    added = load * np.where(opened > 0, OPENED, IGNORED)
    found = np.zeros(len(recipient))
    for place in range(1, len(recipient)):
        if recipient[place] == recipient[place - 1]:
            gone = 2.0 ** (-(at_days[place] - at_days[place - 1]) / half_life_days)
            found[place] = (found[place - 1] + added[place - 1]) * gone
    return found


def fit(recipient: Integers, at_days: Floats, load: Floats, opened: Floats, rested: Floats) -> Dynamics:
    """Return the dynamics under which the opens are likeliest; arguments as ``before_each``.

    Args:
        recipient: of each message.
        at_days: when.
        load: of its channel.
        opened: 1 where it was, else 0.
        rested: chance of an open by everything but weariness, in (0, 1), shape (m,).

    Raises:
        NotEnoughData: fewer than ``FEWEST_MESSAGES`` messages came to somebody weary, or fewer than
            ``FEWEST_ANSWERS`` of them were opened.
    """
    weary = before_each(recipient, at_days, load, opened, PRIOR.half_life_days) >= WEARY
    if weary.sum() < FEWEST_MESSAGES or opened[weary].sum() < FEWEST_ANSWERS:
        raise NotEnoughData(
            f"not enough data: {int(weary.sum())} messages to somebody weary, {int(opened[weary].sum())} of them "
            f"answered; at least {FEWEST_MESSAGES} and {FEWEST_ANSWERS} are needed"
        )
    offset, tried = logit(rested), []
    for half_life in HALF_LIVES:
        level = before_each(recipient, at_days, load, opened, half_life)
        slope, cost = _slope(level, opened, offset)
        tried.append((cost, half_life, slope))
    _, half_life, slope = min(tried)
    return Dynamics(half_life, slope, ON_OPT_OUT, fitted=True)


def log_likelihood(dynamics: Dynamics, level: Floats, opened: Floats, rested: Floats) -> Floats:
    """Return the log-likelihood of each open, shape (m,), at the best common level of opens.

    Args:
        dynamics: how much weariness weighs.
        level: of weariness before each message, by the same dynamics, shape (m,).
        opened: 1 where it was, else 0, shape (m,).
        rested: chance by everything else, in (0, 1), shape (m,).
    """
    odds = logit(rested) + dynamics.on_open * level
    best = minimize(lambda a: -_likely(odds + a[0], opened).sum(), [0.0], method="BFGS")
    return _likely(odds + best.x[0], opened)


def _slope(level: Floats, opened: Floats, offset: Floats) -> tuple[float, float]:
    def cost(given: Floats) -> tuple[float, Floats]:
        odds = given[0] + offset + given[1] * level
        residual = expit(odds) - opened
        return -float(_likely(odds, opened).sum()), np.array([residual.sum(), (residual * level).sum()])

    found = minimize(cost, [0.0, PRIOR.on_open], jac=True, bounds=[(None, None), (STRONGEST, 0.0)], method="L-BFGS-B")
    return float(found.x[1]), float(found.fun)


def _likely(odds: Floats, opened: Floats) -> Floats:
    return np.asarray(opened * odds - np.logaddexp(0.0, odds))
