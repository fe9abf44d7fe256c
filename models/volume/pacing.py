"""A price that spends a volume evenly over a day: it rises where more was sent than planned, and falls where less.

    planned_h = what is left of the day's volume, by the expected share of this step among those that are left
    price <- max(0, price + scale (P (e_h - e_h-1) + I e_h)),    e_h = sent_h / planned_h - 1

The plan catches up with itself, so an error of the morning is not carried through the day. A price has a ceiling: a
volume below what exploration alone sends must not drive it to where it takes days to come back from.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from models.volume.spec import INTEGRAL, MOST_ERROR, MOST_PRICE, MOST_STEPS, PROPORTIONAL

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Pace:
    """One price for one channel of one tenant; kept between steps.

    Attributes:
        price: what a message must be worth at least, at least 0, in the unit of its value.
        scale: standard deviation of messages' values, above 0; errors of volume become value by it.
        error: relative, of the last step.
    """

    price: float
    scale: float
    error: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: names what is wrong.
        """
        if not self.price >= 0:
            raise ValueError("price: expected at least 0")
        if not self.scale > 0:
            raise ValueError("scale: expected above 0")

    def after(self, sent: float, planned: float, *, steps: float = 1.0) -> "Pace":
        """Return the pace after a step in which ``sent`` messages went out instead of ``planned``.

        Where nothing was planned, the volume being used up, whatever is sent is the largest error that counts; a step
        with neither changes nothing.

        Args:
            sent: messages, at least 0.
            planned: messages, at least 0.
            steps: how many usual steps this one was as long as; it moves the price as far as ``MOST_STEPS`` at most.

        Raises:
            ValueError: a number is negative.
        """
        if sent < 0 or planned < 0:
            raise ValueError("sent and planned: expected at least 0")
        if planned == 0 and sent == 0:
            return self
        error = min(sent / planned - 1, MOST_ERROR) if planned else MOST_ERROR
        gain = self.scale * min(max(steps, 1.0), MOST_STEPS)
        change = gain * (PROPORTIONAL * (error - self.error) + INTEGRAL * error)
        price = min(max(0.0, self.price + change), max(self.price, MOST_PRICE * self.scale))
        return replace(self, price=price, error=error)


def planned(left: float, shares: Floats, step: int) -> float:
    """Return how many messages a step should send.

    Args:
        left: of the day's volume; what was sent beyond it counts as none.
        shares: expected share of each step of the day in what may be sent, at least 0, shape (S,).
        step: 0 to S - 1.
    """
    rest = float(shares[step:].sum())
    return max(left, 0.0) * float(shares[step]) / rest if rest > 0 else 0.0


def first_price(values: Floats, total: float) -> float:
    """Return the price under which the values of a day before would have sent ``total`` messages, at least 0."""
    if len(values) <= total:
        return 0.0
    return max(0.0, float(np.quantile(values, 1 - total / len(values))))


def policy_price(values: Floats, mine: Booleans, total: float, *, temperature: float, epsilon: float) -> float:
    """Return the price of some channels under which an epsilon-softmax draws ``total`` messages on them, at least 0.

    Args:
        values: worth of a message of each option over sending nothing, its other prices off; -inf where it is no
            option, shape (n, K), n >= 1.
        mine: the options the price comes off, shape (K,).
        total: messages, of n decisions, at least 0. Where exploration alone sends more, the price is the one above
            which hardly anything else is sent.
        temperature: of the softmax, in the unit of the values, above 0.
        epsilon: the share that is spread evenly over a decision's options, in [0, 1).
    """
    if _sends(values, mine, 0.0, temperature, epsilon) <= total:
        return 0.0
    low, high = 0.0, max(0.0, float(values[:, mine].max())) + _CLOSED * temperature
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _sends(values, mine, middle, temperature, epsilon) > total else (low, middle)
    return high


_HALVINGS, _CLOSED = 40, 7


def _sends(values: Floats, mine: Booleans, price: float, temperature: float, epsilon: float) -> float:
    worth = np.column_stack([np.zeros(len(values)), values - price * mine])
    options = np.isfinite(worth)
    chances = (1 - epsilon) * softmax(worth / temperature, axis=1) + epsilon * options / options.sum(axis=1)[:, None]
    return float(chances[:, 1:][:, mine].sum())
